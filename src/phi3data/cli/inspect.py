"""``phi3data inspect``: one row as the model will see it."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phi3data.cli import options
from phi3data.errors import InputError, MissingExtraError, OutputError, UsageError

if TYPE_CHECKING:
    from phi3data.inspection.rows import Row
    from phi3data.inspection.view import Inspection
    from phi3data.tokens.encode import ControlText, LossOn


class _Command(click.Command):
    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take ``-:4``, row 4 of stdin, for what it is; click takes it for an option."""
        rows = [each for each in args if re.fullmatch(r"-:\d+", each)]
        if rows and "--" not in args:
            args = [*(each for each in args if each not in rows), "--", *rows]
        return super().parse_args(ctx, args)


@click.command("inspect", cls=_Command)
@click.argument("rows", nargs=-1, required=True, metavar="FILE[:LINE]...")
@options.add(
    *options.READING,
    click.option("--system", metavar="TEXT", help="System prompt for rows that have none."),
    click.option("--record", "by_record", is_flag=True, help="LINE is the number of a row, in a JSON array too."),
    click.option("--model", metavar="NAME", help="Model to train, for example phi-3-mini."),
    click.option("--tokenizer", metavar="DIR|NAME", help=options.TOKENIZER),
    options.ONLINE,
    click.option(
        "--loss-on",
        type=click.Choice(["assistant", "last", "all"]),
        default="assistant",
        show_default=True,
        help="Which turns are trained on.",
    ),
    click.option(
        "--control-text",
        type=click.Choice(["escape", "keep", "error"]),
        default="escape",
        show_default=True,
        help="A control token spelled in a message: plain text, the token itself, or refused.",
    ),
    click.option(
        "--limit", type=click.IntRange(1), metavar="N", help="Tokens that fit; the model's context otherwise."
    ),
    click.option("--html", "page", type=click.Path(path_type=Path), help="Write a page instead of printing."),
    click.option("--overwrite", is_flag=True, help="Replace a page that exists."),
    click.option("--raw", is_flag=True, help="Print the text that the model reads and nothing else."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object a row: ids, mask, tokens, counts."),
)
def inspect_command(
    rows: tuple[str, ...],
    loss_on: LossOn,
    control_text: ControlText,
    limit: int | None,
    page: Path | None,
    *,
    by_record: bool,
    online: bool,
    overwrite: bool,
    raw: bool,
    as_json: bool,
    **chosen: Any,
) -> int:
    """Show a row of FILE as the model will see it: chat, text, tokens, and what is trained on.

    LINE counts from 1, as in the report and in the ledger: lines of the file, rows of a table; with --record the rows
    of a JSON array, of which several may stand on a line: else the first is shown. FILE alone is its first row. A place
    as `check` prints it, FILE:LINE:COLUMN, works too. FILE is anything that `prepare` reads, or - for stdin.

    \b
    Exit code 0: the row is shown.
              1: it is shown, but the chat template fails on it, or
                 --control-text error refuses it.
              2: there is no such row, or it is no conversation.

    --raw writes the exact text to a file or pipe; to a terminal, control characters by their numbers.
    """
    if raw + as_json + (page is not None) > 1:
        raise UsageError("--raw, --json and --html: give one of them")
    if page is not None:
        _check_name(page, rows, overwrite=overwrite)
    resolved = options.recipe_from(None, (), chosen)
    from phi3data import family
    from phi3data.inspection.place import parse
    from phi3data.inspection.rows import read_rows
    from phi3data.inspection.view import Inspector, Settings
    from phi3data.tokens import count

    model = family.model(resolved.model)
    read = read_rows([parse(row) for row in rows], resolved.source, by_record=by_record, online=online)
    settings = Settings(
        model=model.name,
        tokenizer=count.resolve(resolved.length.tokenizer, model, online=online),
        loss_on=loss_on,
        control_text=control_text,
        limit=limit or model.context,
    )
    inspector = Inspector(settings, model)
    found = [each for row in read for each in inspector.inspect(row)]
    if raw:
        _print_raw(found)
    elif as_json:
        _print_json(found)
    elif page is not None:
        _write_page(found, page)
    else:
        _print(found)
    if raw or as_json:
        _note_several(read)
    unusable = [each for each in found if not each.usable]
    if unusable:
        sys.stdout.flush()
        raise InputError("; ".join(f"{each.place}: {_say(each)}" for each in unusable))
    for each in found:
        if each.problem is not None:
            click.echo(f"{each.place}: {_say(each)}", err=True)
    return int(any(each.problem is not None for each in found))


def _check_name(page: Path, rows: tuple[str, ...], *, overwrite: bool) -> None:
    """Refuse a name that would lose something, before any work is done."""
    from phi3data.inspection.place import parse

    if str(page) == "-":
        raise UsageError("--html -: a page is written to a file only: give a name that ends in .html")
    if page.is_dir():
        raise OutputError(f"{page}: is a folder: give the name of a file")
    if page.resolve() in {Path(parse(row).file).resolve() for row in rows}:
        raise UsageError(f"--html {page}: would replace the data: choose another name")
    if page.exists() and not overwrite:
        raise OutputError(f"{page}: exists: choose another name, or replace it with --overwrite")


def _say(found: Inspection) -> str:
    from phi3data.report.html.visible import plain

    finding = found.problem
    assert finding is not None
    column = f", column {finding.column}" if finding.column is not None else ""
    return plain(f"{finding.message} ({finding.code}{' ' if finding.pointer else ''}{finding.pointer}{column})")


def _note_several(rows: list[Row]) -> None:
    """Say on stderr what the other outputs say in the row's heading."""
    from phi3data.report.html.visible import plain

    for row in rows:
        if row.several:
            said = f"{row.place}: the first of several rows on this line: --record FILE:ROW picks one"
            click.echo(plain(said), err=True)


def _print(found: list[Inspection]) -> None:
    from rich.console import Console

    from phi3data.report.inspection.terminal import render

    console = Console()  # tells what the terminal can do: its width, and NO_COLOR, FORCE_COLOR, TERM, COLUMNS
    colour = console.is_terminal and console.color_system is not None and not console.no_color
    shown = [render(each, width=console.width, colour=colour) for each in found]
    click.echo("\n".join(shown).encode(), nl=False)  # bytes: UTF-8 whatever the locale, as the data is


def _print_json(found: list[Inspection]) -> None:
    import msgspec

    from phi3data.report.inspection.document import document

    for each in found:
        click.echo(msgspec.json.encode(document(each)))


def _print_raw(found: list[Inspection]) -> None:
    if len(found) != 1:
        raise UsageError(f"--raw: prints one conversation, these are {len(found)}: name one row, or take --json")
    text = found[0].rendered
    if text is None:
        return
    if sys.stdout.isatty():
        from phi3data.report.html.visible import plain

        text = plain(text)
    click.echo(text.encode(), nl=False)


def _write_page(found: list[Inspection], page: Path) -> None:
    try:
        from phi3data.report.inspection.html import render
    except ModuleNotFoundError as error:
        raise MissingExtraError("a page", "data") from error
    from phi3data.sources.files import whole

    with whole(page) as file:
        file.write(render(found).encode())
    click.echo(f"{page}: {', '.join(each.place for each in found)}", err=True)
