"""Scores: of a written answer against the wanted one, and of a classification head from counts of its classes."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from phi3data.text.normalise import normalise

if TYPE_CHECKING:
    from collections.abc import Sequence


class ClassScore(msgspec.Struct, frozen=True, kw_only=True):
    """One class: its rows, and fractions 0–1. A fraction of nothing is 0."""

    name: str
    rows: int
    predicted: int
    precision: float
    recall: float
    f1: float


class Scores(msgspec.Struct, frozen=True, kw_only=True):
    """A confusion matrix: `matrix[true][predicted]` are rows, both in the order of `classes`."""

    classes: list[str]
    matrix: list[list[int]]

    @property
    def rows(self) -> int:
        """All rows."""
        return sum(map(sum, self.matrix))

    @property
    def accuracy(self) -> float:
        """Part of the rows whose class was predicted, fraction 0–1."""
        return sum(line[index] for index, line in enumerate(self.matrix)) / max(self.rows, 1)

    @property
    def macro_f1(self) -> float:
        """Mean F1 of the classes that have rows or were predicted: each counts the same, however rare it is."""
        found = [each.f1 for each in self.per_class if each.rows or each.predicted]
        return sum(found) / max(len(found), 1)

    @property
    def majority(self) -> float:
        """Accuracy of always naming the most frequent class, fraction 0–1: what a head must beat."""
        return max(map(sum, self.matrix), default=0) / max(self.rows, 1)

    @property
    def per_class(self) -> list[ClassScore]:
        """Precision, recall and F1 of each class."""
        found = []
        for index, name in enumerate(self.classes):
            hits, rows = self.matrix[index][index], sum(self.matrix[index])
            predicted = sum(line[index] for line in self.matrix)
            found.append(
                ClassScore(
                    name=name,
                    rows=rows,
                    predicted=predicted,
                    precision=hits / max(predicted, 1),
                    recall=hits / max(rows, 1),
                    f1=2 * hits / max(rows + predicted, 1),
                )
            )
        return found

    @property
    def mistakes(self) -> list[tuple[str, str, int]]:
        """True class, predicted class and rows of every mistake, the most frequent first."""
        found = [
            (self.classes[true], self.classes[guess], rows)
            for true, line in enumerate(self.matrix)
            for guess, rows in enumerate(line)
            if rows and true != guess
        ]
        return sorted(found, key=lambda each: (-each[2], each[0], each[1]))


def count(classes: Sequence[str], true: Sequence[int], predicted: Sequence[int]) -> Scores:
    """Count numbers of classes against each other, row by row."""
    matrix = [[0] * len(classes) for _ in classes]
    for wanted, guess in zip(true, predicted, strict=True):
        matrix[wanted][guess] += 1
    return Scores(classes=list(classes), matrix=matrix)


def same(answer: str, wanted: str) -> bool:
    """Tell whether an answer is the wanted one, case and white space aside."""
    return normalise(answer) == normalise(wanted)


def f1(answer: str, wanted: str) -> float:
    """Return the harmonic mean of precision and recall over words, case and white space aside, 0–1."""
    ours, theirs = Counter(normalise(answer).split()), Counter(normalise(wanted).split())
    common = (ours & theirs).total()
    if not common:
        return float(not ours and not theirs)
    return 2 * common / (ours.total() + theirs.total())
