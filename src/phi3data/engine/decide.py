"""Decide: what becomes of each row, from the facts alone. Never reads a text.

The facts are queried with DuckDB, which spills to disk, so that memory does not grow with the number of rows; only the
split holds a few numbers per group of rows in memory (about 30 bytes).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import duckdb
import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from phi3data.engine.facts import ROW_BITS
from phi3data.errors import RefusedError
from phi3data.sources.files import whole
from phi3data.steps.split import SPLITS, assign, components

if TYPE_CHECKING:
    from pathlib import Path

    from phi3data.engine.examine import Summary
    from phi3data.engine.recipe import Recipe
    from phi3data.sources.source import Shard, Source

# One line a row that examining did not drop. `kept` is the row_id that a duplicate equals.
DECISIONS = pa.schema([("seq", pa.int64()), ("kept", pa.string()), ("kind", pa.string()), ("split", pa.int8())])
_BATCH = 50_000
_MEMORY = "300MB"


class Base(msgspec.Struct, frozen=True):
    """Where a shard starts in its source: lines and records before it."""

    line: int
    record: int


class Decided(msgspec.Struct):
    """The bases of the shards, and how many rows each shard gives to each split."""

    bases: list[Base]
    rows: list[list[int]]


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
    names = [re.sub(r"([\[\]*?])", r"[\1]", str(path)).replace("'", "''") for path in paths]
    return "read_parquet([" + ", ".join(f"'{name}'" for name in names) + "])"


def connect(folder: Path, starts: list[Base], spill: Path) -> duckdb.DuckDBPyConnection:
    """Open the facts of all shards as the view `facts`: `line`, `record` are absolute, `row_id` is made."""
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
        pa.table(
            {
                "shard": pa.array(range(len(starts)), pa.int64()),
                "base_line": pa.array([base.line for base in starts], pa.int64()),
                "base_record": pa.array([base.record for base in starts], pa.int64()),
            }
        ),
    )
    files = parquet(*(folder / f"{shard:06d}.facts.parquet" for shard in range(len(starts))))
    connection.execute(
        f"""
        CREATE VIEW facts AS
        SELECT * REPLACE (line + base_line + 1 AS line, record + base_record + 1 AS record),
               (source + 1) || ':' || (record + base_record + 1)
               || CASE WHEN sub > 0 THEN '.' || sub ELSE '' END AS row_id
        FROM {files} JOIN bases ON shard = seq >> {ROW_BITS}
        """  # noqa: S608 (the only thing put in is a path of ours, quoted)
    )
    return connection


def decide(
    recipe: Recipe, sources: list[Source], starts: list[Base], examined: Path, folder: Path, spill: Path
) -> Decided:
    """Decide on every row, write decisions.parquet to `folder`, ordered by row.

    Raises `RefusedError` for the first row that the recipe says to refuse.
    """
    with connect(examined, starts, spill) as connection:
        _refuse(connection, sources)
        connection.execute(f"CREATE TEMP TABLE removed AS {_duplicates(recipe)}")
        _split(connection, recipe)
        with whole(folder / "decisions.parquet") as file, pq.ParquetWriter(file, DECISIONS, compression="zstd") as out:
            result = connection.sql(
                """
                SELECT facts.seq, kept, kind, CASE WHEN kept IS NULL THEN split END AS split
                FROM facts LEFT JOIN removed USING (seq) LEFT JOIN splits
                ON splits.prompt = facts.prompt AND splits.group_key IS NOT DISTINCT FROM facts.group_key
                WHERE NOT dropped ORDER BY facts.seq
                """
            )
            for batch in result.to_arrow_reader(_BATCH):
                out.write_batch(batch.cast(DECISIONS))
        return Decided(starts, _rows_per_shard(folder / "decisions.parquet", len(starts)))


def _refuse(connection: duckdb.DuckDBPyConnection, sources: list[Source]) -> None:
    found = connection.execute("SELECT source, line, evidence FROM facts WHERE refused ORDER BY seq LIMIT 1").fetchone()
    if found:
        evidence = msgspec.json.decode(found[2])
        raise RefusedError(
            f"{sources[found[0]].name}:{found[1]}: {evidence['message']} ({evidence.get('pointer', '')}): the recipe "
            "says to refuse such rows: mend the row, or set missing.* to drop, remove or fill"
        )


def _duplicates(recipe: Recipe) -> str:
    if not recipe.dedup.enabled:
        return "SELECT NULL::BIGINT AS seq, NULL::VARCHAR AS kept, NULL::VARCHAR AS kind LIMIT 0"
    high, low = ("exact_hi", "exact_lo") if recipe.dedup.match == "exact" else ("same_hi", "same_lo")
    first = "min(seq)" if recipe.dedup.keep == "first" else "arg_max(seq, (size, -seq))"
    return f"""
        WITH alive AS (SELECT * FROM facts WHERE NOT dropped),
        groups AS (
            SELECT {high}, {low}, {first} AS keeper FROM alive GROUP BY {high}, {low} HAVING count(*) > 1
        )
        SELECT row.seq, kept.row_id AS kept,
               CASE WHEN (row.exact_hi, row.exact_lo) = (kept.exact_hi, kept.exact_lo)
                    THEN 'exact' ELSE 'normalised' END AS kind
        FROM alive AS row
        JOIN groups ON row.{high} = groups.{high} AND row.{low} = groups.{low} AND row.seq <> groups.keeper
        JOIN alive AS kept ON kept.seq = groups.keeper
        """  # noqa: S608 (column names of ours)


def _split(connection: duckdb.DuckDBPyConnection, recipe: Recipe) -> None:
    """Make the table `splits`: the split of every pair of prompt and group that a surviving row has."""
    pairs = connection.sql(
        """
        SELECT prompt, group_key, coalesce(min(label), '') AS label, count(*) AS rows
        FROM facts ANTI JOIN removed USING (seq) WHERE NOT dropped
        GROUP BY prompt, group_key ORDER BY prompt, group_key
        """
    ).to_arrow_table()
    prompts = _unsigned(pairs["prompt"])
    keys = prompts
    if pairs["group_key"].null_count < len(pairs):
        groups = _unsigned(pairs["group_key"].fill_null(0))
        # Rows without a group are tied by their prompt alone: each gets a group of its own.
        alone = pairs["group_key"].is_null().to_numpy()
        groups[alone] = prompts[alone] ^ np.uint64(0x9E3779B97F4A7C15)
        keys = components(prompts, groups)
    unique, place = np.unique(keys, return_inverse=True)
    rows = np.bincount(place, np.asarray(pairs["rows"]), len(unique)).astype(np.int64)
    strata = np.full(len(unique), np.iinfo(np.int64).max)
    np.minimum.at(strata, place, _ranks(pairs["label"]))
    split = assign(unique, strata, rows, recipe.split) if recipe.split.enabled else np.zeros(len(unique), np.int8)
    connection.register(
        "splits",
        pa.table(
            {"prompt": pairs["prompt"], "group_key": pairs["group_key"], "split": pa.array(split[place], pa.int8())}
        ),
    )


def _ranks(labels: pa.ChunkedArray) -> np.ndarray:
    """Return the place of each label in the sorted list of labels, so that a stratum does not depend on row order."""
    encoded = labels.combine_chunks().dictionary_encode()
    names = encoded.dictionary.to_pylist()
    rank = {name: place for place, name in enumerate(sorted(names))}
    ranks: np.ndarray = np.array([rank[name] for name in names], np.int64)[np.asarray(encoded.indices)]
    return ranks


def _unsigned(column: pa.ChunkedArray) -> Any:
    return column.cast(pa.uint64()).to_numpy().copy()


def _rows_per_shard(path: Path, shards: int) -> list[list[int]]:
    counts = np.zeros((shards, len(SPLITS)), np.int64)
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_BATCH, columns=["seq", "split"]):
            kept = batch.filter(batch["split"].is_valid())
            shard = np.asarray(kept["seq"]) >> ROW_BITS
            np.add.at(counts, (shard, np.asarray(kept["split"])), 1)
    return [[int(count) for count in row] for row in counts]
