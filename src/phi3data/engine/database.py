"""The facts of all shards as a database: DuckDB reads them where they lie, and spills what memory does not hold."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa

from phi3data import arrow
from phi3data.engine.facts import ROW_BITS
from phi3data.errors import OutputError
from phi3data.room import release

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb

    from phi3data.engine.examine import Summary
    from phi3data.sources.source import Shard

_MEMORY = "300MB"


class Base(msgspec.Struct, frozen=True):
    """Where a shard starts in its source: lines and records before it."""

    line: int
    record: int


def bases(shards: list[Shard], summaries: list[Summary]) -> list[Base]:
    """Return where each shard starts. Shards of one source follow each other; those that know their place say so."""
    out: list[Base] = []
    line = record = 0
    for shard, summary in zip(shards, summaries, strict=True):
        if shard.line >= 0:
            line, record = shard.line, shard.record
        out.append(Base(line, record))
        line, record = line + summary.lines, record + summary.records
    return out


def parquet(*paths: Path) -> str:
    """Return the SQL that reads these files: DuckDB takes the names for patterns, so that those marks are escaped."""
    names = [quoted(re.sub(r"([\[\]*?])", r"[\1]", str(path))) for path in paths]
    return f"read_parquet([{', '.join(names)}], hive_partitioning = false)"  # a folder may be named "kind=x"


def quoted(name: Path | str) -> str:
    """Return the SQL of a name of a file."""
    return "'" + str(name).replace("'", "''") + "'"


def connect(folder: Path, starts: list[Base], given: list[int], spill: Path) -> duckdb.DuckDBPyConnection:
    """Open the facts of all shards as the view `facts`: `line`, `record` are absolute, `row_id` is made.

    `given` has for each shard the place of its rows in `GIVEN`, which is a column too.
    """
    import duckdb  # 0.1 s, for which `local` does not wait

    connection = duckdb.connect(
        config={
            "memory_limit": _MEMORY,
            "temp_directory": str(spill),
            "threads": 2,
            "preserve_insertion_order": "false",
        }
    )
    connection.register(
        "bases",
        arrow.table(
            {
                "shard": np.arange(len(starts)),
                "base_line": np.array([base.line for base in starts], np.int64),
                "base_record": np.array([base.record for base in starts], np.int64),
                "given": np.array(given, np.int8),
            }
        ),
    )
    connection.execute(
        f"""
        CREATE MACRO named(source, record, sub) AS
        (source + 1) || ':' || record || CASE WHEN sub > 0 THEN '.' || sub ELSE '' END;
        CREATE VIEW facts AS SELECT * FROM {facts(folder, range(len(starts)))}
        """  # noqa: S608 (the only thing put in is a path of ours, quoted)
    )
    return connection


def facts(folder: Path, shards: range) -> str:
    """Return the SQL of what is in the view `facts` of some shards, without a look at the files of the others."""
    files = parquet(*(folder / f"{shard:06d}.facts.parquet" for shard in shards))
    return f"""(
        SELECT * REPLACE (line + base_line + 1 AS line, record + base_record + 1 AS record),
               named(source, record + base_record + 1, sub) AS row_id
        FROM {files} JOIN bases ON shard = seq >> {ROW_BITS}
    )"""  # noqa: S608 (the only thing put in is a path of ours, quoted)


def give_back(connection: duckdb.DuckDBPyConnection) -> None:
    """Give memory that is not used back to the system; of what a large query took DuckDB keeps 100 MB and more.

    It gives that back when it is told its limit, be that another one or not.
    """
    pa.default_memory_pool().release_unused()
    release()
    connection.execute(f"SET memory_limit = '{_MEMORY}'")


@contextmanager
def disk_room(spill: Path) -> Iterator[None]:
    """Turn what DuckDB says of the disk, and when it can put nothing more there, into one sentence."""
    import duckdb

    try:
        yield
    except (duckdb.OutOfMemoryException, duckdb.IOException) as error:
        said = str(error).strip().partition("\n")[0]
        if isinstance(error, duckdb.IOException) and "No space left" not in said:
            raise OutputError(f"{spill}: {said}: finished work is kept, the same command goes on with it") from None
        raise OutputError(
            f"{spill}: no room for what the decisions need beside {_MEMORY} of memory ({said}): make room on this disk "
            "and run the same command again; finished work is kept"
        ) from None
