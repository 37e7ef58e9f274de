"""A place inside a row → line and columns in the file. The row is read again, so only for rows with a finding."""

from __future__ import annotations

import os
from typing import IO, TYPE_CHECKING, Self

import msgspec

from phi3data.sources.source import MAX_RECORD, Raw, Source
from phi3data.text.jsonline import BOM
from phi3data.text.locate import Place, at_column, locate

if TYPE_CHECKING:
    from types import TracebackType

_CHUNK = 2**20
_CONTINUATION = bytes(range(0x80, 0xC0))  # the bytes of a character in UTF-8 after its first


class FilePlace(msgspec.Struct, frozen=True):
    """A place in a file, 1-based, in code points, the end exclusive; None where there is no column to tell."""

    line: int
    column: int | None
    end_column: int | None


class Places:
    """Finds places in the rows of one source, which are asked for in the order of the file."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._file: IO[bytes] | None = None
        self._row: tuple[int, bytes] = (-1, b"")  # offset and bytes of the last row
        self._known = (source.start, 0)  # an offset, and how many code points stand before it on its line

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def of(
        self,
        raw: Raw,
        pointer: str,
        *,
        column: int | None = None,
        character: int | None = None,
        length: int = 1,
    ) -> FilePlace:
        """Return the place of what `pointer` names in a row whose `line` and `record` count from the file's start.

        `column` is where a parser stopped: the n-th code point of the row. `character` and `length` narrow a text
        down to a stretch of it. A pointer that leads nowhere gets the innermost container on the way.
        """
        if self._source.tabular:
            return FilePlace(raw.record + 1, column, None if column is None else column + 1)
        if raw.length > MAX_RECORD:
            return FilePlace(raw.line + 1, None, None)
        row = self._read(raw)
        before = self._before(raw.offset)
        place: Place | None
        if column is not None:
            marked = row.startswith(BOM)  # a mark inside of a file is a character, but a parser is not given it
            place = at_column(row[len(BOM) :] if marked else row, column, before=before + marked)
        else:
            place = None
            if character is not None:
                place = locate(row, pointer, character=character, length=length, before=before)
            if place is None:  # the text is put together from parts, or there is none
                place = locate(row, pointer, nearest=True, before=before)
        if place is None:
            return FilePlace(raw.line + 1, None, None)
        end = place.end_column if place.end_line == place.line else None
        return FilePlace(raw.line + 1 + place.line, place.column, end)

    def _read(self, raw: Raw) -> bytes:
        if self._row[0] != raw.offset:
            self._row = (raw.offset, os.pread(self._fd(), raw.length, raw.offset))
        return self._row[1]

    def _before(self, offset: int) -> int:
        """Return how many code points stand before a row on its line; a row of `lines` begins its line."""
        if self._source.layout == "lines":
            return 0
        at, column = self._known if self._known[0] <= offset else (self._source.start, 0)
        while at < offset:
            chunk = os.pread(self._fd(), min(_CHUNK, offset - at), at)
            if not chunk:
                break
            at += len(chunk)
            line_end = chunk.rfind(b"\n")
            column = (0 if line_end >= 0 else column) + len(chunk[line_end + 1 :].translate(None, _CONTINUATION))
        self._known = (offset, column)
        return column

    def _fd(self) -> int:
        if self._file is None:
            self._file = open(self._source.path, "rb")  # noqa: PTH123, SIM115 (closed by __exit__)
        return self._file.fileno()
