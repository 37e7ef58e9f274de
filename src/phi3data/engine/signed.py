"""The rows that can have near-duplicates, through all shards: what examining left of them, read a little at a time.

They have numbers from 0, in the order of `seq`, of 32 bits: there are fewer than four thousand million.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from phi3data.engine.facts import ROW_BITS, SIGNED, SIGNED_BYTES, signed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray


class Signed:
    """The rows of all shards. `given` says for each shard which place in `GIVEN` its rows have."""

    def __init__(self, examined: Path, given: list[int]) -> None:
        self._examined = examined
        self._given = np.array(given, np.int64)
        sizes = [signed(examined, shard).stat().st_size // SIGNED_BYTES for shard in range(len(given))]
        self._starts = np.cumsum([0, *sizes])

    def __len__(self) -> int:
        """Return how many rows there are."""
        return int(self._starts[-1])

    def shard(self, rows: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Return the shard of each row."""
        return np.searchsorted(self._starts, rows, side="right") - 1

    def given(self, rows: NDArray[np.uint32]) -> NDArray[np.int64]:
        """Return the place in `GIVEN` of each row."""
        return self._given[self.shard(rows)]

    def numbers(self, seqs: NDArray[np.int64]) -> NDArray[np.uint32]:
        """Return the rows that are among those of `seqs`, in rising order."""
        seqs = np.sort(seqs)
        found = [np.zeros(0, np.uint32)]
        borders = np.searchsorted(seqs, np.arange(len(self._given) + 1) << ROW_BITS)
        for shard in np.flatnonzero(np.diff(borders)).tolist():
            held = self._column(shard, "seq")
            mine = np.flatnonzero(np.isin(held, seqs[borders[shard] : borders[shard + 1]], assume_unique=True))
            found.append((self._starts[shard] + mine).astype(np.uint32))
        return np.concatenate(found)

    def column(self, name: str, rows: NDArray[np.uint32]) -> NDArray[Any]:
        """Return a column of `SIGNED` of some rows, which may stand in any order."""
        out = np.empty(len(rows), SIGNED[name])
        for shard, places, mine in self._by_shard(rows):
            out[places] = self._column(shard, name)[mine]
        return out

    def keys_of(self, band: int, rows: NDArray[np.uint32]) -> NDArray[np.uint32]:
        """Return the keys of some rows in a band; the rows may stand in any order."""
        out = np.empty(len(rows), np.uint32)
        for shard, places, mine in self._by_shard(rows):
            out[places] = self._keys(shard, band)[mine]
        return out

    def packed(
        self, band: int, low: int, high: int, wanted: NDArray[np.bool_], room: NDArray[np.uint64]
    ) -> NDArray[np.uint64]:
        """Return the keys from `low` to `high` that wanted rows have in a band, each with its row in the lower half.

        They stand in `room`, or elsewhere if it is too small.
        """
        end = 0
        for shard, (start, after) in enumerate(pairwise(self._starts.tolist())):
            held, those = self._keys(shard, band), wanted[start:after]
            if low or high < 2**32 - 1:
                those = those & (held - np.uint32(low) <= np.uint32(high - low))
            mine = np.flatnonzero(those)
            if end + len(mine) > len(room):
                room = np.concatenate([room[:end], np.empty(end + len(mine), np.uint64)])
            some = room[end : end + len(mine)]
            some[:] = held[mine]
            some <<= np.uint64(32)
            some |= (mine + start).astype(np.uint64)
            end += len(mine)
        return room[:end]

    def _by_shard(self, rows: NDArray[np.uint32]) -> Iterator[tuple[int, NDArray[np.int64], NDArray[np.int64]]]:
        """Yield shards with the places in `rows` of their rows, and where these stand in the shard."""
        order = np.argsort(rows, kind="stable")
        shards = self.shard(rows)[order]
        for mine in np.split(order, np.flatnonzero(np.diff(shards)) + 1) if len(rows) else []:
            shard = int(self.shard(rows[mine[:1]])[0])
            yield shard, mine, rows[mine] - self._starts[shard]

    def _keys(self, shard: int, band: int) -> NDArray[np.uint32]:
        rows = self._size(shard)
        return np.fromfile(signed(self._examined, shard), np.uint32, rows, offset=rows * (8 * len(SIGNED) + 4 * band))

    def _column(self, shard: int, name: str) -> NDArray[Any]:
        rows = self._size(shard)
        return np.fromfile(signed(self._examined, shard), SIGNED[name], rows, offset=rows * 8 * [*SIGNED].index(name))

    def _size(self, shard: int) -> int:
        return int(self._starts[shard + 1] - self._starts[shard])
