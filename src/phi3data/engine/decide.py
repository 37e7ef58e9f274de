"""Decide: what becomes of each row, from the facts alone; a text is only read to verify that two rows are similar.

The facts are queried with DuckDB, which spills to disk, so that memory does not grow with the number of rows; only the
split holds a few numbers per group of rows in memory (about 30 bytes), and near-duplicates a few per candidate pair.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from phi3data import arrow
from phi3data.engine import decisions, duplicates
from phi3data.engine.balance import Balanced, balance
from phi3data.engine.facts import ROW_BITS, signed
from phi3data.errors import OutputError, RefusedError, UsageError
from phi3data.steps.split import assign, by_time, components, joint
from phi3data.steps.split import deviation as deviation_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import duckdb
    import pyarrow as pa

    from phi3data.engine.examine import Summary
    from phi3data.engine.local import Progress
    from phi3data.engine.recipe import Recipe
    from phi3data.sources.source import Shard, Source
    from phi3data.workers import Submit

_MEMORY = "300MB"
_OTHER = np.uint64(0x9E3779B97F4A7C15)  # turns keys into keys of another kind


class Base(msgspec.Struct, frozen=True):
    """Where a shard starts in its source: lines and records before it."""

    line: int
    record: int


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


def connect(folder: Path, starts: list[Base], spill: Path, given: list[int]) -> duckdb.DuckDBPyConnection:
    """Open the facts of all shards as the view `facts`: `line`, `record` are absolute, `row_id` is made.

    `given` has for each source its place in `GIVEN`, which is a column too.
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
            }
        ),
    )
    files = parquet(*(folder / f"{shard:06d}.facts.parquet" for shard in range(len(starts))))
    connection.execute(
        f"""
        CREATE VIEW facts AS
        SELECT * REPLACE (line + base_line + 1 AS line, record + base_record + 1 AS record),
               (source + 1) || ':' || (record + base_record + 1)
               || CASE WHEN sub > 0 THEN '.' || sub ELSE '' END AS row_id,
               {given}[source + 1]::TINYINT AS given
        FROM {files} JOIN bases ON shard = seq >> {ROW_BITS}
        """  # noqa: S608 (the only thing put in is a path of ours, quoted)
    )
    return connection


def decide(
    recipe: Recipe,
    sources: list[Source],
    given: list[int],
    starts: list[Base],
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
    Shard by shard, `starts` says where it begins and `held` how many rows it has. Candidates are compared by the tasks
    that `submit` takes, in the folder `compared`; `here` takes those for threads.
    Raises `RefusedError` for the first row that the recipe says to refuse, `UsageError` for a column without values,
    `OutputError` where the disk has no room for what memory does not hold.
    """
    keyed = [signed(examined, shard) for shard in range(len(starts))]
    with _room(spill), connect(examined, starts, spill, given) as connection:
        if recipe.missing.refuses:
            _refuse(connection, sources)
        # Given rows come first where not all that share a key are compared.
        place = "CASE WHEN seq IN (SELECT seq FROM facts WHERE given > 0) THEN '-inf'::DOUBLE ELSE place END"
        replaced = f" REPLACE ({place} AS place)" if any(given) else ""
        connection.execute(f"CREATE VIEW signed AS SELECT *{replaced} FROM {parquet(*keyed)}")  # noqa: S608 (names of ours)
        found = duplicates.find(
            connection, recipe, examined, compared, submit, here, progress, given=any(given), told=told
        )
        if told and recipe.dedup.enabled and recipe.dedup.match == "near":
            duplicates.save(connection, folder / "duplicates.parquet")
        deviation = _split(connection, recipe)
        balanced = balance(connection, recipe.balance, examined, len(starts), sources)
        rows, sizes = decisions.write(connection, sources, held, folder / "decisions.parquet")
        return Decided(starts, rows.tolist(), sizes.tolist(), found, deviation, balanced)


@contextmanager
def _room(spill: Path) -> Iterator[None]:
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
        FROM facts ANTI JOIN removed USING (seq) WHERE NOT dropped AND given = 0
        GROUP BY prompt, group_key ORDER BY prompt, group_key
        """
    ).to_arrow_table()
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
        WITH near AS (SELECT one, other FROM edges ANTI JOIN removed ON one = seq),
        kept AS (SELECT one, other FROM near ANTI JOIN removed ON other = seq)
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
