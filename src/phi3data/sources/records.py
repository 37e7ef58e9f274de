"""Containers that are no text: Parquet, Arrow, XLSX, saved data sets and objects in memory → an iterator of dicts."""

from __future__ import annotations

import datetime as dt
import math
import zlib
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import TYPE_CHECKING, Any
from zipfile import BadZipFile

from phi3data.errors import InputError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from phi3data.sources.inputs import Input

_BATCH = 1000


def records(item: Input) -> Iterator[dict[str, Any]]:
    """Yield the rows of a binary container or of an object in memory, with cells as plain values."""
    if item.container == "memory":
        yield from _from_memory(item.records)
        return
    if item.container == "hub":
        yield from _from_hub(item.records)
        return
    assert item.path is not None
    readers = {"parquet": _parquet, "arrow": _arrow, "dataset": _saved, "xlsx": _xlsx}
    try:
        yield from readers[item.container](item.path)
    except ImportError:
        raise MissingExtraError(f"reading {item.name}", "data") from None
    except (ValueError, KeyError, OSError, SyntaxError, BadZipFile, zlib.error) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InputError(f"{item.name}: is no readable {item.container} file: {error}") from None


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Name columns that have no name, and tell columns of the same name apart, so that no cell is lost."""
    out: list[str] = []
    for number, raw in enumerate(names, start=1):
        name = wanted = raw.strip() or f"column {number}"
        while name in out:
            name = f"{wanted} ({number})" if name == wanted else f"{name}+"
        out.append(name)
    return tuple(out)


def _batches(batches: Iterable[Any]) -> Iterator[dict[str, Any]]:
    for found in batches:
        batch = found.rename_columns(list(unique(found.schema.names)))
        for start in range(0, batch.num_rows, _BATCH):
            for row in batch.slice(start, _BATCH).to_pylist():
                yield {key: plain(value) for key, value in row.items()}


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        yield from _batches(file.iter_batches(_BATCH))


def _arrow(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow as pa

    with pa.memory_map(str(path)) as mapped:
        try:
            reader = pa.ipc.open_file(mapped)
        except pa.ArrowInvalid:
            mapped.seek(0)
            yield from _batches(pa.ipc.open_stream(mapped))
        else:
            yield from _batches(reader.get_batch(number) for number in range(reader.num_record_batches))


def _saved(path: Path) -> Iterator[dict[str, Any]]:
    """Read what `datasets.Dataset.save_to_disk` wrote, without the library: Arrow streams, listed in state.json."""
    import json

    state = json.loads((path / "state.json").read_text("utf-8"))
    if state.get("_indices_data_files"):
        raise InputError(f"{path}: the data set was saved with an index: call flatten_indices() before save_to_disk()")
    for file in state["_data_files"]:
        yield from _arrow(path / file["filename"])


def _xlsx(path: Path) -> Iterator[dict[str, Any]]:
    from openpyxl import load_workbook
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, BadZipFile, KeyError) as error:
        raise InputError(f"{path}: is no readable xlsx file: {error}") from None
    try:
        for sheet in book.worksheets:
            rows = (cells for cells in sheet.iter_rows(values_only=True) if any(cell is not None for cell in cells))
            header = next(rows, ())
            first = next(rows, None)
            if sum(name is not None for name in header) < 2 or first is None:
                continue  # a cover page: its first row names no columns, or nothing stands below it
            names = unique("" if name is None else str(name) for name in header)
            for cells in chain([first], rows):
                yield {name: _cell(cell) for name, cell in zip(names, cells, strict=False)}
            return
    finally:
        book.close()


def _cell(value: Any) -> str | None:
    """Return a spreadsheet's cell as the text that stands in it."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, dt.datetime):
        return value.isoformat(" ") if value.time() != dt.time() else value.date().isoformat()
    return str(value)


def _from_memory(rows: Any) -> Iterator[dict[str, Any]]:
    if hasattr(rows, "iloc"):
        rows = _frame(rows)
    elif hasattr(rows, "__arrow_c_stream__") and not hasattr(rows, "features"):
        import pyarrow as pa

        yield from _batches(pa.RecordBatchReader.from_stream(rows))
        return
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, Mapping):
            raise UsageError(f"row {number} is {type(row).__name__}, expected a dict: give an iterable of dicts")
        try:
            yield {str(key): plain(value) for key, value in row.items()}
        except RecursionError:
            yield {"unreadable": "nested too deeply"}


def _frame(frame: Any) -> Iterator[dict[Any, Any]]:
    """Yield the rows of a pandas DataFrame; not by way of Arrow, since a column may mix types."""
    names = unique(str(name) for name in frame.columns)
    for start in range(0, len(frame), _BATCH):
        part = frame.iloc[start : start + _BATCH]
        columns = [part.iloc[:, place].tolist() for place in range(len(names))]
        yield from (dict(zip(names, cells, strict=True)) for cells in zip(*columns, strict=True))


def _from_hub(name: str) -> Iterator[dict[str, Any]]:
    try:
        from datasets import load_dataset
    except ImportError:
        raise MissingExtraError(f"reading {name} from the hub", "train") from None
    try:
        rows = load_dataset(name, split="train", streaming=True)
    except (OSError, ValueError) as error:
        raise InputError(f"{name}: cannot be read from the hub: {error}") from None
    yield from _from_memory(rows)


def plain(value: Any) -> Any:
    """Return a value as JSON knows it: dates and decimals as text, NaN as null, bytes as text where they are UTF-8."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if type(value).__name__ in {"NAType", "NaTType"} or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float):
        return value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset) or hasattr(value, "tolist"):
        items = value.tolist() if hasattr(value, "tolist") else value
        return [plain(item) for item in items] if isinstance(items, list | tuple | set | frozenset) else plain(items)
    if isinstance(value, dt.datetime | dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return str(value)
