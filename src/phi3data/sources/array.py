"""Layout `array`: objects inside one JSON array, inside a list of one JSON object, or one after the other.

A scanner finds where each record begins and ends without decoding it: it knows strings and brackets only, so that a
record which is no JSON costs itself and not its neighbours. Memory holds one chunk and one record.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from phi3data.sources.source import LISTS_OF_A_ROW, MAX_RECORD, Raw, Shard, Source, too_long
from phi3data.text import jsonline

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK = 2**20
# A whole string, a string that the chunk cuts off (group 1 is then empty or a backslash), or a bracket. No string of
# JSON holds a line end: one that does has a quote too many or too few, and ends there, so that the next record is
# found.
_TOKEN = re.compile(rb'"[^"\\\n]*(?:\\.[^"\\\n]*)*("|\n|\\?\Z)|[{}\[\]]', re.DOTALL)
_STRING_END = re.compile(rb'[^"\\\n]*(?:\\.[^"\\\n]*)*("|\n|\\?\Z)', re.DOTALL)
_SCALAR = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|[^,\s][^,]*', re.DOTALL)
_NEXT_RECORD = re.compile(rb"\s*,\s*\{")
_LIST_OF_OBJECTS = re.compile(rb'"((?:[^"\\]|\\.)*)"\s*:\s*\[\s*\{')
_OF_A_ROW = frozenset(name.encode() for name in LISTS_OF_A_ROW)


def depth_of_records(head: bytes) -> int:
    """Return how many brackets open before the first record: 1 in an array, 2 in an object's list, 0 side by side.

    `head` is the beginning of the file.
    """
    text = head.lstrip()
    if text[:1] == b"[":
        return 1
    found = _LIST_OF_OBJECTS.search(text)
    if found is None or found[1] in _OF_A_ROW:
        return 0
    level = at_list = 0
    for token in _TOKEN.finditer(text):
        if token.start() == found.start():
            at_list = level
        level += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(token[0], 0)
        if level == 0 and token.start() > 0:  # the first object ends here: it is a row if another one follows
            rest = text[token.end() :].strip(b"}] \t\r\n")
            return 2 if at_list == 1 and (not rest or rest.startswith(b",")) else 0
    return 2 if at_list == 1 else 0


def shards(source: Source, size: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield (start, end, line, record) of ranges of about `size` bytes that begin and end between records."""
    with _opened(source) as fd:
        start, line, first = source.start, 0, 0
        for count, (begin, _) in enumerate(_spans(fd, source, source.start, source.size)):
            if begin - start >= size:
                yield start, begin, line, first
                line += _newlines(fd, start, begin)
                start, first = begin, count
        yield start, source.size, line, first


def read(source: Source, shard: Shard) -> Iterator[Raw]:
    """Yield the records of the shard."""
    with _opened(source) as fd:
        line, seen = 0, shard.start
        for number, (begin, end) in enumerate(_spans(fd, source, shard.start, shard.end)):
            line += _newlines(fd, seen, begin)
            length = end - begin
            if length > MAX_RECORD:
                yield Raw(begin, length, line, number, too_long(length))
                line += _newlines(fd, begin, end)
            else:
                raw = os.pread(fd, length, begin)
                yield Raw(begin, length, line, number, jsonline.decode(raw, last=end >= source.size))
                line += raw.count(b"\n")
            seen = end


@contextmanager
def _opened(source: Source) -> Iterator[int]:
    fd = os.open(Path(source.path), os.O_RDONLY)
    try:
        yield fd
    finally:
        os.close(fd)


def _newlines(fd: int, start: int, end: int) -> int:
    count = 0
    while start < end:
        chunk = os.pread(fd, min(_CHUNK, end - start), start)
        if not chunk:
            break
        count += chunk.count(b"\n")
        start += len(chunk)
    return count


def _spans(fd: int, source: Source, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield (begin, end) of every record in [start, end), elements that are no objects included.

    A bracket that closes the list although another record follows is one too many and costs itself. `level` counts
    the open brackets, `depth` is the level that records stand at; once the list is closed, whatever
    follows stands side by side.
    """
    depth = source.depth
    level, in_list = (0, depth == 0) if start == source.start else (depth, True)
    begin, seen = -1, start
    for at, opens, square in _brackets(fd, start, end):
        if opens:
            if level == depth and in_list and begin < 0:
                yield from _scalars(fd, seen, at)
                begin = at
            level += 1
            if level == depth and not in_list:
                in_list = depth == 1 or (square and _opens_object(fd, at + 1))
                seen = at + 1
        elif level > 0 and not (level == depth and in_list and _is_stray(fd, at, square=square)):
            if level == depth and in_list:
                yield from _scalars(fd, seen, at)
            level -= 1
            if level == depth and begin >= 0:
                yield begin, at + 1
                begin, seen = -1, at + 1
            elif level < depth and begin < 0:
                in_list = False
                if level == 0:
                    depth, in_list, seen = 0, True, at + 1
    if begin >= 0:
        yield begin, end
    elif in_list:
        yield from _scalars(fd, seen, end)


def _is_stray(fd: int, at: int, *, square: bool) -> bool:
    """Tell whether the bracket at `at`, which would close the list, is one too many and becomes a record itself."""
    return not square or _NEXT_RECORD.match(os.pread(fd, 4096, at + 1)) is not None


def _opens_object(fd: int, at: int) -> bool:
    """Tell whether the list that opens before `at` is one of objects: a wrapper may hold others beside it."""
    return os.pread(fd, 4096, at).lstrip()[:1] == b"{"


def _scalars(fd: int, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield what stands between two records and is neither a comma nor white space: elements that are no objects."""
    while start < end:
        text = os.pread(fd, min(end - start, MAX_RECORD), start)
        for part in _SCALAR.finditer(text):
            yield start + part.start(), start + part.start() + len(part[0].rstrip())
        start += len(text) or end


def _brackets(fd: int, start: int, end: int) -> Iterator[tuple[int, bool, bool]]:
    """Yield (offset, opens, square) of every bracket outside strings in [start, end)."""
    in_string = escaped = False
    while start < end:
        chunk = os.pread(fd, min(_CHUNK, end - start), start)
        if not chunk:
            return
        position = 0
        if in_string:
            tail = _STRING_END.match(chunk, int(escaped))
            assert tail is not None or escaped
            position = tail.end() if tail else len(chunk)
            in_string, escaped = _still_open(tail[1]) if tail else (True, False)
        if not in_string:
            for token in _TOKEN.finditer(chunk, position):
                if token[1] is not None:
                    in_string, escaped = _still_open(token[1])
                else:
                    bracket = token[0]
                    yield start + token.start(), bracket in b"{[", bracket in b"[]"
        start += len(chunk)


def _still_open(closing: bytes) -> tuple[bool, bool]:
    """Tell from how a string token ended whether the string goes on in the next chunk, and whether escaped."""
    return closing not in (b'"', b"\n"), closing == b"\\"
