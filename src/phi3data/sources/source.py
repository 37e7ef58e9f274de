"""One input, ready to be read: a seekable text file, how its rows are laid out, and what its rows look like.

Every container becomes one of three layouts, so that workers read byte ranges and nothing else:

    lines      one JSON object a line: .jsonl, and what is spooled (Parquet, Arrow, XLSX, DataFrames, iterables)
    array      objects inside one JSON array or object, pretty-printed or not: .json
    delimited  records of cells: .csv, .tsv
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from phi3data.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Callable

# Where a label is looked for when no column is named.
LABEL_COLUMNS = ("label", "category", "intent", "topic")

# Lists that belong to one row; any other list of objects at the top of a file's object is the list of rows.
LISTS_OF_A_ROW = frozenset(
    [
        "messages",
        "conversations",
        "contents",
        "instances",
        "interactions",
        "tools",
        "functions",
        "chosen",
        "rejected",
        "prompt",
        "completion",
    ]
)

Layout = Literal["lines", "array", "delimited"]

# A record longer than this is set aside as a finding, so that memory is bounded by it and not by the data. 16 MiB of
# text are about 4 million tokens, thirty times the longest context of any Phi model.
MAX_RECORD = 16 * 2**20
# Bytes of a source that one worker examines at a time. With 8 MiB a shard takes about a second and some 120 MB.
SHARD = 8 * 2**20


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One input. Sent to workers, so plain data only."""

    index: int
    name: str  # as the user gave it
    path: str  # of the file that is read: the one given, or its spooled copy
    size: int  # bytes of `path`
    container: str
    layout: Layout
    format: str = ""
    start: int = 0  # where the rows begin, after a byte-order mark
    depth: int = 1  # layout array: how many brackets open before the first record
    delimiter: str = ","
    columns: tuple[str, ...] = ()  # the header of a delimited file
    rename: dict[str, str] = {}  # column of the file -> field of the format
    original: str = ""  # path of the file given ("" for objects in memory)
    tabular: bool = False  # `line` is a record number
    notes: tuple[str, ...] = ()


class Shard(msgspec.Struct, frozen=True):
    """The rows that start in bytes [`start`, `end`) of a source.

    `line` and `record` are those of the first row (0-based); -1 where only reading what comes before would tell.
    """

    index: int
    source: int
    start: int
    end: int
    line: int = -1
    record: int = -1


class Blank:
    """What a blank line holds: no row, but it is counted."""


BLANK = Blank()


class Raw(msgspec.Struct):
    """One raw row and where it stands.

    `offset` and `length` are in bytes of `Source.path`; `line` and `record` count from the start of the shard, from 0.
    `value` is the decoded row, the finding that says why there is none, or `BLANK`.
    """

    offset: int
    length: int
    line: int
    record: int
    value: Any | Finding


def renamer(rename: dict[str, str]) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return the function that gives the columns of a row the names of the fields that they are.

    A column that is called like a field which another column was named to be would take its place: it is left out.
    """
    hidden = set(rename.values()) - rename.keys()
    return lambda row: {rename.get(key, key): value for key, value in row.items() if key not in hidden}


def too_long(length: int) -> Finding:
    """Return the finding for a record that is longer than `MAX_RECORD`."""
    return Finding("J212", f"{length:,} bytes in one row, more than the {MAX_RECORD:,} that are read")
