"""What tells the language of a text by its words, as tables for a kernel: `text.language`, in numbers."""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

from phi3data.text.language import FUNCTION_WORDS

if TYPE_CHECKING:
    from numpy.typing import NDArray

# Characters of the table of letters: Latin, Greek, Cyrillic.
LETTERS = 0x530
#: A letter of which the table has no small one; beyond the table any.
UNKNOWN = 1
#: How many words the table of words has place for, and the bits of a hash that tell the place.
PLACES, SHIFT = 1024, 54
#: What the hash of a word begins with, and what it is multiplied with for each of its characters (FNV-1a, 64 bits).
BASIS, PRIME = 0xCBF29CE484222325, 0x100000001B3
LANGUAGES = tuple(FUNCTION_WORDS)


@cache
def letter_table() -> NDArray[np.uint16]:
    """Return the small letter of each character that may stand in a word, 0 for others."""
    found = np.zeros(LETTERS, np.uint16)
    for point in range(LETTERS):
        if re.fullmatch(r"[^\W\d_]", chr(point)):
            small = chr(point).lower()
            found[point] = ord(small) if len(small) == 1 and ord(small) < LETTERS else UNKNOWN
    return found


@cache
def word_table() -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the hashes of function words, each at its place or behind it, and their languages as bits."""
    languages: dict[str, int] = {}
    for number, words in enumerate(FUNCTION_WORDS.values()):
        for word in words.split():
            languages[word] = languages.get(word, 0) | 1 << number
    hashes, bits = np.zeros((2, PLACES), np.uint64)
    for word, of in languages.items():
        key = _hash(word)
        place = key >> SHIFT
        while hashes[place]:
            place = (place + 1) % PLACES
        hashes[place], bits[place] = key, of
    return hashes, bits


def _hash(word: str) -> int:
    key = BASIS
    for letter in word:
        key = (key ^ ord(letter)) * PRIME & 0xFFFFFFFFFFFFFFFF
    return key
