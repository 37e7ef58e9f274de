"""F and J: fixes of a line's bytes, most of which is no JSON yet. Strings that are right are never touched."""

from __future__ import annotations

import codecs
import json
import re
from typing import TYPE_CHECKING

import msgspec

from phi3data.fixes.base import Fix
from phi3data.text.jsonline import BOM, is_blank

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phi3data.findings import Finding

# A string, whatever stands in it, or what a fix looks for outside of strings.
_CONSTANT = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"|-?\b(?:NaN|Infinity)\b', re.DOTALL)
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_RAW_CONTROL = re.compile(rb"[\x00-\x1f]")
_SHORT = {b"\t": rb"\t", b"\b": rb"\b", b"\f": rb"\f", b"\r": rb"\r", b"\n": rb"\n"}
_HEX = rb"[0-9a-fA-F]"
_ESCAPE = re.compile(
    rb"\\u[dD][89abAB]" + _HEX + rb"{2}\\u[dD][c-fC-F]" + _HEX + rb"{2}"  # a pair
    rb"|(?P<half>\\u[dD][89a-fA-F]" + _HEX + rb"{2})|\\.",
    re.DOTALL,
)
_SEPARATORS = {b"\xe2\x80\xa8": rb"\u2028", b"\xe2\x80\xa9": rb"\u2029", b"\xc2\x85": rb"\u0085"}
_SPACE = " \t\r\n"


def not_utf8(raw: bytes, _: Sequence[Finding]) -> list[bytes]:
    """Read the bytes that are not UTF-8 as Windows-1252, and leave the others alone."""
    return [raw.decode("utf-8", _CP1252).encode()]


def _as_cp1252(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    piece = error.object[error.start : error.end]
    try:
        return piece.decode("cp1252"), error.end
    except UnicodeDecodeError:  # five bytes are nothing in Windows-1252 either
        return piece.decode("latin-1"), error.end


_CP1252 = "phi3data.cp1252"
codecs.register_error(_CP1252, _as_cp1252)


def mark_inside(raw: bytes, _: Sequence[Finding]) -> list[bytes]:
    """Remove byte-order marks at the start of the line."""
    while raw.startswith(BOM):
        raw = raw[len(BOM) :]
    return [raw]


def carriage_return(raw: bytes, _: Sequence[Finding]) -> list[bytes]:
    """Remove the CR of CR LF, and lone CR outside of strings."""
    if b"\r" not in raw:
        return [raw]
    return [_outside_strings(raw) if is_json(raw) else raw.rstrip(b"\r")]


def _outside_strings(raw: bytes) -> bytes:
    parts, end = [], 0
    for string in _STRING.finditer(raw):
        parts += [raw[end : string.start()].replace(b"\r", b""), string[0]]
        end = string.end()
    return b"".join([*parts, raw[end:].replace(b"\r", b"")])


def separator(raw: bytes, _: Sequence[Finding]) -> list[bytes]:
    """Write raw line separators in strings as escapes: the value stays what it is."""
    return [_STRING.sub(_escaped, raw)]


def _escaped(match: re.Match[bytes]) -> bytes:
    text = match[0]
    for mark, escape in _SEPARATORS.items():
        text = text.replace(mark, escape)
    return text


def blank(raw: bytes, _: Sequence[Finding]) -> list[bytes]:
    """Remove a blank line."""
    return [] if is_blank(raw) else [raw]


def two_objects(raw: bytes, _: Sequence[Finding]) -> list[bytes]:
    """Put each object on a line of its own, if all that the line holds is objects."""
    text = raw.decode().strip(_SPACE)
    decoder, parts = json.JSONDecoder(), []
    at = 0
    try:
        while at < len(text):
            value, end = decoder.raw_decode(text, at)
            if not isinstance(value, dict):
                return [raw]
            parts.append(text[at:end].encode())
            while text[end : end + 1] and text[end] in _SPACE:
                end += 1
            at = end
    except (ValueError, RecursionError):
        return [raw]
    return parts


def non_finite(raw: bytes, _: Sequence[Finding]) -> list[bytes]:
    """Write NaN and Infinity as null."""
    return [_CONSTANT.sub(lambda match: match[0] if match[0].startswith(b'"') else b"null", raw)]


def half_pair(raw: bytes, _: Sequence[Finding]) -> list[bytes]:
    """Remove halves of surrogate pairs."""
    return [_ESCAPE.sub(lambda match: b"" if match["half"] else match[0], raw)]


def raw_control(raw: bytes, _: Sequence[Finding]) -> list[bytes]:
    """Write control characters in strings as escapes."""
    return [_STRING.sub(lambda string: _RAW_CONTROL.sub(_control_escape, string[0]), raw)]


def _control_escape(match: re.Match[bytes]) -> bytes:
    return _SHORT.get(match[0]) or b"\\u%04x" % match[0][0]


def is_json(raw: bytes) -> bool:
    """Tell whether a line can be read at all."""
    try:
        msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return False
    return True


FIXES = (
    Fix("F102", False, "Reads the bytes that are not UTF-8 as Windows-1252.", not_utf8),
    Fix("F104", True, "Removes the byte-order mark in front of the line.", mark_inside),
    Fix("F106", True, "Ends every line in LF.", carriage_return),
    Fix("F107", True, "Writes raw line separators as escapes: readers see the same text.", separator),
    Fix("J203", True, "Removes the blank line.", blank),
    Fix("J204", True, "Puts each object on a line of its own.", two_objects),
    Fix("J210", True, "Writes raw control characters in strings as escapes.", raw_control),
    Fix("J207", False, "Writes NaN and Infinity as null.", non_finite),
    Fix("J208", False, "Removes the half that is left of a character.", half_pair),
)
