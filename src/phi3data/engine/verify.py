"""Candidate pairs → verified edges: the texts are read again where they stand, and their similarity is exact.

Batches of pairs lie on the disk; each becomes a file of edges, in any process and in any order.
"""

from __future__ import annotations

from mmap import ACCESS_READ, mmap
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from phi3data import arrow
from phi3data.chat import Message
from phi3data.similarity import buckets
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

    from phi3data.engine.signed import Signed
    from phi3data.steps.dedup import Scope

# Pairs of rows, as places in the `NODES` of their batch; those that were compared `before` are of use to the others.
PAIRS = pa.schema([("one", pa.uint32()), ("other", pa.uint32()), ("before", pa.bool_())])
# The rows of a batch, by their numbers in `Signed`, and where they stand: in the .rows of their shard.
NODES = pa.schema([("row", pa.uint32()), ("shard", pa.int32()), ("row_offset", pa.int64()), ("row_length", pa.int64())])
# Pairs of rows that are similar, by their numbers in `Signed`, the smaller one first.
EDGES = pa.schema([("one", pa.uint32()), ("other", pa.uint32()), ("score", pa.float64())])
# Pairs, and bytes of their rows, that are compared at a time: their texts and shingles take about ten times as much.
_BATCH, _TEXTS = 20_000, 16 * 2**20
_ROWS = 1_000  # that are read at a time
_MOST_PAIRS, _MOST_TEXTS = 80_000, 256 * 2**20  # where rows are all candidates of one another


class _Row(msgspec.Struct):
    messages: list[Message]


_decode = msgspec.json.Decoder(_Row).decode


def plan(rows: Signed, pairs: NDArray[np.uint64], before: NDArray[np.uint64], folder: Path) -> int:
    """Write the batches of pairs of rows to `folder`; return how many there are. Both arrays are in rising order.

    Rows that candidates connect come together, so that a batch has what a template needs to be seen.
    """
    known = np.isin(pairs, before, assume_unique=True)
    nodes, pairs = _ranked(rows, pairs)
    one, other = buckets.unpacked(pairs)
    group = components(one, other, len(nodes))[one]
    order = np.lexsort((pairs, group))
    one, other, known, group = one[order], other[order], known[order], group[order]
    length = rows.column("row_length", nodes)
    size = length[one]
    size += length[other]
    ends = [*_ends(group, size)]
    offset, shard = rows.column("row_offset", nodes), rows.shard(nodes)
    for number, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
        ends_of = one[start:end], other[start:end]
        places = buckets.distinct([*ends_of])
        held = (nodes[places], shard[places], offset[places], length[places])
        _save(arrow.table(dict(zip(NODES.names, held, strict=True)), NODES), folder / f"{number:06d}.nodes.parquet")
        mine = [*(np.searchsorted(places, column) for column in ends_of), known[start:end]]
        _save(arrow.table(dict(zip(PAIRS.names, mine, strict=True)), PAIRS), folder / f"{number:06d}.pairs.parquet")
    return len(ends)


def _ranked(rows: Signed, pairs: NDArray[np.uint64]) -> tuple[NDArray[np.uint32], NDArray[np.uint64]]:
    """Number the rows of pairs by their digests, so that their order does not depend on where they stand.

    Returns the rows in that order, and the pairs in these numbers.
    """
    one, other = buckets.unpacked(pairs)
    nodes = buckets.distinct([one, other])
    order = np.argsort(rows.column("id", nodes), kind="stable")
    rank = np.empty(len(nodes), np.uint32)
    rank[order] = np.arange(len(nodes))
    one, other = (rank[np.searchsorted(nodes, ends)] for ends in (one, other))
    return nodes[order], buckets.packed_pairs(one, other)


def _ends(group: NDArray[np.uint32], size: NDArray[np.int64]) -> Iterator[int]:
    """Yield where a batch ends: after a group where it is large enough, inside of one where it is much too large."""
    total = np.append(0, np.cumsum(size))
    borders = np.append(np.flatnonzero(group[1:] != group[:-1]) + 1, len(group))
    start = 0
    while start < len(group):
        enough, most = (
            min(start + pairs, int(np.searchsorted(total, total[start] + texts)))
            for pairs, texts in ((_BATCH, _TEXTS), (_MOST_PAIRS, _MOST_TEXTS))
        )
        border = int(borders[min(int(np.searchsorted(borders, enough)), len(borders) - 1)])
        start = min(border, most)
        yield start


def verify(folder: Path, number: int, examined: Path, scope: Scope, floor: float) -> None:
    """Compare the pairs of a batch on the texts, and write those of at least the similarity `floor`."""
    nodes, pairs = (arrow.read(folder / f"{number:06d}.{name}.parquet") for name in ("nodes", "pairs"))
    one, other, before = map(arrow.numbers, pairs.columns)
    score = scores(_sets(nodes, examined, scope), 2, np.column_stack([one, other]).astype(np.int64), floor)
    # What was compared before was compared among more rows, which tell a template better.
    found = (score >= floor) & ~before
    row = arrow.numbers(nodes["row"])
    ends = row[one[found]], row[other[found]]
    edges = {"one": np.minimum(*ends), "other": np.maximum(*ends), "score": score[found]}
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
    row, shard, offset, length = map(arrow.numbers, nodes.columns)
    lines = [b""] * len(row)
    order = np.argsort(row)
    for mine in np.split(order, np.flatnonzero(np.diff(shard[order])) + 1):
        places = zip(mine.tolist(), offset[mine].tolist(), (offset + length)[mine].tolist(), strict=True)
        with (
            (examined / f"{shard[mine[0]]:06d}.rows").open("rb", buffering=0) as file,
            mmap(file.fileno(), 0, access=ACCESS_READ) as rows,
        ):
            for place, start, end in places:
                lines[place] = rows[start:end]
    return lines


def _save(table: pa.Table, path: Path) -> None:
    with whole(path) as file:
        pq.write_table(table, file, compression="lz4", use_dictionary=False)
