"""What a format is: how to recognise a raw row, and how to turn it into conversations.

A converter never guesses and never repairs. Text that is absent, null or empty becomes a message whose content is None
or "" (the step `missing` decides what happens to it); a shape that cannot be read raises `UnconvertibleError`, which
the reader turns into a finding, so that the row goes to dropped.jsonl verbatim.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.chat import ROLE_ALIASES, Conversation, Message
from phi3data.errors import did_you_mean
from phi3data.findings import Finding, pointer

if TYPE_CHECKING:
    from collections.abc import Callable

Row = dict[str, Any]


class UnconvertibleError(Exception):
    """A row whose shape its format cannot read. Internal to the sources layer: the reader makes it a `Finding`."""

    def __init__(self, code: str, message: str, at: str = "") -> None:
        """`at` is the JSON pointer of the offending value."""
        self.finding = Finding(code, message, at)
        super().__init__(message)


@dataclass(frozen=True)
class Format:
    """One raw format.

    `fields` are the column names that it reads (used by `--columns`), `needs` those among them without which no row is
    of this format (used to name the nearest format in errors; none where the content decides, not a key);
    `recognises` looks at keys and value types of one row; `convert` turns one row into conversations: one, except for
    self-instruct seeds.
    """

    name: str
    title: str
    fields: tuple[str, ...]
    needs: tuple[str, ...]
    recognises: Callable[[Row], bool]
    convert: Callable[[Row], list[Conversation]]


def cell(value: Any, at: str) -> str | None:
    """Return a cell as text: text stays what it is, numbers and booleans take their JSON spelling, null stays null.

    NaN, which data frames write for an empty cell, is null. Raises `UnconvertibleError` (S308) for lists, objects and
    numbers that JSON cannot spell.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float) and not isfinite(value):
        if isnan(value):
            return None
        raise UnconvertibleError("S308", "expected text, found an infinite number", at)
    if isinstance(value, bool | int | float):
        try:
            return msgspec.json.encode(value).decode()
        except ValueError:  # Python spells no integer of more than 4,300 digits
            raise UnconvertibleError("S308", "expected text, found a number of thousands of digits", at) from None
    raise UnconvertibleError("S308", f"expected text, found {kind(value)}", at)


def content(value: Any, at: str) -> str | None:
    """Return the content of a turn: text and null stay what they are, a list of text parts is joined.

    The parts follow one another with nothing between them: a part carries its own white space. Raises
    `UnconvertibleError` (S308) for everything else; unlike a table's cell, a turn's content has no numbers.
    """
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list):
        return "".join([_part(part, f"{at}/{index}") for index, part in enumerate(value)])
    raise UnconvertibleError("S308", f"expected text, found {kind(value)}", at)


TEXT_PARTS = (None, "text", "input_text", "output_text")  # None: Bedrock and Gemini write {"text": ...} alone


def _part(part: Any, at: str) -> str:
    if isinstance(part, str):
        return part
    if not isinstance(part, dict):
        raise UnconvertibleError("S308", f"expected a text part, found {kind(part)}", at)
    if part.get("type") not in TEXT_PARTS:
        raise UnconvertibleError("S308", f"expected a text part, found one of type {str(part['type'])[:40]!r}", at)
    text = part.get("text", part)
    if text is None or isinstance(text, str):
        return text or ""
    if text is part:
        keys = ", ".join(repr(str(key)[:40]) for key in list(part)[:5]) or "no keys"
        raise UnconvertibleError("S308", f"expected a text part, found an object with {keys}", at)
    raise UnconvertibleError("S308", f"the text of a part is {kind(text)}", f"{at}/text")


def joined(first: str | None, second: str | None) -> str | None:
    """Join a text and what belongs to it with a blank line.

    A first text that is missing stays missing, whatever belongs to it: a context without its question is no question.
    """
    if not first or not second or first.isspace() or second.isspace():
        return first
    return f"{first}\n\n{second}"


def columns(row: Row, title: str, *names: str) -> None:
    """Raise `UnconvertibleError` (S303) if the row has none of the columns: it is of another format."""
    if not any(name in row for name in names):
        listed = ", ".join(f"'{name}'" for name in names)
        raise UnconvertibleError("S303", f"the row has none of the columns of {title}: {listed}")


def scalar(value: Any) -> bool:
    """Tell whether a value is a cell of a table: text, a number, a boolean or null."""
    return value is None or isinstance(value, str | int | float)


def given(row: Row, *names: str) -> bool:
    """Tell whether the row has one of the keys with a value other than null."""
    return any(row.get(name) is not None for name in names)


def kind(value: Any) -> str:
    """Name a JSON value's type in words, for messages."""
    names: dict[type, str] = {dict: "an object", list: "a list", str: "text", bool: "a boolean", int: "a number"}
    return "null" if value is None else names.get(type(value), "a number" if isinstance(value, float) else "a value")


def role(value: Any, at: str) -> str:
    """Return the chat role that a raw role means. Raises `UnconvertibleError` (S306, S307)."""
    known = ROLE_ALIASES.get(value) if isinstance(value, str) else None
    if known:
        return known
    if not isinstance(value, str):
        raise UnconvertibleError("S306", f"the role is {kind(value)}, expected text", at)
    known = ROLE_ALIASES.get(value.strip().casefold())
    if not known:
        raise UnconvertibleError("S307", f"unknown role {value[:40]!r}{did_you_mean(value[:40], ROLE_ALIASES)}", at)
    return known


def question_answer(question: str | None, answer: str | None, system: str | None = None) -> list[Conversation]:
    """Build the conversation of one question and its answer; a system prompt that is null or empty is left out."""
    messages = [Message("system", system)] if system else []
    messages += [Message("user", question), Message("assistant", answer)]
    return [Conversation(messages)]


__all__ = [
    "Format",
    "Row",
    "UnconvertibleError",
    "cell",
    "columns",
    "content",
    "given",
    "joined",
    "kind",
    "pointer",
    "question_answer",
    "role",
    "scalar",
]
