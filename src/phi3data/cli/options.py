"""Options that several commands share, and how they become a recipe."""

from __future__ import annotations

from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from phi3data.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from phi3data.engine.recipe import Recipe

Command = TypeVar("Command", bound="Callable[..., Any]")

# Option → key of the recipe.
_KEYS = {
    "format_": "source.format",
    "columns": "source.columns",
    "label_column": "source.label_column",
    "group_by": "source.group_by",
    "system": "source.system",
    "encoding": "source.encoding",
    "model": "model",
    "target": "target",
    "tokenizer": "length.tokenizer",
    "seed": "split.seed",
    "keep": "dedup.keep",
    "against": "decontaminate.references",
    "action": "decontaminate.action",
    "match": "dedup.match",
    "threshold": "dedup.threshold",
    "scope": "dedup.scope",
    "conflicts": "dedup.conflicts",
    "validation": "split.validation",
    "test": "split.test",
}

TOKENIZER = (
    "Tokenizer, and with it the chat template and the control tokens; the model's own from the local cache otherwise."
)

RECIPE = (
    click.option("--recipe", type=click.Path(path_type=Path), help="Recipe to follow (phi3data recipe init)."),
    click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a key of the recipe; repeatable."),
)
READING = (
    click.option("--format", "format_", metavar="NAME", help="Format of the rows; detected otherwise."),
    click.option(
        "--columns",
        multiple=True,
        metavar="FIELD=COLUMN,…",
        help="Which column is which field of the format; repeatable.",
    ),
    click.option("--label-column", metavar="NAME", help="Column with the label."),
    click.option("--encoding", metavar="NAME", help="Encoding of the files, for example cp1252."),
)
JOBS = click.option(
    "-j", "--jobs", type=click.IntRange(1), metavar="N", help="Worker processes; one per CPU otherwise."
)
ONLINE = click.option("--online", is_flag=True, help="Allow downloads from the Hugging Face hub.")
RUNNING = (JOBS, click.option("--overwrite", is_flag=True, help="Replace outputs that exist."), ONLINE)


def add(*options: Callable[[Command], Command]) -> Callable[[Command], Command]:
    """Decorate a command with options, in the order given."""
    return lambda command: reduce(lambda done, option: option(done), reversed(options), command)


def recipe_from(recipe: Path | None, settings: tuple[str, ...], options: dict[str, Any]) -> Recipe:
    """Return the recipe of a command line: the file, then its own options, then --set."""
    try:
        from phi3data.engine.recipe import load, parse_setting
    except ModuleNotFoundError as error:
        raise MissingExtraError("this command", "data") from error

    table: dict[str, Any] = {}
    for option, value in options.items():
        if option == "columns" and value:
            table[_KEYS[option]] = columns(",".join(value))
        elif option != "columns" and value not in (None, ()) and option in _KEYS:
            table[_KEYS[option]] = value
    table.update(parse_setting(text) for text in settings)
    return load(recipe, table)


def columns(text: str) -> dict[str, str]:
    """Parse ``field=column,field=column``."""
    pairs = [part.partition("=") for part in text.split(",") if part.strip()]
    wrong = next((left for left, equals, right in pairs if not equals or not right.strip()), None)
    if wrong is not None or not pairs:
        raise UsageError(f"--columns {text}: expected field=column,…, for example question=Frage,answer=Antwort")
    return {left.strip(): right.strip() for left, _, right in pairs}


def jobs(asked: int | None) -> int:
    """Return how many worker processes to use: as asked, or one for each CPU that this process may use."""
    if asked is not None:
        return asked
    from phi3data.workers import cpus

    return cpus()
