"""What rows of plain messages equal, by kernels compiled by numba: digest for digest what `dedup.identify` says.

Importing this module imports numba (about 0.5 s). numba notices a change of the file that a kernel is in and of no
other: so its helpers stand here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phi3data.jit import Number, address, copied, inlined, kernel, load8, load64, point_at, store8, store64

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
_ONES, _HIGHS, _SEVENS, _SPACES, _FROM_A, _AFTER_Z = (
    np.uint64(0x0101010101010101 * byte) for byte in (1, 0x80, 0x7F, 32, 0x80 - 65, 0x80 - 91)
)


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
    return point_at(text, at) if load8(text, at) < 0xF0 else 0


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
    count = end - start
    while start + 8 <= end:
        word = load64(text, start)
        count -= np.int64(((word & ~(word << np.uint64(1)) & _HIGHS) >> np.uint64(7)) * _ONES >> np.uint64(56))
        start += 8
    while start < end:
        count -= load8(text, start) & 0xC0 == 0x80
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
def chains(
    text: NDArray[np.uint8],
    ends: NDArray[np.int64],
    normal: NDArray[np.uint8],
    normal_ends: NDArray[np.int64],
    roles: NDArray[np.uint8],
    rows: NDArray[np.int64],
    greeting: int,
    out: NDArray[np.uint8],
    begins: NDArray[np.int64],
    firsts: NDArray[np.int64],
    cuts: NDArray[np.int64],
    sizes: NDArray[np.int64],
    starts: NDArray[np.int64],
) -> None:
    """Write what of each row is digested, as `digest_kernel.digests` takes it: three texts of each row.

    These are its messages; their normal forms, up to what is asked, to each answer, and to the end; and its prompt,
    which is left out where it is what is asked. `greeting` is the length of one in characters, `sizes` are those of the
    rows in characters. There is room in `starts` for one number more than a row has messages.
    """
    to = cut = 0
    for row in range(len(rows) - 1):
        first, count = rows[row], rows[row + 1] - rows[row]
        sizes[row] = _characters(address(text), ends[first], ends[first + count])
        begins[3 * row], firsts[3 * row] = to, cut
        to = _chained(text, ends, roles, first, count, out, to, starts)
        cuts[cut] = starts[count]
        cut += 1

        begins[3 * row + 1], firsts[3 * row + 1] = to, cut
        begin = to
        to = _chained(normal, normal_ends, roles, first, count, out, to, starts)
        last = _last(roles, first, count)
        for number in range(count):
            if number == last and number:
                cuts[cut] = starts[number]
                cut += 1
            if roles[first + number] == _ASSISTANT and number != count - 1:
                cuts[cut] = starts[number + 1]
                cut += 1
        cuts[cut] = starts[count]
        cut += 1

        begins[3 * row + 2], firsts[3 * row + 2] = to, cut
        users = 0
        while users < last and roles[first + users] == _USER:
            users += 1
        if not 0 < last == users:
            before = last if last >= 0 else count
            end = _opening(normal, normal_ends, roles, first, before, greeting, out, begin, starts, to)
            cuts[cut] = end - to
            cut += 1
            to = end
    firsts[3 * (len(rows) - 1)] = cut


@inlined
def _last(roles: Number, first: Number, count: Number) -> Number:
    """Return which of so many messages is the last answer, -1 if none is one."""
    last = count - 1
    while last >= 0 and roles[first + last] != _ASSISTANT:
        last -= 1
    return last


@kernel
def identify(
    roles: NDArray[np.uint8],
    rows: NDArray[np.int64],
    firsts: NDArray[np.int64],
    digests: NDArray[np.uint64],
    exact: NDArray[np.uint64],
    same: NDArray[np.uint64],
    prompts: NDArray[np.uint64],
    asked: NDArray[np.uint64],
    answers: NDArray[np.bool_],
    openings: NDArray[np.uint64],
    opened: NDArray[np.int64],
) -> None:
    """Say of each row what it equals, from the digests of its `chains`, as `identity.Identities` tells."""
    end = 0
    for row in range(len(rows) - 1):
        first, count = rows[row], rows[row + 1] - rows[row]
        exact[row, 0], exact[row, 1] = digests[firsts[3 * row], 0], digests[firsts[3 * row], 1]
        cut = firsts[3 * row + 1]
        last = _last(roles, first, count)
        for number in range(count):
            if number == last and number:
                asked[row] = digests[cut, 0]
                cut += 1
            if roles[first + number] == _ASSISTANT and number != count - 1:
                openings[end] = digests[cut, 0]
                end += 1
                cut += 1
        same[row, 0], same[row, 1] = digests[cut, 0], digests[cut, 1]
        answers[row] = last > 0
        opened[row + 1] = end
        prompts[row] = digests[cut + 1, 0] if firsts[3 * row + 3] > cut + 1 else asked[row]


@kernel
def _opening(
    normal: NDArray[np.uint8],
    ends: NDArray[np.int64],
    roles: NDArray[np.uint8],
    first: int,
    count: int,
    greeting: int,
    out: NDArray[np.uint8],
    begin: int,
    starts: NDArray[np.int64],
    to: int,
) -> int:
    """Write what the first `count` messages ask; return where it ends. From `begin` on they stand in `out` already."""
    size = 0
    for number in range(count):
        message = first + number
        if roles[message] == _ASSISTANT and size >= greeting:
            break
        if roles[message]:
            to = copied(address(out), begin + starts[number], begin + starts[number + 1], address(out), to)
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
    to: int,
    starts: NDArray[np.int64],
) -> int:
    """Write so many messages as they are digested; return where they end. `starts` tells where each begins in them."""
    source, target = address(text), address(out)
    begin = to
    for number in range(count):
        message = first + number
        starts[number] = to - begin
        head = _HEADS[roles[message]]
        to = copied(address(head), 0, len(head), target, to)
        to = copied(source, ends[message], ends[message + 1], target, to)
        out[to] = 0x1F
        to += 1
    starts[count] = to - begin
    return to
