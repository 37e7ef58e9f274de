"""``phi3train report``: the page of a run, written anew."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("report")
@click.argument("run", type=click.Path(path_type=Path))
def report_command(run: Path) -> None:
    """Write report.html and REPORT.md of RUN anew, from the files in it; print the warnings.

    A run and an evaluation do that themselves: this is for one that was killed, or is not at its end yet.
    """
    from phi3data.report.html.visible import plain
    from phi3train.report import write

    for warning in write(run):
        click.echo(f"warning: {plain(warning)}")
    click.echo(f"{run / 'report.html'} and REPORT.md written", err=True)
