"""A confusion matrix as a picture: places and shades for the template, in pixels."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from phi3train.scores import Scores

_CELL, _SMALL = 44, 14  # pixels; small cells have no figures in them
_FIGURES = 16  # classes up to which there is room for figures
_LETTER, _LONGEST = 7.6, 22  # pixels of a letter; letters of a name that are shown


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """Rows of one true and one predicted class. `shade` is their part of the true class, 0–1."""

    x: int
    y: int
    rows: int
    shade: float
    right: bool
    said: str


class Matrix(msgspec.Struct, frozen=True, kw_only=True):
    """The picture. `left` and `top` are the room for the names, which are cut at 22 letters."""

    cell: int
    left: int
    top: int
    names: list[str]
    cells: list[Cell]
    spoken: str

    @property
    def size(self) -> int:
        """Width and height of all cells."""
        return self.cell * len(self.names)


def picture(scores: Scores) -> Matrix:
    """Return the picture of a confusion matrix: true classes from top to bottom, predicted ones from left to right."""
    cell = _CELL if len(scores.classes) <= _FIGURES else _SMALL
    names = [name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…" for name in scores.classes]
    room = round(_LETTER * max(map(len, names), default=0)) + 12
    cells = []
    for true, line in enumerate(scores.matrix):
        whole = max(sum(line), 1)
        for guess, rows in enumerate(line):
            said = f"{scores.classes[true]}, predicted {scores.classes[guess]}: {rows:,} of {sum(line):,} rows"
            cells.append(
                Cell(
                    x=guess * cell,
                    y=true * cell,
                    rows=rows,
                    shade=round(rows / whole, 3),
                    right=true == guess,
                    said=said,
                )
            )
    mistakes = "; ".join(f"{true} as {guess}: {rows:,}" for true, guess, rows in scores.mistakes[:5]) or "none"
    return Matrix(
        cell=cell,
        left=room,
        top=round(room * 0.72) + 6,  # names stand at 45 degrees
        names=names,
        cells=cells,
        spoken=f"Confusion matrix of {scores.rows:,} rows; most frequent mistakes: {mistakes}",
    )
