"""What rows of plain messages equal, by kernels compiled by numba: digest for digest what `dedup.identify` says.

Importing this module imports numba (about 0.5 s). numba notices a change of the file that a kernel is in and of no
other: so its helpers stand here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phi3data.jit import Number, address, copied, inlined, kernel, load8, load64, store8, store64

if TYPE_CHECKING:
    from numpy.typing import NDArray

_USER, _ASSISTANT = 1, 2  # roles; 0 is the system's
_HEADS = (
    np.frombuffer(b"\x1esystem\x1f", np.uint8),
    np.frombuffer(b"\x1euser\x1f", np.uint8),
    np.frombuffer(b"\x1eassistant\x1f", np.uint8),
)
_LOWER = np.arange(256, dtype=np.uint8)
_LOWER[65:91] += 32
for _byte in b"\t\n\v\f\r\x1c\x1d\x1e\x1f":
    _LOWER[_byte] = 32
# A byte eight times: what finds spaces and capital letters among 8 bytes of ASCII at once.
_HIGHS, _SEVENS, _SPACES, _FROM_A, _AFTER_Z = (
    np.uint64(0x0101010101010101 * byte) for byte in (0x80, 0x7F, 32, 0x80 - 65, 0x80 - 91)
)
# BLAKE2b (RFC 7693): the initial state, its first word with the parameters of a digest of 16 bytes without key, and how
# the words of a block are taken in each round, in bytes.
_IV = np.array(
    [
        0x6A09E667F3BCC908,
        0xBB67AE8584CAA73B,
        0x3C6EF372FE94F82B,
        0xA54FF53A5F1D36F1,
        0x510E527FADE682D1,
        0x9B05688C2B3E6C1F,
        0x1F83D9ABFB41BD6B,
        0x5BE0CD19137E2179,
    ],
    np.uint64,
)
_FIRST = np.uint64(0x6A09E667F3BCC908 ^ 0x01010010)
_SIGMA = np.array(
    [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
        [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
        [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
        [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
        [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
        [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
        [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
        [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
        [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
        [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
    ],
    np.uint8,
) * np.uint8(8)


@inlined
def _mix(a: Number, b: Number, c: Number, d: Number, x: Number, y: Number) -> Number:
    a = a + b + x
    d = d ^ a
    d = d >> np.uint64(32) | d << np.uint64(32)
    c = c + d
    b = b ^ c
    b = b >> np.uint64(24) | b << np.uint64(40)
    a = a + b + y
    d = d ^ a
    d = d >> np.uint64(16) | d << np.uint64(48)
    c = c + d
    b = b ^ c
    b = b >> np.uint64(63) | b << np.uint64(1)
    return a, b, c, d


@kernel
def _compress(h: Number, m: Number, done: int, last: Number) -> None:
    """Take the block of 128 bytes at `m` into the state at `h`.

    `done` bytes are in it then, `last` is all ones at the last block.
    """
    v0, v1, v2, v3 = load64(h, 0), load64(h, 8), load64(h, 16), load64(h, 24)
    v4, v5, v6, v7 = load64(h, 32), load64(h, 40), load64(h, 48), load64(h, 56)
    v8, v9, v10, v11 = _IV[0], _IV[1], _IV[2], _IV[3]
    v12, v13, v14, v15 = _IV[4] ^ np.uint64(done), _IV[5], _IV[6] ^ last, _IV[7]
    for turn in range(12):
        s = _SIGMA[turn]
        v0, v4, v8, v12 = _mix(v0, v4, v8, v12, load64(m, s[0]), load64(m, s[1]))
        v1, v5, v9, v13 = _mix(v1, v5, v9, v13, load64(m, s[2]), load64(m, s[3]))
        v2, v6, v10, v14 = _mix(v2, v6, v10, v14, load64(m, s[4]), load64(m, s[5]))
        v3, v7, v11, v15 = _mix(v3, v7, v11, v15, load64(m, s[6]), load64(m, s[7]))
        v0, v5, v10, v15 = _mix(v0, v5, v10, v15, load64(m, s[8]), load64(m, s[9]))
        v1, v6, v11, v12 = _mix(v1, v6, v11, v12, load64(m, s[10]), load64(m, s[11]))
        v2, v7, v8, v13 = _mix(v2, v7, v8, v13, load64(m, s[12]), load64(m, s[13]))
        v3, v4, v9, v14 = _mix(v3, v4, v9, v14, load64(m, s[14]), load64(m, s[15]))
    store64(h, 0, load64(h, 0) ^ v0 ^ v8)
    store64(h, 8, load64(h, 8) ^ v1 ^ v9)
    store64(h, 16, load64(h, 16) ^ v2 ^ v10)
    store64(h, 24, load64(h, 24) ^ v3 ^ v11)
    store64(h, 32, load64(h, 32) ^ v4 ^ v12)
    store64(h, 40, load64(h, 40) ^ v5 ^ v13)
    store64(h, 48, load64(h, 48) ^ v6 ^ v14)
    store64(h, 56, load64(h, 56) ^ v7 ^ v15)


@inlined
def _swapped(x: Number) -> Number:
    """Return a number with its bytes in the other order."""
    x = (x & np.uint64(0x00FF00FF00FF00FF)) << np.uint64(8) | (x >> np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF)
    x = (x & np.uint64(0x0000FFFF0000FFFF)) << np.uint64(16) | (x >> np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF)
    return x << np.uint64(32) | x >> np.uint64(32)


@kernel
def _digests(
    data: Number, ends: NDArray[np.int64], count: int, out: NDArray[np.uint64], state: NDArray[np.uint64]
) -> None:
    """Write to `out`, of shape (more, 2), the BLAKE2b digests of the bytes up to the first `count` rising ends.

    `state` has room for 32 numbers: a state, another one, and a block.
    """
    h, final, block = address(state), address(state) + 64, address(state) + 128
    for place in range(8):
        state[place] = _IV[place]
    state[0] = _FIRST
    done = 0
    for number in range(count):
        end = ends[number]
        while done + 128 < end:
            _compress(h, data + done, done + 128, np.uint64(0))
            done += 128
        for place in range(8):
            state[8 + place] = state[place]
        for place in range(16, 32):
            state[place] = 0
        copied(data, done, end, block, 0)
        _compress(final, block, end, ~np.uint64(0))
        out[number, 0], out[number, 1] = _swapped(state[8]), _swapped(state[9])


@inlined
def _put(out: Number, to: Number, point: Number) -> Number:
    """Write a character beyond ASCII, and below U+10000, in UTF-8; return where it ends."""
    if point < 0x800:
        store8(out, to, np.uint64(0xC0 | point >> 6))
        store8(out, to + 1, np.uint64(0x80 | point & 63))
        return to + 2
    store8(out, to, np.uint64(0xE0 | point >> 12))
    store8(out, to + 1, np.uint64(0x80 | point >> 6 & 63))
    store8(out, to + 2, np.uint64(0x80 | point & 63))
    return to + 3


@inlined
def _taken(text: Number, at: Number) -> Number:
    """Return the character beyond ASCII that begins at a byte, 0 for one beyond U+FFFF."""
    first = load8(text, at)
    if first < 0xE0:
        return (first & 31) << 6 | load8(text, at + 1) & 63
    if first < 0xF0:
        return (first & 15) << 12 | (load8(text, at + 1) & 63) << 6 | load8(text, at + 2) & 63
    return 0


@kernel
def _folded(text: Number, start: int, end: int, out: Number, to: int, characters: NDArray[np.uint16]) -> int:
    """Write a text without case, with single spaces and none at the ends; return where it ends.

    `characters` tells what is written for those beyond ASCII. Eight bytes at once where these are ASCII and no white
    space but single spaces.
    """
    begin, space = to, True  # the last byte is one, or it is the first
    while start < end:
        if start + 8 <= end:
            word = load64(text, start)
            blank = ~((word ^ _SPACES) + _SEVENS) & _HIGHS
            other = ((word - _SPACES) | word) & _HIGHS
            if not (other or blank & blank << np.uint64(8) or (space and blank & np.uint64(128))):
                capital = (word + _FROM_A) & ~(word + _AFTER_Z) & _HIGHS
                store64(out, to, word | capital >> np.uint64(2))
                space = blank >> np.uint64(63) != 0
                start += 8
                to += 8
                continue
        stop = min(start + 8, end)
        while start < stop:
            byte = load8(text, start)
            if byte < 0x80:
                point = np.int64(_LOWER[byte])
                start += 1
            else:
                point = np.int64(characters[_taken(text, start)])
                start += 2 + (byte >= 0xE0)
            if point >= 0x80:
                to = _put(out, to, point)
            elif point != 32 or not space:
                store8(out, to, np.uint64(point))
                to += 1
            space = point == 32
    return to - 1 if to > begin and space else to


@inlined
def _characters(text: Number, start: Number, end: Number) -> Number:
    """Count the characters of bytes in UTF-8."""
    count = 0
    while start < end:
        count += load8(text, start) & 0xC0 != 0x80
        start += 1
    return count


@kernel
def beyond(
    text: NDArray[np.uint8], ends: NDArray[np.int64], characters: NDArray[np.uint16], out: NDArray[np.bool_]
) -> None:
    """Tell of each text whether it has a character beyond ASCII for which `characters` has none."""
    data = address(text)
    for number in range(len(out)):
        start, end = ends[number], ends[number + 1]
        unknown = False
        while start < end and not unknown:
            if start + 8 <= end and load64(data, start) & _HIGHS == 0:
                start += 8
                continue
            stop = min(start + 8, end)
            while start < stop:
                byte = load8(data, start)
                if byte < 0x80:
                    start += 1
                    continue
                unknown |= characters[_taken(data, start)] == 0
                start += 2 + (byte >= 0xE0) + (byte >= 0xF0)
        out[number] = unknown


@kernel
def fold(
    text: NDArray[np.uint8],
    ends: NDArray[np.int64],
    others: NDArray[np.uint8],
    other_ends: NDArray[np.int64],
    which: NDArray[np.int64],
    characters: NDArray[np.uint16],
    out: NDArray[np.uint8],
    out_ends: NDArray[np.int64],
) -> None:
    """Write the normal form of each text. That of text `which[n]`, which is `beyond`, is number `n` of `others`."""
    source, normal, target = address(text), address(others), address(out)
    to = done = 0
    for number in range(len(ends) - 1):
        if done < len(which) and which[done] == number:
            to = copied(normal, other_ends[done], other_ends[done + 1], target, to)
            done += 1
        else:
            to = _folded(source, ends[number], ends[number + 1], target, to, characters)
        out_ends[number + 1] = to


@kernel
def sides(
    normal: NDArray[np.uint8],
    ends: NDArray[np.int64],
    roles: NDArray[np.uint8],
    rows: NDArray[np.int64],
    out: NDArray[np.uint8],
    out_ends: NDArray[np.int64],
) -> None:
    """Write what each row asks, and what it answers: the normal forms of its messages, each with a space behind it."""
    source, target = address(normal), address(out)
    to = 0
    for row in range(len(rows) - 1):
        for answered in range(2):
            for message in range(rows[row], rows[row + 1]):
                role = roles[message]
                if role and (role == _ASSISTANT) == (answered == 1):
                    to = copied(source, ends[message], ends[message + 1], target, to)
                    out[to] = 32
                    to += 1
            out_ends[2 * row + 1 + answered] = to


@kernel
def identify(
    text: NDArray[np.uint8],
    ends: NDArray[np.int64],
    normal: NDArray[np.uint8],
    normal_ends: NDArray[np.int64],
    roles: NDArray[np.uint8],
    rows: NDArray[np.int64],
    greeting: int,
    exact: NDArray[np.uint64],
    same: NDArray[np.uint64],
    prompts: NDArray[np.uint64],
    asked: NDArray[np.uint64],
    answers: NDArray[np.bool_],
    openings: NDArray[np.uint64],
    opened: NDArray[np.int64],
    sizes: NDArray[np.int64],
    chain: NDArray[np.uint8],
    parts: NDArray[np.uint8],
    starts: NDArray[np.int64],
    cuts: NDArray[np.int64],
    found: NDArray[np.uint64],
    state: NDArray[np.uint64],
) -> None:
    """Say of each row what it equals, from its texts and their normal forms, as `identity.Identities` tells.

    `greeting` is the length of one in characters. There is room in `chain` and `parts` for the longest row, in
    `starts`, `cuts` and `found`, of shape (more, 2), for two numbers more than a row has messages, in `state` for 32.
    """
    here, there = address(chain), address(parts)
    for row in range(len(rows) - 1):
        first, count = rows[row], rows[row + 1] - rows[row]
        sizes[row] = _characters(address(text), ends[first], ends[first + count])
        cuts[0] = _chained(text, ends, roles, first, count, chain, starts)
        _digests(here, cuts, 1, found, state)
        exact[row, 0], exact[row, 1] = found[0, 0], found[0, 1]

        # The digests of what is asked, of what ends with an answer, and of all.
        end = _chained(normal, normal_ends, roles, first, count, chain, starts)
        last = count - 1
        while last >= 0 and roles[first + last] != _ASSISTANT:
            last -= 1
        wanted, at_asked = 0, -1
        for number in range(count):
            if number == last and number:
                cuts[wanted], at_asked = starts[number], wanted
                wanted += 1
            if roles[first + number] == _ASSISTANT and number != count - 1:
                cuts[wanted] = starts[number + 1]
                wanted += 1
        cuts[wanted] = end
        _digests(here, cuts, wanted + 1, found, state)
        same[row, 0], same[row, 1] = found[wanted, 0], found[wanted, 1]
        answers[row] = at_asked >= 0
        end = opened[row]
        for number in range(wanted):
            if number == at_asked:
                asked[row] = found[number, 0]
            else:
                openings[end] = found[number, 0]
                end += 1
        opened[row + 1] = end

        users = 0
        while users < last and roles[first + users] == _USER:
            users += 1
        if 0 < last == users:
            prompts[row] = asked[row]
        else:
            before = last if last >= 0 else count
            cuts[0] = _opening(normal, normal_ends, roles, first, before, greeting, chain, starts, parts)
            _digests(there, cuts, 1, found, state)
            prompts[row] = found[0, 0]


@kernel
def _opening(
    normal: NDArray[np.uint8],
    ends: NDArray[np.int64],
    roles: NDArray[np.uint8],
    first: int,
    count: int,
    greeting: int,
    chain: NDArray[np.uint8],
    starts: NDArray[np.int64],
    out: NDArray[np.uint8],
) -> int:
    """Write what the first `count` messages ask; return where it ends. `chain` has them as they are digested."""
    to = size = 0
    for number in range(count):
        message = first + number
        if roles[message] == _ASSISTANT and size >= greeting:
            break
        if roles[message]:
            to = copied(address(chain), starts[number], starts[number + 1], address(out), to)
            size += _characters(address(normal), ends[message], ends[message + 1])
    return to


@kernel
def _chained(
    text: NDArray[np.uint8],
    ends: NDArray[np.int64],
    roles: NDArray[np.uint8],
    first: int,
    count: int,
    out: NDArray[np.uint8],
    starts: NDArray[np.int64],
) -> int:
    """Write so many messages as they are digested; return where they end."""
    source, target = address(text), address(out)
    to = 0
    for number in range(count):
        message = first + number
        starts[number] = to
        head = _HEADS[roles[message]]
        to = copied(address(head), 0, len(head), target, to)
        to = copied(source, ends[message], ends[message + 1], target, to)
        out[to] = 0x1F
        to += 1
    starts[count] = to
    return to
