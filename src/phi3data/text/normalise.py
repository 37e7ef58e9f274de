"""What makes two texts the same: case, white space and compatibility forms do not count."""

from __future__ import annotations

import unicodedata
from functools import cache
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

# Alphabets, and signs; between them, and beyond, are few characters that texts are made of.
_LOOKED_AT = ((0x80, 0x700), (0x900, 0x1100), (0x1E00, 0x2C00), (0x3000, 0x3400), (0xFF00, 0xFFF0))
_AS_THEY_ARE = ((0x3400, 0x4DC0), (0x4E00, 0x9FEB), (0xAC00, 0xD7A4))  # ideographs and Hangul
# The characters that become one with what stands before them, though they are no marks.
_SECOND = frozenset(
    [*range(0x1161, 0x1176), *range(0x11A8, 0x11C3), 0x9BE, 0x9D7, 0xB3E, 0xB56, 0xB57, 0xBBE, 0xBD7]
) | {0xCC2, 0xCD5, 0xCD6, 0xD3E, 0xD57, 0xDCF, 0xDDF, 0xFB5, 0xFB7, 0x102E, 0x1B35}
_lock = Lock()


def normalise(text: str) -> str:
    """Return `text` in Unicode NFKC, casefolded, with runs of white space as one space and none at the ends.

    Two texts with equal results are duplicates "after normalisation". Punctuation counts: "2.5" is not "25".
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


def characters() -> NDArray[np.uint16]:
    """Return what `normalise` makes of characters up to U+FFFF, whatever stands beside them: 32 for white space.

    0 stands for ASCII, and for those that depend on others, become several, grow in UTF-8, or are not looked at.
    """
    with _lock:  # threads that need it at the same time would both make it
        return _characters()


@cache
def _characters() -> NDArray[np.uint16]:
    import numpy as np

    found = np.zeros(2**16, np.uint16)
    for start, end in _AS_THEY_ARE:
        found[start:end] = np.arange(start, end)
    for start, end in _LOOKED_AT:
        alone = "\n".join(map(chr, range(start, end)))  # a line feed changes nothing, and becomes one with nothing
        apart = unicodedata.normalize("NFKD", alone).split("\n")
        made = unicodedata.normalize("NFKC", alone).casefold().split("\n")
        found[start:end] = list(map(_becomes, range(start, end), apart, made))
    return found


def _becomes(point: int, apart: str, made: str) -> int:
    """Return what stands for a character that is `apart` when it is taken apart, and `made` of it in the end."""
    if len(made) > 1 or unicodedata.combining(apart[0]) or ord(apart[0]) in _SECOND:
        return 0
    if made.isspace():
        return 32
    return ord(made) if len(made.encode()) <= len(chr(point).encode()) else 0
