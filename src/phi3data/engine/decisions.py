"""Decisions: what the steps left in their tables → a line for each row that something is decided on, for `write`.

On any other row that examining did not drop nothing needs to be said: it stands once, in the split of its source.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from phi3data import arrow
from phi3data.engine.facts import ROW_BITS
from phi3data.engine.given import AGAINST, LEAK
from phi3data.sources.files import whole
from phi3data.steps.balance import OVER_QUOTA
from phi3data.steps.dedup import CODES
from phi3data.steps.split import SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb
    from numpy.typing import NDArray

    from phi3data.sources.source import Source

# The step that drops the row, if one does, and why; else where it goes.
DECISIONS = pa.schema(
    [
        ("seq", pa.int64()),
        ("step", pa.string()),
        ("code", pa.string()),
        ("kept", pa.string()),  # row_id of the row that it goes for
        ("place", pa.string()),  # "file:line" of that row, where it is a given one
        ("kind", pa.string()),  # what it is to that row
        ("score", pa.float64()),
        ("split", pa.int8()),
        ("times", pa.int32()),  # how often it is written
        ("before", pa.int64()),  # rows of its group, where that was balanced and the row does not stand just once
        ("after", pa.int64()),
    ]
)
_BATCH = 20_000  # decisions that are held at a time
_RANGE = 200_000  # rows that are decided on at a time


def write(
    connection: duckdb.DuckDBPyConnection, sources: list[Source], held: list[int], path: Path
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Write the decisions, ordered by row, from the tables that `decide` made; `held` are the rows of each shard.

    Returns how many rows, and how many bytes, each shard gives to each split, both of shape (shards, splits).
    """
    rows, sizes = _undecided(connection, len(held))
    how: dict[str, Any] = {"compression": "lz4", "use_dictionary": False, "write_statistics": ["seq"]}
    with whole(path) as file, pq.ParquetWriter(file, DECISIONS, **how) as out:
        _fates(connection, sources)
        for first, last in _ranges(held):
            for batch in _decisions(connection, first, last).to_arrow_reader(_BATCH):
                for part in _by_shard(batch):
                    out.write_batch(part.select(DECISIONS.names))
                _count(batch, rows, sizes)
    return rows, sizes


def _undecided(connection: duckdb.DuckDBPyConnection, shards: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return how many rows, and bytes, each shard would give to each split if nothing were decided on them."""
    query = f"""
        SELECT seq >> {ROW_BITS} AS shard, given, count(*) AS rows, sum(row_length)::BIGINT AS bytes
        FROM facts WHERE NOT dropped AND given <> {AGAINST} GROUP BY ALL
        """  # noqa: S608 (names of ours)
    shard, given, *counts = arrow.fetched(connection.sql(query))
    rows, sizes = np.zeros((2, shards, len(SPLITS)), np.int64)
    rows[shard, given], sizes[shard, given] = counts
    return rows, sizes


def _fates(connection: duckdb.DuckDBPyConnection, sources: list[Source]) -> None:
    """Make the table `fates` of the rows that go for another row: the columns of `DECISIONS` that say why."""
    codes = " ".join(f"WHEN '{kind}' THEN '{code}'" for kind, code in CODES.items())
    names = {
        "source": np.arange(len(sources)),
        "name": arrow.array([one.name for one in sources], pa.string()),
        "tabular": np.array([one.tabular for one in sources], np.bool_),
    }
    connection.register("names", arrow.table(names))
    connection.execute(
        f"""
        CREATE TEMP TABLE fates AS
        SELECT removed.seq, CASE WHEN given IN (1, 2) THEN 'split' ELSE 'dedup' END AS step,
               CASE WHEN given IN (1, 2) THEN '{LEAK}' ELSE CASE kind {codes} END END AS code, row_id AS kept,
               CASE WHEN given > 0 THEN name || ':' || CASE WHEN tabular THEN record ELSE line END END AS place,
               kind, score
        FROM removed JOIN facts ON facts.seq = removed.keeper JOIN names USING (source)
        """  # noqa: S608 (names of ours)
    )


def _ranges(held: list[int]) -> Iterator[tuple[int, int]]:
    """Yield ranges of `seq`, the last one included, of whole shards with some `_RANGE` rows in all.

    DuckDB holds all that it joins and sorts in memory at once where it takes many rows for few, and runs out of it.
    """
    first = rows = 0
    for shard, more in enumerate(held, start=1):
        rows += more
        if rows >= _RANGE or shard == len(held):
            yield first << ROW_BITS, (shard << ROW_BITS) - 1
            first, rows = shard, 0


def _decisions(connection: duckdb.DuckDBPyConnection, first: int, last: int) -> duckdb.DuckDBPyRelation:
    """Return the columns of `DECISIONS`, `given` and `row_length`, ordered by row."""
    within = f"seq BETWEEN {first} AND {last}"
    return connection.sql(
        f"""
        SELECT seq, coalesce(step, CASE WHEN times = 0 THEN 'balance' END) AS step,
               coalesce(code, CASE WHEN times = 0 THEN '{OVER_QUOTA}' END) AS code, kept, place, kind, score,
               CASE WHEN kept IS NULL AND times IS DISTINCT FROM 0
                    THEN CASE WHEN given > 0 THEN given ELSE coalesce(split, 0) END END AS split,
               CASE WHEN kept IS NULL THEN coalesce(times, 1) ELSE 0 END AS times, before, after, given, row_length
        FROM (
            SELECT facts.seq, facts.given, facts.row_length, fates.* EXCLUDE (seq), split, times, before, after
            FROM (SELECT * FROM facts WHERE {within} AND NOT dropped AND given <> {AGAINST}) AS facts
            LEFT JOIN (SELECT * FROM fates WHERE {within}) AS fates USING (seq)
            LEFT JOIN splits ON splits.prompt = facts.prompt AND splits.group_key IS NOT DISTINCT FROM facts.group_key
            LEFT JOIN (SELECT * FROM balanced WHERE {within}) AS balanced ON balanced.seq = facts.seq
            WHERE kept IS NOT NULL OR split IS NOT NULL OR times IS NOT NULL
        ) ORDER BY seq
        """  # noqa: S608 (names of ours)
    )


def _by_shard(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Yield the parts of a batch that are of one shard, whose writing reads no other shard's rows then."""
    shards = arrow.numbers(batch["seq"]) >> ROW_BITS
    borders = [0, *(np.flatnonzero(np.diff(shards)) + 1).tolist(), len(shards)]
    for start, end in pairwise(borders):
        yield batch.slice(start, end - start)


def _count(decided: pa.RecordBatch, rows: NDArray[np.int64], sizes: NDArray[np.int64]) -> None:
    """Change what each shard gives to each split, in rows and in bytes, by what is decided."""
    shards, length = arrow.numbers(decided["seq"]) >> ROW_BITS, arrow.numbers(decided["row_length"])
    given, split = arrow.numbers(decided["given"]), arrow.numbers(decided["split"], null=-1)
    times = arrow.numbers(decided["times"]).astype(np.int64)
    kept = np.flatnonzero(split >= 0)
    for counts, amount in ((rows, np.ones_like(length)), (sizes, length)):
        np.subtract.at(counts, (shards, given), amount)
        np.add.at(counts, (shards[kept], split[kept]), (times * amount)[kept])
