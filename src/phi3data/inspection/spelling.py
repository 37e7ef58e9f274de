"""What to show for a token: its text, or its bytes where it is only a part of a character."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_ESCAPE = re.compile(r"\\x([0-9a-f]{2})")


def shown(text: str, spans: Sequence[tuple[int, int]], spelled: Sequence[str]) -> list[tuple[str, str]]:
    """Return for each token what to show of it, and the character that it completes ("" for nearly all).

    A token whose place overlaps with that of a neighbour is a part of a character, shown as <0xE4>, or a mark that the
    tokenizer puts before a text, shown as the vocabulary writes it.
    """
    out: list[tuple[str, str]] = []
    last = len(spans) - 1
    for number, ((start, end), name) in enumerate(zip(spans, spelled, strict=True)):
        follows = number > 0 and spans[number - 1][1] > start
        goes_on = number < last and spans[number + 1][0] < end
        words = text[start:end]
        if not (follows or goes_on) or name == words or start == end:
            out.append((words or name, ""))
            continue
        part = _part(name)
        if part == words:  # a whole character, beside the mark before a text
            out.append((words, ""))
        else:
            completes = follows and not goes_on and out[-1][0].endswith(">") and _BYTE.fullmatch(part) is not None
            out.append((part, words if completes else ""))
    return out


def _part(name: str) -> str:
    """Return the name of a part of a character with its bytes as <0xE4>; each kind of vocabulary has its own way."""
    byte = _BYTE.fullmatch(name)
    if byte:
        code = int(byte[1], 16)
        return chr(code) if code < 0x80 else name
    if _ESCAPE.search(name):  # a tiktoken vocabulary
        return _ESCAPE.sub(lambda match: f"<0x{match[1].upper()}>", name)
    if any(ord(character) > 0x7F for character in name) and all(character in _byte_letters() for character in name):
        values = bytes(_byte_letters()[character] for character in name)
        return "".join(chr(value) if value < 0x80 else f"<0x{value:02X}>" for value in values)
    return name


@cache
def _byte_letters() -> dict[str, int]:
    """Return letter → byte of byte-level vocabularies (GPT-2's bytes_to_unicode, https://github.com/openai/gpt-2)."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [value for value in range(256) if value not in plain]
    return {chr(value): value for value in plain} | {chr(256 + n): value for n, value in enumerate(others)}
