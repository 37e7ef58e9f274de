"""Shingles, signatures and intersections compiled by numba, over the buffers of Arrow strings; `plain` says what.

Texts are normalised, or ASCII: case and white space of ASCII are looked through here. Importing this module imports
numba (about 0.5 s). numba notices a change of the file that a kernel is in and of no other: so its helpers stand here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from phi3data.jit import kernel
from phi3data.similarity.plain import GOLDEN, MIX_1, MIX_2, UNSPACED, WIDTH

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _crc_table() -> NDArray[np.uint32]:
    # crc32 of one byte is table[0xFF ^ byte] ^ 0x00FFFFFF, turned over.
    return np.array([crc32(bytes([place ^ 0xFF])) ^ 0xFFFFFFFF ^ 0x00FFFFFF for place in range(256)], np.uint32)


_CRC = _crc_table()
_RANGES = np.array(UNSPACED, np.uint32)
_GOLDEN, _MIX_1, _MIX_2 = np.uint64(GOLDEN), np.uint64(MIX_1), np.uint64(MIX_2)


@kernel
def _mixed(x: Any) -> Any:
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


@kernel
def _unspaced(buffer: NDArray[np.uint8], at: int) -> int:
    """Return how many bytes the character at a byte from 0xE0 on takes if its script puts no spaces; else 0."""
    first = buffer[at]
    if first < 0xF0:
        size = 3
        point = (np.uint32(first & 15) << 12) | (np.uint32(buffer[at + 1] & 63) << 6) | np.uint32(buffer[at + 2] & 63)
    else:
        size = 4
        point = (
            (np.uint32(first & 7) << 18)
            | (np.uint32(buffer[at + 1] & 63) << 12)
            | (np.uint32(buffer[at + 2] & 63) << 6)
            | np.uint32(buffer[at + 3] & 63)
        )
    for place in range(len(_RANGES)):
        if point < _RANGES[place, 0]:
            return 0
        if point <= _RANGES[place, 1]:
            return size
    return 0


@kernel
def _words(buffer: NDArray[np.uint8], low: int, high: int, out: NDArray[np.uint32]) -> int:
    """Write the CRC of each token of a text to `out` and return how many there are."""
    count = 0
    crc = np.uint32(0xFFFFFFFF)
    inside = False
    at = low
    while at < high:
        byte = buffer[at]
        if byte <= 32 and (byte == 32 or 9 <= byte <= 13 or byte >= 28):
            if inside:
                out[count] = ~crc
                count += 1
                crc = np.uint32(0xFFFFFFFF)
                inside = False
            at += 1
            continue
        size = _unspaced(buffer, at) if byte >= 0xE0 else 0
        if size:
            if inside:
                out[count] = ~crc
                count += 1
                crc = np.uint32(0xFFFFFFFF)
                inside = False
            for place in range(at, at + size):
                crc = _CRC[(crc ^ buffer[place]) & np.uint32(255)] ^ (crc >> np.uint32(8))
            out[count] = ~crc
            count += 1
            crc = np.uint32(0xFFFFFFFF)
            at += size
            continue
        if 65 <= byte <= 90:
            byte += 32
        crc = _CRC[(crc ^ np.uint32(byte)) & np.uint32(255)] ^ (crc >> np.uint32(8))
        inside = True
        at += 1
    if inside:
        out[count] = ~crc
        count += 1
    return count


@kernel
def _shingles(words: NDArray[np.uint32], count: int, tag: int, out: NDArray[np.uint64]) -> int:
    """Write the hashes of the shingles of so many tokens to `out` and return how many there are."""
    if count == 0:
        return 0
    width = min(count, WIDTH)
    salt = np.uint64(width + 8 * tag) * _MIX_1
    if width < WIDTH:
        total = np.uint64(0)
        for place in range(width):
            total = total * _GOLDEN + np.uint64(words[place])
        out[0] = _mixed(total + salt)
        return 1
    for start in range(count - WIDTH + 1):
        total = np.uint64(0)
        for place in range(WIDTH):  # a number that the compiler knows: the loop is laid out flat
            total = total * _GOLDEN + np.uint64(words[start + place])
        out[start] = _mixed(total + salt)
    return count - WIDTH + 1


@kernel
def _smallest(
    hashes: NDArray[np.uint64],
    count: int,
    a: NDArray[np.uint32],
    b: NDArray[np.uint32],
    smallest: NDArray[np.uint32],
    upper: NDArray[np.uint32],
) -> None:
    """Lower each value of a signature to that of so many hashes; `upper` has room for them and three more.

    Four hashes at a time: the loop over the permutations then loads and stores a quarter as often, and only in this
    form is it compiled to vectors (20 times the speed).
    """
    for place in range(count):
        upper[place] = np.uint32(hashes[place] >> np.uint64(32))
    for place in range(count, (count + 3) // 4 * 4):
        upper[place] = upper[count - 1]
    for place in range(0, count, 4):
        p, q, r, s = upper[place], upper[place + 1], upper[place + 2], upper[place + 3]
        for n in range(len(a)):
            factor, term = a[n], b[n]
            one = min(np.uint32(factor * p + term), np.uint32(factor * q + term))
            other = min(np.uint32(factor * r + term), np.uint32(factor * s + term))
            smallest[n] = min(one, other, smallest[n])


@kernel
def longest(offsets: NDArray[np.int64]) -> int:
    """Return the length of the longest text in bytes."""
    most = 0
    for row in range(len(offsets) - 1):
        most = max(most, offsets[row + 1] - offsets[row])
    return most


@kernel
def signatures(
    buffer: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    sides: int,
    a: NDArray[np.uint32],
    b: NDArray[np.uint32],
    signature: NDArray[np.uint32],
    tokens: NDArray[np.int64],
) -> None:
    """Fill the signature of each row of `sides` texts, and the number of tokens of its longest text.

    `signature` is of shape (rows, permutations) and full of 0xFFFFFFFF.
    """
    room = longest(offsets) + 1
    words = np.empty(room, np.uint32)
    upper = np.empty(room + 3, np.uint32)
    hashes = np.empty(room, np.uint64)
    for row in range(len(signature)):
        smallest = signature[row]
        for side in range(sides):
            text = row * sides + side
            found = _words(buffer, offsets[text], offsets[text + 1], words)
            tokens[row] = max(tokens[row], found)
            count = _shingles(words, found, side, hashes)
            _smallest(hashes, count, a, b, smallest, upper)


@kernel
def sets(
    buffer: NDArray[np.uint8], offsets: NDArray[np.int64], out: NDArray[np.uint64], starts: NDArray[np.int64]
) -> None:
    """Write the sorted set of shingles of each text to `out` from `starts[text]` to `starts[text + 1]`."""
    room = longest(offsets) + 1
    words = np.empty(room, np.uint32)
    hashes = np.empty(room, np.uint64)
    end = 0
    for text in range(len(offsets) - 1):
        count = _shingles(words, _words(buffer, offsets[text], offsets[text + 1], words), 0, hashes)
        ordered = np.sort(hashes[:count])
        for place in range(count):
            if place == 0 or ordered[place] != ordered[place - 1]:
                out[end] = ordered[place]
                end += 1
        starts[text + 1] = end


@kernel
def shared(
    hashes: NDArray[np.uint64], starts: NDArray[np.int64], groups: NDArray[np.int64], out: NDArray[np.int64]
) -> None:
    """Count for each group of two or three sets what they all have. `groups` is of shape (groups, 2 or 3)."""
    for group in range(len(groups)):
        x, y = groups[group, 0], groups[group, 1]
        z = groups[group, groups.shape[1] - 1]
        i, j, k = starts[x], starts[y], starts[z]
        count = 0
        while i < starts[x + 1] and j < starts[y + 1] and k < starts[z + 1]:
            most = max(hashes[i], hashes[j], hashes[k])
            if hashes[i] == most and hashes[j] == most and hashes[k] == most:
                count += 1
                i += 1
                j += 1
                k += 1
                continue
            if hashes[i] < most:
                i += 1
            if hashes[j] < most:
                j += 1
            if hashes[k] < most:
                k += 1
        out[group] = count
