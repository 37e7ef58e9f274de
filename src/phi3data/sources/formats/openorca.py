"""OpenOrca: a question under a system prompt, and the response.

Example: ``{"system_prompt": "Be brief.", "question": "Capital of France?", "response": "Paris"}``

`system_prompt` may be absent: a row with just `question` and `response` is read the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data.sources.formats.base import Format, Row, cell, columns, given, question_answer, scalar

if TYPE_CHECKING:
    from phi3data.chat import Conversation


def recognises(row: Row) -> bool:
    """Tell whether the row has a question and a response, of which one is not null, and no answer."""
    return (
        "question" in row
        and "response" in row
        and given(row, "question", "response")
        and not given(row, "answer")
        and scalar(row["question"])
        and scalar(row["response"])
    )


def convert(row: Row) -> list[Conversation]:
    """Convert one row of OpenOrca."""
    columns(row, FORMAT.title, "question", "response")
    system = cell(row.get("system_prompt"), "/system_prompt")
    return question_answer(cell(row.get("question"), "/question"), cell(row.get("response"), "/response"), system)


FORMAT = Format(
    name="openorca",
    title="OpenOrca",
    fields=("system_prompt", "question", "response"),
    needs=("question", "response"),
    recognises=recognises,
    convert=convert,
)
