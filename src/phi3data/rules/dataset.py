"""S303, S304, S312, S313: the columns of a data set, which no row shows alone.

Each class takes in what it needs of the rows, one at a time, and holds counts and a few short samples, never the rows.
The parts of a file read by several processes add up with `merge`, in the order of the file.
"""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.findings import Finding, pointer
from phi3data.rules.placed import Placed
from phi3data.rules.schema import ROW_KEYS, near
from phi3data.text.lazy import Lazy

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

    from phi3data.chat import Conversation
    from phi3data.targets import TargetProfile

_MOST_KEYS = 200  # keys that are counted: a file with more has no columns, but data as keys
_SHOWN = 40  # characters of the user's own words in a message


class Formats:
    """S303: the formats of the rows of one file."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}
        self._first: dict[str, int] = {}

    def add(self, name: str, line: int, rows: int = 1) -> None:
        """Count rows of the format `name`, the first of which has this line."""
        self._rows[name] = self._rows.get(name, 0) + rows
        self._first[name] = min(line, self._first.get(name, line))

    def merge(self, later: Formats) -> None:
        """Add what a later part of the file holds."""
        for name, count in later._rows.items():
            self.add(name, later._first[name], count)

    def findings(self) -> Iterator[Placed]:
        """Yield one finding for each format but the most frequent, at its first row."""
        if len(self._rows) < 2:
            return
        most = min(self._rows, key=lambda name: (-self._rows[name], self._first[name]))
        for name, count in sorted(self._rows.items(), key=lambda item: self._first[item[0]]):
            if name != most:
                rows = "1 row looks" if count == 1 else f"{count:,} rows look"
                problem = f"{rows} like {name}, {self._rows[most]:,} like {most}: one file, one format"
                yield Placed(Finding("S303", problem), self._first[name])


class _Key(msgspec.Struct):
    message: str
    rows: int
    line: int
    fix: str | None


class ExtraKeys:
    """S304 once a column instead of once a row: the same key on every row is one mistake."""

    def __init__(self) -> None:
        self._keys: dict[str, _Key] = {}

    def add(self, finding: Finding, line: int, fix: Callable[[Finding], str | None] = lambda _: None) -> bool:
        """Take a finding of a row if it is one of a column; a misspelt key is the row's own.

        `fix` says of the first such row whether it can be mended.
        """
        known = self._keys.get(finding.pointer)
        if finding.code == "S304" and known is not None:
            known.rows += 1
            return True
        if finding.code != "S304" or len(self._keys) >= _MOST_KEYS or near(_last(finding.pointer), ROW_KEYS):
            return False
        self._keys[finding.pointer] = _Key(finding.message, 1, line, fix(finding))
        return True

    def merge(self, later: ExtraKeys) -> None:
        """Add what a later part of the file holds."""
        for at, key in later._keys.items():
            known = self._keys.setdefault(at, _Key(key.message, 0, key.line, key.fix))
            known.rows += key.rows

    def findings(self, rows: int) -> Iterator[Placed]:
        """Yield one finding a key, at its first row, of so many rows in all."""
        for at, key in self._keys.items():
            where = "every row" if key.rows == rows else f"{key.rows:,} of {rows:,} rows"
            yield Placed(Finding("S304", f"{key.message} ({where})", at), key.line, fix=key.fix)


def _last(at: str) -> str:
    return at.rpartition("/")[2].replace("~1", "/").replace("~0", "~")


# What pyarrow, and datasets with it, reads as a time stamp, at any depth: fractions of a second it leaves alone.
_DATE = Lazy(r"\d{4}-\d\d-\d\d(?:[ T]\d\d(?::?\d\d(?::?\d\d)?)?(?:Z|[+-]\d\d(?::?\d\d)?)?)?")
_CONTENT = "/messages/*/content"


class _Column(msgspec.Struct):
    dates: bool
    numbers: bool
    values: int
    sample: str
    line: int


class Columns:
    """S312: columns of texts that every loader but this one takes for dates or numbers."""

    def __init__(self) -> None:
        self._columns: dict[str, _Column] = {}
        self._open_turns = True  # whether a text of a message may still be of such a column

    @property
    def wants_turns(self) -> bool:
        """Whether `add_turns` still looks at texts."""
        return self._open_turns

    def add_turns(self, conversation: Conversation, line: int) -> None:
        """Take in the texts of messages, until one of them is an ordinary text.

        pandas looks at the columns of the row only, so these are never taken for numbers.
        """
        if self._open_turns:
            for turn in conversation.messages:
                self._add(_CONTENT, turn.content, line)
            self._open_turns = _CONTENT not in self._columns or self._columns[_CONTENT].dates

    def add_row(self, row: dict[str, Any], line: int) -> None:
        """Take in the other columns of a decoded row."""
        for key, value in row.items():
            if key not in ROW_KEYS and not isinstance(value, list | dict):
                self._add(pointer(key), value, line)

    def _add(self, name: str, value: Any, line: int) -> None:
        if value is None:
            return
        column = self._columns.get(name)
        if column is None:
            if len(self._columns) >= _MOST_KEYS:
                return
            column = self._columns[name] = _Column(
                True, not name.startswith("/messages/"), 0, str(value)[:_SHOWN], line
            )
        column.values += 1
        text = isinstance(value, str)
        column.dates = column.dates and text and value[:1].isdecimal() and _DATE.fullmatch(value) is not None
        column.numbers = column.numbers and text and _is_number(value)

    def merge(self, later: Columns) -> None:
        """Add what a later part of the file holds."""
        for name, column in later._columns.items():
            known = self._columns.setdefault(name, column)
            if known is not column:
                known.values += column.values
                known.dates = known.dates and column.dates
                known.numbers = known.numbers and column.numbers

    def findings(self) -> Iterator[Placed]:
        """Yield one finding for each column of which two values or more are all dates, or all numbers."""
        for name, column in self._columns.items():
            if column.values < 2 or not (column.dates or column.numbers):
                continue
            what, reader = (
                ("dates", "datasets reads time stamps") if column.dates else ("numbers", "pandas reads numbers")
            )
            problem = f"all {column.values:,} values of {name[1:]!r} look like {what} ({column.sample!r}): {reader}"
            at = "/messages" if name == _CONTENT else name
            yield Placed(Finding("S312", problem, at), column.line)


def _is_number(text: str) -> bool:
    if len(text) > _SHOWN or not text.isascii() or "_" in text:
        return False
    try:
        return isfinite(float(text))
    except ValueError:
        return False


class PartialKeys:
    """S313: keys that the target keeps, on some rows only."""

    def __init__(self, target: TargetProfile) -> None:
        self._target = target
        self._with = dict.fromkeys(("tools", *target.keys), 0)
        self._without: dict[str, int] = {}
        self._rows = 0

    def add(self, keys: Collection[str], line: int, rows: int = 1) -> None:
        """Count rows that have these keys, with a value other than null; the first of them has this line."""
        self._rows += rows
        for key in self._with:
            if key in keys:
                self._with[key] += rows
            else:
                self._without[key] = min(line, self._without.get(key, line))

    def rows_with(self, key: str) -> int:
        """Return how many rows have a key that is counted here."""
        return self._with.get(key, 0)

    def merge(self, later: PartialKeys) -> None:
        """Add what a later part of the file holds."""
        self._rows += later._rows
        for key, count in later._with.items():
            self._with[key] += count
        self._without = {**later._without, **self._without}

    def findings(self) -> Iterator[Placed]:
        """Yield one finding a key, at the first row without it."""
        if self._target.partial_rows != "dropped":
            return
        for key, count in self._with.items():
            if 0 < count < self._rows:
                lost = self._rows - count
                others = "the other row" if lost == 1 else f"the other {lost:,} rows"
                problem = (
                    f"'{key}' is on {count:,} of {self._rows:,} rows: {self._target.title} drops {others} in silence"
                )
                yield Placed(Finding("S313", problem), self._without[key])
