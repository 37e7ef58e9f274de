"""A row as it is spelled: read so that it can be written again with nothing else changed than what a fix changed.

Strings, keys and numbers keep their spelling (``\\u00fc``, ``1.50``) as long as they are not replaced; white space
between them follows the style of the row, which is found by writing the row again and comparing the bytes.
"""

from __future__ import annotations

import json
import re
from typing import Any

import msgspec

_SPACE = re.compile(r"[ \t\r\n]*")
_SCALAR = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"|[^\s,\[\]{}":]+')
_BREAKS = {0x2028: "\\u2028", 0x2029: "\\u2029", 0x85: "\\u0085"}  # raw, they would break the row for some readers
_SEPARATORS = ((", ", ": "), (",", ":"), (", ", ":"), (",", ": "))


class Document(msgspec.Struct, frozen=True):
    """A JSON value, and how it was spelled.

    `before` and `after` is the white space around it. `spelled` holds strings, keys and other scalars by identity, each
    with its text: the object itself is kept, so that no other can take its identity.
    """

    value: Any
    before: str
    after: str
    spelled: dict[int, tuple[Any, str]]
    comma: str
    colon: str
    ascii: bool

    def write(self, value: Any) -> bytes:
        """Return a value, made of parts of this one or not, as a line in its style."""
        return f"{self.before}{self._text(value)}{self.after}".encode()

    def _text(self, value: Any) -> str:
        known = self.spelled.get(id(value))
        if known is not None and known[0] is value:
            return known[1]
        if isinstance(value, dict):
            return "{" + self.comma.join([self._text(key) + self.colon + self._text(value[key]) for key in value]) + "}"
        if isinstance(value, list):
            return "[" + self.comma.join([self._text(item) for item in value]) + "]"
        return json.dumps(value, ensure_ascii=self.ascii).translate(_BREAKS)


def parse(raw: bytes) -> Document | None:
    """Return the value in a line of JSON with its spelling; None where it is no JSON, or too deep or long to read.

    New texts are written in ASCII, with escapes, where the line is all ASCII.
    """
    spelled: dict[int, tuple[Any, str]] = {}
    try:
        text = raw.decode()
        start = _skip(text, 0)
        value, end = _value(text, start, spelled)
        if _skip(text, end) != len(text):
            return None
        for comma, colon in _SEPARATORS:
            found = Document(value, text[:start], text[end:], spelled, comma, colon, raw.isascii())
            if found.write(value) == raw:
                return found
    except (ValueError, IndexError, RecursionError):
        return None
    comma, colon = (", " if ", " in text else ","), (": " if '": ' in text else ":")
    return msgspec.structs.replace(found, comma=comma, colon=colon)


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    assert match is not None
    return match.end()


def _value(text: str, at: int, spelled: dict[int, tuple[Any, str]]) -> tuple[Any, int]:
    """Read the value at a place; return it and where it ends."""
    first = text[at]
    if first == "{":
        return _object(text, _skip(text, at + 1), spelled)
    if first == "[":
        return _array(text, _skip(text, at + 1), spelled)
    match = _SCALAR.match(text, at)
    if match is None:
        raise ValueError
    value = json.loads(match[0])
    spelled[id(value)] = value, match[0]
    return value, match.end()


def _object(text: str, at: int, spelled: dict[int, tuple[Any, str]]) -> tuple[dict[str, Any], int]:
    found: dict[str, Any] = {}
    while text[at] != "}":
        key, at = _value(text, at, spelled)
        at = _skip(text, at)
        if not isinstance(key, str) or text[at] != ":" or key in found:
            raise ValueError
        found[key], at = _value(text, _skip(text, at + 1), spelled)
        at = _next(text, at, "}")
    return found, at + 1


def _array(text: str, at: int, spelled: dict[int, tuple[Any, str]]) -> tuple[list[Any], int]:
    found: list[Any] = []
    while text[at] != "]":
        value, at = _value(text, at, spelled)
        found.append(value)
        at = _next(text, at, "]")
    return found, at + 1


def _next(text: str, at: int, end: str) -> int:
    """Return where the next item begins, or the closing bracket stands."""
    at = _skip(text, at)
    if text[at] == ",":
        at = _skip(text, at + 1)
        if text[at] != end:
            return at
    elif text[at] == end:
        return at
    raise ValueError
