"""Between Arrow and numpy, without pandas.

pyarrow's own functions load pandas, where that is installed, with the first value that they are given or give, since it
may be one of its, and most others load pyarrow's functions for computing: 0.3 and 0.05 s for every command.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import duckdb
    from numpy.typing import NDArray


def array(values: Any, kind: pa.DataType | None = None, *, missing: NDArray[np.bool_] | None = None) -> pa.Array:
    """Return values (an Arrow array, or numbers in numpy; or any sequence, if its type is given) as an Arrow array.

    None is null, and so is what stands at the places of the mask `missing`, which numbers can have. Numbers are made of
    that type as numpy does it: callers say which. Raises `OverflowError` for one of a list that is too large.
    """
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values if kind is None or values.type == kind else values.cast(kind)
    if isinstance(values, np.ndarray):
        return _numbers(values, kind or pa.from_numpy_dtype(values.dtype), missing)
    assert kind is not None
    if pa.types.is_list(kind):
        return _lists(values, kind)
    if pa.types.is_string(kind):
        builder = pa.lib.StringBuilder()
        builder.append_values(values)
        return builder.finish()
    nulls = np.array([value is None for value in values], np.bool_)
    held = [0 if value is None else value for value in values] if nulls.any() else values
    return _numbers(np.array(held, kind.to_pandas_dtype()), kind, nulls if nulls.any() else None)


def table(columns: Mapping[str, Any], schema: pa.Schema | None = None) -> pa.Table:
    """Return columns, of whatever `array` takes, as a table."""
    kinds = dict.fromkeys(columns) if schema is None else {one.name: one.type for one in schema}
    arrays = [array(columns[name], kind) for name, kind in kinds.items()]
    return pa.table(arrays, names=[*kinds]) if schema is None else pa.table(arrays, schema=schema)


def numbers(column: pa.Array | pa.ChunkedArray, *, null: Any = None) -> NDArray[Any]:
    """Return a column of numbers or truth values, with another value for null.

    Raises `ValueError` for a null where there is no other value, `TypeError` for a column of another type.
    """
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type) or pa.types.is_boolean(column.type)):
        raise TypeError(f"{column.type}: no type of numbers")
    chunks = _chunks(column)
    if len(chunks) == 1:
        return _plain(chunks[0], null)
    return np.concatenate([np.zeros(0, column.type.to_pandas_dtype()), *(_plain(chunk, null) for chunk in chunks)])


def fetched(found: duckdb.DuckDBPyRelation) -> list[NDArray[Any]]:
    """Return the columns of a query, which are numbers without null. DuckDB's own way loads `numpy.ma` (20 ms)."""
    return [numbers(column) for column in found.to_arrow_table().columns]


def valid(column: pa.Array | pa.ChunkedArray) -> NDArray[np.bool_]:
    """Tell which values of a column are not null."""
    return np.concatenate([np.zeros(0, np.bool_), *map(_valid, _chunks(column))])


def read(path: Path, columns: list[str] | None = None) -> pa.Table:
    """Read columns of a Parquet file. `pyarrow.parquet.read_table` takes five times as long to get going."""
    with pq.ParquetFile(path) as file:
        return file.read(columns, use_threads=False)


def _chunks(column: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    return column.chunks if isinstance(column, pa.ChunkedArray) else [column]


def _plain(chunk: pa.Array, null: Any) -> NDArray[Any]:
    start, end = chunk.offset, chunk.offset + len(chunk)
    data = chunk.buffers()[1]
    if pa.types.is_boolean(chunk.type):
        held = _flags(data, start, end)
    else:
        held = np.frombuffer(data or b"", chunk.type.to_pandas_dtype())[start:end]
    if not chunk.null_count:
        return held
    if null is None:
        raise ValueError(f"{chunk.null_count} of {len(chunk)} values are null")
    return np.where(_valid(chunk), held, held.dtype.type(null))


def _valid(chunk: pa.Array) -> NDArray[np.bool_]:
    if not chunk.null_count:
        return np.ones(len(chunk), np.bool_)
    if pa.types.is_null(chunk.type):
        return np.zeros(len(chunk), np.bool_)
    return _flags(chunk.buffers()[0], chunk.offset, chunk.offset + len(chunk))


def _flags(bits: pa.Buffer | None, start: int, end: int) -> NDArray[np.bool_]:
    packed = np.frombuffer(bits or b"", np.uint8)
    return np.unpackbits(packed, count=end, bitorder="little")[start:].astype(np.bool_)


def _numbers(values: NDArray[Any], kind: pa.DataType, missing: NDArray[np.bool_] | None = None) -> pa.Array:
    held = np.ascontiguousarray(values, kind.to_pandas_dtype())
    data = _bits(held) if pa.types.is_boolean(kind) else pa.py_buffer(held)
    return pa.Array.from_buffers(kind, len(held), [None if missing is None else _bits(~missing), data])


def _bits(flags: NDArray[np.bool_]) -> pa.Buffer:
    return pa.py_buffer(np.packbits(flags, bitorder="little"))


def _lists(values: Any, kind: pa.DataType) -> pa.Array:
    missing = np.array([value is None for value in values], np.bool_)
    ends = np.cumsum([0, *(len(value or ()) for value in values)], dtype=np.int32)
    held = array([item for value in values for item in value or ()], kind.value_type)
    buffers = [_bits(~missing) if missing.any() else None, pa.py_buffer(ends)]
    return pa.Array.from_buffers(kind, len(ends) - 1, buffers, children=[held])
