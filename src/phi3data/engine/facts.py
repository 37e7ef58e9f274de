"""The sidecar: what examining a row leaves behind for every later decision. Facts, not opinions; never the text.

A row takes about 100 bytes on the disk, and as many again where near-duplicates are looked for. Rows are identified by
`seq`, shard and place in the shard in one number, which orders them as they stand in the inputs, whatever the size of
the shards.
"""

from __future__ import annotations

from typing import IO, TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from phi3data.similarity.bands import BANDS

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

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


class Facts:
    """Writes the facts of one shard, some thousand rows at a time, to a file that is whole or not there."""

    def __init__(self, file: IO[bytes]) -> None:
        self._writer = pq.ParquetWriter(file, SCHEMA, compression="zstd", compression_level=1)

    def add(self, columns: Mapping[str, Any], rows: int) -> None:
        """Add so many rows, column by column (arrays, or anything that `pyarrow.array` takes); the others are null."""
        arrays = [
            _column(columns[field.name], field) if field.name in columns else pa.nulls(rows, field.type)
            for field in SCHEMA
        ]
        self._writer.write_table(pa.table(arrays, schema=SCHEMA))

    def close(self) -> None:
        """Write the end of the file."""
        self._writer.close()


def _column(values: Any, field: pa.Field) -> pa.Array:
    return values.cast(field.type) if isinstance(values, pa.Array) else pa.array(values, field.type)


class Bands:
    """Writes the band keys of one shard, some thousand rows at a time, to a file that is whole or not there."""

    def __init__(self, file: IO[bytes]) -> None:
        # Keys are as good as random: compression would find nothing.
        self._writer = pq.ParquetWriter(file, BANDS_SCHEMA, compression="none", use_dictionary=False)

    def add(
        self,
        seq: NDArray[np.int64],
        ids: NDArray[np.uint64],
        places: NDArray[np.float64],
        keys: NDArray[np.uint32],
    ) -> None:
        """Add rows; `keys` is of shape (rows, `BANDS`)."""
        columns = [pa.array(column) for column in (seq, ids, places, *keys.T)]
        self._writer.write_table(pa.table(columns, schema=BANDS_SCHEMA))

    def close(self) -> None:
        """Write the end of the file."""
        self._writer.close()
