"""Rows by their places: the same reading as `prepare`, of no more than is needed to reach the row."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import msgspec

from phi3data.chat import Conversation
from phi3data.errors import InputError, UsageError
from phi3data.findings import Finding
from phi3data.sources.inputs import BINARY, find
from phi3data.sources.open import open_source, read_all
from phi3data.sources.reader import Reader
from phi3data.sources.records import records
from phi3data.sources.source import BLANK, MAX_RECORD

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from phi3data.inspection.place import Place
    from phi3data.sources.inputs import Input
    from phi3data.sources.reader import SourceConfig
    from phi3data.sources.source import Raw, Source

_EXCERPT = 600  # code points of a row that cannot be converted
_BEFORE = 200  # of them before the place that the finding names
# Records of a binary file that are read at least: the format is told by the first 200, as everywhere.
_SAMPLE = 200


class Row(msgspec.Struct, kw_only=True):
    """One raw row: its place, and the conversations in it (several for self-instruct seeds) or why there are none.

    `number` counts records, `line` lines of the file, both from 1; they differ in a JSON array only. `several`: it was
    asked for by a line on which other rows start too. `excerpt` is raw text and starts at code point `cut` of the row;
    it is there only for a row that cannot be converted.
    """

    path: str
    number: int
    line: int | None  # None in a table, whose lines nobody sees
    format: str
    several: bool = False
    conversations: list[Conversation] = []
    finding: Finding | None = None
    excerpt: str = ""
    cut: int = 0

    @property
    def place(self) -> str:
        """FILE:LINE as `check`, the ledger and the report give it."""
        return f"{self.path}:{self.number if self.line is None else self.line}"


def read_rows(
    places: Sequence[Place], config: SourceConfig, *, by_record: bool = False, online: bool = False
) -> list[Row]:
    """Return the rows at these places, in their order.

    The number of a place is a line of the file, as everywhere, and of a table the row. In a JSON array any line of a
    row means the row, and with `by_record` the number is the row's. Raises `InputError` for a row that is not there,
    and as `open_source` does for a file that cannot be used.
    """
    files: dict[str, dict[Place, Row]] = {place.file: {} for place in places}
    for name, found in files.items():
        item = _one(name, online=online)
        asked = [place for place in dict.fromkeys(places) if place.file == name]
        with TemporaryDirectory(prefix="phi3data-") as work:
            source = open_source(_head(item, max(place.line or 1 for place in asked)), 0, config, Path(work))
            reader = Reader(source, config)
            picked, several = _pick(source, asked, by_record=by_record)
            for place, raw in picked.items():
                found[place] = _row(source, reader, raw)
                found[place].several = place.line is not None and raw.record in several
    return [files[place.file][place] for place in places]


def _one(name: str, *, online: bool) -> Input:
    items = find(name, online=online)
    if len(items) > 1:
        names = ", ".join(item.name for item in items[:3])
        raise UsageError(f"{name}: names {len(items)} files ({names}, …): name one file")
    return items[0]


def _head(item: Input, line: int) -> Input:
    """Return an input that ends soon after the row asked for, where all of it would have to be copied first."""
    if item.container not in BINARY or item.compression:
        return item
    return msgspec.structs.replace(
        item, container="memory", path=None, records=islice(records(item), max(line, _SAMPLE))
    )


def _pick(source: Source, places: Iterable[Place], *, by_record: bool) -> tuple[dict[Place, Raw], set[int]]:
    """Return the raw rows at the places, and of those met by line the records that share theirs with the next.

    Reading stops at the last row; where lines may be shared, one after it.
    """
    lines = source.layout == "array" and not by_record
    first = next((place for place in places if place.line is None), None)
    wanted = {place.line: place for place in places if place.line is not None}
    found: dict[Place, Raw] = {}
    several: set[int] = set()
    before: Raw | None = None  # the first row of the last line on which rows start
    for raw in read_all(source):
        if lines and before is not None and raw.line == before.line:
            several.add(before.record)
        if lines and not wanted and first is None:
            break
        number = (raw.line if lines else raw.record) + 1
        if lines and before is not None and number > before.line + 1:
            # A line inside a row means this row.
            found |= {wanted.pop(line): before for line in sorted(wanted) if before.line < line < number}
        elif lines and before is None:  # lines before the first row mean it
            found |= {wanted.pop(line): raw for line in sorted(wanted) if line <= number}
        elif number in wanted and not lines:
            found[wanted.pop(number)] = raw
        if first is not None and raw.value is not BLANK:
            found[first], first = raw, None
        if before is None or not lines or raw.line > before.line:
            before = raw
        if not lines and not wanted and first is None:
            break
    assert before is not None, "open_source has read a row"
    end = before.line + 1 + _newlines(source, before) if lines else before.record + 1
    found |= {wanted.pop(line): before for line in sorted(wanted) if lines and before.line < line <= end}
    for line in sorted(wanted):
        noun = "line" if lines or (source.layout == "lines" and not source.tabular) else "row"
        hint = "; with --record the number is that of a row" if lines else ""
        raise InputError(
            f"{source.name}: has {end:,} {noun}{'' if end == 1 else 's'}, there is no {noun} {line:,}{hint}"
        )
    return found, several


def _newlines(source: Source, raw: Raw) -> int:
    return _bytes(source, raw).count(b"\n")


def _bytes(source: Source, raw: Raw) -> bytes:
    with Path(source.path).open("rb") as file:
        file.seek(raw.offset)
        return file.read(min(raw.length, MAX_RECORD))


def _row(source: Source, reader: Reader, raw: Raw) -> Row:
    line = None if source.tabular else raw.line + 1
    row = Row(path=source.name, number=raw.record + 1, line=line, format=source.format)
    if raw.value is BLANK:
        raise InputError(f"{row.place}: the line is blank: it holds no row")
    found = raw.value if isinstance(raw.value, Finding) else reader.conversations(raw.value)
    if not isinstance(found, Finding):
        row.conversations = found
        return row
    row.finding = found
    text = _bytes(source, raw).decode("utf-8", "replace")
    # In a table the column is one of a line, and the row may have several.
    if found.column is not None and not source.tabular:
        row.cut = max(found.column - 1 - _BEFORE, 0)
    row.excerpt = text[row.cut : row.cut + _EXCERPT]
    return row
