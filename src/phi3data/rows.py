"""The rows of one output file, as the table library of the user's choice."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from phi3data.errors import MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd
    from datasets import Dataset

_TEXT = {"role": pa.string(), "content": pa.string(), "name": pa.string(), "tool_call_id": pa.string()}


class Rows:
    """The rows of train.jsonl, validation.jsonl or test.jsonl.

    Works wherever an Arrow table does: it exports the Arrow C stream (``pa.table(rows)``, ``polars.from_arrow(rows)``),
    and has the usual methods of one. The column `messages` is list<struct<role, content, …>>; tool calls and tool
    definitions, whose shape differs from row to row, are JSON text.
    """

    def __init__(self, path: Path, owner: object = None) -> None:
        """`owner` is what keeps the file on the disk, a temporary folder: it lives as long as these rows."""
        self.path = path
        self._owner = owner

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Yield the rows as they stand in the file, one dict each."""
        if self.path.exists():
            with self.path.open("rb") as file:
                for line in file:
                    yield msgspec.json.decode(line)

    def __repr__(self) -> str:
        return f"<Rows {self.path.name}: {len(self):,}>"

    @cached_property
    def table(self) -> pa.Table:
        """The rows as an Arrow table."""
        rows = [_arrow_row(row) for row in self]
        keys = dict.fromkeys(key for row in rows for message in row["messages"] for key in message)
        message = pa.struct([(key, _TEXT.get(key, pa.int64() if key == "weight" else pa.string())) for key in keys])
        if not keys:
            message = pa.struct([("role", pa.string()), ("content", pa.string())])
        columns = {"messages": pa.array([row["messages"] for row in rows], pa.list_(message))}
        for name in dict.fromkeys(key for row in rows for key in row if key != "messages"):
            columns[name] = pa.array([row.get(name) for row in rows], pa.string())
        return pa.table(columns)

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        return self.table.__arrow_c_stream__(requested_schema)

    @property
    def num_rows(self) -> int:
        """The number of rows."""
        return len(self)

    @property
    def schema(self) -> pa.Schema:
        """The schema of the Arrow table."""
        return self.table.schema

    @property
    def column_names(self) -> list[str]:
        """The names of the columns: messages, and tools or label where rows have them."""
        return list(self.table.column_names)

    def column(self, name: str) -> pa.ChunkedArray:
        """Return a column of the Arrow table."""
        return self.table.column(name)

    def to_pylist(self) -> list[dict[str, Any]]:
        """Return the rows as they stand in the file, one dict each."""
        return list(self)

    def to_pandas(self) -> pd.DataFrame:
        """Return a DataFrame with a row per conversation; `messages` holds lists of dicts."""
        import pandas as pd

        return pd.DataFrame(self.table.to_pylist(), columns=self.column_names)

    def to_datasets(self) -> Dataset:
        """Return a `datasets.Dataset`. Raises `MissingExtraError` where that library is not installed."""
        try:
            from datasets import Dataset
        except ImportError:
            raise MissingExtraError("to_datasets()", "train") from None
        return Dataset(self.table)


def _arrow_row(row: dict[str, Any]) -> dict[str, Any]:
    out: dict[str, Any] = {
        key: value if isinstance(value, str) else _json(value) for key, value in row.items() if key != "messages"
    }
    out["messages"] = [
        {key: _json(value) if isinstance(value, list | dict) else value for key, value in message.items()}
        for message in row["messages"]
    ]
    return out


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
