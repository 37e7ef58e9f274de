"""Alpaca: an instruction, perhaps an input to it, and the output.

Example: ``{"instruction": "Translate to French.", "input": "Good day", "output": "Bonjour"}``

Instruction and input are joined with a blank line. `output` may be called `response`; `system` and `history`
(``[["question", "answer"], …]``) become earlier turns.
"""

from __future__ import annotations

from typing import Any

from phi3data.chat import Conversation, Message
from phi3data.sources.formats.base import (
    Format,
    Row,
    UnconvertibleError,
    cell,
    columns,
    given,
    joined,
    kind,
    scalar,
)

NO_INPUT = "<noinput>"


def instruction(row: Row) -> str | None:
    """Return the row's instruction with its input."""
    text = row.get("instruction")
    if not isinstance(text, str):
        text = cell(text, "/instruction")
    extra = row.get("input")
    if not extra and (extra is None or extra == ""):
        return text
    extra = cell(extra, "/input")
    if extra is None or (len(extra) < 40 and "".join(extra.split()).casefold() == NO_INPUT):
        return text
    return joined(text, extra)


def history(value: Any, at: str = "/history") -> list[Message]:
    """Return the turns before the instruction. Raises `UnconvertibleError` (S308)."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise UnconvertibleError("S308", f"expected a list of [question, answer] pairs, found {kind(value)}", at)
    messages = []
    for index, pair in enumerate(value):
        if not isinstance(pair, list) or len(pair) != 2:
            what = f"a list of {len(pair)}" if isinstance(pair, list) else kind(pair)
            raise UnconvertibleError("S308", f"expected a [question, answer] pair, found {what}", f"{at}/{index}")
        messages.append(Message("user", cell(pair[0], f"{at}/{index}/0")))
        messages.append(Message("assistant", cell(pair[1], f"{at}/{index}/1")))
    return messages


def recognises(row: Row) -> bool:
    """Tell whether the row has an instruction and an output, of which one is not null."""
    if isinstance(row.get("instruction"), str) and isinstance(row.get("output"), str):
        return True
    return (
        "instruction" in row
        and ("output" in row or "response" in row)
        and given(row, "instruction", "output", "response")
        and all(scalar(row.get(name)) for name in ("instruction", "output", "response"))
    )


def convert(row: Row) -> list[Conversation]:
    """Convert one row of alpaca."""
    question = instruction(row)
    key = "output"
    answer = row.get("output")
    if answer is None:
        key = "response"
        answer = row.get("response")
    if not isinstance(answer, str):
        answer = cell(answer, f"/{key}")
        if answer is None and question is None:
            columns(row, FORMAT.title, "instruction", "output", "response")
    messages = [Message("user", question), Message("assistant", answer)]
    if len(row) > 3 or "history" in row or "system" in row:
        system = cell(row.get("system"), "/system")
        earlier = history(row.get("history"))
        messages = [Message("system", system), *earlier, *messages] if system else [*earlier, *messages]
    return [Conversation(messages)]


FORMAT = Format(
    name="alpaca",
    title="alpaca",
    fields=("instruction", "input", "output", "response", "system", "history"),
    needs=("instruction", "output"),
    recognises=recognises,
    convert=convert,
)
