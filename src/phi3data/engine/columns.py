"""What a raw row has in the columns that the recipe names: a score, a time, and a group."""

from __future__ import annotations

from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING, Any, NamedTuple

from phi3data.sources.open import as_row
from phi3data.sources.reader import scalar

if TYPE_CHECKING:
    from phi3data.engine.recipe import Recipe


class Named(NamedTuple):
    """The values of the columns of `dedup.keep`, `split.time` and `balance.by`; None where there is none."""

    best: float | None
    time: float | None
    balanced_by: str | None


_NOTHING = Named(None, None, None)


def named(value: Any, recipe: Recipe) -> Named:
    """Return what a raw row, as it was decoded, has in these columns."""
    best, time, group = recipe.dedup.column, recipe.split.time, recipe.balance.column
    if best is time is group is None:
        return _NOTHING
    return Named(_number(value, best), _moment(value, time), _text(value, group))


def _moment(value: Any, column: str | None) -> float | None:
    """Return the number that a raw row has in a column, or the seconds since 1970 of a time in ISO 8601; else None."""
    number = _number(value, column)
    row = as_row(value) if column is not None and number is None else None
    if column is None or not isinstance(row, dict):
        return number
    try:
        moment = datetime.fromisoformat(str(row.get(column)).strip())
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _text(value: Any, column: str | None) -> str | None:
    """Return the text or number that a raw row has in a column, as text; None where it has none."""
    if column is None:
        return None
    row = as_row(value)
    return scalar(row.get(column)) if isinstance(row, dict) else None


def _number(value: Any, column: str | None) -> float | None:
    """Return the number that a raw row has in a column; None where it has none."""
    if column is None:
        return None
    row = as_row(value)
    found = row.get(column) if isinstance(row, dict) else None
    try:
        number = float(found) if isinstance(found, int | float | str) else None
    except (ValueError, OverflowError):
        return None
    return number if number is not None and isfinite(number) else None
