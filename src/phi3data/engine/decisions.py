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
from phi3data.engine.database import facts, give_back, parquet, quoted
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
_KEEPERS = 500_000  # rows of which those that others go for are looked up at a time


def write(
    connection: duckdb.DuckDBPyConnection,
    sources: list[Source],
    held: list[int],
    examined: Path,
    path: Path,
    spill: Path,
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Write the decisions, ordered by row, from the tables that `decide` made; `held` are the rows of each shard.

    Returns how many rows, and how many bytes, each shard gives to each split, both of shape (shards, splits).
    """
    rows, sizes = _undecided(connection, len(held))
    how: dict[str, Any] = {"compression": "lz4", "use_dictionary": False, "write_statistics": ["seq"]}
    with whole(path) as file, pq.ParquetWriter(file, DECISIONS, **how) as out:
        _fates(connection, held, examined, spill)
        _name(connection, sources)
        for shards in _ranges(held, _RANGE):
            give_back(connection)
            for batch in _decisions(connection, facts(examined, shards), shards).to_arrow_reader(_BATCH):
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


def _fates(connection: duckdb.DuckDBPyConnection, held: list[int], examined: Path, spill: Path) -> None:
    """Make the view `fates` of the rows that go for another row: what it is to that one, and where that one stands.

    It lies in `spill`, since as a table it would be the largest of all.
    """
    paths: list[Path] = []
    for shards in _ranges(held, _KEEPERS):
        give_back(connection)
        paths.append(spill / f"fates{len(paths):06d}.parquet")
        connection.execute(
            f"""
            COPY (
                SELECT removed.seq, kind, score, given AS kept_given, source AS kept_source, line, record, sub
                FROM (SELECT * FROM removed WHERE {_within("keeper", shards)}) AS removed
                JOIN {facts(examined, shards)} AS facts ON facts.seq = keeper
            ) TO {quoted(paths[-1])} (FORMAT parquet, COMPRESSION lz4)
            """  # noqa: S608 (numbers of ours)
        )
    connection.execute(f"CREATE TEMP VIEW fates AS SELECT * FROM {parquet(*paths)}")  # noqa: S608 (paths of ours, quoted)


def _name(connection: duckdb.DuckDBPyConnection, sources: list[Source]) -> None:
    """Make the view `names` of the inputs."""
    names = {
        "source": np.arange(len(sources)),
        "name": arrow.array([one.name for one in sources], pa.string()),
        "tabular": np.array([one.tabular for one in sources], np.bool_),
    }
    connection.register("names", arrow.table(names))


def _ranges(held: list[int], size: int) -> Iterator[range]:
    """Yield ranges of shards with about `size` rows in all.

    DuckDB holds all that it joins and sorts in memory at once where it takes many rows for few, and runs out of it.
    """
    first = rows = 0
    for shard, more in enumerate(held, start=1):
        rows += more
        if rows >= size or shard == len(held):
            yield range(first, shard)
            first, rows = shard, 0


def _within(seq: str, shards: range) -> str:
    return f"{seq} BETWEEN {shards.start << ROW_BITS} AND {(shards.stop << ROW_BITS) - 1}"


def _decisions(connection: duckdb.DuckDBPyConnection, rows: str, shards: range) -> duckdb.DuckDBPyRelation:
    """Return the columns of `DECISIONS`, `given` and `row_length`, ordered by row; `rows` are facts of the shards."""
    within = _within("seq", shards)
    codes = " ".join(f"WHEN '{kind}' THEN '{code}'" for kind, code in CODES.items())
    return connection.sql(
        f"""
        SELECT seq, coalesce(step, CASE WHEN times = 0 THEN 'balance' END) AS step,
               coalesce(code, CASE WHEN times = 0 THEN '{OVER_QUOTA}' END) AS code, kept, place, kind, score,
               CASE WHEN kept IS NULL AND times IS DISTINCT FROM 0
                    THEN CASE WHEN given > 0 THEN given ELSE coalesce(split, 0) END END AS split,
               CASE WHEN kept IS NULL THEN coalesce(times, 1) ELSE 0 END AS times, before, after, given, row_length
        FROM (
            SELECT facts.seq, facts.given, facts.row_length, fates.* EXCLUDE (seq), split, times, before, after
            FROM (SELECT * FROM {rows} WHERE NOT dropped AND given <> {AGAINST}) AS facts
            LEFT JOIN (
                SELECT seq, CASE WHEN kept_given IN (1, 2) THEN 'split' ELSE 'dedup' END AS step,
                       CASE WHEN kept_given IN (1, 2) THEN '{LEAK}' ELSE CASE kind {codes} END END AS code,
                       named(kept_source, record, sub) AS kept, kind, score,
                       CASE WHEN kept_given > 0
                            THEN name || ':' || CASE WHEN tabular THEN record ELSE line END END AS place
                FROM fates JOIN names ON source = kept_source WHERE {within}
            ) AS fates USING (seq)
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
