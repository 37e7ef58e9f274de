"""Layout `lines`: one JSON object a line. Only a line feed ends a line: U+2028, U+2029 and U+0085 are data."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from phi3data.findings import Finding
from phi3data.sources.source import BLANK, MAX_RECORD, Raw, Shard, Source, too_long
from phi3data.text import jsonline

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 2**20
_PIECE = 2**21  # bytes that are looked at at a time: of one, two and four mebibytes the fastest for `dedup`


def shards(source: Source, size: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (start, end, line, record) of ranges of `size` bytes; lines are counted later, by whoever reads them."""
    for start in range(source.start, source.size, size):
        first = start == source.start
        yield start, min(start + size, source.size), 0 if first else -1, 0 if first else -1


Data = TypeVar("Data", bound=bytes | memoryview)


class Piece(msgspec.Struct, Generic[Data], frozen=True):
    """Some whole lines of a shard from byte `start` of the file on, each with a line feed.

    `ended` tells whether the last of them has one in the file, too. A line that is longer than `MAX_RECORD` is a piece
    of its own, without bytes: `too_long` is its length, else 0.
    """

    start: int
    data: Data
    ended: bool = True
    too_long: int = 0

    @property
    def total(self) -> int:
        """How many lines these are."""
        return bytes(self.data).count(b"\n") + bool(self.too_long)

    @property
    def lines(self) -> list[bytes]:
        """The lines without their ends."""
        return bytes(self.data[:-1]).split(b"\n") if self.data else []

    @property
    def last(self) -> int:
        """The place of the line that has no end, -1 if each has one."""
        return -1 if self.ended or self.too_long else self.total - 1


def pieces(source: Source, shard: Shard) -> Iterator[Piece[bytes]]:
    """Yield the lines whose first byte lies in the shard, some mebibytes at a time."""
    for piece in lent(source, shard):
        yield Piece(piece.start, bytes(piece.data), piece.ended, piece.too_long)


def lent(source: Source, shard: Shard) -> Iterator[Piece[memoryview]]:
    """Yield what `pieces` does, without bytes of its own: these are others when the next piece is asked for."""
    with Path(source.path).open("rb", buffering=0) as file:
        start = _first_line(file, source, shard)
        if start is None:
            return
        file.seek(start)
        left = shard.end - start
        buffer, held = bytearray(min(_PIECE, left)), 0  # so many bytes are of a line that is not complete
        while left:
            if held == len(buffer):
                buffer = buffer + bytes(held)  # another one: views of this one are in use
            view = memoryview(buffer)
            size = file.readinto(view[held : held + min(_PIECE, left)])
            end, left = held + size, left - size if size else 0
            whole = buffer.rfind(b"\n", held, end) + 1
            if whole:
                yield Piece(start, view[:whole])
                view[: end - whole] = view[whole:end]
            start, held = start + whole, end - whole
        if held:
            rest, length, ended = _rest_of_line(file, held)
            is_long = length > MAX_RECORD
            data = b"" if is_long else bytes(buffer[:held]) + rest + b"\n"
            yield Piece(start, memoryview(data), ended, length if is_long else 0)


def read(source: Source, shard: Shard) -> Iterator[Raw]:
    """Yield the lines whose first byte lies in the shard, blank ones as `BLANK`."""
    first = 0
    for piece in pieces(source, shard):
        if piece.too_long:
            yield overlong(piece, first)
        offset, last = piece.start, piece.last
        for place, raw in enumerate(piece.lines):
            yield Raw(offset, len(raw), first + place, first + place, value(raw, last=place == last))
            offset += len(raw) + 1
        first += piece.total


def overlong(piece: Piece[Any], line: int) -> Raw:
    """Return the line that is too long to be read, with its number."""
    return Raw(piece.start, piece.too_long, line, line, too_long(piece.too_long))


def _first_line(file: IO[bytes], source: Source, shard: Shard) -> int | None:
    """Return where the first line of the shard starts, None if a line from before runs through the whole of it."""
    if shard.start == source.start:
        return shard.start
    file.seek(shard.start - 1)
    at = shard.start - 1
    while at < shard.end - 1:
        chunk = file.read(min(_CHUNK, shard.end - 1 - at))
        found = chunk.find(b"\n")
        if found >= 0:
            return at + found + 1
        if not chunk:
            return None
        at += len(chunk)
    return None


def _rest_of_line(file: IO[bytes], have: int) -> tuple[bytes, int, bool]:
    """Read on to the end of the line: its bytes (only while the line is short enough), its length, whether it ended."""
    parts: list[bytes] = []
    length = have
    while chunk := file.read(_CHUNK if length > _CHUNK else 2**16):
        found = chunk.find(b"\n")
        part = chunk if found < 0 else chunk[:found]
        length += len(part)
        if length <= MAX_RECORD:
            parts.append(part)
        if found >= 0:
            return b"".join(parts), length, True
    return b"".join(parts), length, False


def value(raw: bytes, *, last: bool) -> object:
    """Return the value of a line, `BLANK`, or the finding that says why there is none."""
    return BLANK if jsonline.is_blank(raw) else decode(raw, last=last)


def decode(raw: bytes, *, last: bool) -> object:
    """Return the value of a line, or the finding that says why there is none; a byte-order mark before it is let be."""
    if len(raw) > MAX_RECORD:
        return too_long(len(raw))
    value = jsonline.decode(raw, last=last)
    if isinstance(value, Finding) and raw.startswith(jsonline.BOM):
        return jsonline.decode(raw[len(jsonline.BOM) :], last=last)
    return value
