"""The fast path: a line's bytes straight to a conversation, for rows that are certainly clean. Most make no dict.

`FastPath(target)(raw)` is a conversation exactly if the line is one JSON object without duplicate keys (no J finding),
`schema.check_row` yields nothing for it and `tools.shape` yields nothing; else None, and the slow path says why. One
kind of clean rows takes the slow path too: those with other keys on a target that keeps them.

**Duplicate keys.** Parsers keep the last of two equal keys in silence, msgspec too. That there are none is proved by
counting quotation marks. In valid JSON a mark begins or ends a string, or is one of its characters, escaped by a
backslash. So a line with S strings, keys included, has q = 2 S + E marks, E of them escaped. Let D be the strings of
the value that was kept, and d the marks in their texts. What was lost had a key at least, so S = D exactly if nothing
was lost, else S > D. Where no mark is spelled `\\u0022`, E >= d, as each mark of a kept text is an escaped one of the
line. Then q = 2 D + d implies S = D. Where d = 0 it does so in any spelling, since E >= 0.

A message with a text has four strings at least, so D >= 1 + 4 n for n of them, and where q is just 2 (1 + 4 n) + d,
there is no other key anywhere and nothing else to look at. Most lines end here, after one count. In other rows the
strings that a name, a weight or a call takes are counted too; explicit nulls, which the typed value does not tell from
absent keys, are counted in the untyped value. If the marks do not add up then either, the standard library reads the
line again and looks at every pair of keys.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from phi3data.chat import Conversation, Message
from phi3data.rules import tools

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from phi3data.targets import TargetProfile

_ROW = 2  # quotation marks around "messages"
_TURN = 8  # around "role", its value, "content" and its value
_KEY = 2

_decode_any = msgspec.json.Decoder().decode


class _Message(Message, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """A message whose keys and types are right; which of them go together, `_fits` says."""

    role: Literal["system", "user", "assistant"]
    content: str
    weight: Literal[0, 1] | None = None


class _CallingMessage(_Message, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """The same with calls and their results, perhaps, and then without a text."""

    role: Literal["system", "user", "assistant", "tool"]  # type: ignore[assignment]
    content: str | msgspec.UnsetType | None = msgspec.UNSET  # type: ignore[assignment]  # absent is other than null


class Plain(Conversation, gc=False):
    """A conversation without calls, results, functions and label: no rule about these needs to look at it."""


class Bare(Plain, gc=False):
    """A conversation whose messages are a role and a text each, and no more: what its roles are is all its shape."""


class _BareMessage(Message, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    role: Literal["system", "user", "assistant"]
    content: str


class _BareRow(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    messages: Annotated[list[_BareMessage], msgspec.Meta(min_length=1)]


class FastPath:
    """Decodes the lines of files for one destination."""

    def __init__(self, target: TargetProfile) -> None:
        self._decode = _decoder(_Message, target).decode
        self._decode_lines = msgspec.json.Decoder(_BareRow).decode_lines
        self._keys = ("tools", "functions", *target.keys)
        self._label = target.label_key
        self._reads_weight = target.reads_weight
        self._target = target

    @cached_property
    def _decode_calling(self) -> Callable[[bytes], Any]:
        return _decoder(_CallingMessage, self._target).decode

    def __call__(self, raw: bytes) -> Conversation | None:
        """Return the conversation of a line that is certainly clean, else None."""
        try:
            row: Any = self._decode(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return self._calling(raw)
        messages: list[Message] = row.messages
        more = raw.count(b'"') - _ROW - _TURN * len(messages)
        if more and (more != sum([turn.content.count('"') for turn in row.messages]) or b"\\u0022" in raw):
            return self._whole(raw, row)
        return Bare(messages)

    def many(self, lines: Sequence[bytes]) -> list[list[Message]] | None:
        """Return the messages of some lines, one list a line, if each line is one that makes a `Bare`, else None.

        The marks of all lines are counted at once: each line has as many as its strings account for, or more, so that
        where the sums are equal, those of each line are. msgspec takes lines of several objects, and objects over
        several lines; but inside of an object no opening brace follows a closing one, so that where each line begins
        with the one and ends with the other, there are as many objects as lines, or more.
        """
        if {raw[:1] for raw in lines} != {b"{"} or {raw[-1:] for raw in lines} != {b"}"}:
            return None
        data = b"\n".join(lines)
        try:
            rows: list[list[Any]] = [row.messages for row in self._decode_lines(data)]
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        turns = sum(map(len, rows))
        more = data.count(b'"') - _ROW * len(rows) - _TURN * turns
        if len(rows) != len(lines):
            return None
        if more and (
            more != sum([(turn.content or "").count('"') for row in rows for turn in row]) or b"\\u0022" in data
        ):
            return None
        return rows

    def _calling(self, raw: bytes) -> Conversation | None:
        """Look at a row that has a message without a text, or a result, if that is all."""
        if b"tool" not in raw and b"_call" not in raw and b"\\u" not in raw:  # or those words, spelled in escapes
            return None
        try:
            row: Any = self._decode_calling(raw)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return None
        found = self._whole(raw, row)
        if found is not None:
            return Conversation([_message(turn) for turn in found.messages], found.tools, found.label)
        return None

    def _whole(self, raw: bytes, row: Any) -> Conversation | None:
        """Look at a row that has more than roles and texts."""
        marks, calls = _ROW, False
        for turn in row.messages:
            if not _fits(turn) or not (self._reads_weight or turn.weight != 0):
                return None
            marks += _marks_of(turn)
            calls = calls or not (turn.tool_calls is turn.function_call is turn.tools is None)
        for key in self._keys:
            value = getattr(row, key)
            if value is not None:
                marks += _KEY + _marks(value)
        if (raw.count(b'"') != marks or b"\\u0022" in raw) and not _unique(raw):
            return None
        if calls or row.tools is not None or row.functions is not None:
            parts = {"messages": msgspec.to_builtins(row.messages), "tools": row.tools, "functions": row.functions}
            if any(True for _ in tools.shape(parts)):
                return None
        functions = [{"type": "function", "function": function} for function in row.functions or ()]
        label = getattr(row, self._label) if self._label else None
        if not (calls or row.tools or functions or label is not None):
            return Plain(row.messages)
        return Conversation(row.messages, row.tools or functions or None, _as_text(label))


def _decoder(message: type[Message], target: TargetProfile) -> msgspec.json.Decoder[Any]:
    fields: list[Any] = [
        ("messages", Annotated[list[message], msgspec.Meta(min_length=1)]),  # type: ignore[valid-type]
        ("tools", list[Any] | None, None),
        ("functions", list[Any] | None, None),
        *((key, Any, None) for key in target.keys),
    ]
    return msgspec.json.Decoder(msgspec.defstruct("_Row", fields, forbid_unknown_fields=True, gc=False))


def _message(turn: Any) -> Message:
    """Return a message as converters make it: it is written with its content, null included."""
    text = None if turn.content is msgspec.UNSET else turn.content
    optional = (turn.name, turn.weight, turn.tool_calls, turn.tool_call_id, turn.function_call, turn.tools)
    return Message(turn.role, text, *optional)


def _fits(turn: Any) -> bool:
    """Tell whether a message has only keys that are for its role, and a content where it needs one."""
    if turn.role == "assistant":
        calls = turn.tool_calls or turn.function_call is not None
        return (calls or isinstance(turn.content, str)) and turn.tool_call_id is None and turn.tools is None
    return (
        isinstance(turn.content, str)
        and turn.weight is None
        and turn.tool_calls is None
        and turn.function_call is None
        and (turn.role == "tool" or turn.tool_call_id is None)
        and (turn.role == "system" or turn.tools is None)
    )


def _marks_of(turn: Any) -> int:
    """Count the quotation marks that a message is written with, as far as its typed value tells."""
    text = turn.content
    marks = _TURN + text.count('"') if isinstance(text, str) else _TURN - 4 + (_KEY if text is None else 0)
    if turn.weight is not None:
        marks += _KEY
    for value in (turn.name, turn.tool_calls, turn.tool_call_id, turn.function_call, turn.tools):
        if value is not None:
            marks += _KEY + _marks(value)
    return marks


def _unique(raw: bytes) -> bool:
    """Tell whether no object of the line has a key twice."""
    if raw.count(b'"') == _marks(_decode_any(raw)) and b"\\u0022" not in raw:
        return True
    import json

    try:
        json.loads(raw, object_pairs_hook=_pairs)
    except (
        _DuplicateError,
        ValueError,
        RecursionError,
    ):  # what the standard library cannot read, the slow path reports
        return False
    return True


def _marks(value: Any) -> int:
    """Count the quotation marks that a value is written with: around its strings, keys included, and inside of them."""
    if isinstance(value, str):
        return 2 + value.count('"')
    if isinstance(value, dict):
        return sum([_KEY + key.count('"') + _marks(item) for key, item in value.items()])
    if isinstance(value, list):
        return sum([_marks(item) for item in value])
    return 0


class _DuplicateError(Exception):
    pass


def _pairs(pairs: list[tuple[str, Any]]) -> None:
    if len({key for key, _ in pairs}) < len(pairs):
        raise _DuplicateError


def _as_text(label: Any) -> str | None:
    """Return a label as text; None for null, blank text, lists and objects."""
    if isinstance(label, str):
        return label.strip() or None
    return msgspec.json.encode(label).decode() if isinstance(label, bool | int | float) else None
