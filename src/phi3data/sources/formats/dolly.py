"""Dolly: an instruction, the text that it speaks of, and the response.

Example: ``{"instruction": "Who wrote it?", "context": "Goethe wrote it.", "response": "Goethe", "category": "qa"}``

The context is joined to the instruction with a blank line. `category` is the label; the reader takes it from the row.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data.sources.formats.base import Format, Row, cell, columns, given, joined, question_answer, scalar

if TYPE_CHECKING:
    from phi3data.chat import Conversation


def recognises(row: Row) -> bool:
    """Tell whether the row has an instruction, a context (perhaps null) and a response, and nothing of alpaca's."""
    return (
        "context" in row
        and "instruction" in row
        and "response" in row
        and given(row, "instruction", "response")
        and not given(row, "input", "output")
        and all(scalar(row[name]) for name in ("instruction", "context", "response"))
    )


def convert(row: Row) -> list[Conversation]:
    """Convert one row of Dolly."""
    columns(row, FORMAT.title, "instruction", "response")
    instruction = cell(row.get("instruction"), "/instruction")
    context = cell(row.get("context"), "/context")
    return question_answer(joined(instruction, context), cell(row.get("response"), "/response"))


FORMAT = Format(
    name="dolly",
    title="Dolly",
    fields=("instruction", "context", "response", "category"),
    needs=("instruction", "context", "response"),
    recognises=recognises,
    convert=convert,
)
