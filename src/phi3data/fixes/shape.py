"""S: fixes of a row's shape. All of them are safe: a row of the wrong shape is read as this makes it, or not at all.

What the meaning of a row does not settle has no fix: a content of null or a number, a weight of 0.5, a misspelt key of
a message whose right spelling would change what is trained on (``weigth``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phi3data.chat import ROLE_ALIASES
from phi3data.fixes.base import Row, on_row, parts_of, pointed, renamed
from phi3data.rules.schema import MESSAGE_KEYS, ROW_KEYS, near
from phi3data.sources.formats import FORMATS, detection
from phi3data.sources.formats.base import UnconvertibleError, cell, content

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phi3data.chat import Conversation
    from phi3data.findings import Finding

# Rows of these formats are no chat: pairs hold an answer that is not to be learned, plain text holds no answer.
_NOT_CHATS = {"chat", "plain-text", "preference", "kto"}
_WEIGHTS: dict[Any, int] = {"0": 0, "1": 1, 0: 0, 1: 1}  # 0.0 and False are 0 for a dict, 1.0 and True are 1


def convert(row: Row, _: Sequence[Finding]) -> list[Row]:
    """Convert a row of another format as `phi3data convert` does; columns that are no part of the chat go."""
    form = detection.first(row, FORMATS.values())
    if form is None or form.name in _NOT_CHATS:
        return [row]
    try:
        return [_as_row(conversation) for conversation in form.convert(row)] or [row]
    except UnconvertibleError:
        return [row]


def _as_row(conversation: Conversation) -> Row:
    turns = []
    for message in conversation.messages:
        facts = {key: getattr(message, key) for key in MESSAGE_KEYS}
        turns.append({key: value for key, value in facts.items() if value is not None or key == "content"})
    return {"messages": turns, **({"tools": conversation.tools} if conversation.tools else {})}


def extra_key(row: Row, found: Sequence[Finding]) -> list[Row]:
    """Rename a misspelt key, make `system` the first message, and remove what the destination does not take."""
    for finding in found:
        key = parts_of(finding.pointer)[0]
        if key not in row:
            continue
        meant = near(key, ROW_KEYS)
        if meant:
            if meant not in row and isinstance(row[key], list):
                renamed(row, key, meant)
        elif key == "system":
            _system_first(row)
        else:
            del row[key]
    return [row]


def _system_first(row: Row) -> None:
    turns = row.get("messages")
    if not isinstance(turns, list):
        return
    try:
        text = content(row["system"], "/system")
    except UnconvertibleError:
        return
    if text and not (turns and isinstance(turns[0], dict) and _is_system(turns[0], text)):
        turns.insert(0, {"role": "system", "content": text})
    del row["system"]


def _is_system(message: Row, text: str) -> bool:
    return ROLE_ALIASES.get(str(message.get("role"))) == "system" and message.get("content") == text


def role(row: Row, found: Sequence[Finding]) -> list[Row]:
    """Write a role as chat data spells it."""
    for message in _messages(row, found):
        spelled = message.get("role")
        if isinstance(spelled, str):
            message["role"] = ROLE_ALIASES.get(spelled.strip().casefold(), spelled)
    return [row]


def bad_content(row: Row, found: Sequence[Finding]) -> list[Row]:
    """Join the parts of a content, and give a misspelt one its key."""
    for message in _messages(row, found):
        if "content" in message:
            message["content"] = _joined(message["content"])
            continue
        known = [key for key in message if key in {"value", "text"} or near(key, ("content",))]
        if len(known) == 1 and isinstance(message[known[0]], str | list):
            renamed(message, known[0], "content")
            message["content"] = _joined(message["content"])
    return [row]


def _joined(value: Any) -> Any:
    """Return the text of a list of text parts; anything else as it is."""
    if not isinstance(value, list) or not value:
        return value
    try:
        return content(value, "")
    except UnconvertibleError:
        return value


def message_key(row: Row, found: Sequence[Finding]) -> list[Row]:
    """Remove keys that a message cannot have; none that is near another one, and none that may hold the text."""
    for finding in found:
        for message in _messages(row, [finding]):
            key = parts_of(finding.pointer)[-1]
            if key == "name":
                message[key] = _as_text(message[key])
            elif key in MESSAGE_KEYS or (isinstance(message.get("content"), str) and not near(key, _KEYS)):
                message.pop(key, None)
    return [row]


_KEYS = tuple(MESSAGE_KEYS)


def _as_text(value: Any) -> Any:
    try:
        return cell(value, "")
    except UnconvertibleError:
        return value


def weight(row: Row, found: Sequence[Finding]) -> list[Row]:
    """Write a weight that can only mean 0 or 1 as such, and remove one from who is not trained."""
    for message in _messages(row, found):
        spelled = message.get("weight")
        if isinstance(spelled, str):
            spelled = spelled.strip()
        if type(message.get("weight")) is int and message["weight"] in {0, 1}:
            del message["weight"]  # found fault with, and not for its value
        elif isinstance(spelled, str | int | float):
            message["weight"] = _WEIGHTS.get(spelled, message["weight"])
    return [row]


def _messages(row: Row, found: Sequence[Finding]) -> list[Row]:
    """Return the messages that findings about a row's shape point at: these count the row's own messages."""
    return [message for _, message in pointed({"messages": row.get("messages")}, found)]


FIXES = (
    on_row("S302", "Converts the row into messages, as phi3data convert does; other columns go.", convert, safe=True),
    on_row(
        "S304",
        "Corrects a misspelt key, makes 'system' the first message, and removes keys that the destination drops.",
        extra_key,
        safe=True,
    ),
    on_row("S307", "Writes the role as chat data spells it.", role, safe=True),
    on_row(
        "S308", "Joins a list of text parts, and gives a content under a misspelt key its name.", bad_content, safe=True
    ),
    on_row(
        "S309",
        "Removes keys that the message cannot have, unless they look like a misspelt one.",
        message_key,
        safe=True,
    ),
    on_row(
        "S310",
        'Writes true, "1" and 1.0 as 1, and removes the weight of a message that is not trained.',
        weight,
        safe=True,
    ),
)
