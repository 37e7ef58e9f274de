"""``phi3data check``: lint chat data."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

from phi3data.cli.options import JOBS


@click.command("check")
@click.argument("paths", nargs=-1, required=True)
@click.option("--select", default="", metavar="CODES", help="Only these codes or prefixes, comma-separated.")
@click.option("--ignore", default="", metavar="CODES", help="Not these codes or prefixes, comma-separated.")
@click.option("--model", metavar="NAME", help="Model that will read the rows.  [default: phi-3-mini-4k-instruct]")
@click.option("--target", metavar="NAME", help="Where the data goes: foundry, azure-openai, openai, trl.")
@click.option("--tokenizer", metavar="DIR|NAME", help="Tokenizer: exact lengths, its control tokens and chat template.")
@click.option("--encoding", metavar="NAME", help="Encoding of the files, for example cp1252.")
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
    default="warning",
    show_default=True,
    help="The least severity that makes the exit code 1.",
)
@JOBS
def check_command(
    paths: tuple[str, ...],
    select: str,
    ignore: str,
    model: str | None,
    target: str | None,
    tokenizer: str | None,
    encoding: str | None,
    outputs: tuple[str, ...],
    max_per_rule: int | None,
    fail_on: str,
    jobs: int | None,
) -> int:
    """Lint chat rows in PATHS (- for stdin): exit 0 if clean, 1 if something is found, 2 if they cannot be read."""
    from phi3data import family, targets
    from phi3data.lint import check
    from phi3data.report.lint.excerpt import Lines
    from phi3data.report.lint.outputs import parse, write
    from phi3data.report.lint.results import Options, Results, project_root
    from phi3data.sources.files import Scratch

    wanted = parse(outputs, paths)
    with Scratch() as work:  # until the excerpts are read
        result = check(
            list(paths),
            select=select,
            ignore=ignore,
            encoding=encoding,
            model=model or family.DEFAULT,
            tokenizer=tokenizer,
            target=target or targets.DEFAULT,
            workers=jobs or 1,
            work=work,
        )
        for note in result.notes:
            click.echo(f"note: {note}", err=True)
        found = Results(result.findings, result.rows, result.paths)
        options = Options(max_per_rule, Lines.of(result.sources), project_root(Path.cwd()))
        write(wanted, found, options, stdout=sys.stdout.buffer, colour=_wants_colour())
    if all(output.file is not None for output in wanted):
        click.echo(found.headline(), err=True)
    failing = {"error": {"error"}, "warning": {"error", "warning"}, "never": set[str]()}[fail_on]
    return int(any(item.severity in failing for item in result.findings))


def _wants_colour() -> bool:
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
