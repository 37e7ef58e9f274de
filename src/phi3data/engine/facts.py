"""The sidecar: what examining a row leaves behind for every later decision. Facts, not opinions; never the text.

A row takes about 100 bytes on the disk, and as many again where near-duplicates are looked for. Rows are identified by
`seq`, shard and place in the shard in one number, which orders them as they stand in the inputs, whatever the size of
the shards.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from phi3data.similarity.bands import BANDS

if TYPE_CHECKING:
    from collections.abc import Mapping

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

# The keys of the bands of the rows that can have near-duplicates. `id` is the digest `same_hi`: it orders rows without
# regard to where they stand; `place` orders them as `dedup.keep` says, the most wanted first.
BANDS_SCHEMA = pa.schema(
    [
        ("seq", pa.int64()),
        ("id", pa.uint64()),
        ("place", pa.float64()),
        *((f"band{number}", pa.uint32()) for number in range(BANDS)),
    ]
)


class Keys(NamedTuple):
    """The band keys of some rows, as in `BANDS_SCHEMA`; `keys` is of shape (rows, `BANDS`)."""

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
    """Return the facts of so many rows, by columns (arrays, or what `pyarrow.array` takes); the others are null."""
    arrays = [
        as_array(columns[field.name], field.type) if field.name in columns else pa.nulls(rows, field.type)
        for field in _EXAMINED
    ]
    return pa.table(arrays, schema=_EXAMINED)


def as_array(values: Any, kind: pa.DataType) -> pa.Array:
    """Return values as an array of a type."""
    return values.cast(kind) if isinstance(values, pa.Array) else pa.array(values, kind)


class Sidecar:
    """Writes the rows of one shard, their facts and their band keys to three files that are whole or not there."""

    def __init__(self, rows: IO[bytes], facts: IO[bytes], bands: IO[bytes]) -> None:
        self._rows = rows
        # Numbers are as good as random, or all alike: dictionaries of them would be work for nothing.
        texts = [field.name for field in SCHEMA if field.type == pa.string()]
        self._facts = pq.ParquetWriter(facts, SCHEMA, compression="lz4", use_dictionary=texts, write_statistics=["seq"])
        self._bands = pq.ParquetWriter(bands, BANDS_SCHEMA, compression="none", use_dictionary=False)
        self._offset = 0
        self._held: list[pa.Table] = []
        self._keys: list[Keys] = []

    def add(self, part: Part) -> None:
        """Write more rows, which follow those before."""
        ends = self._offset + np.cumsum(part.sizes)
        none = part.sizes == 0
        places = [pa.array(ends - part.sizes, mask=none), pa.array(part.sizes, mask=none)]
        self._held.append(pa.table([*part.facts.columns, *places], schema=SCHEMA))
        self._rows.write(part.lines)
        self._offset += int(part.sizes.sum())
        if part.keys is not None:
            self._keys.append(part.keys)
        if sum(map(len, self._held)) >= _HELD:
            self._write()

    def _write(self) -> None:
        """Write the facts and the keys that are held: the fewer the pieces, the less there is to write and to read."""
        if self._held:
            self._facts.write_table(pa.concat_tables(self._held))
        if any(len(keys.seq) for keys in self._keys):
            *columns, keys = map(np.concatenate, zip(*self._keys, strict=True))
            arrays = [pa.array(column) for column in (*columns, *np.ascontiguousarray(keys.T))]
            self._bands.write_table(pa.table(arrays, schema=BANDS_SCHEMA))
        self._held.clear()
        self._keys.clear()

    def close(self) -> None:
        """Write the ends of the files."""
        self._write()
        self._facts.close()
        self._bands.close()
