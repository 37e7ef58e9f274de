"""Examine a shard of lines that are nothing but messages, where duplicates are all that is looked for: by kernels.

What is written is what `examine` writes, byte for byte. The kernels release the GIL, so that this is done in threads; a
shard of other lines is left to processes, and so is a file that no kernel is worth.
"""

from __future__ import annotations

from itertools import chain, islice
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from phi3data import arrow
from phi3data.engine.batch import Batch, places
from phi3data.engine.conversations import converted, is_plain
from phi3data.engine.examine import Summary, examine_rows, finish, sidecar
from phi3data.engine.facts import ROW_BITS, Keys, Part, table
from phi3data.room import Room, lent
from phi3data.similarity import bands, texts
from phi3data.sources import bare, lines
from phi3data.sources.reader import Reader
from phi3data.sources.source import Raw
from phi3data.steps.identity import identities, normal, sides

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from phi3data.engine.conversations import Found
    from phi3data.engine.recipe import Recipe
    from phi3data.sources.bare import Bare
    from phi3data.sources.lines import Piece
    from phi3data.sources.source import Shard, Source
    from phi3data.tokens import count

_LEAST = 0.5  # share of the first lines of a shard that are read here; with fewer, processes are faster
_INITIALS = np.frombuffer(b"sua", np.uint8)


def suits(shard: Shard, source: Source, recipe: Recipe) -> bool:
    """Tell whether a shard may be examined here."""
    return recipe.bare and source.size > texts.SMALL_TEXT and is_plain(source, shard, recipe.source)


def examine_bare(
    shard: Shard, source: Source, recipe: Recipe, tokenizer: count.TokenizerRef, folder: Path
) -> Summary | None:
    """Examine a shard; write its rows, its facts and, last, its summary to `folder`. None where it does not suit."""
    with lent() as room:
        return _examine(shard, source, recipe, tokenizer, folder, room)


def _examine(
    shard: Shard, source: Source, recipe: Recipe, tokenizer: count.TokenizerRef, folder: Path, room: Room
) -> Summary | None:
    read = ((piece, bare.read(piece.data, room=room)) for piece in lines.lent(source, shard))
    first = [*islice(read, 1)]
    if any(np.count_nonzero(found.messages) < _LEAST * len(found.messages) for _, found in first):
        return None
    summary = Summary(0, 0, 0, 0)
    reader = Reader(source, recipe.source)
    with sidecar(folder, shard) as out:
        for piece, found in chain(first, read):
            seq = (shard.index << ROW_BITS) + summary.rows
            part = _part(shard, recipe, piece, summary.lines, seq, found, room)
            others: list[Part] = []
            batch = Batch(shard, source, recipe, tokenizer, None, others.append, number=summary.rows)
            left = examine_rows(_left(piece, summary.lines, found, reader), recipe, batch)
            if others:
                part = _merged(part, _joined(others), seq, recipe.dedup.keep)
            out.add(part)
            summary.lines += len(found.begins) + bool(piece.too_long)
            summary.rows += len(part.sizes)
            summary.blank += left.blank
    summary.records = summary.lines
    return finish(shard, summary, folder)


def _left(piece: Piece[memoryview], line: int, found: Bare, reader: Reader) -> Iterator[tuple[Raw, Found]]:
    """Yield the lines that were not read, as `conversations` does; `line` is the number of the first one of all."""
    if piece.too_long:
        raw = lines.overlong(piece, line)
        yield raw, converted(raw, reader)
    ends, last = np.append(found.begins[1:], len(piece.data)) - 1, piece.last
    for number in np.flatnonzero(found.messages == 0).tolist():
        raw_line = bytes(piece.data[found.begins[number] : ends[number]])
        value = lines.value(raw_line, last=number == last)
        raw = Raw(piece.start + int(found.begins[number]), len(raw_line), line + number, line + number, value)
        yield raw, converted(raw, reader)


def _part(
    shard: Shard, recipe: Recipe, piece: Piece[memoryview], line: int, first: int, found: Bare, room: Room
) -> Part:
    """Return the rows that were read, numbered from `first`; `line` is the number of the piece's first line."""
    read = np.flatnonzero(found.messages)
    rows = np.append(0, np.cumsum(found.messages[read]))
    said = texts.Texts(found.text, found.ends)
    alike = normal(said, room)
    same = identities(said, alike, found.roles, rows, room)
    count = len(read)
    seqs = first + np.arange(count)
    ends = np.append(found.begins[1:], len(piece.data)) - 1
    initials = pa.py_buffer(_INITIALS[found.roles])
    columns = {
        "seq": seqs,
        "source": np.full(count, shard.source, np.int32),
        "line": line + read,
        "record": line + read,
        "sub": np.zeros(count, np.int32),
        "offset": piece.start + found.begins[read],
        "length": ends[read] - found.begins[read],
        "dropped": np.zeros(count, np.bool_),
        "refused": np.zeros(count, np.bool_),
        "exact_hi": same.exact[:, 0],
        "exact_lo": same.exact[:, 1],
        "same_hi": same.normalised[:, 0],
        "same_lo": same.normalised[:, 1],
        "prompt": same.prompt,
        "asked": arrow.array(same.asked, missing=~same.answers),
        "openings": pa.ListArray.from_arrays(arrow.array(same.opened, pa.int32()), arrow.array(same.openings)),
        "size": same.size,
        "roles": pa.StringArray.from_buffers(count, pa.py_buffer(rows.astype(np.int32)), initials),
    }
    keys = None
    if recipe.signed:
        signed = texts.signatures(sides(alike, found.roles, rows, room), sides=2, room=room)
        long = signed.tokens >= bands.SHORT
        wanted = places(recipe.dedup.keep, seqs, same.size, [None] * count)
        keys = Keys(seqs[long], same.normalised[long, 0], wanted[long], bands.keys(signed)[long])
    return Part(table(columns, count), found.encoded.data, found.sizes[read], keys)


def _joined(parts: list[Part]) -> Part:
    """Return parts that follow one another as one."""
    keys = [part.keys for part in parts if part.keys is not None]
    return Part(
        pa.concat_tables([part.facts for part in parts]),
        b"".join([part.lines for part in parts]),
        np.concatenate([part.sizes for part in parts]),
        Keys(*map(np.concatenate, zip(*keys, strict=True))) if keys else None,
    )


def _merged(one: Part, other: Part, first: int, keep: str) -> Part:
    """Return the rows of two parts, both numbered from `first`, in the order of their lines and numbered anew."""
    facts = pa.concat_tables([one.facts, other.facts])
    order = np.argsort(arrow.numbers(facts["line"]), kind="stable")
    seqs = np.empty(len(order), np.int64)  # of the rows, as they stood
    seqs[order] = first + np.arange(len(order))
    facts = facts.take(arrow.array(order)).set_column(0, facts.schema.field("seq"), arrow.array(np.sort(seqs)))
    sizes = np.concatenate([one.sizes, other.sizes])
    ends = np.cumsum(sizes)
    data = memoryview(b"".join([one.lines, other.lines]))
    places = zip((ends - sizes)[order].tolist(), ends[order].tolist(), strict=True)
    lines = b"".join([data[start:end] for start, end in places])
    return Part(facts, lines, sizes[order], _merged_keys(one, other, seqs, first, keep))


def _merged_keys(one: Part, other: Part, seqs: NDArray[np.int64], first: int, keep: str) -> Keys | None:
    """Return the keys of both parts in the order of the rows, of which `seqs` are the new numbers."""
    held = [(part.keys, start) for part, start in ((one, 0), (other, len(one.sizes))) if part.keys is not None]
    if not held:
        return None
    seq = np.concatenate([seqs[keys.seq - first + start] for keys, start in held])
    order = np.argsort(seq)
    ids, wanted, values = (
        np.concatenate(column)[order] for column in zip(*(keys[1:] for keys, _ in held), strict=True)
    )
    return Keys(seq[order], ids, -seq[order].astype(np.float64) if keep == "newest" else wanted, values)
