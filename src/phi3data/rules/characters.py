"""What is known of characters beyond ASCII, as a table of bits for the kernel of the sieve."""

from __future__ import annotations

import unicodedata
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

# It does not show; it is, or may become beside others, no normal form; a letter; a letter or digit; white space.
HIDDEN, UNSURE, LETTER, SEEN, SPACE = 1, 2, 4, 8, 16
# The characters of the table: the first plane, and emoji behind it; of others nothing is known, and all is asked.
PLANE, EMOJI, AFTER_EMOJI = 0x10000, 0x1F000, 0x1FC00


@cache
def character_table() -> NDArray[np.uint8]:
    """Return what is known of each character of the table, as the bits that it names.

    They are what this Python says of them, so that the screen and the sieve agree whatever version of Unicode it has.
    """
    points = [*range(0x80, PLANE), *range(EMOJI, AFTER_EMOJI)]
    seconds = {0x1161 + n for n in range(21)} | {0x11A8 + n for n in range(27)}  # that a syllable of Hangul is made of
    found = []
    for point in points:
        character = chr(point)
        parts = unicodedata.decomposition(character)
        if " " in parts and parts[0] != "<":
            seconds.add(int(parts.split()[-1], 16))
        letter = character.isalpha()
        found.append(
            (character not in "\u3000\xa0" and not character.isprintable()) * HIDDEN
            | (unicodedata.combining(character) > 0 or not unicodedata.is_normalized("NFC", character)) * UNSURE
            | letter * LETTER
            | (letter or character.isalnum()) * SEEN
            | character.isspace() * SPACE
        )
    table = np.array([*[0] * 0x80, *found], np.uint8)
    table[[point for point in seconds if 0x80 <= point < PLANE]] |= UNSURE
    return table
