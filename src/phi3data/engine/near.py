"""Near-duplicates among the rows that are left: keys nominate pairs, `verify` compares the texts, `groups` chooses.

Rows are known by their numbers in `Signed`. What is held for all of them at once is some bytes each; a pair that is
nominated takes 8 bytes and while batches are planned some 40, a similar one 16 and while rows are chosen some 60.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phi3data import arrow, targets
from phi3data.engine import verify
from phi3data.engine.nominate import nominate
from phi3data.engine.signed import Signed
from phi3data.room import release
from phi3data.similarity import buckets
from phi3data.similarity.groups import keepers
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


class Edges(NamedTuple):
    """Verified pairs of rows, and how similar they are."""

    one: NDArray[np.uint32]
    other: NDArray[np.uint32]
    score: NDArray[np.float64]


class Gone(NamedTuple):
    """Rows that go, those that are kept for them, and how similar the two are."""

    rows: NDArray[np.uint32]
    keepers: NDArray[np.uint32]
    score: NDArray[np.float64]


def find(
    connection: duckdb.DuckDBPyConnection,
    recipe: Recipe,
    examined: Path,
    given: list[int],
    folder: Path,
    submit: Submit,
    here: Submit,
    progress: Progress,
) -> int:
    """Add the rows that go for a similar one to the table `removed`, and make the table `edges` of verified pairs.

    The tables `removed` and `leaks` say what is found already. Returns how many rows were not compared with all of
    their candidates. The other parameters are those of `duplicates.find`.

    Where keys are on so many rows that not all pairs are compared, what is left of these rows is nominated again, until
    nothing more goes: many copies of one row thin out, and many fillings of one template stay at the first round.
    """
    rows = Signed(examined, given)
    with_label = bool(targets.target(recipe.target).label_key)
    stays = _Stays(connection, rows)
    left = np.ones(len(rows), np.bool_)
    left[rows.numbers(_column(connection, "SELECT seq FROM removed"))] = False
    crowd, compared = np.zeros(len(rows), np.bool_), np.zeros(0, np.uint64)
    edges = Edges(np.zeros(0, np.uint32), np.zeros(0, np.uint32), np.zeros(0))
    gone = Gone(*edges)
    for number in range(_ROUNDS):
        pairs, crowded = nominate(rows, left & crowd if number else left, here)
        if with_label:
            pairs = _of_one_label(connection, rows, pairs)
        batches = verify.plan(rows, pairs, compared, folder / f"{number}")
        if not batches:
            break
        if len(crowded):
            compared = buckets.distinct([compared, pairs])
        del pairs
        release()
        more = _compare(folder / f"{number}", batches, recipe, examined, submit, progress)
        release()
        edges = Edges(*map(np.concatenate, zip(edges, *more, strict=True)))
        before, gone = gone.rows, stays.choose(edges, recipe.dedup.threshold)
        if not len(crowded) or np.array_equal(np.sort(gone.rows), np.sort(before)):
            break
        crowd[crowded] = True
        left[before], left[gone.rows] = True, False
    _add(connection, "edges", rows, edges)
    _add(connection, "removed", rows, gone, "'near'")
    return len(crowded)


def _compare(
    folder: Path, batches: int, recipe: Recipe, examined: Path, submit: Submit, progress: Progress
) -> list[Edges]:
    """Compare the batches that lie in a folder, but for those that were compared before the run was interrupted."""
    floor = recipe.dedup.threshold - MARGIN
    paths = [folder / f"{number:06d}.edges.parquet" for number in range(batches)]
    todo = [
        (number, (folder, number, examined, recipe.dedup.scope, floor))
        for number, path in enumerate(paths)
        if not path.exists()
    ]
    progress.stage("Comparing", batches)
    progress.advance(batches - len(todo), 0)
    for _ in each(submit, verify.verify, todo):
        progress.advance(1, 0)
    return [Edges(*map(arrow.numbers, arrow.read(path).columns)) for path in paths]


class _Stays:
    """Who may go for whom.

    Given rows stay, and rows that others went for as prefix or as conflict, but for a given row: those others are not
    as similar to a third row.
    """

    def __init__(self, connection: duckdb.DuckDBPyConnection, rows: Signed) -> None:
        kept_for = "SELECT DISTINCT keeper FROM removed WHERE kind IN ('prefix', 'conflict')"
        self._rows = rows
        self._needed = rows.numbers(_column(connection, kept_for))
        self._leaks = rows.numbers(_column(connection, "SELECT seq FROM leaks"))

    def choose(self, edges: Edges, threshold: float) -> Gone:
        """Return which rows go for a similar one."""
        alike = edges.score >= threshold
        one, other, score = edges.one[alike], edges.other[alike], edges.score[alike]
        nodes = buckets.distinct([one, other])
        nodes = nodes[np.argsort(self._rows.column("place", nodes), kind="stable")]
        rising = np.argsort(nodes).astype(np.uint32)
        one, other = (rising[np.searchsorted(nodes, ends, sorter=rising)] for ends in (one, other))
        given, leaks = self._rows.given(nodes) > 0, np.isin(nodes, self._leaks)
        beside = np.zeros(len(nodes), np.bool_)
        beside[one[given[other]]] = beside[other[given[one]]] = True
        protected = given | (np.isin(nodes, self._needed) & ~beside)
        usable = ~(leaks[one] | leaks[other]) | given[one] | given[other]
        kept, score = keepers(one[usable], other[usable], score[usable], protected)
        gone = np.flatnonzero(kept >= 0)
        return Gone(nodes[gone], nodes[kept[gone]], score[gone])


def _of_one_label(connection: duckdb.DuckDBPyConnection, rows: Signed, pairs: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the pairs of rows with the same label, and those with a given row."""
    one, other = buckets.unpacked(pairs)
    nodes = buckets.distinct([one, other])
    connection.register("nodes", arrow.table({"seq": rows.column("seq", nodes)}))
    query = "SELECT dense_rank() OVER (ORDER BY label) FROM facts JOIN nodes USING (seq) ORDER BY seq"
    label, given = _column(connection, query), rows.given(nodes) > 0
    connection.unregister("nodes")
    a, b = np.searchsorted(nodes, one), np.searchsorted(nodes, other)
    wanted: NDArray[np.bool_] = (label[a] == label[b]) | given[a] | given[b]
    return pairs[wanted]


def _add(connection: duckdb.DuckDBPyConnection, table: str, rows: Signed, found: Edges | Gone, *more: str) -> None:
    """Add pairs of rows to a table, by their `seq`."""
    ends = [rows.column("seq", column) for column in found[:2]]
    connection.register("found", arrow.table(dict(zip(("one", "other", "score"), (*ends, found.score), strict=True))))
    columns = ", ".join(["one", "other", *more, "score"])
    connection.execute(f"INSERT INTO {table} SELECT {columns} FROM found")  # noqa: S608 (names of ours)
    connection.unregister("found")


def _column(connection: duckdb.DuckDBPyConnection, query: str) -> NDArray[np.int64]:
    found: NDArray[np.int64] = arrow.fetched(connection.sql(query))[0]
    return found
