"""Prompt/completion: two strings, or two lists of messages.

Example: ``{"prompt": "Capital of France?", "completion": "Paris"}``

The legacy fine-tuning convention ended every prompt with a separator (`` ->`` or ``\\n\\n###\\n\\n``), began every
completion with a space and ended it with a stop sign (`` END``, ``\\nEND``, ``###``, `` <END>``). All three are markup,
not text, and are removed, but only from a row whose prompt ends with a separator: elsewhere they are the author's.
"""

from __future__ import annotations

from typing import Any

from phi3data.chat import Conversation, Message
from phi3data.sources.formats import chat, tools
from phi3data.sources.formats.base import Format, Row, UnconvertibleError, cell, columns, given

SEPARATORS = (" ->", "\n\n###\n\n")
STOPS = (" END", "\nEND", " <END>", "\n###", " ###", "###")


def recognises(row: Row) -> bool:
    """Tell whether the row has a prompt and a completion, of which one is not null."""
    return "prompt" in row and "completion" in row and given(row, "prompt", "completion")


def convert(row: Row) -> list[Conversation]:
    """Convert one row of prompt and completion."""
    columns(row, FORMAT.title, "prompt", "completion")
    prompt, completion = row.get("prompt"), row.get("completion")
    if isinstance(prompt, str) and isinstance(completion, str):
        prompt, completion = _without_convention(prompt, completion)
    messages = side(prompt, "user", "/prompt") + side(completion, "assistant", "/completion")
    if not messages:
        raise UnconvertibleError("S301", "prompt and completion are empty lists", "/prompt")
    return [Conversation(messages, tools.definitions(row))]


def side(value: Any, role: str, at: str) -> list[Message]:
    """Return one side of a row: a list of messages, one message object, or text of the given role."""
    if isinstance(value, list):
        return [chat.message(item, at, index) for index, item in enumerate(value)]
    if isinstance(value, dict):
        return [chat.message(value, at.rpartition("/")[0], at.rpartition("/")[2])]
    return [Message(role, cell(value, at))]


def _without_convention(prompt: str, completion: str) -> tuple[str, str]:
    separator = next((mark for mark in SEPARATORS if prompt.endswith(mark)), None)
    if separator is None:
        return prompt, completion
    stop = next((mark for mark in STOPS if completion.endswith(mark)), "")
    return prompt.removesuffix(separator), completion.removesuffix(stop).removeprefix(" ")


FORMAT = Format(
    name="prompt-completion",
    title="prompt/completion",
    fields=("prompt", "completion", "tools"),
    needs=("prompt", "completion"),
    recognises=recognises,
    convert=convert,
)
