"""Which rows are duplicates of which: equal ones, beginnings and conflicts by queries, similar ones by `near`.

What is found stands in the temporary table `removed`: the row, the row that is kept for it, the kind and the score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pyarrow.parquet as pq

from phi3data.engine import near
from phi3data.engine.database import give_back
from phi3data.engine.given import AGAINST, KINDS, drop_groups, drop_leaks, find_leaks
from phi3data.sources.files import whole
from phi3data.steps.dedup import CODES

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb

    from phi3data.engine.local import Progress
    from phi3data.engine.recipe import Recipe
    from phi3data.workers import Submit

_KEEPER = {
    "first": "min(seq)",
    "newest": "max(seq)",
    "longest": "arg_max(seq, (size, -seq))",
    "best": "arg_max(seq, (coalesce(best, '-inf'::DOUBLE), -seq))",
}
# Rows that a query looks at in one part: of each DuckDB holds 200 bytes to find equal ones, 30 to find beginnings. Each
# part reads the facts of all rows, so that there are not more than so many; of larger ones DuckDB spills to disk.
_PART, _OPENED, _MOST = 500_000, 1_500_000, 16


class Found(msgspec.Struct, frozen=True):
    """What was seen besides the rows that go.

    `conflicting` rows ask what another row asks and are answered otherwise; `crowded` rows shared a key with so many
    that they were not compared with all of them.
    """

    conflicting: int = 0
    crowded: int = 0


def find(
    connection: duckdb.DuckDBPyConnection,
    recipe: Recipe,
    examined: Path,
    given: list[int],
    held: list[int],
    folder: Path,
    submit: Submit,
    here: Submit,
    progress: Progress,
    *,
    told: bool,
) -> Found:
    """Make the tables `removed` and `edges` from the view `facts` and what was examined.

    Of each shard `given` says which place in `GIVEN` its rows have (given ones stay, and others go for them), and
    `held` how many there are. Batches of pairs are compared in `folder`, with their edges, which a run that was
    interrupted finds there again, by the tasks that `submit` takes; `here` takes those for threads. `progress` hears
    how many are done. Where somebody is `told` of conflicting rows, these are counted.
    """
    dedup, parts = recipe.dedup, min(1 + sum(held) // _PART, _MOST)
    kinds = ", ".join(f"'{kind}'" for kind in (*CODES, *KINDS))
    connection.execute(f"CREATE TYPE kind AS ENUM ({kinds})")
    connection.execute("CREATE TEMP TABLE removed (seq BIGINT, keeper BIGINT, kind kind, score DOUBLE)")
    connection.execute("CREATE TEMP TABLE edges (one BIGINT, other BIGINT, score DOUBLE)")
    # Not by an ANTI JOIN: DuckDB may turn it around, and then holds the facts of all rows instead of what is removed.
    connection.execute(
        "CREATE TEMP VIEW alive AS SELECT * FROM facts WHERE NOT dropped AND seq NOT IN (SELECT seq FROM removed)"
    )
    keeper = _KEEPER[dedup.keep.partition(":")[0]]
    if any(given):
        keeper = f"coalesce({keeper} FILTER (given > 0), {keeper})"
        drop_groups(connection)
    if dedup.enabled:
        for part in range(parts):
            connection.execute(f"INSERT INTO removed {_equal(keeper, part, parts, exact=dedup.match == 'exact')}")
            give_back(connection)
    find_leaks(connection, given=any(given))
    if not dedup.enabled:
        drop_leaks(connection)
        return Found()
    conflicting = sum(_one(connection, _conflicting(part, parts)) for part in range(parts)) if told else 0
    if dedup.conflicts != "keep":
        for part in range(parts):
            all_of_them = dedup.conflicts == "drop"
            connection.execute(f"INSERT INTO removed {_conflicts(keeper, part, parts, all_of_them=all_of_them)}")
            give_back(connection)
    if dedup.prefixes and dedup.match != "exact":
        parts = min(1 + sum(held) // _OPENED, _MOST)
        for part in range(parts):
            connection.execute(f"INSERT INTO removed {_prefixes(part, parts)}")
            give_back(connection)
    crowded = 0
    if dedup.match == "near":
        crowded = near.find(connection, recipe, examined, given, folder, submit, here, progress)
        give_back(connection)
    drop_leaks(connection)
    for _ in range(1 + any(given)):  # a row equals the beginning of one that goes for a given row
        connection.execute(_FOLLOW)
    give_back(connection)
    return Found(conflicting, crowded)


def save(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Write the verified pairs, down to `MARGIN` under the threshold: another threshold can be tried on them."""
    found = connection.sql(
        """
        SELECT one.row_id, other.row_id AS other_id, score FROM edges
        JOIN facts AS one ON one.seq = edges.one JOIN facts AS other ON other.seq = edges.other
        ORDER BY one.seq, other.seq
        """
    ).to_arrow_table()
    with whole(path) as file:
        pq.write_table(found, file, compression="zstd")


def _alive(key: str, part: int, parts: int) -> str:
    """Return one part of the rows that did not go: rows with the same `key` are in the same one."""
    here = f"WHERE {key} % {parts} = {part}" if parts > 1 else ""
    return f"(SELECT * FROM alive {here})"  # noqa: S608 (names of ours)


def _equal(keeper: str, part: int, parts: int, *, exact: bool) -> str:
    high, low = ("exact_hi", "exact_lo") if exact else ("same_hi", "same_lo")
    return f"""
        WITH alive AS {_alive(high, part, parts)},
        groups AS (
            SELECT {high}, {low}, {keeper} AS keeper FROM alive
            WHERE {high} IS NOT NULL GROUP BY {high}, {low} HAVING count(*) > 1
        )
        SELECT row.seq, kept.seq,
               CASE WHEN (row.exact_hi, row.exact_lo) = (kept.exact_hi, kept.exact_lo)
                    THEN 'exact' ELSE 'normalised' END, 1
        FROM alive AS row
        JOIN groups ON row.{high} = groups.{high} AND row.{low} = groups.{low} AND row.seq <> groups.keeper
        JOIN alive AS kept ON kept.seq = groups.keeper
        WHERE row.given = 0
        """  # noqa: S608 (names of ours)


def _conflicting(part: int, parts: int) -> str:
    return f"""
        SELECT coalesce(sum(rows), 0) FROM (
            SELECT count(*) AS rows FROM {_alive("asked", part, parts)}
            WHERE asked IS NOT NULL AND seq NOT IN (SELECT seq FROM leaks) AND given <> {AGAINST}
            GROUP BY asked HAVING min(same_hi) <> max(same_hi)
        )
        """  # noqa: S608 (names of ours)


def _conflicts(keeper: str, part: int, parts: int, *, all_of_them: bool) -> str:
    """Return what the rows of a prompt with several answers go for; where all go, the best goes for another one."""
    best = f"CASE WHEN row.seq = keeper THEN {'other' if all_of_them else 'NULL'} ELSE keeper END"
    return f"""
        WITH alive AS (
            SELECT * FROM {_alive("asked", part, parts)} WHERE seq NOT IN (SELECT seq FROM leaks)
        ),
        groups AS (
            SELECT asked, {keeper} AS keeper, max(seq) AS last, min(seq) AS first FROM alive
            WHERE asked IS NOT NULL GROUP BY asked HAVING min(same_hi) <> max(same_hi)
        ),
        answers AS (
            SELECT row.seq, given, {best} AS kept
            FROM alive AS row JOIN (SELECT *, CASE WHEN keeper = first THEN last ELSE first END AS other FROM groups)
            AS groups USING (asked)
        )
        SELECT seq, kept, 'conflict', NULL FROM answers WHERE kept IS NOT NULL AND given = 0
        """  # noqa: S608 (names of ours)


def _prefixes(part: int, parts: int) -> str:
    """Return what the beginnings of other conversations go for.

    The longest of the conversations that a row begins is no beginning of another one, and so it stays.
    """
    here = f"WHERE opening % {parts} = {part}" if parts > 1 else ""
    return f"""
        WITH opened AS (
            SELECT * FROM (
                SELECT seq, length(roles) AS turns, unnest(openings) AS opening
                FROM alive WHERE seq NOT IN (SELECT seq FROM leaks)
            ) {here}
        )
        SELECT alive.seq, arg_max(opened.seq, (turns, -opened.seq)), 'prefix', 1
        FROM {_alive("same_hi", part, parts)} AS alive JOIN opened ON alive.same_hi = opened.opening
        WHERE alive.given = 0 AND alive.seq NOT IN (SELECT keeper FROM removed WHERE kind = 'conflict')
        GROUP BY alive.seq
        """  # noqa: S608 (names of ours)


# What equals a row that went is what that row is to the one that stays. (Of conflicting rows all may go.)
_FOLLOW = """
    UPDATE removed SET keeper = next.keeper, kind = next.kind, score = next.score
    FROM removed AS next WHERE next.seq = removed.keeper AND removed.kind <> 'conflict'
    """


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(connection.execute(query).fetchall()[0][0])
