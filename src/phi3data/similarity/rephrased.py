"""Which reference a text says in other words: rare words nominate, shingles of characters and the numbers decide.

A rephrased question keeps few n-grams of words, but stems, names of things and numbers. Its score is

    weighted Jaccard index of the sets of 5-character shingles
        × (numbers kept + 1) / (numbers + 1)
        × words of the reference / 24, where it has fewer

A shingle weighs log(1 + references / references with it): what all references say tells nothing about one of them. The
numbers are those that the reference has in digits, and kept are those that the text has too: two problems of one
template differ in them. Of a short reference much is the form of the question, and there is little that could tell it
from another one. A text that is longer than the reference is compared by the part of it that has most of the reference,
so that a reference inside a long document is found.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phi3data.similarity.overlap import Coded, Hits, sets_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from phi3data.similarity.overlap import Grams


class Rephrased:
    """An index of reference texts by their rare words, with the shingles that candidates are compared by."""

    #: References that are compared with a text, and how much of the weight of their words it must have for that. With
    #: 0.35 no rephrasing of 2,000 is lost that 0.25 would have found, and a ninth of the pairs is compared.
    CANDIDATES, SHARE = 8, 0.35
    #: A word in more references than this nominates none of them: so many, a tenth of all, but no more than the last.
    FEW, TENTH, MOST = 100, 0.1, 2000
    ROOM = 1.25  # how much longer than the reference the part of a text is that is compared with it
    ENOUGH = 24  # words of a reference from which on it is not short

    def __init__(self, references: Sequence[str]) -> None:
        """`references` are distinct canonical texts."""
        count = len(references)
        words = sets_of(references, lambda coded: coded.grams(1))
        self._words, inverse, frequency = np.unique(words.hashes, return_inverse=True, return_counts=True)
        rare = frequency <= max(self.FEW, min(self.TENTH * count, self.MOST))
        self._word_weights = np.where(rare, np.log1p(count / frequency), 0)
        owners = np.repeat(np.arange(count), words.sizes)
        self._totals = np.bincount(owners, self._word_weights[inverse], count).astype(np.float64)
        order = np.argsort(inverse, kind="stable")
        order = order[rare[inverse[order]]]
        self._postings = owners[order]
        self._starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.where(rare, frequency, 0))])
        shingles = sets_of(references, Coded.shingles)
        self._shingles, numbers, frequency = np.unique(shingles.hashes, return_inverse=True, return_counts=True)
        self._weights = np.log1p(count / frequency)
        self._rarest = float(np.log1p(count))  # the weight of a shingle that no reference has
        self._reference_shingles, self._reference_starts = numbers.astype(np.int32), shingles.starts
        self._numbers = [_numbers(text) for text in references]
        self._discount = np.minimum(np.array([text.count(" ") - 1 for text in references]) / self.ENOUGH, 1)

    def hits(self, texts: Sequence[str], coded: Coded, floor: float) -> Hits:
        """Return the pairs of a text and a reference with a score of at least `floor`. `texts` are canonical."""
        pairs = self._candidates(coded)
        asked = np.zeros(coded.count, bool)
        asked[pairs[:, 0]] = True
        score = self._likeness(coded.shingles(asked), coded.count, pairs) * self._discount[pairs[:, 1]]
        for place in np.flatnonzero(score >= floor).tolist():  # numbers only lower the score
            wanted = self._numbers[pairs[place, 1]]
            kept = len(wanted & _numbers(texts[pairs[place, 0]]))
            score[place] *= (kept + 1) / (len(wanted) + 1)
        found = score >= floor
        return Hits(pairs[found, 0], pairs[found, 1], score[found])

    def _candidates(self, coded: Coded) -> NDArray[np.int64]:
        from phi3data.similarity import rephrased_kernel

        words = coded.grams(1).sets(coded.count)
        places, known = _places(self._words, words.hashes)
        rows = np.concatenate([np.zeros(1, np.int64), np.cumsum(known)])[words.starts]
        found = np.full((coded.count, self.CANDIDATES), -1, np.int64)
        rephrased_kernel.strongest(
            places[known], rows, self._starts, self._postings, self._word_weights, self._totals, self.SHARE, found
        )
        row, column = np.nonzero(found >= 0)
        return np.column_stack([row, found[row, column]])

    def _likeness(self, shingles: Grams, count: int, pairs: NDArray[np.int64]) -> NDArray[np.float64]:
        from phi3data.similarity import rephrased_kernel

        places, known = _places(self._shingles, shingles.hashes)
        strange, numbers = np.unique(shingles.hashes[~known], return_inverse=True)
        places[~known] = len(self._shingles) + numbers
        starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(shingles.texts, minlength=count))])
        score = np.zeros(len(pairs))
        rephrased_kernel.likeness(
            pairs,
            places,
            starts,
            self._reference_shingles,
            self._reference_starts,
            np.concatenate([self._weights, np.full(len(strange), self._rarest)]),
            self.ROOM,
            score,
        )
        return score


def _places(known: NDArray[np.uint64], hashes: NDArray[np.uint64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return where hashes stand among the known ones, which are sorted, and whether they do."""
    places = np.minimum(np.searchsorted(known, hashes), max(len(known) - 1, 0))
    return places, known[places] == hashes if len(known) else np.zeros(len(hashes), bool)


def _numbers(text: str) -> frozenset[str]:
    return frozenset(word for word in text.split() if word.isdecimal())
