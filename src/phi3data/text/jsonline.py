"""One line of JSON → its value, or the finding that says why there is none.

The fast path is one msgspec decode and two byte counts (about 2 µs for a 600-byte chat). Only a line that
fails meets the slow path, which parses it again with the standard library to name the code, the column and the remedy.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.findings import Finding
from phi3data.text.lazy import Lazy

if TYPE_CHECKING:
    import json

_decode = msgspec.json.Decoder().decode
_BLANK = b" \t\r\n"
_SPACED_COLON = Lazy(rb'"\s+:')
BOM = b"\xef\xbb\xbf"


def decode(raw: bytes, *, last: bool = False) -> Any:
    """Return the value in `raw`, or a `Finding` (F102, J201-J210) when there is none that every parser agrees on.

    `last` says that the line is the last one and has no line end, so that a line that stops in the middle can be told
    from a broken one (J205).
    """
    try:
        value = _decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return diagnose(raw, last=last)
    # Parsers keep the last of two equal keys in silence. Inside a string a quote is always escaped, so `":` that does
    # not follow a backslash ends a key; more of them than keys in the value means that one was lost (or that a key has
    # an odd spelling: the slow path decides).
    escaped = raw.count(b'\\":')
    if raw.count(b'":') - escaped != _keys(value) or (escaped and b'\\\\":' in raw) or _SPACED_COLON.search(raw):
        duplicate = _duplicate_key(raw)
        if duplicate is not None:
            return duplicate
    return value


def diagnose(raw: bytes, *, last: bool = False) -> Finding:
    """Say why `raw` is no JSON value: the code, the column in code points, and what to do."""
    import json

    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return not_utf8(raw, error)
    non_finite: list[str] = []
    try:
        value = json.loads(text, parse_constant=non_finite.append)
    except RecursionError:
        return Finding("J209", "nested too deeply to be data (over 900 levels)")
    except json.JSONDecodeError as error:
        return _syntax(text, error, last=last)
    except ValueError:  # Python refuses to read integers of more than 4,300 digits
        return Finding("J207", "a number is too large to be read")
    if non_finite:
        at = re.search(r"-?\b(?:NaN|Infinity)\b", text)
        return Finding("J207", f"{non_finite[0]} is no JSON value: use null or a number", column=at and at.start() + 1)
    if _has_lone_surrogate(value):
        at = re.search(r"\\u[dD][89a-fA-F]", text)
        return Finding("J208", "half of a surrogate pair: a character was cut in two", column=at and at.start() + 1)
    return Finding("J207", "a number is too large to be read")


def _keys(value: Any) -> int:
    """Count the object keys in a decoded value, at any depth."""
    count = 0
    todo = [value]
    while todo:
        item = todo.pop()
        if isinstance(item, dict):
            count += len(item)
            todo += [inner for inner in item.values() if isinstance(inner, dict | list)]
        elif isinstance(item, list):
            todo += [inner for inner in item if isinstance(inner, dict | list)]
    return count


class _DuplicateKeyError(Exception):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKeyError(key)
            seen.add(key)
    return found


def _duplicate_key(raw: bytes) -> Finding | None:
    import json

    try:
        json.loads(raw, object_pairs_hook=_unique)
    except _DuplicateKeyError as error:
        key = str(error)
        places = [at.start() for at in re.finditer(re.escape(json.dumps(key, ensure_ascii=False)), raw.decode())]
        column = places[1] + 1 if len(places) > 1 else None
        return Finding("J206", f"the key '{key[:60]}' stands twice in one object: parsers keep the last", column=column)
    except (ValueError, RecursionError):
        return None
    return None


def not_utf8(raw: bytes, error: UnicodeDecodeError) -> Finding:
    """Return the finding for bytes that are not UTF-8: the byte, its column, and what it is in Windows-1252."""
    byte = raw[error.start]
    column = len(raw[: error.start].decode("utf-8", "replace")) + 1
    guess = bytes([byte]).decode("cp1252", "replace")
    hint = f" ('{guess}' in Windows-1252)" if guess.isprintable() and guess != "\ufffd" else ""
    return Finding("F102", f"byte 0x{byte:02X} is not UTF-8{hint}", column=column)


def _syntax(text: str, error: json.JSONDecodeError, *, last: bool) -> Finding:
    column = error.pos + 1
    rest = text[error.pos :]
    if error.msg.startswith("Invalid control character"):
        return Finding("J210", f"control character U+{ord(text[error.pos]):04X} must be escaped", column=column)
    if error.msg == "Extra data" and rest.lstrip().startswith("{"):
        return Finding("J204", "two objects on one line: put each on a line of its own", column=column)
    unfinished = not rest.strip() or error.msg.startswith("Unterminated string")
    if unfinished and last:
        return Finding("J205", "the file stops in the middle of this line", column=column)
    return Finding("J201", f"{error.msg[0].lower()}{error.msg[1:]}{_hint(text, error.pos)}", column=column)


def _hint(text: str, at: int) -> str:
    here = text[at : at + 8]
    before = text[:at].rstrip()
    if here.startswith("'"):
        return " (single quotes: JSON takes double quotes only)"
    if here.startswith(("True", "False", "None")):
        return " (Python literal: write true, false or null)"
    if here[:1] in "}]" and before.endswith(","):
        return " (trailing comma)"
    if text.lstrip()[:1] not in '{["':
        return " (this line is no JSON)"
    return ""


def _has_lone_surrogate(value: Any) -> bool:
    import json

    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeEncodeError:
        return True
    return False


def is_blank(raw: bytes) -> bool:
    """Tell whether a line holds nothing but white space."""
    return not raw.strip(_BLANK)
