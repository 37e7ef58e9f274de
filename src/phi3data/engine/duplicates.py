"""Which rows are duplicates of which: queries over the facts nominate, `verify` compares the texts, `groups` chooses.

What is found stands in the temporary table `removed`: the row, the row that is kept for it, the kind and the score.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from phi3data import arrow, targets
from phi3data.engine import verify
from phi3data.engine.given import AGAINST, drop_groups, drop_leaks, find_leaks
from phi3data.engine.nominate import nominate
from phi3data.similarity.groups import keepers
from phi3data.sources.files import whole
from phi3data.steps.dedup import MARGIN
from phi3data.workers import each

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb
    from numpy.typing import NDArray

    from phi3data.engine.local import Progress
    from phi3data.engine.recipe import Recipe
    from phi3data.workers import Submit

_ROUNDS = 8  # that a bucket of many copies is given to thin out
_ORDER = {"first": "seq", "newest": "-seq", "longest": "-size, seq", "best": "best DESC NULLS LAST, seq"}
_KEEPER = {
    "first": "min(seq)",
    "newest": "max(seq)",
    "longest": "arg_max(seq, (size, -seq))",
    "best": "arg_max(seq, (coalesce(best, '-inf'::DOUBLE), -seq))",
}
_ALIVE = "(SELECT * FROM facts ANTI JOIN removed USING (seq) WHERE NOT dropped)"

_CONFLICTING = f"""
    SELECT coalesce(sum(rows), 0) FROM (
        SELECT count(*) AS rows FROM {_ALIVE} ANTI JOIN leaks USING (seq)
        WHERE asked IS NOT NULL AND given <> {AGAINST} GROUP BY asked HAVING min(same_hi) <> max(same_hi)
    )
    """  # noqa: S608 (queries of ours)


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
    folder: Path,
    submit: Submit,
    here: Submit,
    progress: Progress,
    *,
    given: bool,
    told: bool,
) -> Found:
    """Make the tables `removed` and `edges` from the views `facts` and `signed`.

    Rows that are `given`, if there are any, stay, and others go for them. Batches of pairs are compared in `folder`,
    with their edges, which a run that was interrupted finds there again, by the tasks that `submit` takes; `here` takes
    those for threads. `progress` hears how many are done. Where somebody is `told` of conflicting rows, these are
    counted.
    """
    dedup = recipe.dedup
    connection.execute("CREATE TEMP TABLE removed (seq BIGINT, keeper BIGINT, kind VARCHAR, score DOUBLE)")
    connection.execute("CREATE TEMP TABLE edges (one BIGINT, other BIGINT, score DOUBLE)")
    keeper = _KEEPER[dedup.keep.partition(":")[0]]
    if given:
        keeper = f"coalesce({keeper} FILTER (given > 0), {keeper})"
    if given:
        drop_groups(connection)
    if dedup.enabled:
        connection.execute(f"INSERT INTO removed {_equal(keeper, exact=dedup.match == 'exact')}")
    find_leaks(connection, given=given)
    if not dedup.enabled:
        drop_leaks(connection)
        return Found()
    conflicting = _one(connection, _CONFLICTING) if told else 0
    if dedup.conflicts != "keep":
        connection.execute(f"INSERT INTO removed {_conflicts(keeper, all_of_them=dedup.conflicts == 'drop')}")
    if dedup.prefixes and dedup.match != "exact":
        connection.execute(f"INSERT INTO removed {_PREFIXES}")
    crowded = _near(connection, recipe, examined, folder, submit, here, progress) if dedup.match == "near" else 0
    drop_leaks(connection)
    for _ in range(1 + given):  # a row equals the beginning of one that goes for a given row
        connection.execute(f"CREATE OR REPLACE TEMP TABLE removed AS {_FOLLOWED}")
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


def _equal(keeper: str, *, exact: bool) -> str:
    high, low = ("exact_hi", "exact_lo") if exact else ("same_hi", "same_lo")
    return f"""
        WITH alive AS {_ALIVE},
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


def _conflicts(keeper: str, *, all_of_them: bool) -> str:
    """Return what the rows of a prompt with several answers go for; where all go, the best goes for another one."""
    best = f"CASE WHEN row.seq = keeper THEN {'other' if all_of_them else 'NULL'} ELSE keeper END"
    return f"""
        WITH alive AS (SELECT * FROM {_ALIVE} ANTI JOIN leaks USING (seq)),
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


# The longest of the conversations that a row begins is no beginning of another one, and so it stays.
_PREFIXES = f"""
    WITH alive AS {_ALIVE},
    opened AS (SELECT seq, length(roles) AS turns, unnest(openings) AS opening FROM alive ANTI JOIN leaks USING (seq))
    SELECT alive.seq, arg_max(opened.seq, (turns, -opened.seq)), 'prefix', 1
    FROM alive JOIN opened ON alive.same_hi = opened.opening
    WHERE alive.given = 0 AND alive.seq NOT IN (SELECT keeper FROM removed WHERE kind = 'conflict') GROUP BY alive.seq
    """  # noqa: S608 (names of ours)


# What equals a row that went is what that row is to the one that stays. (Of conflicting rows all may go.)
_FOLLOWED = """
    SELECT removed.seq, coalesce(next.keeper, removed.keeper) AS keeper, coalesce(next.kind, removed.kind) AS kind,
           CASE WHEN next.seq IS NULL THEN removed.score ELSE next.score END AS score
    FROM removed LEFT JOIN removed AS next ON next.seq = removed.keeper AND removed.kind <> 'conflict'
    """


def _near(
    connection: duckdb.DuckDBPyConnection,
    recipe: Recipe,
    examined: Path,
    folder: Path,
    submit: Submit,
    here: Submit,
    progress: Progress,
) -> int:
    """Find near-duplicates among what is left; return how many rows were not compared with all of their candidates.

    Where keys are on so many rows that not all pairs are compared, what is left of these rows is nominated again, until
    nothing more goes: many copies of one row thin out, and many fillings of one template stay at the first round.
    """
    dedup = recipe.dedup
    order = _ORDER[dedup.keep.partition(":")[0]]
    connection.execute("CREATE TEMP TABLE near (seq BIGINT, keeper BIGINT, score DOUBLE)")
    connection.execute("CREATE TEMP TABLE compared (one BIGINT, other BIGINT)")
    connection.execute("CREATE TEMP TABLE crowd (seq BIGINT)")
    connection.execute("CREATE TEMP VIEW candidates AS SELECT * FROM signed ANTI JOIN removed USING (seq)")
    for number in range(_ROUNDS):
        crowded = _candidates(connection, examined, here, with_label=bool(targets.target(recipe.target).label_key))
        part = folder / f"{number}"
        batches = verify.plan(*_numbered(connection), part)
        if not batches:
            break
        tasks = [(n, (part, n, examined, dedup.scope, dedup.threshold - MARGIN)) for n in range(batches)]
        edges = [part / f"{n:06d}.edges.parquet" for n in range(batches)]
        todo = [task for task in tasks if not edges[task[0]].exists()]
        progress.stage("Comparing", batches)
        progress.advance(batches - len(todo), 0)
        for _ in each(submit, verify.verify, todo):
            progress.advance(1, 0)
        connection.register("verified", pa.concat_tables([arrow.read(path) for path in edges]))
        # What was compared before was compared among more rows, which tell a template better.
        connection.execute(
            """
            INSERT INTO edges SELECT * FROM
            (SELECT least(one, other) AS one, greatest(one, other) AS other, score FROM verified)
            ANTI JOIN compared USING (one, other)
            """
        )
        connection.unregister("verified")
        if not crowded or not _choose(connection, order, dedup.threshold):
            break
        connection.execute("INSERT INTO compared SELECT one, other FROM pairs")
        connection.execute("INSERT INTO crowd SELECT seq FROM crowded ANTI JOIN crowd USING (seq)")
        connection.execute(
            """
            CREATE OR REPLACE TEMP VIEW candidates AS
            SELECT * FROM signed SEMI JOIN crowd USING (seq) ANTI JOIN removed USING (seq) ANTI JOIN near USING (seq)
            """
        )
    connection.execute("DROP TABLE pairs; DROP TABLE compared")
    _choose(connection, order, dedup.threshold)
    connection.execute("INSERT INTO removed SELECT seq, keeper, 'near', score FROM near")
    return crowded


def _candidates(connection: duckdb.DuckDBPyConnection, examined: Path, here: Submit, *, with_label: bool) -> int:
    """Make the table `pairs` of rows that share the key of a band, and `crowded` of those that do with too many others.

    Returns how many these are.
    """
    crowded = nominate(connection, examined, here)
    same_label = (
        """JOIN facts AS a ON a.seq = one JOIN facts AS b ON b.seq = other
        WHERE a.label IS NOT DISTINCT FROM b.label OR a.given > 0 OR b.given > 0"""
        if with_label
        else ""
    )
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE pairs AS SELECT one, other FROM nominated {same_label}"  # noqa: S608 (ours)
    )
    connection.execute("DROP TABLE nominated")  # here and below: a table that nobody reads takes memory
    return crowded


def _numbered(connection: duckdb.DuckDBPyConnection) -> tuple[verify.Nodes, NDArray[np.int64]]:
    """Number the rows of the pairs by their digests; return where they stand, and the pairs in these numbers."""
    connection.execute(
        """
        CREATE OR REPLACE TEMP TABLE nodes AS
        SELECT seq, row_number() OVER (ORDER BY same_hi, same_lo, seq) - 1 AS node, row_offset, row_length
        FROM facts SEMI JOIN (SELECT one AS seq FROM pairs UNION SELECT other FROM pairs) USING (seq)
        """
    )
    nodes = arrow.fetched(connection.sql("SELECT seq, row_offset, row_length FROM nodes ORDER BY node"))
    pairs = connection.sql(
        """
        SELECT least(a.node, b.node) AS one, greatest(a.node, b.node) AS other
        FROM pairs JOIN nodes AS a ON a.seq = pairs.one JOIN nodes AS b ON b.seq = pairs.other
        """
    )
    ends = np.column_stack(arrow.fetched(pairs))
    connection.execute("DROP TABLE nodes")
    return verify.Nodes(*nodes), ends


def _choose(connection: duckdb.DuckDBPyConnection, order: str, threshold: float) -> bool:
    """Make the table `near` of the rows that go for a similar one; return whether others go than before.

    Given rows stay, and rows that others went for as prefix or as conflict, but for a given row: those others are not
    as similar to a third row.
    """
    connection.execute(
        f"""
        CREATE OR REPLACE TEMP TABLE ranked AS
        WITH alike AS (SELECT one, other FROM edges WHERE score >= {threshold}),
        held AS (SELECT seq FROM facts WHERE given > 0),
        near_held AS (SELECT one AS seq FROM alike SEMI JOIN held ON other = seq
                      UNION SELECT other FROM alike SEMI JOIN held ON one = seq)
        SELECT seq, row_number() OVER (ORDER BY {order}) - 1 AS rank, given > 0 AS held,
               seq IN (SELECT seq FROM leaks) AS leaks,
               held OR (seq IN (SELECT keeper FROM removed WHERE kind IN ('prefix', 'conflict'))
                        AND seq NOT IN (SELECT seq FROM near_held)) AS protected
        FROM facts SEMI JOIN (SELECT one AS seq FROM edges UNION SELECT other FROM edges) USING (seq)
        """  # noqa: S608 (names of ours)
    )
    seq, protected = arrow.fetched(connection.sql("SELECT seq, protected FROM ranked ORDER BY rank"))
    edges = connection.sql(
        """
        SELECT a.rank AS one, b.rank AS other, score
        FROM edges JOIN ranked AS a ON a.seq = edges.one JOIN ranked AS b ON b.seq = edges.other
        WHERE NOT (a.leaks OR b.leaks) OR a.held OR b.held
        """
    )
    *ends, scores = arrow.fetched(edges)
    kept, score = keepers(np.column_stack(ends), scores, threshold, protected)
    gone = np.flatnonzero(kept >= 0)
    found = arrow.table({"seq": seq[gone], "keeper": seq[kept[gone]], "score": score[gone]})
    connection.register("chosen", found)
    [before] = arrow.fetched(connection.sql("SELECT seq FROM near ORDER BY seq"))
    connection.execute("CREATE OR REPLACE TEMP TABLE near AS SELECT * FROM chosen")
    return not np.array_equal(np.sort(seq[gone]), before)


def _one(connection: duckdb.DuckDBPyConnection, query: str) -> int:
    return int(connection.execute(query).fetchall()[0][0])
