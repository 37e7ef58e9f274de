"""Candidate pairs → verified edges: the texts are read again where they stand, and their similarity is exact.

Batches of pairs lie on the disk; each becomes a file of edges, in any process and in any order.
"""

from __future__ import annotations

from mmap import ACCESS_READ, mmap
from typing import TYPE_CHECKING, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from phi3data import arrow
from phi3data.chat import Message
from phi3data.engine.facts import ROW_BITS
from phi3data.similarity.compare import scores
from phi3data.similarity.groups import components
from phi3data.similarity.texts import Sets, Texts, pays, sets
from phi3data.sources import bare
from phi3data.sources.files import whole
from phi3data.steps import identity
from phi3data.steps.dedup import sides

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from phi3data.steps.dedup import Scope

# Pairs of rows, as places in the `NODES` of their batch.
PAIRS = pa.schema([("one", pa.int64()), ("other", pa.int64())])
# Where the rows of a batch stand: `seq`, and the place of the examined row in the shard's .rows.
NODES = pa.schema([("seq", pa.int64()), ("row_offset", pa.int64()), ("row_length", pa.int64())])
EDGES = pa.schema([("one", pa.int64()), ("other", pa.int64()), ("score", pa.float64())])
# Pairs, and bytes of their rows, that are compared at a time: their texts and shingles take about ten times as much.
_BATCH, _TEXTS = 20_000, 16 * 2**20
_ROWS = 1_000  # that are read at a time
_MOST_PAIRS, _MOST_TEXTS = 80_000, 256 * 2**20  # where rows are all candidates of one another


class Nodes(NamedTuple):
    """Rows that are candidates, in an order that does not depend on where they stand."""

    seq: NDArray[np.int64]
    offset: NDArray[np.int64]
    length: NDArray[np.int64]


class _Row(msgspec.Struct):
    messages: list[Message]


_decode = msgspec.json.Decoder(_Row).decode


def plan(nodes: Nodes, pairs: NDArray[np.int64], folder: Path) -> int:
    """Write the batches of pairs (shape (pairs, 2), places in `nodes`) to `folder`; return how many there are.

    Rows that candidates connect come together, so that a batch has what a template needs to be seen.
    """
    group = components(pairs, len(nodes.seq))[pairs[:, 0]]
    order = np.lexsort((pairs[:, 1], pairs[:, 0], group))
    pairs, group = pairs[order], group[order]
    ends = [*_ends(group, nodes.length[pairs].sum(axis=1))]
    for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        places, mine = np.unique(pairs[start:end], return_inverse=True)
        mine = mine.reshape(-1, 2)
        found = arrow.table(dict(zip(NODES.names, [column[places] for column in nodes], strict=True)), NODES)
        _save(found, folder / f"{number:06d}.nodes.parquet")
        _save(arrow.table({"one": mine[:, 0], "other": mine[:, 1]}, PAIRS), folder / f"{number:06d}.pairs.parquet")
    return len(ends)


def _ends(group: NDArray[np.int64], size: NDArray[np.int64]) -> Iterator[int]:
    """Yield where a batch ends: after a group where it is large enough, inside of one where it is much too large."""
    start, held, before = 0, 0, 0
    borders = set((np.flatnonzero(group[1:] != group[:-1]) + 1).tolist())
    for place, length in enumerate(size.tolist(), start=1):
        held += length
        full = place - start >= _BATCH or held >= _TEXTS
        if (full and place in borders) or place - start >= _MOST_PAIRS or held >= _MOST_TEXTS:
            yield place
            start, held, before = place, 0, place
    if before < len(group):
        yield len(group)


def verify(folder: Path, number: int, examined: Path, scope: Scope, floor: float) -> None:
    """Compare the pairs of a batch on the texts, and write those of at least the similarity `floor`."""
    nodes, pairs = (arrow.read(folder / f"{number:06d}.{name}.parquet") for name in ("nodes", "pairs"))
    ends = np.column_stack([arrow.numbers(column) for column in pairs.columns])
    score = scores(_sets(nodes, examined, scope), 2, ends, floor)
    found = score >= floor
    seq = arrow.numbers(nodes["seq"])
    edges = {"one": seq[ends[found, 0]], "other": seq[ends[found, 1]], "score": score[found]}
    _save(arrow.table(edges, EDGES), folder / f"{number:06d}.edges.parquet")


def _sets(nodes: pa.Table, examined: Path, scope: Scope) -> Sets:
    """Return two sets of shingles for each row: of what it asks, and of what it answers."""
    lines = _lines(nodes, examined)
    kernel = scope == "conversation" and pays(sum(map(len, lines)))
    of = _read_sets if kernel else _decoded_sets
    sizes = [np.zeros(1, np.int64)]
    room, end = np.empty(sum(map(len, lines)), np.uint64), 0  # most of it is never touched, and takes no memory
    for start in range(0, len(lines), _ROWS):
        made = of(lines[start : start + _ROWS], scope, room[end:])
        sizes.append(made.sizes)
        before, end = end, end + len(made.hashes)
        if not np.may_share_memory(made.hashes, room):
            if end > len(room):
                room = np.concatenate([room[:before], np.empty(end, np.uint64)])
            room[before:end] = made.hashes
    return Sets(room[:end], np.cumsum(np.concatenate(sizes)))


def _decoded_sets(lines: list[bytes], scope: Scope, _: NDArray[np.uint64]) -> Sets:
    return sets([side for line in lines for side in sides(_decode(line).messages, scope)])


def _read_sets(lines: list[bytes], scope: Scope, room: NDArray[np.uint64]) -> Sets:
    """Return what `_decoded_sets` does, by kernels where messages are plain: in `room`, if all of them are."""
    found = bare.read(b"".join(lines), encode=False)
    read, others = np.flatnonzero(found.messages), np.flatnonzero(found.messages == 0)
    rows = np.append(0, np.cumsum(found.messages[read]))
    held = sets(identity.sides(identity.normal(Texts(found.text, found.ends)), found.roles, rows), out=room)
    if not len(others):
        return held
    more = _decoded_sets([lines[place] for place in others.tolist()], scope, room)
    both = Sets(np.concatenate([held.hashes, more.hashes]), np.append(held.starts, held.starts[-1] + more.starts[1:]))
    order = np.argsort(np.concatenate([read, others]))
    return both.take(np.column_stack([2 * order, 2 * order + 1]).ravel())


def _lines(nodes: pa.Table, examined: Path) -> list[bytes]:
    """Read the rows in the order in which they stand on the disk."""
    seq, offset, length = map(arrow.numbers, nodes.columns)
    lines = [b""] * len(seq)
    order = np.argsort(seq)
    shards = seq[order] >> ROW_BITS
    for mine in np.split(order, np.flatnonzero(np.diff(shards)) + 1):
        places = zip(mine.tolist(), offset[mine].tolist(), (offset + length)[mine].tolist(), strict=True)
        with (
            (examined / f"{seq[mine[0]] >> ROW_BITS:06d}.rows").open("rb", buffering=0) as file,
            mmap(file.fileno(), 0, access=ACCESS_READ) as rows,
        ):
            for place, start, end in places:
                lines[place] = rows[start:end]
    return lines


def _save(table: pa.Table, path: Path) -> None:
    with whole(path) as file:
        pq.write_table(table, file, compression="lz4", use_dictionary=False)
