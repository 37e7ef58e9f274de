"""``phi3data check``: lint chat data."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import click

from phi3data.cli.linting import CHECKING, Linting
from phi3data.cli.options import add


@click.command("check")
@click.argument("paths", nargs=-1)
@add(*CHECKING)
@click.option(
    "--output",
    "outputs",
    multiple=True,
    metavar="FORMAT[:FILE]",
    help="text (default), json, jsonl, github, sarif or junit; repeatable, all but one with a file.",
)
@click.option(
    "--max-per-rule",
    type=click.IntRange(1),
    metavar="N",
    help="Findings of a rule that text and github show.  [default: 20 in text]",
)
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "never"]),
    help="The least severity that makes the exit code 1.  [default: warning]",
)
@click.option("--baseline", type=click.Path(path_type=Path), metavar="FILE", help="Old findings to pass over.")
@click.option("--stdin-filename", metavar="NAME", help="The name of what comes from standard input (-).")
def check_command(
    paths: tuple[str, ...],
    outputs: tuple[str, ...],
    max_per_rule: int | None,
    fail_on: str | None,
    baseline: Path | None,
    stdin_filename: str | None,
    **options: Any,
) -> int:
    """Lint chat rows in PATHS (- for stdin): exit 0 if clean, 1 if something is found, 2 if they cannot be read."""
    from phi3data.report.lint.excerpt import Lines
    from phi3data.report.lint.outputs import parse, write
    from phi3data.report.lint.results import Options, Results, project_root
    from phi3data.sources.files import Scratch

    wanted = parse(outputs, paths)
    linting = Linting(paths, stdin_filename=stdin_filename, **options)
    keys = linting.settings.keys
    with Scratch() as work:  # until the excerpts are read
        result = linting.check(work, baseline=baseline)
        for note in result.notes:
            click.echo(f"note: {note}", err=True)
        found = Results(result.findings, result.rows, result.paths, result.skipped)
        shown = Options(max_per_rule or keys.max_per_rule, Lines.of(result.sources), project_root(Path.cwd()), _width())
        write(wanted, found, shown, stdout=sys.stdout.buffer, colour=_wants_colour())
    if all(output.file is not None for output in wanted):
        click.echo(found.headline(), err=True)
    least = fail_on or keys.fail_on or "warning"
    failing = {"error": {"error"}, "warning": {"error", "warning"}, "never": set[str]()}[least]
    return int(any(item.severity in failing for item in result.findings))


def _width() -> int:
    """Return the width of the terminal; 0 where the output goes elsewhere."""
    if not sys.stdout.isatty():
        return 0
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() else os.get_terminal_size(sys.stdout.fileno()).columns


def _wants_colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
