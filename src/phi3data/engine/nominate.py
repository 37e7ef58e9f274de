"""Nominate: which rows share the key of a band, so that their texts are to be compared.

Keys are read band by band from the files that examining left, as many bands at a time as memory allows; what is held
for all rows at once is 12 bytes a row, 20 more for the band that is looked at, and the pairs that were found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phi3data import arrow
from phi3data.engine.facts import ROW_BITS, bands, signed
from phi3data.similarity import buckets
from phi3data.similarity.bands import BANDS
from phi3data.workers import in_order

if TYPE_CHECKING:
    from pathlib import Path

    import duckdb
    from numpy.typing import NDArray

    from phi3data.workers import Submit

_PAIRS = 4_000_000  # that are held before those found more than once are dropped (32 MB)
_KEYS = 20_000_000  # that are held at a time (80 MB): all bands of a small data set, a few of a large one


class _Keys(NamedTuple):
    """Where the keys of the wanted rows stand: the files in the order of the rows, with the places in each."""

    files: list[tuple[Path, NDArray[np.int32]]]

    def of(self, wanted: list[int], here: Submit) -> dict[int, NDArray[np.uint32]]:
        """Return the keys of some bands."""
        ends = np.cumsum([0, *(len(places) for _, places in self.files)])
        out = np.empty((len(wanted), ends[-1]), np.uint32)

        def fill(number: int) -> None:
            path, places = self.files[number]
            held = np.asarray(np.load(path, mmap_mode="r"))
            for band, keys in zip(wanted, out, strict=True):
                np.take(held[band], places, out=keys[ends[number] : ends[number + 1]], mode="clip")  # without a copy

        for _ in in_order(here, fill, range(len(self.files))):
            pass
        return dict(zip(wanted, out, strict=True))


def _keys(seqs: NDArray[np.int64], examined: Path) -> _Keys:
    shards = seqs >> ROW_BITS
    files: list[tuple[Path, NDArray[np.int32]]] = []
    for mine in np.split(seqs, np.flatnonzero(np.diff(shards)) + 1):
        shard = int(mine[0] >> ROW_BITS)
        held = arrow.numbers(arrow.read(signed(examined, shard), ["seq"])["seq"])
        files.append((bands(examined, shard), np.searchsorted(held, mine).astype(np.int32)))
    return _Keys(files)


def nominate(connection: duckdb.DuckDBPyConnection, examined: Path, here: Submit) -> int:
    """Make the table `nominated` of pairs of rows of the view `candidates` that share the key of a band.

    The rows that share one with too many to be compared with all of them make the table `crowded`; returns how many
    these are. `here` takes tasks for threads.
    """
    [seqs] = arrow.fetched(connection.sql("SELECT seq FROM candidates ORDER BY seq"))
    found, many = [np.zeros(0, np.uint64)], np.zeros(len(seqs), np.bool_)
    keys = _keys(seqs, examined) if len(seqs) else _Keys([])
    step = max(1, min(BANDS, _KEYS // max(1, len(seqs))))
    columns: dict[int, NDArray[np.uint32]] = {}
    for first in range(0, BANDS if len(seqs) else 0, step):
        together = list(range(first, min(first + step, BANDS)))
        columns.clear()  # before there are others
        columns |= keys.of(together, here)
        for band, (near, crowd) in zip(together, in_order(here, buckets.pairs, columns.values()), strict=True):
            found.append(near)
            if len(crowd.rows):
                many[crowd.rows] = True
                ids, places = _wanted(connection, seqs[crowd.rows])
                after = (band + 1) % BANDS
                following = (columns[after] if after in columns else keys.of([after], here)[after])[crowd.rows]
                found.append(buckets.thinned(crowd, following, ids, places))
            if sum(map(len, found[1:])) > max(_PAIRS, len(found[0])):
                found = [buckets.distinct(found)]
    columns.clear()
    crowded = np.flatnonzero(many)
    one, other = buckets.unpacked(buckets.distinct(found))
    _table(connection, "nominated", {"one": seqs[one], "other": seqs[other]})
    _table(connection, "crowded", {"seq": seqs[crowded]})
    return len(crowded)


def _wanted(
    connection: duckdb.DuckDBPyConnection, seqs: NDArray[np.int64]
) -> tuple[NDArray[np.uint64], NDArray[np.float64]]:
    """Return what orders these rows: their digests, and how much each is wanted."""
    connection.register("wanted", arrow.table({"seq": seqs, "number": np.arange(len(seqs))}))
    ids, places = arrow.fetched(connection.sql("SELECT id, place FROM signed JOIN wanted USING (seq) ORDER BY number"))
    connection.unregister("wanted")
    return ids, places


def _table(connection: duckdb.DuckDBPyConnection, name: str, columns: dict[str, NDArray[np.int64]]) -> None:
    connection.register("made", arrow.table(columns))
    connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM made")  # noqa: S608 (a name of ours)
    connection.unregister("made")
