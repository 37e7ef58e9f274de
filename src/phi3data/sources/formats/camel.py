"""Camel: one message and its answer.

Example: ``{"message_1": "What is entropy?", "message_2": "A measure of disorder."}``
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data.sources.formats.base import Format, Row, cell, columns, given, question_answer, scalar

if TYPE_CHECKING:
    from phi3data.chat import Conversation


def recognises(row: Row) -> bool:
    """Tell whether the row has both messages, of which one is not null."""
    return (
        "message_1" in row
        and "message_2" in row
        and given(row, "message_1", "message_2")
        and scalar(row["message_1"])
        and scalar(row["message_2"])
    )


def convert(row: Row) -> list[Conversation]:
    """Convert one row of Camel."""
    columns(row, FORMAT.title, "message_1", "message_2")
    return question_answer(cell(row.get("message_1"), "/message_1"), cell(row.get("message_2"), "/message_2"))


FORMAT = Format(
    name="camel",
    title="Camel",
    fields=("message_1", "message_2"),
    needs=("message_1", "message_2"),
    recognises=recognises,
    convert=convert,
)
