"""Decide: what becomes of each row, from the facts alone; a text is only read to verify that two rows are similar.

The facts are queried with DuckDB, which spills to disk, so that memory does not grow with the number of rows; only the
split holds a few numbers per group of rows in memory (about 30 bytes), and near-duplicates a few per candidate pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from phi3data import arrow
from phi3data.engine import decisions, duplicates
from phi3data.engine.balance import Balanced, balance
from phi3data.engine.database import Base, connect, disk_room, give_back
from phi3data.errors import RefusedError, UsageError
from phi3data.steps.split import assign, by_time, components, joint
from phi3data.steps.split import deviation as deviation_of

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb
    import pyarrow as pa

    from phi3data.engine.local import Progress
    from phi3data.engine.recipe import Recipe
    from phi3data.sources.source import Source
    from phi3data.workers import Submit

_OTHER = np.uint64(0x9E3779B97F4A7C15)  # turns keys into keys of another kind


class Decided(msgspec.Struct):
    """The bases of the shards, the rows and bytes that each gives to each split, and what was seen of duplicates.

    `deviation` is how far the splits are from equal shares of what they are stratified by, 0 to 1; `balanced` what
    became of the groups of the training rows, where they were balanced.
    """

    bases: list[Base]
    rows: list[list[int]]
    bytes: list[list[int]]
    found: duplicates.Found
    deviation: dict[str, float]
    balanced: Balanced | None = None


def decide(
    recipe: Recipe,
    sources: list[Source],
    starts: list[Base],
    given: list[int],
    held: list[int],
    examined: Path,
    compared: Path,
    folder: Path,
    spill: Path,
    submit: Submit,
    here: Submit,
    progress: Progress,
    *,
    told: bool,
) -> Decided:
    """Decide on every row, write decisions.parquet to `folder`, ordered by row.

    Where somebody is `told` of duplicates, similar pairs stand beside it, and conflicting rows are counted.
    Shard by shard, `starts` says where it begins, `given` which place in `GIVEN` its rows have and `held` how many
    these are. Candidates are compared by the tasks that `submit` takes, in the folder `compared`; `here` takes those
    for threads. What memory does not hold lies in `spill`.
    Raises `RefusedError` for the first row that the recipe says to refuse, `UsageError` for a column without values,
    `OutputError` where the disk has no room for what memory does not hold.
    """
    with disk_room(spill), connect(examined, starts, given, spill) as connection:
        if recipe.missing.refuses:
            _refuse(connection, sources)
        found = duplicates.find(connection, recipe, examined, given, held, compared, submit, here, progress, told=told)
        if told and recipe.dedup.enabled and recipe.dedup.match == "near":
            duplicates.save(connection, folder / "duplicates.parquet")
        deviation = _split(connection, recipe)
        balanced = balance(connection, recipe.balance, examined, given, sources)
        rows, sizes = decisions.write(connection, sources, held, examined, folder / "decisions.parquet", spill)
        return Decided(starts, rows.tolist(), sizes.tolist(), found, deviation, balanced)


def _refuse(connection: duckdb.DuckDBPyConnection, sources: list[Source]) -> None:
    query = "SELECT source, line, evidence FROM facts WHERE refused ORDER BY seq LIMIT 1"
    for found in connection.execute(query).fetchall():
        evidence = msgspec.json.decode(found[2])
        raise RefusedError(
            f"{sources[found[0]].name}:{found[1]}: {evidence['message']} ({evidence.get('pointer', '')}): the recipe "
            "says to refuse such rows: mend the row, or set missing.* to drop, remove or fill"
        )


def _split(connection: duckdb.DuckDBPyConnection, recipe: Recipe) -> dict[str, float]:
    """Make the table `splits`: the split of every pair of prompt and group that a surviving row has, if not the first.

    Returns how far the splits are from equal shares. Raises `UsageError` where the column of times holds none.
    """
    if not recipe.split.enabled:
        connection.execute("CREATE TEMP TABLE splits (prompt UBIGINT, group_key UBIGINT, split TINYINT)")
        return {}
    pairs = connection.sql(
        """
        SELECT prompt, group_key, coalesce(min(label), '') AS label, min(source) AS source,
               sum(tokens)::BIGINT AS tokens, max(time) AS time, count(*) AS rows
        FROM alive WHERE given = 0
        GROUP BY prompt, group_key ORDER BY prompt, group_key
        """
    ).to_arrow_table()
    give_back(connection)
    prompts = _unsigned(pairs["prompt"])
    groups = _unsigned(pairs["group_key"])
    # Rows without a group are tied by their prompt alone: each gets a group of its own.
    alone = ~arrow.valid(pairs["group_key"])
    groups[alone] = prompts[alone] ^ _OTHER
    similar = _similar(connection)
    keys = prompts
    if len(similar) or not alone.all():
        ties = np.arange(len(similar), dtype=np.uint64) * _OTHER  # a group for each pair of similar prompts
        ends = (similar[:, 0], similar[:, 1])
        keys = components(np.concatenate([prompts, *ends]), np.concatenate([groups, ties, ties]))[: len(prompts)]
    unique, place = np.unique(keys, return_inverse=True)
    rows = np.bincount(place, arrow.numbers(pairs["rows"]), len(unique)).astype(np.int64)
    deviation: dict[str, float] = {}
    if recipe.split.time is not None:
        times = np.full(len(unique), -np.inf)
        np.maximum.at(times, place, arrow.numbers(pairs["time"], null=-np.inf))
        if len(times) and not np.isfinite(times).any():
            raise UsageError(f"split.time: no row has a number or an ISO time in the column '{recipe.split.time}'")
        split = by_time(np.where(np.isfinite(times), times, np.nan), rows, recipe.split)
    else:
        strata = _strata(pairs, place, rows)
        wanted = [strata[name] for name in recipe.split.stratify]
        split = assign(unique, joint(wanted) if wanted else np.zeros(len(unique), np.int64), rows, recipe.split)
        deviation = {name: deviation_of(split, strata[name], rows) for name in recipe.split.stratify}
    later = np.flatnonzero(split[place])
    columns = {"prompt": pairs["prompt"], "group_key": pairs["group_key"]}
    chosen = {name: column.take(arrow.array(later)) for name, column in columns.items()}
    connection.register("splits", arrow.table({**chosen, "split": split[place][later].astype(np.int8)}))
    return deviation


def _strata(pairs: pa.Table, place: np.ndarray, rows: np.ndarray) -> dict[str, np.ndarray]:
    """Return for each way to stratify the stratum of each group, whose pairs `place` gives: small whole numbers."""
    label = np.full(len(rows), np.iinfo(np.int64).max)
    source = label.copy()
    np.minimum.at(label, place, _ranks(pairs["label"]))
    np.minimum.at(source, place, arrow.numbers(pairs["source"]).astype(np.int64))
    tokens = np.bincount(place, arrow.numbers(pairs["tokens"], null=0), len(rows)) / np.maximum(rows, 1)
    quarters = np.quantile(np.repeat(tokens, rows), (0.25, 0.5, 0.75)) if len(rows) else np.zeros(3)
    return {"label": label, "source": source, "length": np.searchsorted(quarters, tokens).astype(np.int64)}


def _similar(connection: duckdb.DuckDBPyConnection) -> np.ndarray:
    """Return pairs of prompts, of shape (pairs, 2), whose rows stay and are similar: they must share a split."""
    found = connection.sql(
        """
        WITH kept AS (
            SELECT one, other FROM edges
            WHERE one NOT IN (SELECT seq FROM removed) AND other NOT IN (SELECT seq FROM removed)
        )
        SELECT DISTINCT least(a.prompt, b.prompt) AS one, greatest(a.prompt, b.prompt) AS other
        FROM kept JOIN facts AS a ON a.seq = kept.one JOIN facts AS b ON b.seq = kept.other
        WHERE a.prompt <> b.prompt AND a.given = 0 AND b.given = 0 ORDER BY ALL
        """
    ).to_arrow_table()
    return np.column_stack([_unsigned(found[name]) for name in ("one", "other")])


def _ranks(labels: pa.ChunkedArray) -> np.ndarray:
    """Return the place of each label in the sorted list of labels, so that a stratum does not depend on row order."""
    chunks = labels.dictionary_encode().chunks  # of one dictionary
    names = chunks[0].dictionary.to_pylist() if chunks else []
    rank = {name: place for place, name in enumerate(sorted(names))}
    places = np.concatenate([np.zeros(0, np.int32), *(arrow.numbers(chunk.indices) for chunk in chunks)])
    ranks: np.ndarray = np.array([rank[name] for name in names], np.int64)[places]
    return ranks


def _unsigned(column: pa.ChunkedArray) -> Any:
    return arrow.numbers(column, null=0).astype(np.uint64)
