"""Mistral: chat turns called interactions, with `text` for content.

Example: ``{"interactions": [{"role": "user", "text": "Hi"}, {"role": "assistant", "text": "Hello!"}]}``

The list may also be called `messages`, and `text` may be `content`. `system_prompt` comes first, `available_tools` are
the function definitions. Tool call ids of nine characters are kept as they are.
"""

from __future__ import annotations

from typing import Any

from phi3data.chat import Conversation
from phi3data.sources.formats import chat, tools
from phi3data.sources.formats.base import Format, Row


def recognises(row: Row) -> bool:
    """Tell whether the row has interactions, or messages with `text` for content."""
    if isinstance(row.get("interactions"), list):
        return True
    messages = row.get("messages")
    first = messages[0] if isinstance(messages, list) and messages else None
    return isinstance(first, dict) and "text" in first and "content" not in first


def _content_key(raw: Any) -> str:
    return "text" if isinstance(raw, dict) and raw.get("content") is None and "text" in raw else "content"


def convert(row: Row) -> list[Conversation]:
    """Convert one row of Mistral interactions."""
    key = "messages" if row.get("interactions") is None and "messages" in row else "interactions"
    raw = row.get(key)
    if not isinstance(raw, list) or not raw:
        raise chat.no_messages(row, "", key)
    messages = [chat.message(item, f"/{key}", index, "role", _content_key(item)) for index, item in enumerate(raw)]
    messages = chat.with_system(row.get("system_prompt"), messages, "/system_prompt")
    if row.get("tools") is None and row.get("available_tools") is not None:
        row = {"tools": row["available_tools"]}
    return [Conversation(messages, tools.definitions(row))]


FORMAT = Format(
    name="mistral",
    title="Mistral",
    fields=("interactions", "messages", "system_prompt", "tools", "available_tools"),
    needs=("interactions",),
    recognises=recognises,
    convert=convert,
)
