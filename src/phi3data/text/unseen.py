"""Characters that nobody sees, and letters spelled in two ways: controls, zero-width characters, U+FFFD, not NFC."""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from phi3data.text import mojibake, repair
from phi3data.text.lazy import Lazy
from phi3data.text.spot import Spot, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

# C0 and C1 controls, but for tab and line ends (CR is F106's, U+0085 alone is a line end).
_CONTROL = Lazy("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f]")
_ESCAPE_CODE = Lazy("\x1b\\[[0-9;]*[A-Za-z]")
# The screen, in UTF-8: what is invisible and yet printable for Python: the joiner U+034F, Hangul and Khmer fillers, two
# variation selectors on end.
BYTES = (
    b"\xcd\x8f",
    b"\xe1\x85[\x9f\xa0]",
    b"\xe1\x9e[\xb4\xb5]",
    b"\xe3\x85\xa4",
    b"\xef\xbe\xa0",
    b"\xef\xb8[\x80-\x8f]\xef\xb8[\x80-\x8f]",
    b"\xef\xb8[\x80-\x8f]\xf3\xa0",
    b"\xf3\xa0",
)
CONTROLS = (b"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]",)  # those of ASCII; Python calls all others not printable
# Thai, Lao, Tibetan, Myanmar and Khmer are written without spaces: a zero-width space marks their words.
_WITHOUT_SPACES = Lazy("[\u0e00-\u0fff\u1000-\u109f\u1780-\u17ff\u19e0-\u19ff]")


def controls(text: str) -> Iterator[Spot]:
    """Yield control characters, a terminal's escape code as one piece; not those that mojibake explains."""
    misread = () if text.isascii() else tuple(mojibake.find(text))
    end = 0
    for match in _CONTROL.finditer(text):
        at = match.start()
        if at < end or any(spot.start <= at < spot.end for spot in misread):
            continue
        escape = _ESCAPE_CODE.match(text, at)
        end = escape.end() if escape else match.end()
        name = f"a terminal's escape code {quoted(escape[0])}" if escape else f"the control character {_code(match[0])}"
        yield Spot(at, end, name, "")


def replacement(text: str) -> Iterator[Spot]:
    """Yield runs of U+FFFD."""
    for match in re.finditer("\ufffd+", text):
        lost = "a character was" if len(match[0]) == 1 else f"{len(match[0])} characters were"
        yield Spot(match.start(), match.end(), f"{lost} lost (U+FFFD)", "")


def invisible(text: str) -> Iterator[Spot]:
    """Yield invisible characters that mean nothing where they stand: what `repair.invisible` removes.

    Not soft hyphens outside of words, which are spoken of, and not word marks in scripts without spaces.
    """
    kept = repair.invisible(text)
    if kept is text or kept == text or repair.is_empty(text):  # C501 says it
        return
    at, spot = 0, None
    for number, character in enumerate(text):
        if kept[at : at + 1] == character:
            at += 1
        elif _is_noise(text, number):
            if spot is not None and spot.end == number:
                spot = spot._replace(end=number + 1)
                continue
            if spot is not None:
                yield _named(text, spot)
            spot = Spot(number, number + 1, "")
    if spot is not None:
        yield _named(text, spot)


def _is_noise(text: str, at: int) -> bool:
    before, after = text[at - 1 : at] if at else "", text[at + 1 : at + 2]
    if text[at] == "\u00ad":
        return before.isalpha() and after.isalpha()
    return not (text[at] in "\u200b\u2060" and (_WITHOUT_SPACES.match(before) or _WITHOUT_SPACES.match(after)))


def _named(text: str, spot: Spot) -> Spot:
    count, first = spot.end - spot.start, text[spot.start]
    name = unicodedata.name(first, "character").lower()
    return spot._replace(
        what=f"{count} invisible characters from {_code(first)} on" if count > 1 else f"{name} ({_code(first)})",
        shown="",
    )


def decomposed(text: str) -> Iterator[Spot]:
    """Yield the first place where a text is not in Unicode normal form C."""
    if text.isascii() or unicodedata.is_normalized("NFC", text):
        return
    composed = unicodedata.normalize("NFC", text)
    at = next((n for n, pair in enumerate(zip(text, composed, strict=False)) if pair[0] != pair[1]), len(composed))
    end = at + 1
    while end < len(text) and unicodedata.combining(text[end]):
        end += 1
    codes = " ".join(_code(character) for character in text[at : min(end, at + 4)])
    yield Spot(at, end, f"{codes} where NFC has {_code(composed[at : at + 1] or text[-1])}", "")


def _code(character: str) -> str:
    return f"U+{ord(character):04X}"
