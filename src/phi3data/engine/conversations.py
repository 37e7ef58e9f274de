"""A shard → its raw rows and what they are as conversations.

Most rows of most files are nothing but messages of a role and a text each. Those are decoded some at a time, straight
to conversations (`rules/typed.py` says when a line is certainly such a row); any other row is decoded to plain values
and converted by its format. What comes out is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data.chat import Conversation
from phi3data.findings import Finding
from phi3data.rules.typed import FastPath
from phi3data.sources import lines
from phi3data.sources.open import read
from phi3data.sources.reader import Reader
from phi3data.sources.source import BLANK, MAX_RECORD, Raw
from phi3data.targets import DEFAULT, target

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from phi3data.chat import Message
    from phi3data.sources.reader import SourceConfig
    from phi3data.sources.source import Shard, Source

_GROUP = 64  # lines that are decoded at a time
Found = list[Conversation] | Finding


def conversations(source: Source, shard: Shard, config: SourceConfig) -> Iterator[tuple[Raw, Found]]:
    """Yield the rows of a shard in their order, with the conversations of each or the finding why there are none.

    A blank line is `BLANK` and has no conversations.
    """
    reader = Reader(source, config)
    if is_plain(source, shard, config):
        yield from _plain(source, shard, reader)
        return
    for raw in read(source, shard):
        yield raw, converted(raw, reader)


def is_plain(source: Source, shard: Shard, config: SourceConfig) -> bool:
    """Tell whether a line that is nothing but messages is what it says."""
    return (
        source.layout == "lines"
        and source.format == "chat"
        and not source.rename
        and not config.system
        and config.group_by != "messages"
        and shard.end - shard.start <= MAX_RECORD
    )


def _plain(source: Source, shard: Shard, reader: Reader) -> Iterator[tuple[Raw, Found]]:
    many = FastPath(target(DEFAULT)).many  # knows no key but `messages`, whatever the destination
    first = 0
    for piece in lines.pieces(source, shard):
        if piece.too_long:
            raw = lines.overlong(piece, first)
            yield raw, converted(raw, reader)
        held, offset, last = piece.lines, piece.start, piece.last
        for start in range(0, len(held), _GROUP):
            group = held[start : start + _GROUP]
            found: Sequence[list[Message] | None] = many(group) or [_one(many, line) for line in group]
            for place, (line, messages) in enumerate(zip(group, found, strict=True), start):
                raw = Raw(offset, len(line), first + place, first + place, None)
                offset += len(line) + 1
                if messages is None:
                    raw.value = lines.value(line, last=place == last)
                    yield raw, converted(raw, reader)
                else:
                    yield raw, [Conversation(messages)]
        first += piece.total


def _one(many: Callable[[list[bytes]], list[list[Message]] | None], line: bytes) -> list[Message] | None:
    found = many([line])
    return None if found is None else found[0]


def converted(raw: Raw, reader: Reader) -> Found:
    """Return the conversations of a raw row, or the finding why there are none."""
    if raw.value is BLANK:
        return []
    return raw.value if isinstance(raw.value, Finding) else reader.conversations(raw.value)
