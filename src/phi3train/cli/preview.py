"""``phi3train preview``: what the first steps will train on."""

from __future__ import annotations

from pathlib import Path

import click

from phi3data.errors import OutputError
from phi3train.cli import options


@click.command("preview")
@options.CONFIG
@options.SETTINGS
@click.option("-n", "number", type=click.IntRange(1), default=3, show_default=True, help="Conversations.")
@click.option("--html", "page", type=click.Path(path_type=Path), help="Write a page instead of printing.")
@click.option("--overwrite", is_flag=True, help="Replace a page that exists.")
def preview_command(
    config: Path, settings: tuple[str, ...], number: int, page: Path | None, *, overwrite: bool
) -> None:
    """Show the first conversations of CONFIG in the order of training: chat, text, tokens, and what is learned."""
    resolved = options.config_from(config, settings)
    if page is not None and page.exists() and not overwrite:
        raise OutputError(f"{page}: exists: choose another name, or replace it with --overwrite")
    options.need_extra("preview")
    from phi3train.devices import here, precision
    from phi3train.job import make
    from phi3train.preview import preview

    name, device = here()
    shown = preview(make(resolved, device, precision(resolved, name)), number)
    if page is None:
        from rich.console import Console

        from phi3data.report.inspection import terminal

        console = Console()
        colour = console.is_terminal and console.color_system is not None and not console.no_color
        said = [terminal.render(each, width=console.width, colour=colour) for each in shown]
        click.echo("\n".join(said).encode(), nl=False)
        return
    from phi3data.report.inspection import html
    from phi3data.sources.files import whole

    with whole(page) as file:
        file.write(html.render(shown).encode())
    click.echo(f"{page}: {', '.join(each.place for each in shown)}", err=True)
