"""Rows that repeat or contradict another row."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from scripts.sample_texts.records import Defect, Record
from scripts.sample_texts.shapes import at, put

if TYPE_CHECKING:
    from scripts.sample_texts.conversations import Desk
    from scripts.sample_texts.shapes import Shape


def exact(twin: Record, shape: Shape) -> Record:
    """Repeat a row to the letter."""
    return Record(
        row=copy.deepcopy(twin.row), defects=[Defect("D802", "dropped", "the same as", shape.assistant, twin)]
    )


def respaced(twin: Record, shape: Shape) -> Record:
    """Repeat a row in other case and with other white space."""
    row = copy.deepcopy(twin.row)
    put(row, shape.user, at(row, shape.user).upper())
    put(row, shape.assistant, at(row, shape.assistant).replace(" ", "  ") + "\n")
    return Record(row=row, defects=[Defect("D802", "dropped", "but for case and white space the same as", "", twin)])


def contradiction(desk: Desk, shape: Shape) -> list[Record]:
    """Draw a row and a second one with the same prompt and another answer."""
    first = desk.draw(shape.draw)
    second = desk.draw(shape.draw, first.language)
    while second.topic != first.topic:
        second = desk.draw(shape.draw, first.language)
    rows = shape.row(first), shape.row(first)
    put(rows[1], shape.assistant, second.answer)
    one = Record(row=rows[0], defects=[Defect("D804", "kept", "a later row answers the same prompt otherwise", "")])
    other = Record(row=rows[1], defects=[Defect("D804", "kept", "another answer to the prompt of", "", one)])
    return [one, other]
