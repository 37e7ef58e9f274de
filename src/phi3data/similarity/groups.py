"""Pairs → groups of rows, and which rows of them stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PAIRS = 50_000  # that are looked at at a time


def components(one: NDArray[np.uint32], other: NDArray[np.uint32], rows: int) -> NDArray[np.uint32]:
    """Return for each of `rows` rows the smallest row that pairs of rows connect it with: itself if none."""
    label = np.arange(rows, dtype=np.uint32)
    while True:
        before = label.copy()
        low = np.minimum(label[one], label[other])
        # The root of either end takes the smaller root, so that trees are joined whole and not row by row.
        np.minimum.at(label, label[one], low)
        np.minimum.at(label, label[other], low)
        while not np.array_equal(jumped := label[label], label):
            label = jumped
        if np.array_equal(before, label):
            return label


def keepers(
    one: NDArray[np.uint32], other: NDArray[np.uint32], scores: NDArray[np.float64], protected: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Choose which rows stay: go through them in their order and drop what is similar to one that stays.

    Rows are numbers in the order of preference, the most wanted first; `one` and `other` are the two of each pair that
    is similar enough, `scores` how similar they are. `protected` rows, which say how many rows there are, always stay.
    Returns for each row the one that is kept for it (-1 where it stays itself), the most similar one and of equally
    similar ones the first, and how similar the two are. No row goes because of a row that goes.
    """
    turn = np.empty(len(protected), np.int64)
    turn[np.argsort(~protected, kind="stable")] = np.arange(len(protected))
    swap = turn[one] < turn[other]
    later, sooner = np.where(swap, other, one), np.where(swap, one, other)
    order = np.lexsort((sooner, -scores, turn[later]))
    order = order[~protected[later[order]]]
    kept, score = np.full(len(protected), -1), np.zeros(len(protected))
    # Views, and lists of some pairs at a time: to look at numbers of an array one by one takes several times as long.
    goes, how = kept.data, score.data
    for start in range(0, len(order), _PAIRS):
        part = order[start : start + _PAIRS]
        for row, stays, value in zip(later[part].tolist(), sooner[part].tolist(), scores[part].tolist(), strict=True):
            if goes[row] < 0 and goes[stays] < 0:
                goes[row], how[row] = stays, value
    return kept, score
