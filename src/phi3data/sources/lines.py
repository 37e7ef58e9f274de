"""Layout `lines`: one JSON object a line. Only a line feed ends a line: U+2028, U+2029 and U+0085 are data."""

from __future__ import annotations

from pathlib import Path
from typing import IO, TYPE_CHECKING

from phi3data.findings import Finding
from phi3data.sources.source import BLANK, MAX_RECORD, Raw, Shard, Source, too_long
from phi3data.text import jsonline

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 2**20


def shards(source: Source, size: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (start, end, line, record) of ranges of `size` bytes; lines are counted later, by whoever reads them."""
    for start in range(source.start, source.size, size):
        first = start == source.start
        yield start, min(start + size, source.size), 0 if first else -1, 0 if first else -1


def read(source: Source, shard: Shard) -> Iterator[Raw]:
    """Yield the lines whose first byte lies in the shard, blank ones as `BLANK`."""
    with Path(source.path).open("rb") as file:
        start = _first_line(file, source, shard)
        if start is None:
            return
        file.seek(start)
        block = file.read(shard.end - start)
        line = 0
        offset = start
        lines = block.split(b"\n")
        tail = lines.pop()
        for raw in lines:
            yield Raw(offset, len(raw), line, line, _row(raw, last=False))
            offset += len(raw) + 1
            line += 1
        if not tail:
            return
        rest, length, ended = _rest_of_line(file, len(tail))
        value = too_long(length) if length > MAX_RECORD else _row(tail + rest, last=not ended)
        yield Raw(offset, length, line, line, value)


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


def _row(raw: bytes, *, last: bool) -> object:
    if len(raw) > MAX_RECORD:
        return too_long(len(raw))
    if jsonline.is_blank(raw):
        return BLANK
    value = jsonline.decode(raw, last=last)
    if isinstance(value, Finding) and raw.startswith(jsonline.BOM):
        return jsonline.decode(raw[len(jsonline.BOM) :], last=last)
    return value
