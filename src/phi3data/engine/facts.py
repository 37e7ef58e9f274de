"""The sidecar: what examining a row leaves behind for every later decision. Facts, not opinions; never the text.

A row takes about 100 bytes on the disk, and 140 more where near-duplicates are looked for. Rows are identified by
`seq`, shard and place in the shard in one number, which orders them as they stand in the inputs, whatever the size of
the shards.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from phi3data import arrow
from phi3data.similarity.bands import BANDS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from numpy.typing import NDArray

_HELD = 50_000  # rows whose facts are held in memory
ROW_BITS = 32  # rows in a shard; the shard's number stands above

SCHEMA = pa.schema(
    [
        ("seq", pa.int64()),
        ("source", pa.int32()),
        ("line", pa.int64()),  # from 0, from the start of the shard
        ("record", pa.int64()),  # likewise
        ("sub", pa.int32()),  # 0, or 1.. where one raw row became several
        ("offset", pa.int64()),  # of the raw row, in bytes
        ("length", pa.int64()),
        ("dropped", pa.bool_()),
        ("refused", pa.bool_()),
        ("step", pa.string()),  # that dropped the row, or changed it first
        ("reason", pa.string()),
        ("changes", pa.list_(pa.string())),  # "step/reason" of everything that was changed
        ("evidence", pa.string()),  # JSON
        ("exact_hi", pa.uint64()),
        ("exact_lo", pa.uint64()),
        ("same_hi", pa.uint64()),  # after normalisation
        ("same_lo", pa.uint64()),
        ("prompt", pa.uint64()),
        ("asked", pa.uint64()),  # everything before the last answer
        ("openings", pa.list_(pa.uint64())),  # the upper digests (`same_hi`) of the conversations that begin this one
        ("group_key", pa.uint64()),  # of the value of the group-by column; null when there is none
        ("label", pa.string()),
        ("balanced_by", pa.string()),  # the group of `balance.by`; null where nothing is balanced
        ("tokens", pa.int32()),
        ("supervised", pa.int32()),
        ("size", pa.int64()),  # of the text, in code points
        ("roles", pa.string()),  # one letter a message: s, u, a, t
        ("best", pa.float64()),  # the number in the column of `dedup.keep`
        ("time", pa.float64()),  # the number, or the time in seconds since 1970, in the column of `split.time`
        ("row_offset", pa.int64()),  # of the examined row in the shard's .rows; null for rows that examining dropped
        ("row_length", pa.int64()),
    ]
)

_EXAMINED = pa.schema(list(SCHEMA)[:-2])  # what is known before it is written

# The rows that can have near-duplicates. `id` is the digest `same_hi`: it orders rows without regard to where they
# stand; `place` orders them as `dedup.keep` says, the most wanted first; the others are as in `SCHEMA`. A file has
# these columns after each other, each number in eight bytes, and then the keys of the bands, 32-bit numbers of shape
# (`BANDS`, rows): any column, and any band, is read by itself.
SIGNED = {
    "seq": np.int64,
    "id": np.uint64,
    "place": np.float64,
    "row_offset": np.int64,
    "row_length": np.int64,
}
SIGNED_BYTES = 8 * len(SIGNED) + 4 * BANDS  # of a row


class Keys(NamedTuple):
    """The band keys of some rows, which `SIGNED` describes; `keys` is of shape (rows, `BANDS`)."""

    seq: NDArray[np.int64]
    ids: NDArray[np.uint64]
    places: NDArray[np.float64]
    keys: NDArray[np.uint32]


class Part(NamedTuple):
    """Some examined rows of a shard, in their order.

    `facts` are those of `SCHEMA` but for `row_offset` and `row_length`. `lines` are the rows that examining did not
    drop, as they are written; `sizes` tells for each row how many bytes of these are its line, 0 if it has none.
    """

    facts: pa.Table
    lines: bytes | memoryview
    sizes: NDArray[np.int64]
    keys: Keys | None


def table(columns: Mapping[str, Any], rows: int) -> pa.Table:
    """Return the facts of so many rows, by columns (whatever `arrow.array` takes); the others are null."""
    others = {field.name: pa.nulls(rows, field.type) for field in _EXAMINED if field.name not in columns}
    return arrow.table({**columns, **others}, _EXAMINED)


def signed(folder: Path, shard: int) -> Path:
    """Return the file of the rows of a shard that can have near-duplicates."""
    return folder / f"{shard:06d}.signed"


class Sidecar:
    """Writes the rows of one shard, their facts and their band keys to files that are whole or not there."""

    def __init__(self, rows: IO[bytes], facts: IO[bytes], signed: IO[bytes]) -> None:
        self._rows, self._signed = rows, signed
        # Numbers are as good as random, or all alike: dictionaries of them would be work for nothing.
        texts = [field.name for field in SCHEMA if field.type == pa.string()]
        self._facts = pq.ParquetWriter(facts, SCHEMA, compression="lz4", use_dictionary=texts, write_statistics=["seq"])
        self._offset = 0
        self._number = 0
        self._held: list[pa.Table] = []
        self._keys: list[tuple[NDArray[Any], ...]] = []  # the columns of `SIGNED`, and the keys

    def add(self, part: Part) -> None:
        """Write more rows, which follow those before."""
        ends = self._offset + np.cumsum(part.sizes)
        none = part.sizes == 0
        stand = ends - part.sizes, part.sizes
        places = [arrow.array(column, missing=none) for column in stand]
        self._held.append(pa.table([*part.facts.columns, *places], schema=SCHEMA))
        self._rows.write(part.lines)
        self._offset += int(part.sizes.sum())
        if part.keys is not None:
            rows = (part.keys.seq & (2**ROW_BITS - 1)) - self._number
            self._keys.append((*part.keys[:-1], *(column[rows] for column in stand), part.keys.keys))
        self._number += len(part.sizes)
        if sum(map(len, self._held)) >= _HELD:
            self._write()

    def _write(self) -> None:
        """Write the facts that are held: the fewer the pieces, the less there is to write and to read."""
        if self._held:
            self._facts.write_table(pa.concat_tables(self._held))
        self._held.clear()

    def close(self) -> None:
        """Write the keys, and the ends of the files."""
        self._write()
        self._facts.close()
        for column in zip(*self._keys, strict=True):
            self._signed.write(np.ascontiguousarray(np.concatenate(column).T).data)
