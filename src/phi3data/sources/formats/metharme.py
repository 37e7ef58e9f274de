"""Metharme: a prompt that may hold a whole dialogue, and what the model generates next.

Example: ``{"prompt": "<|system|>You are a pirate.<|user|>Hi<|model|>", "generation": "Ahoy!"}``

The markers ``<|system|>``, ``<|user|>`` and ``<|model|>`` cut the prompt into turns; a prompt without markers is the
user's. Words after a last ``<|model|>`` are the beginning of the answer. Words before the first marker belong to nobody
(T604).
"""

from __future__ import annotations

import re

from phi3data.chat import Conversation, Message
from phi3data.sources.formats.base import (
    Format,
    Row,
    UnconvertibleError,
    cell,
    columns,
    given,
    question_answer,
    role,
    scalar,
)
from phi3data.sources.formats.transcript import cut, trimmed

MARKER = re.compile(r"<\|(system|user|model)\|>")


def recognises(row: Row) -> bool:
    """Tell whether the row has a prompt and a generation, of which one is not null."""
    return (
        "prompt" in row
        and "generation" in row
        and given(row, "prompt", "generation")
        and scalar(row["prompt"])
        and scalar(row["generation"])
    )


def convert(row: Row) -> list[Conversation]:
    """Convert one row of Metharme."""
    columns(row, FORMAT.title, "prompt", "generation")
    prompt = cell(row.get("prompt"), "/prompt")
    generation = cell(row.get("generation"), "/generation")
    before, turns = cut(MARKER, prompt or "")
    if not turns:
        return question_answer(prompt, generation)
    if before.strip():
        raise UnconvertibleError("T604", "the prompt has words before its first turn marker", "/prompt")
    if turns[-1][0] == "model":
        begun = turns.pop()[1]
        generation = begun + (generation or "") if begun.strip() else generation
    messages = [Message(role(name, "/prompt"), trimmed(text)) for name, text in turns]
    return [Conversation([*messages, Message("assistant", generation)])]


FORMAT = Format(
    name="metharme",
    title="Metharme",
    fields=("prompt", "generation"),
    needs=("prompt", "generation"),
    recognises=recognises,
    convert=convert,
)
