"""``phi3data tokens``: how long the rows are, and what limits and training cost."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

import click

from phi3data.cli import options
from phi3data.cli.group import INTERRUPTED
from phi3data.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from phi3data.tokens.encode import LossOn

_AMOUNT = click.FloatRange(min=0)
_ABOVE = click.FloatRange(min=0, min_open=True)


@click.command("tokens")
@click.argument("data", nargs=-1, required=True)
@options.add(
    *options.RECIPE,
    *options.READING,
    click.option("--system", metavar="TEXT", help="System prompt for rows that have none."),
    click.option("--model", metavar="NAME", help="Model to train, for example phi-3-mini."),
    click.option("--tokenizer", metavar="DIR|NAME", help=options.TOKENIZER),
    click.option(
        "--loss-on",
        type=click.Choice(["assistant", "last", "all"]),
        default="assistant",
        show_default=True,
        help="Turns that are supervised: every assistant turn, the last one, or all turns.",
    ),
    click.option(
        "--limit",
        "limits",
        type=click.IntRange(1),
        multiple=True,
        metavar="N",
        help="Show this limit too, in tokens per row; repeatable.",
    ),
    click.option(
        "--epochs", type=_ABOVE, default=1, show_default=True, metavar="N", help="Times that each row is trained on."
    ),
    click.option("--price", type=_AMOUNT, metavar="P", help="Price of a million trained tokens, in any currency."),
    click.option("--tokens-per-second", type=_ABOVE, metavar="R", help="How fast a machine trains, for the hours."),
    click.option("--per-hour", type=_AMOUNT, metavar="P", help="Price of an hour of that machine."),
    click.option("--json", "as_json", is_flag=True, help="Print one JSON object with everything."),
    options.JOBS,
    options.ONLINE,
)
def tokens_command(
    data: tuple[str, ...],
    recipe: Path | None,
    settings: tuple[str, ...],
    loss_on: LossOn,
    limits: tuple[int, ...],
    epochs: float,
    price: float | None,
    per_hour: float | None,
    tokens_per_second: float | None,
    jobs: int | None,
    *,
    as_json: bool,
    online: bool,
    **chosen: Any,
) -> int:
    """Count the tokens of DATA; show what a context limit costs, and what training does.

    DATA is a file, directory, glob or - in any format that `prepare` reads. Rows are counted as they are read: nothing
    is cleaned or dropped. Counts are exact with the model's tokenizer (--tokenizer, or in the local cache), else
    estimates, and marked so. Lengths include the special tokens of the chat template.

    \b
    --json prints one object with the keys
      version, estimated, tokenizer, template, note, model, context, loss_on
      files        path, format, layout, rows,
                   unreadable, first_unreadable_line, _record, _code, _reason,
                   unrenderable, first_unrenderable_line, _record, _reason
      rows, unreadable, unrenderable, tokens, supervised,
      rows_without_supervised
      per_row      total and supervised: p1 … p99 (nearest rank), max, mean
      histogram    first, last, rows, cumulative
      limits       limit, rows_over, tokens_lost, supervised_lost,
                   answers_lost, tokens_lost_if_dropped,
                   supervised_lost_if_dropped, packed_sequences
      padding, longest (path, line, record, tokens, supervised)
      cost         epochs, trained_tokens, price_per_million, cost,
                   tokens_per_second, hours, price_per_hour, cost_by_the_hour
    """
    if per_hour is not None and tokens_per_second is None:
        raise UsageError("--per-hour needs --tokens-per-second R: how many tokens the machine trains in a second")
    if not all(math.isfinite(number or 0) for number in (epochs, price, per_hour, tokens_per_second)):
        raise UsageError("--epochs, --price, --tokens-per-second, --per-hour: expected numbers, not nan or inf")
    resolved = options.recipe_from(recipe, settings, chosen)
    from phi3data.cli.progress import Bar
    from phi3data.engine.tokens import tally
    from phi3data.report.tokens import report
    from phi3data.sources.inputs import find

    wished = (*limits, *([resolved.length.limit] if resolved.length.limit else []))
    try:
        with Bar() as bar:
            counted = tally(
                find(list(data), online=online),
                resolved,
                loss_on=loss_on,
                limits=wished,
                workers=options.jobs(jobs),
                online=online,
                progress=bar,
            )
    except KeyboardInterrupt:
        click.echo("interrupted", err=True)
        return INTERRUPTED
    found = report(
        counted,
        limits=wished,
        epochs=epochs,
        price=price,
        per_hour=per_hour,
        tokens_per_second=tokens_per_second,
    )
    if as_json:
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))  # bytes: always UTF-8
        return 0
    from rich.console import Console

    from phi3data.report.tokens_terminal import render

    console = Console(markup=False, emoji=False, highlight=False)
    console.print(render(found, encoding=sys.stdout.encoding), soft_wrap=True)
    return 0
