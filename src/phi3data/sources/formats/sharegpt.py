"""ShareGPT: turns that say whom they are from.

Example: ``{"conversations": [{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Hello!"}], "system": "…"}``

Turns may also be spelled `role`/`content`. `tools` is a list or its JSON text. A `function_call` turn whose value is
the JSON object ``{"name": …, "arguments": …}`` becomes a tool call; the tool turns that follow it answer the open calls
in order. A call in any other spelling stays the assistant's text.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phi3data.chat import ROLE_ALIASES, Conversation, Message
from phi3data.sources.formats import chat, tools
from phi3data.sources.formats.base import Format, Row

if TYPE_CHECKING:
    from collections.abc import Callable

CALL = "function_call"
_PLAIN = {alias: role for alias, role in ROLE_ALIASES.items() if role != "tool" and alias != CALL}


def turns(raw: list[Any], at: str = "/conversations") -> list[Message]:
    """Return the messages of a list of turns."""
    messages = []
    other: Callable[[Any, int], Message] | None = None
    plain = _PLAIN
    for index, turn in enumerate(raw):
        if isinstance(turn, dict) and len(turn) == 2 and other is None:
            spelled, text = turn.get("from"), turn.get("value")
            if isinstance(text, str) and isinstance(spelled, str) and spelled in plain:
                messages.append(Message(plain[spelled], text))
                continue
        if other is None:
            other = _Turns(at).read
        messages.append(other(turn, index))
    return messages


class _Turns:
    """Reads the turns of one row from the first that is not plain text: it knows which calls are still open."""

    def __init__(self, at: str) -> None:
        self._at = at
        self._calls = 0
        self._open: list[str] = []

    def read(self, raw: Any, index: int) -> Message:
        message = turn(raw, self._at, index)
        if message.role == "tool":
            if self._open:
                call_id = self._open.pop(0)
                message.tool_call_id = message.tool_call_id or call_id
        elif message.content and not message.tool_calls and _is_call(raw):
            self._call(message, message.content)
        else:
            self._open.clear()
        return message

    def _call(self, message: Message, text: str) -> None:
        call = tools.call(text, self._calls + 1)
        if call:
            self._calls += 1
            self._open.append(call["id"])
            message.content, message.tool_calls = None, [call]


def turn(raw: Any, at: str, index: int | str) -> Message:
    """Return one turn, in either spelling of its keys."""
    if not isinstance(raw, dict):
        return chat.message(raw, at, index)
    return chat.message(raw, at, index, _key(raw, "from", "role"), _key(raw, "value", "content"))


def _key(raw: dict[str, Any], first: str, second: str) -> str:
    return second if raw.get(first) is None and second in raw else first


def _is_call(raw: dict[str, Any]) -> bool:
    return str(raw[_key(raw, "from", "role")]).strip().casefold() == CALL


def recognises(row: Row) -> bool:
    """Tell whether the row has a list of turns."""
    return isinstance(row.get("conversations"), list)


def conversation(row: Row) -> Conversation:
    """Return the row's conversation."""
    raw = row.get("conversations")
    if not isinstance(raw, list) or not raw:
        raise chat.no_messages(row, "", "conversations")
    messages = turns(raw)
    if len(row) == 1:
        return Conversation(messages)
    return Conversation(chat.with_system(row.get("system"), messages, "/system"), tools.definitions(row, wrap=True))


def convert(row: Row) -> list[Conversation]:
    """Convert one row of ShareGPT turns."""
    return [conversation(row)]


FORMAT = Format(
    name="sharegpt",
    title="ShareGPT",
    fields=("conversations", "system", "tools"),
    needs=("conversations",),
    recognises=recognises,
    convert=convert,
)
