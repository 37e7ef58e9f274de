"""Chat completions, the format of OpenAI and of this project: a list of messages with roles.

Example: ``{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello!"}]}``

Besides, a row may have `tools` (or the legacy `functions`), as a list or as JSON text, and a top-level `system` as
Anthropic and Bedrock write it. Keys of a message that chat data does not know are ignored.
"""

from __future__ import annotations

from typing import Any

from phi3data.chat import ROLE_ALIASES, Conversation, Message
from phi3data.sources.formats import tools
from phi3data.sources.formats.base import Format, Row, UnconvertibleError, cell, content, kind, role


def message(raw: Any, at: str, index: int | str, role_key: str = "role", content_key: str = "content") -> Message:
    """Return one raw message; `at` is the pointer of its list, `index` its place there.

    Raises `UnconvertibleError` (S305, S306, S307, S308, S310, G901).
    """
    if not isinstance(raw, dict):
        raise UnconvertibleError("S305", f"expected a message object, found {kind(raw)}", f"{at}/{index}")
    spelled = raw.get(role_key)
    known = ROLE_ALIASES.get(spelled) if isinstance(spelled, str) else None
    if known is None:
        if role_key not in raw:
            raise UnconvertibleError("S306", f"the message has no '{role_key}'", f"{at}/{index}")
        known = role(spelled, f"{at}/{index}/{role_key}")
    text = raw.get(content_key)
    if text is not None and not isinstance(text, str):
        text = content(text, f"{at}/{index}/{content_key}")
    if len(raw) == 2 and content_key in raw:
        return Message(known, text)
    return _whole(Message(known, text), raw, f"{at}/{index}")


def _whole(turn: Message, raw: dict[str, Any], at: str) -> Message:
    """Add the optional keys; null, as columnar files write it, and an empty list of calls count as absent."""
    turn.name = cell(raw.get("name"), f"{at}/name")
    turn.tool_call_id = cell(raw.get("tool_call_id"), f"{at}/tool_call_id")
    weight = raw.get("weight")
    if weight is not None:
        if type(weight) is not int or weight not in (0, 1):
            raise UnconvertibleError("S310", f"the weight is {_shown(weight)}, expected 0 or 1", f"{at}/weight")
        turn.weight = weight
    calls = raw.get("tool_calls")
    if calls is not None:
        if not isinstance(calls, list):
            raise UnconvertibleError("G901", f"expected a list of calls, found {kind(calls)}", f"{at}/tool_calls")
        turn.tool_calls = calls or None
    function_call = raw.get("function_call")
    if function_call is not None:
        if not isinstance(function_call, dict):
            raise UnconvertibleError("G901", f"the call is {kind(function_call)}", f"{at}/function_call")
        turn.function_call = function_call
    if isinstance(raw.get("tools"), str):
        turn.tools = raw["tools"]
    return turn


def _shown(weight: Any) -> str:
    return f"the number {weight:.6g}" if type(weight) is float else kind(weight)


def conversation(row: Row, at: str = "", key: str = "messages", content_key: str = "content") -> Conversation:
    """Return the conversation of an object that has a list of messages; `at` is the object's pointer in the row."""
    raw = row.get(key)
    if not isinstance(raw, list) or not raw:
        raise no_messages(row, at, key)
    inside = f"{at}/{key}"
    messages = [message(item, inside, index, "role", content_key) for index, item in enumerate(raw)]
    if len(row) == 1:
        return Conversation(messages)
    return Conversation(with_system(row.get("system"), messages, f"{at}/system"), tools.definitions(row, at))


def with_system(value: Any, messages: list[Message], at: str) -> list[Message]:
    """Put a top-level system prompt first, unless it is null or empty or the messages begin with the same."""
    system = content(value, at)
    if not system or (messages and messages[0].role == "system" and messages[0].content == system):
        return messages
    return [Message("system", system), *messages]


def no_messages(row: Row, at: str, key: str) -> UnconvertibleError:
    """Say why there is no list of messages under the key (S301)."""
    if key not in row:
        return UnconvertibleError("S301", f"the row has no '{key}'", at)
    value = row[key]
    what = "an empty list" if value == [] else kind(value)
    return UnconvertibleError("S301", f"'{key}' is {what}, expected a list of messages", f"{at}/{key}")


def recognises(row: Row) -> bool:
    """Tell whether the row has a list of messages."""
    return isinstance(row.get("messages"), list)


def convert(row: Row) -> list[Conversation]:
    """Convert one row of chat messages."""
    return [conversation(row)]


FORMAT = Format(
    name="chat",
    title="chat",
    fields=("messages", "tools", "functions", "system"),
    needs=("messages",),
    recognises=recognises,
    convert=convert,
)
