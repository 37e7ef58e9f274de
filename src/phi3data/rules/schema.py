"""S: the shape of a row, on the decoded row as it stands in the file: every problem of it, not the first.

The contract is that of ``chat.schema.json``. `check_row` yields no S finding other than S311, and `tools.shape` yields
none at all, exactly for the rows that `contract` of the same target accepts, with two exceptions: a weight spelled 0.0
or 1.0, which for JSON Schema is an integer, is S310; and a target that keeps other keys accepts a misspelt one, which
is S304. S303, S312 and S313 need the whole data set: `rules.dataset`. `rules.typed` is the fast path beside it.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.chat import ROLE_ALIASES, ROLES
from phi3data.errors import did_you_mean
from phi3data.findings import Finding, pointer
from phi3data.rules.base import GOOD, Rule

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from phi3data.targets import TargetProfile

_ASSISTANT = '{"role":"assistant","content":"Hello!"}'
_USER = '{"role":"user","content":"Hi"}'
_DROPPED = "Phi-3's template drops the message in silence."

RULES = (
    Rule("S301", "no-messages", "error", "no messages", "There is nothing to train on.", '{"messages":[]}', GOOD),
    Rule(
        "S302",
        "other-format",
        "error",
        "row of another format than chat",
        "Trainers of chat data find no messages in it, and stop or skip the row.",
        '{"instruction":"Hi","output":"Hello!"}',
        GOOD,
    ),
    Rule(
        "S303",
        "mixed-formats",
        "error",
        "rows of several formats",
        "One file, one format: a loader fixes its columns from the first rows and loses the others.",
    ),
    Rule(
        "S304",
        "extra-key",
        "error",
        "a key that the destination does not know",
        "Services refuse the file or drop the column, and a misspelt key is a column that nobody reads.",
        GOOD[:-1] + ',"source":"forum"}',
        GOOD,
    ),
    Rule(
        "S305",
        "message-not-object",
        "error",
        "a message is no object",
        "The chat template fails.",
        f'{{"messages":["Hi",{_ASSISTANT}]}}',
        GOOD,
    ),
    Rule(
        "S306",
        "no-role",
        "error",
        "a message without a role",
        _DROPPED,
        f'{{"messages":[{{"content":"Hi"}},{_ASSISTANT}]}}',
        GOOD,
    ),
    Rule("S307", "unknown-role", "error", "unknown role", _DROPPED, GOOD.replace('"user"', '"human"'), GOOD),
    Rule(
        "S308",
        "bad-content",
        "error",
        "content that is no text",
        "The chat template fails deep inside, or trains on a number's spelling.",
        f'{{"messages":[{{"role":"user","content":42}},{_ASSISTANT}]}}',
        f'{{"messages":[{{"role":"user","content":"42"}},{_ASSISTANT}]}}',
    ),
    Rule(
        "S309",
        "unknown-message-key",
        "warning",
        "a message key that chat data does not know, or not there",
        "Nobody reads it, and services may refuse the file.",
        GOOD.replace('"Hi"', '"Hi","lang":"en"'),
        GOOD.replace('"Hi"', '"Hi","name":"Ann"'),
    ),
    Rule(
        "S310",
        "bad-weight",
        "error",
        "weight other than 0 or 1, or not the assistant's",
        "Services refuse the file.",
        f'{{"messages":[{_USER},{{"role":"assistant","content":"Hello!","weight":0.5}}]}}',
        f'{{"messages":[{_USER},{{"role":"assistant","content":"Hello!","weight":1}}]}}',
    ),
    Rule(
        "S311",
        "weight-ignored",
        "warning",
        "weight 0 where the trainer does not read it",
        "The turn that should be left out is trained like any other.",
        f'{{"messages":[{_USER},{{"role":"assistant","content":"?","weight":0}},{_USER},{_ASSISTANT}]}}',
        f'{{"messages":[{_USER},{{"role":"assistant","content":"Hello!","weight":1}}]}}',
    ),
    Rule(
        "S312",
        "coercible-column",
        "warning",
        "a column of texts that all look like dates or numbers",
        "Loaders change the type: 007 becomes 7, and the date 2024-01-01 becomes a time stamp.",
    ),
    Rule(
        "S313",
        "partial-key",
        "error",
        "a key that only some rows have",
        "The service drops the rows without it in silence.",
    ),
    Rule("undesirable", "undesirable", "info", "answer labelled as bad (KTO)", "Only good answers are trained on."),
)

ROW_KEYS = ("messages", "tools", "functions")
# Keys of a message, and the one role that each is for (None: any).
MESSAGE_KEYS: dict[str, str | None] = {
    "role": None,
    "content": None,
    "name": None,
    "weight": "assistant",
    "tool_calls": "assistant",
    "tool_call_id": "tool",
    "function_call": "assistant",
    "tools": "system",
}
_NEAR = 0.75  # similarity from which a key is taken for a misspelt one: "message" for "messages", not "topic"
_LARGE = 1000  # a weight from which on its digits say nothing
_SHOWN = 40  # characters of the user's own words in a message


def contract(target: TargetProfile | None = None) -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of a row: the strict format, or what a target makes of it."""
    found: dict[str, Any] = msgspec.json.decode(Path(__file__).parents[1].joinpath("chat.schema.json").read_bytes())
    if target is not None:
        found["properties"] |= dict.fromkeys(target.keys, True)
        found["additionalProperties"] = target.extra_keys == "kept"
    return found


def check_row(
    row: dict[str, Any], target: TargetProfile, recognise: Callable[[dict[str, Any]], str | None] | None = None
) -> Iterator[Finding]:
    """Yield every problem of a row's shape, calls aside (`rules.tools`), each with its pointer and its remedy.

    `recognise` names the raw format that a row without messages has, None where it has none or is chat.
    """
    messages = row.get("messages")
    if not isinstance(messages, list) or not messages:
        other = recognise(row) if recognise else None
        if other:
            yield Finding("S302", f"looks like {other}: run phi3data convert")
            return
        yield _no_messages(row)
        messages = []
    for key in row:
        if key not in ROW_KEYS and key not in target.keys:
            yield from _extra_key(key, target)
    for index, message in enumerate(messages):
        if not _is_plain(message):
            yield from _message(message, index, target)


def _is_plain(message: Any) -> bool:
    """Tell at one glance that a message is a role and a text: most of a row that is wrong elsewhere are."""
    return (
        isinstance(message, dict)
        and len(message) == 2
        and message.get("role") in ROLES
        and isinstance(message.get("content"), str)
    )


def _no_messages(row: dict[str, Any]) -> Finding:
    if "messages" not in row:
        hint = next((f": is it under '{key[:_SHOWN]}'?" for key in row if near(key, ("messages",))), "")
        return Finding("S301", f"the row has no 'messages'{hint}")
    value = row["messages"]
    what = "an empty list" if value == [] else kind(value)
    return Finding("S301", f"'messages' is {what}, expected a list of messages", "/messages")


def _extra_key(key: str, target: TargetProfile) -> Iterator[Finding]:
    meant = near(key, ROW_KEYS)
    if meant:
        remedy = f"; did you mean '{meant}'?"
    elif target.extra_keys == "kept":
        return
    elif key == "system":
        remedy = ": make it the first message, of role system"
    elif target.extra_keys == "dropped":
        remedy = f": {target.title} drops the column"
    else:
        remedy = f": {target.title} refuses it, remove it"
    yield Finding("S304", f"unknown key '{key[:_SHOWN]}'{remedy}", pointer(key))


def _message(message: Any, index: int, target: TargetProfile) -> Iterator[Finding]:
    at = f"/messages/{index}"
    if not isinstance(message, dict):
        yield Finding("S305", f"expected a message object, found {kind(message)}", at)
        return
    meant, wrong = _role(message, at)
    if wrong:
        yield wrong
    yield from _keys(message, meant, at)
    yield from _content(message, meant, at)
    yield from _weight(message.get("weight"), meant, target, f"{at}/weight")


def _role(message: dict[str, Any], at: str) -> tuple[str | None, Finding | None]:
    """Return the role that is meant, None where that is not known, and what is wrong with it."""
    if "role" not in message:
        hint = next(
            (f": is it under '{key[:_SHOWN]}'?" for key in message if key == "from" or near(key, ("role",))), ""
        )
        return None, Finding("S306", f"the message has no 'role'{hint}", at)
    value = message["role"]
    if not isinstance(value, str):
        return None, Finding("S306", f"the role is {kind(value)}, expected text", f"{at}/role")
    if value in ROLES:
        return value, None
    shown = repr(value[:_SHOWN])
    meant = ROLE_ALIASES.get(value.strip().casefold())
    if meant:
        return meant, Finding("S307", f"role {shown} is '{meant}' in chat data", f"{at}/role")
    hint = did_you_mean(value[:_SHOWN], ROLES) or f": expected {', '.join(ROLES[:-1])} or {ROLES[-1]}"
    return None, Finding("S307", f"unknown role {shown}{hint}", f"{at}/role")


def _keys(message: dict[str, Any], meant: str | None, at: str) -> Iterator[Finding]:
    for key, value in message.items():
        if key not in MESSAGE_KEYS:
            other = near(key, tuple(MESSAGE_KEYS))
            remedy = f"; did you mean '{other}'?" if other else ": remove it"
            yield Finding("S309", f"unknown message key '{key[:_SHOWN]}'{remedy}", at + pointer(key))
        elif value is not None and meant and MESSAGE_KEYS[key] not in {None, meant} and key != "weight":
            problem = f"'{key}' is for {MESSAGE_KEYS[key]} messages, not for {meant}: remove it"
            yield Finding("S309", problem, at + pointer(key))
    name = message.get("name")
    if name is not None and not isinstance(name, str):
        yield Finding("S309", f"the name is {kind(name)}, expected text", f"{at}/name")


def _content(message: dict[str, Any], meant: str | None, at: str) -> Iterator[Finding]:
    value = message.get("content")
    if isinstance(value, str):
        return
    if value is None:
        if meant in {None, "assistant"} and calls(message):
            return
        if "content" in message:
            yield Finding("S308", "the content is null, expected text", f"{at}/content")
        else:
            key = next((key for key in message if key in {"value", "text"} or near(key, ("content",))), None)
            hint = f": is it under '{key[:_SHOWN]}'?" if key else ""
            yield Finding("S308", f"the message has no 'content'{hint}", at)
    elif isinstance(value, list):
        yield Finding("S308", "the content is a list, expected text: join its parts", f"{at}/content")
    else:
        remedy = "" if isinstance(value, dict) else ": put it in quotes"
        yield Finding("S308", f"the content is {kind(value)}, expected text{remedy}", f"{at}/content")


def calls(message: dict[str, Any]) -> bool:
    """Tell whether a message calls functions, so that it may do without content."""
    listed = message.get("tool_calls")
    return bool(isinstance(listed, list) and listed) or isinstance(message.get("function_call"), dict)


def _weight(weight: Any, meant: str | None, target: TargetProfile, at: str) -> Iterator[Finding]:
    if weight is None:
        return
    if type(weight) is not int or weight not in (0, 1):
        number = type(weight) in {int, float} and abs(weight) < _LARGE
        yield Finding("S310", f"the weight is {weight if number else kind(weight)}, expected 0 or 1", at)
    elif meant not in {None, "assistant"}:
        yield Finding("S310", f"a weight is for assistant messages, not for {meant}: remove it", at)
    elif weight == 0 and not target.reads_weight:
        yield Finding("S311", f"{target.title} does not read the weight: this turn is trained", at)


@lru_cache(4096)
def near(word: str, known: tuple[str, ...]) -> str | None:
    """Return the known key that a key is most likely a misspelling of, None where none is near.

    30 µs, and a file has few keys and many rows of each.
    """
    from difflib import get_close_matches

    found = get_close_matches(word.strip().casefold()[:_SHOWN], known, n=1, cutoff=_NEAR)
    return found[0] if found else None


def kind(value: Any) -> str:
    """Name a JSON value's type in words, for messages."""
    names: dict[type, str] = {dict: "an object", list: "a list", str: "text", bool: "a boolean"}
    return "null" if value is None else names.get(type(value), "a number")
