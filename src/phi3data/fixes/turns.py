"""R, C501, C502 and L701: fixes of the order of turns, and of messages that say nothing. None is safe.

They do to a row in its file what the steps `check` and `missing` do to a conversation, so that a file that was fixed
and one that was prepared agree. A row whose messages are not all objects with a known role is left alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phi3data.chat import ROLE_ALIASES
from phi3data.fixes import base
from phi3data.fixes.base import Fix, Row, on_row

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phi3data.findings import Finding

_CALLS = ("tool_calls", "function_call")


def _turns(row: Row) -> list[Row]:
    found = base.messages(row)
    return found if all(isinstance(turn, dict) and _role(turn) for turn in found) else []


def _role(turn: Row) -> str | None:
    spelled = turn.get("role")
    return ROLE_ALIASES.get(spelled.strip().casefold()) if isinstance(spelled, str) else None


def trim(row: Row, _: Sequence[Finding]) -> list[Row]:
    """Remove the messages after the last answer."""
    turns = _turns(row)
    answers = [number for number, turn in enumerate(turns) if _role(turn) == "assistant"]
    if answers:
        del turns[answers[-1] + 1 :]
    return [row]


def assistant_first(row: Row, _: Sequence[Finding]) -> list[Row]:
    """Remove what the assistant says before the first question."""
    turns = _turns(row)
    roles = [_role(turn) for turn in turns]
    if "user" in roles:
        first = roles.index("user")
        turns[:first] = [turn for turn in turns[:first] if _role(turn) == "system"]
    return [row]


def merge(row: Row, _: Sequence[Finding]) -> list[Row]:
    """Join messages of one speaker on end with a blank line, unless they differ in weight, name or calls."""
    turns = _turns(row)
    merged: list[Row] = []
    for turn in turns:
        last = merged[-1] if merged else None
        if last is not None and _role(turn) in {"user", "assistant"} and _alike(last, turn):
            last["content"] = "\n\n".join(text for text in (last["content"], turn["content"]) if text)
        else:
            merged.append(turn)
    turns[:] = merged
    return [row]


def _alike(one: Row, other: Row) -> bool:
    return (
        _role(one) == _role(other)
        and all(one.get(key) == other.get(key) for key in (one.keys() | other.keys()) - {"role", "content"})
        and isinstance(one.get("content"), str)
        and isinstance(other.get("content"), str)
        and not any(turn.get(key) for turn in (one, other) for key in _CALLS)
    )


def system_first(row: Row, _: Sequence[Finding]) -> list[Row]:
    """Join all system messages into one, and put it first."""
    turns = _turns(row)
    systems = [turn for turn in turns if _role(turn) == "system"]
    texts = [turn.get("content") for turn in systems]
    if systems and all(isinstance(text, str) for text in texts) and not any("tools" in turn for turn in systems[1:]):
        systems[0]["content"] = "\n\n".join(text for text in texts if text)
        turns[:] = [systems[0], *(turn for turn in turns if _role(turn) != "system")]
    return [row]


def fold(row: Row, found: Sequence[Finding]) -> list[Row]:
    """Put the words of a system message before those of the first question after it."""
    turns = _turns(row)
    systems = [turn for _, turn in base.pointed(row, found) if _role(turn) == "system"]
    for system in systems:
        place = next((number for number, turn in enumerate(turns) if turn is system), len(turns))
        user = next((turn for turn in turns[place:] if _role(turn) == "user"), None)
        if user is None or system.get("tools") or not all(isinstance(t.get("content"), str) for t in (system, user)):
            continue
        user["content"] = "\n\n".join(text for text in (system["content"], user["content"]) if text)
        del turns[place]
    return [row]


def missing(row: Row, found: Sequence[Finding]) -> list[Row]:
    """Remove a system message without text; drop the row where a question or an answer has none."""
    turns = _turns(row)
    gaps = [turn for _, turn in base.pointed(row, found) if turns]
    if any(_role(turn) in {"user", "assistant"} for turn in gaps):
        return []
    for gap in gaps:
        if _role(gap) == "system":
            turns[:] = [turn for turn in turns if turn is not gap]
    return [row]


def drop(_: bytes, __: Sequence[Finding]) -> list[bytes]:
    """Drop the row."""
    return []


def _unsafe(code: str, does: str, mend: Any) -> Fix:
    return on_row(code, does, mend, safe=False)


FIXES = (
    _unsafe("C501", "Drops the row, or removes the message if it is a system prompt.", missing),
    _unsafe("C502", "Drops the row, or removes the message if it is a system prompt; results of tools stay.", missing),
    _unsafe("R406", "Joins all system messages into one, and puts it first.", system_first),
    _unsafe("R407", "Puts the words of a system message that the template drops before the question.", fold),
    _unsafe("R404", "Removes what the assistant says before the first question.", assistant_first),
    _unsafe("R405", "Joins messages of one speaker on end with a blank line.", merge),
    _unsafe("R403", "Removes the messages after the last answer.", trim),
    Fix("L701", False, "Drops the row: cutting it would cut an answer.", drop),
)
