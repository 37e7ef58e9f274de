"""``phi3data check``: lint chat data."""

from __future__ import annotations

import sys
from collections import Counter

import click

from phi3data.errors import UsageError


@click.command("check")
@click.argument("paths", nargs=-1, required=True)
@click.option("--select", default="", metavar="CODES", help="Only these codes or prefixes, comma-separated.")
@click.option("--ignore", default="", metavar="CODES", help="Not these codes or prefixes, comma-separated.")
@click.option("--model", metavar="NAME", help="Model that will read the rows.  [default: phi-3-mini-4k-instruct]")
@click.option("--tokenizer", metavar="DIR|NAME", help="Tokenizer: exact lengths, its control tokens and chat template.")
@click.option("--encoding", metavar="NAME", help="Encoding of the files, for example cp1252.")
@click.option("--output", "output", default="text", metavar="FORMAT", help="text or json.", show_default=True)
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "never"]),
    default="warning",
    show_default=True,
    help="The least severity that makes the exit code 1.",
)
def check_command(
    paths: tuple[str, ...],
    select: str,
    ignore: str,
    model: str | None,
    tokenizer: str | None,
    encoding: str | None,
    output: str,
    fail_on: str,
) -> int:
    """Lint chat rows in PATHS (- for stdin): exit 0 if clean, 1 if something is found, 2 if they cannot be read."""
    from phi3data import family
    from phi3data.lint import check

    if output not in {"text", "json"}:
        raise UsageError(f"--output {output}: expected text or json")
    result = check(
        list(paths),
        select=select,
        ignore=ignore,
        encoding=encoding,
        model=model or family.DEFAULT,
        tokenizer=tokenizer,
    )
    for note in result.notes:
        click.echo(f"note: {note}", err=True)
    if output == "json":
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(result.to_dict()), indent=2).decode())
    else:
        for item in result.findings:
            place = f"{item.path}:{item.line}:{item.column or 1}"
            click.echo(f"{place}: {click.style(item.code, bold=True)} {item.message} {item.pointer}".rstrip())
        sys.stdout.flush()
        counts = Counter((item.code, item.name) for item in result.findings)
        for (code, name), number in sorted(counts.items()):
            click.echo(f"{number:>8,}  {code}  {name}", err=True)
        found = _plural(len(result.findings), "finding")
        click.echo(f"{found} in {_plural(result.rows, 'row')} of {_plural(result.files, 'file')}", err=True)
    failing = {"error": {"error"}, "warning": {"error", "warning"}, "never": set[str]()}[fail_on]
    return int(any(item.severity in failing for item in result.findings))


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
