"""Layout `delimited`: CSV and TSV, with quoted cells that may hold line ends. Every cell is text.

The header names the columns; records are counted from 1 after it. A record with more cells than the header is a finding
(C512: text was chopped at a comma), one with fewer cells misses the last ones.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import IO, TYPE_CHECKING

from phi3data.findings import Finding
from phi3data.sources.records import unique
from phi3data.sources.source import MAX_RECORD, Raw, Shard, Source, too_long
from phi3data.text import jsonline

if TYPE_CHECKING:
    from collections.abc import Iterator

_DELIMITERS = ",;\t|"


def shards(source: Source, size: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (start, end, line, record) of ranges of about `size` bytes that begin and end between records."""
    start, record = source.start, 0
    for number, (begin, _, _) in enumerate(_records(source, source.start, source.size)):
        if begin - start >= size:
            yield start, begin, record, record
            start, record = begin, number
    yield start, source.size, record, record


def read(source: Source, shard: Shard) -> Iterator[Raw]:
    """Yield the records of the shard; `value` is an object of column → cell."""
    for number, (begin, length, cells) in enumerate(_records(source, shard.start, shard.end)):
        yield Raw(begin, length, number, number, _row(source, cells))


def header(head: bytes, delimiter: str | None) -> tuple[str, tuple[str, ...], int]:
    """Return the delimiter, the column names and the length of the header record in bytes.

    `head` is the beginning of the file. Without a given delimiter it is the one that a line ``sep=;`` names (Excel
    writes it), else the one of ``, ; tab |`` that cuts the header and the records after it into the same number of
    cells. Raises `csv.Error` for a header that cannot be read, `UnicodeDecodeError` for one that is not UTF-8.
    """
    csv.field_size_limit(2 * MAX_RECORD)
    lines = head.splitlines(keepends=True) if b"\n" not in head else head.split(b"\n")
    if b"\n" in head:
        lines = [line + b"\n" for line in lines]
    skipped = 0
    named = re.fullmatch(rb"sep=(.)\s*", lines[0])
    if named:
        delimiter = delimiter or named[1].decode("latin-1")
        skipped = len(lines.pop(0))
    while lines and not lines[0].strip():
        skipped += len(lines.pop(0))
    best = delimiter or max(_DELIMITERS, key=lambda mark: _agreement(lines, mark))
    taken: list[bytes] = []
    names = next(csv.reader(_decoded(lines, taken), delimiter=best), [])
    return best, unique(names), skipped + len(b"".join(taken))


def _agreement(lines: list[bytes], delimiter: str) -> tuple[int, int]:
    """Return how many of the first records have as many cells as the header, and how many those are."""
    text = (line.decode("utf-8", "replace") for line in lines[:50])
    try:
        rows = [row for row in csv.reader(text, delimiter=delimiter) if row]
    except csv.Error:
        return 0, 0
    width = len(rows[0]) if rows else 0
    return (sum(len(row) == width for row in rows), width) if width > 1 else (0, 0)


def _decoded(lines: list[bytes], taken: list[bytes]) -> Iterator[str]:
    for line in lines:
        taken.append(line)
        yield line.decode("utf-8")


def _row(source: Source, cells: list[str] | Finding) -> dict[str, str] | Finding:
    if isinstance(cells, Finding):
        return cells
    if len(cells) > len(source.columns) and any(cell.strip() for cell in cells[len(source.columns) :]):
        return Finding(
            "C512",
            f"{len(cells)} cells under {len(source.columns)} columns: a comma or quote inside a text is not quoted",
        )
    return dict(zip(source.columns, cells, strict=False))


class _Lines:
    """Feeds a CSV reader line by line, and knows how many bytes it took for the current record."""

    def __init__(self, file: IO[bytes], start: int) -> None:
        self.file, self.at = file, start
        self.invalid: Finding | None = None
        self.begin = start
        self.line, self.line_at = b"", start
        file.seek(start)

    def next_record(self) -> None:
        self.begin, self.invalid = self.at, None

    def __iter__(self) -> Iterator[str]:
        while raw := self.file.readline(MAX_RECORD):
            self.line, self.line_at = raw, self.at
            self.at += len(raw)
            if self.at - self.begin >= MAX_RECORD:
                raise _UnclosedError
            try:
                yield raw.decode("utf-8")
            except UnicodeDecodeError as error:
                self.invalid = jsonline.not_utf8(raw, error)
                yield raw.decode("utf-8", "replace")


class _UnclosedError(Exception):
    """A quote that is never closed swallows everything after it."""


def _records(source: Source, start: int, end: int) -> Iterator[tuple[int, int, list[str] | Finding]]:
    """Yield (offset, length, cells or finding) of every record that is not blank."""
    csv.field_size_limit(2 * MAX_RECORD)
    with Path(source.path).open("rb") as file:
        while start < end:
            # To the end of the file: what is wrong with a record must not depend on where the shard ends.
            lines = _Lines(file, start)
            try:
                for cells in csv.reader(lines, delimiter=source.delimiter, strict=True):
                    if cells:
                        yield lines.begin, lines.at - lines.begin, lines.invalid or cells
                    lines.next_record()
                    if lines.begin >= end:
                        break
                start = end
            except (_UnclosedError, csv.Error) as error:
                finding, length = _damage(source, lines, error)
                yield lines.begin, length, finding
                start = lines.begin + length


def _damage(source: Source, lines: _Lines, error: Exception) -> tuple[Finding, int]:
    """Say what is wrong with a record and how many bytes of it to set aside, so that a quote costs one record.

    A quote that is never closed swallows what follows: its first line goes, or the lines before one that is a whole
    record by itself. Any other quote in the wrong place: all that was read of the record goes.
    """
    lines.file.seek(lines.begin)
    first = _line_length(lines.file)
    if isinstance(error, _UnclosedError) or "unexpected end of data" in str(error):
        problem = "a quote is opened and never closed"
        return (too_long(first) if first > MAX_RECORD else Finding("C512", problem)), first
    finding = Finding("C512", f"cannot be cut into cells: {error}")
    if lines.line_at > lines.begin and _is_record(source, lines.line):
        return finding, lines.line_at - lines.begin
    return finding, lines.at - lines.begin


def _is_record(source: Source, line: bytes) -> bool:
    """Tell whether a line is a whole record by itself."""
    try:
        cells = next(csv.reader([line.decode("utf-8", "replace")], delimiter=source.delimiter, strict=True), [])
    except csv.Error:
        return False
    return len(cells) == len(source.columns) and line.count(b'"') % 2 == 0


def _line_length(file: IO[bytes]) -> int:
    length = 0
    while part := file.readline(MAX_RECORD):
        length += len(part)
        if part.endswith(b"\n"):
            break
    return length
