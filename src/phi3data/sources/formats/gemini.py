"""Gemini: contents made of parts.

Example: ``{"contents": [{"role": "user", "parts": [{"text": "Hi"}]}, {"role": "model", "parts": [{"text": "Yes?"}]}]}``

`systemInstruction` (also `system_instruction`) is a string or an object with `parts`. Function declarations in `tools`
become function definitions; parts other than text are refused (S308).
"""

from __future__ import annotations

from typing import Any

from phi3data.chat import Conversation
from phi3data.sources.formats import chat, tools
from phi3data.sources.formats.base import Format, Row


def recognises(row: Row) -> bool:
    """Tell whether the row has a list of contents."""
    return isinstance(row.get("contents"), list)


def convert(row: Row) -> list[Conversation]:
    """Convert one row of Gemini contents."""
    raw = row.get("contents")
    if not isinstance(raw, list) or not raw:
        raise chat.no_messages(row, "", "contents")
    messages = [chat.message(item, "/contents", index, "role", "parts") for index, item in enumerate(raw)]
    key = "systemInstruction" if row.get("systemInstruction") is not None else "system_instruction"
    system, at = row.get(key), f"/{key}"
    if isinstance(system, dict):
        system, at = system.get("parts"), f"{at}/parts"
    return [Conversation(chat.with_system(system, messages, at), _tools(row))]


def _tools(row: Row) -> list[Any] | None:
    """Take the declarations out of Gemini's groups, ``[{"functionDeclarations": [{...}]}]``."""
    flat: list[Any] = []
    for group in tools.definitions(row) or []:
        declared = group.get("functionDeclarations", group.get("function_declarations"))
        flat += declared if isinstance(declared, list) else [group]
    return tools.definitions({"tools": flat}, wrap=True)


FORMAT = Format(
    name="gemini",
    title="Gemini",
    fields=("contents", "systemInstruction", "system_instruction", "tools"),
    needs=("contents",),
    recognises=recognises,
    convert=convert,
)
