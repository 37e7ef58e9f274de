"""Shingles and signatures with numpy alone: what the kernels do, number for number, for jobs that no kernel is worth.

A text is cut into tokens: the words between white space, and every single character of the scripts that put no spaces
between words. A shingle is `WIDTH` tokens in a row; a shorter text is one shingle. So Chinese has shingles of
characters, English of words, and a text that mixes both has no edge at which its nature changes.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH = 5
# Thai, Lao, Tibetan, Burmese, Khmer; kana, Bopomofo and Chinese characters. Korean puts spaces.
UNSPACED = (
    (0x0E00, 0x109F),
    (0x1780, 0x17FF),
    (0x3005, 0x3007),
    (0x3040, 0x312F),
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x3FFFF),
)
_CLASS = "".join(f"{chr(first)}-{chr(last)}" for first, last in UNSPACED)
_TOKEN = re.compile(rf"[{_CLASS}]|[^\s{_CLASS}]+")
# The multipliers of SplitMix64 (Steele et al. 2014) and of Fibonacci hashing.
GOLDEN, MIX_1, MIX_2 = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def tokens(text: str) -> list[str]:
    """Return the tokens of a normalised text."""
    return text.split() if text.isascii() else _TOKEN.findall(text)


def shingles(text: str, tag: int = 0) -> NDArray[np.uint64]:
    """Return the 64-bit hashes of the shingles of a normalised text, in their order; none for a text without tokens.

    Another `tag` gives other hashes, so that the shingles of two texts can stand in one set and not be confused.
    """
    words = np.array([crc32(token.encode()) for token in tokens(text)], np.uint64)
    if not len(words):
        return words
    width = min(len(words), WIDTH)
    with np.errstate(over="ignore"):
        hashes = np.zeros(len(words) - width + 1, np.uint64)
        for place in range(width):
            hashes = hashes * np.uint64(GOLDEN) + words[place : len(words) - width + 1 + place]
        hashes += np.uint64((width + 8 * tag) * MIX_1 % 2**64)
        return mixed(hashes)


def mixed(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the finaliser of SplitMix64 of each number."""
    with np.errstate(over="ignore"):
        x = (x ^ (x >> np.uint64(30))) * np.uint64(MIX_1)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(MIX_2)
        return x ^ (x >> np.uint64(31))


def minhash(hashes: NDArray[np.uint64], a: NDArray[np.uint32], b: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the smallest value of each permutation `a * x + b` (mod 2^32) over the upper halves of the hashes."""
    if not len(hashes):
        return np.full(len(a), 0xFFFFFFFF, np.uint32)
    upper = (hashes >> np.uint64(32)).astype(np.uint32)
    with np.errstate(over="ignore"):
        smallest: NDArray[np.uint32] = (a[:, None] * upper + b[:, None]).min(axis=1)
    return smallest


def shared(sets: list[NDArray[np.uint64]], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return for each group of two or three sets, named by their places in the list, how many numbers they all have."""
    known = {place: set(sets[place].tolist()) for place in set(groups.ravel().tolist())}
    counts = [len(set.intersection(*(known[place] for place in group))) for group in groups.tolist()]
    return np.array(counts, np.int64)
