"""Pairs → groups of rows, and which rows of them stay."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


_PAIRS = 50_000  # that are looked at at a time


def components(pairs: NDArray[np.int64], rows: int) -> NDArray[np.int64]:
    """Return for each of `rows` rows the smallest row that pairs (shape (pairs, 2)) connect it with: itself if none."""
    label = np.arange(rows, dtype=np.int64)
    while True:
        before = label.copy()
        low = np.minimum(label[pairs[:, 0]], label[pairs[:, 1]])
        # The root of either end takes the smaller root, so that trees are joined whole and not row by row.
        np.minimum.at(label, label[pairs[:, 0]], low)
        np.minimum.at(label, label[pairs[:, 1]], low)
        while not np.array_equal(jumped := label[label], label):
            label = jumped
        if np.array_equal(before, label):
            return label


def keepers(
    pairs: NDArray[np.int64], scores: NDArray[np.float64], threshold: float, protected: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Choose which rows stay: go through them in their order and drop what is similar enough to one that stays.

    Rows are numbers in the order of preference, the most wanted first; `protected` ones, which say how many there are,
    always stay. Returns for each row the one that is kept for it (-1 where it stays itself), the most similar one and
    of equally similar ones the first, and how similar the two are. No row goes because of a row that goes.
    """
    wanted = np.flatnonzero(scores >= threshold)
    ends = np.concatenate([pairs[wanted], pairs[wanted][:, ::-1]])
    values = np.concatenate([scores[wanted], scores[wanted]])
    order = np.lexsort((ends[:, 1], -values, ends[:, 0]))
    ends, values = ends[order], values[order]
    rank = np.lexsort((np.arange(len(protected)), ~protected))
    turn = np.empty(len(protected), np.int64)
    turn[rank] = np.arange(len(protected))
    by_turn = np.argsort(turn[ends[:, 0]], kind="stable")
    # Lists, of some pairs at a time: to look at numbers of an array one by one takes several times as long.
    kept, score = [-1] * len(protected), [0.0] * len(protected)
    turns, stays = turn.tolist(), protected.tolist()
    for start in range(0, len(by_turn), _PAIRS):
        part = by_turn[start : start + _PAIRS]
        some = zip(ends[part, 0].tolist(), ends[part, 1].tolist(), values[part].tolist(), strict=True)
        for row, other, value in some:
            if kept[row] < 0 and not stays[row] and turns[other] < turns[row] and kept[other] < 0:
                kept[row], score[row] = other, value
    return np.array(kept, np.int64), np.array(score)
