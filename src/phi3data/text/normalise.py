"""What makes two texts the same: case, white space and compatibility forms do not count."""

from __future__ import annotations

import unicodedata
from functools import cache
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


def normalise(text: str) -> str:
    """Return `text` in Unicode NFKC, casefolded, with runs of white space as one space and none at the ends.

    Two texts with equal results are duplicates "after normalisation". Punctuation counts: "2.5" is not "25".
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())


@cache
def characters() -> NDArray[np.uint16]:
    """Return what `normalise` makes of characters up to U+FFFF, whatever stands beside them: 32 for white space.

    0 stands for ASCII, and for those that depend on others, become several, grow in UTF-8, or are not looked at.
    """
    import numpy as np

    found = np.zeros(2**16, np.uint16)
    for start, end in _AS_THEY_ARE:
        found[start:end] = np.arange(start, end)
    for start, end in _LOOKED_AT:
        found[start:end] = [_alone(chr(point)) for point in range(start, end)]
    return found


def _alone(character: str) -> int:
    first = unicodedata.normalize("NFKD", character)[0]
    made = unicodedata.normalize("NFKC", character).casefold()
    if len(made) > 1 or unicodedata.combining(first) or ord(first) in _SECOND:
        return 0
    if made.isspace():
        return 32
    return ord(made) if len(made.encode()) <= len(character.encode()) else 0
