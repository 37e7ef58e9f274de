"""``phi3train compare``: runs beside each other."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from phi3data.errors import OutputError


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN…", type=click.Path(path_type=Path))
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="What to print."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="PAGE", help="Write a page instead.")
@click.option("--overwrite", is_flag=True, help="Replace a page that exists.")
def compare_command(runs: tuple[Path, ...], form: str, output: Path | None, *, overwrite: bool) -> None:
    """Show what differs between the configurations of runs, and what came of it.

    Losses are compared at equal tokens, those of the shortest run; beside them the best evaluation, speed, what
    phi3train eval measured, and the last samples.
    """
    if output is not None and output.exists() and not overwrite:
        raise OutputError(f"{output}: exists: choose another name, or replace it with --overwrite")
    import msgspec

    from phi3train.compare import compare, page, render

    found, stories = compare(runs)
    if output is not None:
        from phi3data.sources.files import whole

        with whole(output) as file:
            file.write(page(found, stories).encode())
        click.echo(f"{output} written", err=True)
    elif form == "json":
        click.echo(msgspec.json.encode(found))
    else:
        click.echo(render(found, shutil.get_terminal_size().columns).encode(), nl=False)
