"""Nominate: which rows share the key of a band, so that their texts are to be compared.

Keys are looked at band by band, and of many rows range by range: what is held for all rows at once is 2 bytes a row,
and the pairs that were found, 8 bytes each.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phi3data.room import lent, release
from phi3data.similarity import buckets
from phi3data.similarity.bands import BANDS
from phi3data.workers import in_order

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from phi3data.engine.signed import Signed
    from phi3data.similarity.buckets import Crowd
    from phi3data.workers import Submit

_PAIRS = 1_000_000  # that are held before those found more than once are dropped (8 MB)
# Keys that are looked at at a time, about, by each of a few threads: some 24 bytes each. Each range reads all keys of
# its band, so that there are not more than so many ranges.
_KEYS, _MOST, _AHEAD = 1_000_000, 16, 4


def nominate(rows: Signed, wanted: NDArray[np.bool_], here: Submit) -> tuple[NDArray[np.uint64], NDArray[np.uint32]]:
    """Return the pairs of wanted rows that share the key of a band, distinct and in rising order.

    Returns also the rows that share one with too many to be compared with all of them. `here` takes tasks for threads.
    """
    count = int(np.count_nonzero(wanted))
    parts = min(1 + count // _KEYS, _MOST)
    most = count // parts + _KEYS // 100  # of a part: keys are as good as random
    edges = [(2**32 * part // parts, 2**32 * (part + 1) // parts - 1) for part in range(parts)]

    def look(task: tuple[int, int, int]) -> tuple[NDArray[np.uint64], Crowd]:
        with lent() as room:
            return buckets.pairs(rows.packed(*task, wanted, room.take("packed", most, np.uint64)))

    tasks = [(band, *edge) for band in range(BANDS) for edge in edges] if wanted.any() else []
    found, many = [np.zeros(0, np.uint64)], np.zeros(len(rows), np.bool_)
    for (band, *_), (near, crowd) in zip(tasks, in_order(here, look, tasks, _AHEAD), strict=True):
        found.append(near)
        if len(crowd.rows):
            many[crowd.rows] = True
            found.append(_thinned(rows, crowd, (band + 1) % BANDS))
        if sum(map(len, found[1:])) > max(_PAIRS, len(found[0])):
            found = [buckets.distinct(found)]
    pairs = buckets.distinct(found)
    found.clear()
    release()
    return pairs, np.flatnonzero(many).astype(np.uint32)


def _thinned(rows: Signed, crowd: Crowd, after: int) -> NDArray[np.uint64]:
    """Return the pairs of a crowd; given rows come first."""
    ids, places = rows.column("id", crowd.rows), rows.column("place", crowd.rows)
    places[rows.given(crowd.rows) > 0] = -np.inf
    return buckets.thinned(crowd, rows.keys_of(after, crowd.rows), ids, places)
