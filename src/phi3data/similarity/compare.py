"""Exact similarity of candidate pairs: the Jaccard index of the sets of shingles, side by side, without templates.

A row has sides, for example what is asked and what is answered, and two rows are as similar as their least similar
side: one answer to different questions is no duplicate, and neither are different answers to one question.

**Templates.** Two rows that fill one template differ where it has a slot, and are alike in the rest. The pair alone
cannot tell a filled slot from an edit; a third row can: one that reads neither as the one nor as the other at that
place, but has a reading of its own there and is like both in the rest. Then what the three share is the template, and
the pair is as similar as what is left without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phi3data.similarity import texts

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from phi3data.similarity.texts import Sets

_WITNESSES = 4  # rows on either side of a pair that are asked whether the difference is a slot
_SLACK = 10  # one in so many shingles of a filled slot may also stand in a third row


def scores(sets: Sets, sides: int, pairs: NDArray[np.int64], floor: float) -> NDArray[np.float64]:
    """Return the similarity of each pair of rows, 0 to 1; templates are looked for from `floor` on.

    Each row has so many `sides`, whose `sets` follow one another, what is asked first: where that is the same, the
    other side is no template. `pairs`, of shape (pairs, 2), are the rows that are compared. Witnesses are taken from
    the other pairs of a row, in the order of the rows: number them so that it does not depend on how they came in.
    """
    sizes = sets.sizes
    common = [texts.shared(sets, sides * pairs + side) for side in range(sides)]
    alike = [_jaccard(sizes[sides * pairs + side], both) for side, both in enumerate(common)]
    score: NDArray[np.float64] = np.minimum.reduce(alike)
    one_question = (alike[0] == 1) & (sizes[sides * pairs[:, 0]] > 0)
    for side, similarity in enumerate(alike):
        doubtful = (score >= floor) & (similarity < 1) & ((side == 0) | ~one_question)
        triples, place = _triples(pairs, similarity >= floor, np.flatnonzero(doubtful))
        np.minimum.at(score, place, _masked(sets, sizes, sides * triples + side, common[side][place], floor))
    return score


def _jaccard(sizes: NDArray[np.int64], common: NDArray[np.int64]) -> NDArray[np.float64]:
    union = sizes.sum(axis=1) - common
    return np.where(union == 0, 1.0, common / np.maximum(union, 1))


def _triples(
    pairs: NDArray[np.int64], alike: NDArray[np.bool_], wanted: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return rows of (x, y, witness) and the place of the pair (x, y) among the pairs.

    A witness of the pairs at the places `wanted` is a row that is `alike` x or y.
    """
    edges = pairs[alike]
    edges = np.concatenate([edges, edges[:, ::-1]])
    edges = edges[np.lexsort((edges[:, 1], edges[:, 0]))]
    rows, starts, counts = np.unique(edges[:, 0], return_index=True, return_counts=True)
    found: list[NDArray[np.int64]] = []
    places: list[NDArray[np.int64]] = []
    for end in (0, 1):
        at = np.searchsorted(rows, pairs[wanted, end])
        for number in range(_WITNESSES + 1):  # one of them is the other row of the pair
            has = np.flatnonzero(counts[at] > number)
            witness = edges[starts[at[has]] + number, 1]
            other = witness != pairs[wanted[has], 1 - end]
            chosen = wanted[has[other]]
            found.append(np.column_stack([pairs[chosen], witness[other]]))
            places.append(chosen)
    return np.concatenate(found), np.concatenate(places)


def _masked(
    sets: Sets, sizes: NDArray[np.int64], triples: NDArray[np.int64], common: NDArray[np.int64], floor: float
) -> NDArray[np.float64]:
    """Return the similarity of x and y without what z shares with both, where z shows a slot; else 1.

    `triples` are the places of their sets, of which `sizes` tells how large they are; `common` is how much x and y
    share.
    """
    out = np.ones(len(triples))
    x, y, z = (sizes[triples[:, n]] for n in range(3))
    only_x, only_y = x - common, y - common
    left = np.flatnonzero((only_x > 0) & (only_y > 0))  # the triples that may show one, fewer with every count
    shares: list[NDArray[np.int64]] = []
    for end, size in ((0, x), (1, y)):
        both = texts.shared(sets, triples[left][:, [end, 2]])
        like = both >= floor * (size[left] + z[left] - both)
        left, shares = left[like], [held[like] for held in (*shares, both)]
    xz, yz = shares
    xyz = texts.shared(sets, triples[left])
    only_x, only_y, same = only_x[left], only_y[left], common[left] - xyz
    slot = (z[left] - xz - yz + xyz > 0) & ((xz - xyz) * _SLACK <= only_x) & ((yz - xyz) * _SLACK <= only_y)
    out[left] = np.where(slot, same / np.maximum(same + only_x + only_y, 1), 1.0)
    return out
