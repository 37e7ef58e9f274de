"""Rows with equal keys → pairs to compare. Rows are whole numbers from 0; a pair is one number: `one << 32 | other`.

Keys are sorted where they stand, each with its row behind it in one 64-bit number: that takes a fraction of the time
and of the memory of a join.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeVar

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

Numbers = TypeVar("Numbers", "NDArray[np.uint32]", "NDArray[np.uint64]")

# Rows with one key are compared each with each up to this many; in a larger bucket with the first one and with the row
# before, in the order of the next band, so that like stands beside like: two comparisons a row and band.
MOST = 16
_HALF = np.uint64(32)


class Crowd(NamedTuple):
    """The rows that share a key with too many others, and the number of the bucket that each is in."""

    rows: NDArray[np.uint32]
    bucket: NDArray[np.int64]


def pairs(packed: NDArray[np.uint64]) -> tuple[NDArray[np.uint64], Crowd]:
    """Return the pairs of rows with one key in buckets of up to `MOST` rows, and the rows of larger buckets.

    `packed` are the keys that rows have in one band, with the row in the lower half; they are sorted where they stand.
    """
    packed.sort()
    rows, key = packed.view("<u4").reshape(-1, 2).T  # as they stand in memory: a copy of each would take as much
    same = key[1:] == key[:-1]
    shared = np.zeros(len(key), np.bool_)
    shared[1:] |= same
    shared[:-1] |= same
    key, rows = key[shared], rows[shared]
    starts = np.flatnonzero(np.append(True, key[1:] != key[:-1])) if len(key) else np.zeros(0, np.int64)
    sizes = np.diff(np.append(starts, len(key)))
    bucket, few = np.repeat(np.arange(len(sizes)), sizes), np.repeat(sizes <= MOST, sizes)
    near, inside = rows[few], bucket[few]
    found = [np.zeros(0, np.uint64)]
    for apart in range(1, MOST):
        both = np.flatnonzero(inside[apart:] == inside[:-apart])
        found.append(packed_pairs(near[both], near[both + apart]))
    return np.concatenate(found), Crowd(rows[~few], bucket[~few])


def thinned(
    crowd: Crowd, following: NDArray[np.uint32], ids: NDArray[np.uint64], places: NDArray[np.float64]
) -> NDArray[np.uint64]:
    """Return two pairs a row of a crowd: with the most wanted row of its bucket, and with the one before it.

    `following` are the keys of the next band, `ids` order rows without regard to where they stand, `places` are smaller
    the more a row is wanted; one of each for each row of the crowd.
    """
    rows, bucket = crowd
    order = np.lexsort((rows, places, bucket))
    firsts = np.diff(bucket[order], prepend=-1) > 0
    heads = rows[order][np.flatnonzero(firsts)[np.cumsum(firsts) - 1]]
    led = packed_pairs(heads[~firsts], rows[order][~firsts])
    order = np.lexsort((rows, ids, following, bucket))
    beside = np.flatnonzero(np.diff(bucket[order]) == 0)
    return np.concatenate([led, packed_pairs(rows[order][beside], rows[order][beside + 1])])


def distinct(numbers: list[Numbers]) -> Numbers:
    """Return the distinct numbers of some arrays (rows, or pairs of them), in rising order.

    Sorted here: `numpy.unique` looks numbers up in a table, and takes 35 times as long for pairs.
    """
    found = np.concatenate(numbers)
    found.sort()
    return found[np.append(True, found[1:] != found[:-1])] if len(found) else found


def packed_pairs(one: NDArray[np.uint32], other: NDArray[np.uint32]) -> NDArray[np.uint64]:
    """Return pairs of rows as numbers, the smaller row above."""
    found: NDArray[np.uint64] = np.minimum(one, other).astype(np.uint64)
    found <<= _HALF
    found |= np.maximum(one, other).astype(np.uint64)
    return found


def unpacked(pairs: NDArray[np.uint64]) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the smaller and the larger row of each pair."""
    return (pairs >> _HALF).astype(np.uint32), pairs.astype(np.uint32)
