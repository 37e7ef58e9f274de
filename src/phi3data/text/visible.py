"""Make invisible and dangerous characters visible, and tell how many cells a text takes in a terminal.

A zero-width space or a right-to-left override is often the very thing that a row was found fault with, and an escape
sequence in the data must not reach a terminal. Joiners and variation selectors stay where a script or an emoji needs
them. Needs no library, so that linting can use it.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

# What must not be touched: the flags of England, Scotland and Wales, keycaps, and © or ® drawn as emoji.
KEEP = "\U0001f3f4[\U000e0020-\U000e007f]+|[0-9#*]\ufe0f\u20e3|[\u00a9\u00ae]\ufe0f"
# Controls, format characters (those that reorder text among them), lone surrogates, non-characters, tag characters.
UNSEEN = (
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
_LETTER = "[\u0300-\U0010ffff]"
IDLE_JOINER = f"(?<!{_LETTER})[\u200c\u200d\ufe0e\ufe0f]|[\u200c\u200d](?!{_LETTER})"

_SELECTORS = ("\ufe0e", "\ufe0f")  # printable, for Python, even where they do nothing
_SIGNS = str.maketrans({"\n": "⏎", "\t": "⇥"})
_MARKS = {"Mn", "Me", "Cf"}  # drawn on the character before them, or not at all


@cache
def same() -> re.Pattern[str]:
    """Return what finds a run of one unseen character (group `one`), or what is to be kept (group `keep`).

    Compiled when it is first needed: that takes 5 ms, and most texts do not need it.
    """
    return re.compile(f"(?P<keep>{KEEP})|(?P<one>{UNSEEN}|{IDLE_JOINER})(?P=one)*")


def plain(text: str) -> str:
    """Return `text` with every unseen character written as ⟨U+XXXX⟩. Blanks, tabs and line ends stay."""
    if text.isprintable() and not any(selector in text for selector in _SELECTORS):
        return text
    return same().sub(lambda hit: hit[0] if hit["keep"] else "".join(f"⟨U+{ord(c):04X}⟩" for c in hit[0]), text)


def one_line(text: str) -> str:
    """Return what `plain` does, with tabs and line ends as signs of one cell."""
    return plain(text).translate(_SIGNS)


def cells(text: str) -> int:
    """Return how many cells of a terminal a text takes: Chinese and emoji take two, marks that combine none.

    What is joined to an emoji (by a joiner, a skin tone, a variation selector) is drawn within its two cells.
    """
    if text.isascii():
        return len(text)
    width = last = 0
    joined = False
    for character in text:
        size = _size(character)
        if character == "\ufe0f" and last == 1:  # drawn as emoji: two cells instead of one
            size = 1
        elif last == 2 and size == 2 and (joined or "\U0001f3fb" <= character <= "\U0001f3ff"):  # or a skin tone
            size = 0
        joined = character == "\u200d"
        width += size
        last = size or last
    return width


def _size(character: str) -> int:
    if character < "\u0300":
        return 1
    if unicodedata.category(character) in _MARKS or "\u1160" <= character <= "\u11ff":  # and the parts of a syllable
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
