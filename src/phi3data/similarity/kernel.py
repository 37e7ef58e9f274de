"""Shingles, signatures and intersections compiled by numba, over the buffers of Arrow strings; `plain` says what.

Texts are normalised, or ASCII in small letters, with any white space. Importing this module imports numba (about 0.5
s). numba notices a change of the file that a kernel is in and of no other: so its helpers stand here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from zlib import crc32

import numpy as np

from phi3data.jit import Number, address, inlined, kernel, lead64, load8, load64, lowest, part, point_at, white64
from phi3data.similarity.plain import GOLDEN, MIX_1, MIX_2, UNSPACED, WIDTH

if TYPE_CHECKING:
    from numpy.typing import NDArray


def _crc_tables() -> NDArray[np.uint32]:
    # crc32 of one byte is table[0xFF ^ byte] ^ 0x00FFFFFF, turned over. Table n + 1 is that of a byte n places before.
    first = np.array([crc32(bytes([place ^ 0xFF])) ^ 0xFFFFFFFF ^ 0x00FFFFFF for place in range(256)], np.uint32)
    tables = [first]
    for _ in range(7):
        tables.append(tables[-1] >> np.uint32(8) ^ first[tables[-1] & np.uint32(255)])
    return np.concatenate(tables)


_CRC = _crc_tables()
_RANGES = np.array(UNSPACED, np.uint32)
_GOLDEN, _MIX_1, _MIX_2 = np.uint64(GOLDEN), np.uint64(MIX_1), np.uint64(MIX_2)


@kernel
def _mixed(x: Any) -> Any:
    x = (x ^ (x >> np.uint64(30))) * _MIX_1
    x = (x ^ (x >> np.uint64(27))) * _MIX_2
    return x ^ (x >> np.uint64(31))


@part
def _unspaced(data: Number, at: Number) -> Number:
    """Return how many bytes the character at a byte from 0xE0 on takes if its script puts no spaces; else 0."""
    point, size = point_at(data, at), 3 + (load8(data, at) >= 0xF0)
    for place in range(len(_RANGES)):
        if point < _RANGES[place, 0]:
            return 0
        if point <= _RANGES[place, 1]:
            return size
    return 0


@inlined
def _entry(table: Number, x: Number) -> Number:
    return _CRC[np.uint64(256 * table) + (x & np.uint64(255))]


@inlined
def _crc_of_8(x: Number) -> Number:
    """Return the CRC of 8 bytes, into the first of which that of what stands before is put. Leading zeros add none."""
    low = _entry(7, x) ^ _entry(6, x >> np.uint64(8)) ^ _entry(5, x >> np.uint64(16)) ^ _entry(4, x >> np.uint64(24))
    x >>= np.uint64(32)
    return low ^ (
        _entry(3, x) ^ _entry(2, x >> np.uint64(8)) ^ _entry(1, x >> np.uint64(16)) ^ _entry(0, x >> np.uint64(24))
    )


@inlined
def _token(data: Number, start: Number, end: Number) -> Number:
    """Return the CRC of a token, eight bytes at once, the last of them with those before them. No token is empty."""
    crc = np.uint64(0xFFFFFFFF)
    while end - start > 8:
        crc = _crc_of_8(load64(data, start) ^ crc)
        start += 8
    left = np.uint64(8 * (end - start))
    if end >= 8:
        last = load64(data, end - 8) >> (np.uint64(64) - left)
    else:
        last = np.uint64(0)
        for place in range(end - start):
            last |= np.uint64(load8(data, start + place)) << np.uint64(8 * place)
    # Of a CRC, what is not put into the bytes stays as it is; a number cannot be shifted by all of its 64 bits at once.
    rest = crc >> (left - np.uint64(8)) >> np.uint64(8)
    return ~np.uint32(_crc_of_8((last ^ crc) << (np.uint64(64) - left)) ^ rest)


@kernel
def _words(buffer: NDArray[np.uint8], low: int, high: int, out: NDArray[np.uint32]) -> int:
    """Write the CRC of each token of a text to `out` and return how many there are.

    White space and characters of scripts without spaces are found 64 bytes at a time, the last ones with those before.
    """
    data = address(buffer)
    count, start = 0, low
    for block in range(low, high, 64):
        size = min(64, high - block)
        if size == 64 or high >= 64:
            begin, unwanted = block + size - 64, np.uint64(64 - size)
            white, leads = white64(data, begin) >> unwanted, lead64(data, begin) >> unwanted
        else:
            white = leads = np.uint64(0)
            for place in range(size):
                byte = load8(data, block + place)
                white |= np.uint64(9 <= byte <= 13 or 28 <= byte <= 32) << np.uint64(place)
                leads |= np.uint64(byte >= 0xE0) << np.uint64(place)
        marks = white | leads
        while marks:
            at = block + lowest(marks)
            bit = marks & (~marks + np.uint64(1))
            marks ^= bit
            length = 1
            if leads & bit:
                length = _unspaced(data, at)
                if not length:
                    continue
            if at > start:
                out[count] = _token(data, start, at)
                count += 1
            start = at + length
            if leads & bit:
                out[count] = _token(data, at, start)
                count += 1
    if high > start:
        out[count] = _token(data, start, high)
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
def signatures(
    buffer: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    sides: int,
    a: NDArray[np.uint32],
    b: NDArray[np.uint32],
    signature: NDArray[np.uint32],
    tokens: NDArray[np.int64],
    words: NDArray[np.uint32],
    upper: NDArray[np.uint32],
    hashes: NDArray[np.uint64],
) -> None:
    """Fill the signature of each row of `sides` texts, and the number of tokens of its longest text.

    `signature` is of shape (rows, permutations) and full of 0xFFFFFFFF. There is room in `words`, `upper` and `hashes`
    for the bytes of the longest text and four more.
    """
    for row in range(len(signature)):
        smallest = signature[row]
        for side in range(sides):
            text = row * sides + side
            found = _words(buffer, offsets[text], offsets[text + 1], words)
            tokens[row] = max(tokens[row], found)
            count = _shingles(words, found, side, hashes)
            _smallest(hashes, count, a, b, smallest, upper)


@kernel
def keys(values: NDArray[np.uint32], out: NDArray[np.uint32], width: int) -> None:
    """Write the keys of the bands of each signature, of `width` values each, to `out`."""
    for row in range(len(out)):
        for band in range(out.shape[1]):
            total = np.uint64(0)
            for place in range(band * width, band * width + width):
                total = _mixed(total * _GOLDEN + np.uint64(values[row, place]))
            out[row, band] = np.uint32(total >> np.uint64(32))


@kernel
def _sorted(
    hashes: NDArray[np.uint64], count: int, out: NDArray[np.uint64], to: int, buckets: NDArray[np.int64]
) -> int:
    """Write so many hashes to `out`, sorted and each once; return where they end.

    Hashes are as good as random: by their upper bits they stand where they belong, but for some steps.
    """
    bits = 4
    while 1 << bits < min(count, len(buckets) - 1):
        bits += 1
    down = np.uint64(64 - bits)
    for place in range((1 << bits) + 1):
        buckets[place] = 0
    for place in range(count):
        buckets[(hashes[place] >> down) + np.uint64(1)] += 1
    for place in range(1 << bits):
        buckets[place + 1] += buckets[place]
    for place in range(count):
        bucket = hashes[place] >> down
        out[to + buckets[bucket]] = hashes[place]
        buckets[bucket] += 1
    end = to
    for place in range(to, to + count):
        one, at = out[place], end
        while at > to and out[at - 1] > one:
            at -= 1
        if at > to and out[at - 1] == one:
            continue
        for behind in range(end, at, -1):
            out[behind] = out[behind - 1]
        out[at] = one
        end += 1
    return end


@kernel
def sets(
    buffer: NDArray[np.uint8],
    offsets: NDArray[np.int64],
    out: NDArray[np.uint64],
    starts: NDArray[np.int64],
    words: NDArray[np.uint32],
    hashes: NDArray[np.uint64],
    buckets: NDArray[np.int64],
) -> None:
    """Write the sorted set of shingles of each text to `out` from `starts[text]` to `starts[text + 1]`.

    There is room in `words` and `hashes` for the bytes of the longest text, in `buckets` for some more than 16.
    """
    for text in range(len(offsets) - 1):
        count = _shingles(words, _words(buffer, offsets[text], offsets[text + 1], words), 0, hashes)
        starts[text + 1] = _sorted(hashes, count, out, starts[text], buckets)


@kernel
def shared(
    hashes: NDArray[np.uint64], starts: NDArray[np.int64], groups: NDArray[np.int64], out: NDArray[np.int64]
) -> None:
    """Count for each group of two or three sets what they all have. `groups` is of shape (groups, 2 or 3).

    Without branches on what the hashes are: no processor foresees them.
    """
    several = groups.shape[1] == 3
    for group in range(len(groups)):
        x, y = groups[group, 0], groups[group, 1]
        i, j = starts[x], starts[y]
        i_end, j_end = starts[x + 1], starts[y + 1]
        count = 0
        if several:
            z = groups[group, 2]
            k, k_end = starts[z], starts[z + 1]
            while i < i_end and j < j_end and k < k_end:
                one, other, third = hashes[i], hashes[j], hashes[k]
                most = max(one, other, third)
                same = (one == most) & (other == most) & (third == most)
                count += same
                i += (one < most) | same
                j += (other < most) | same
                k += (third < most) | same
        else:
            while i < i_end and j < j_end:
                one, other = hashes[i], hashes[j]
                count += one == other
                i += one <= other
                j += other <= one
        out[group] = count
