"""Lines that are nothing but messages, read by kernels compiled by numba: `bare` says what is read, and why.

Importing this module imports numba (about 0.5 s). numba notices a change of the file that a kernel is in and of no
other: so its helpers stand here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phi3data.jit import Number, address, copied, inlined, kernel, load64, store64

if TYPE_CHECKING:
    from numpy.typing import NDArray

SYSTEM, USER, ASSISTANT = 0, 1, 2  # how roles are written in the arrays of messages
_MESSAGES = np.frombuffer(b'"messages"', np.uint8)
_ROLE = np.frombuffer(b'"role"', np.uint8)
_CONTENT = np.frombuffer(b'"content"', np.uint8)
_ROLES = (
    np.frombuffer(b'"system"', np.uint8),
    np.frombuffer(b'"user"', np.uint8),
    np.frombuffer(b'"assistant"', np.uint8),
)
_HEAD = np.frombuffer(b'{"messages":[', np.uint8)
_TURNS = (
    np.frombuffer(b'{"role":"system","content":"', np.uint8),
    np.frombuffer(b'{"role":"user","content":"', np.uint8),
    np.frombuffer(b'{"role":"assistant","content":"', np.uint8),
)
_END = np.frombuffer(b'"},', np.uint8)
_TAIL = np.frombuffer(b"]}\n", np.uint8)
_HEX = np.frombuffer(b"0123456789abcdef", np.uint8)
# What follows a backslash, and what it stands for; 0 for anything else.
_MEANT = np.zeros(256, np.uint8)
for _letter, _meant in zip(b'"\\/bfnrt', b'"\\/\b\f\n\r\t', strict=True):
    _MEANT[_letter] = _meant
# A byte eight times: a space, the signs that end or escape, and what finds them among 8 bytes at once.
_ONES, _HIGHS = np.uint64(0x0101010101010101), np.uint64(0x8080808080808080)
_SPACES, _QUOTES, _BACKSLASHES, _FEEDS, _SEVENS = (
    np.uint64(0x0101010101010101 * byte) for byte in (32, 34, 92, 10, 0x7F)
)
# How a byte below 32 is written after a backslash; 0 where only \u00.. does.
_ESCAPED = np.zeros(256, np.uint8)
for _meant, _letter in zip(b'"\\\b\f\n\r\t', b'"\\bfnrt', strict=True):
    _ESCAPED[_meant] = _letter


@kernel
def _space(data: NDArray[np.uint8], at: int) -> int:
    """Return where white space ends."""
    while data[at] == 32 or data[at] == 9 or data[at] == 13:
        at += 1
    return at


@kernel
def _word(data: NDArray[np.uint8], at: int, word: NDArray[np.uint8]) -> int:
    """Return where a word ends that stands here; 0 if it does not."""
    if at + len(word) >= len(data):
        return 0
    for place in range(len(word)):
        if data[at + place] != word[place]:
            return 0
    return at + len(word)


@kernel
def _sign(data: NDArray[np.uint8], at: int, sign: int) -> int:
    """Return where the white space after a sign ends, before which white space may stand too; 0 if it is not there."""
    at = _space(data, at)
    return _space(data, at + 1) if data[at] == sign else 0


@kernel
def _named(data: NDArray[np.uint8], at: int, out: NDArray[np.uint8], to: int) -> int:
    """Write the character that four hexadecimal digits name in UTF-8; return where it ends, 0 if it is not read."""
    point = 0
    for place in range(at, at + 4):
        digit = data[place]
        if 48 <= digit <= 57:
            point = point * 16 + digit - 48
        elif 97 <= digit <= 102:
            point = point * 16 + digit - 87
        elif 65 <= digit <= 70:
            point = point * 16 + digit - 55
        else:
            return 0
    if 0xD800 <= point <= 0xDFFF or point == 0x85 or point == 0x2028 or point == 0x2029:
        return 0
    if point < 0x80:
        out[to] = point
        return to + 1
    if point < 0x800:
        out[to] = 0xC0 | point >> 6
        out[to + 1] = 0x80 | point & 63
        return to + 2
    out[to] = 0xE0 | point >> 12
    out[to + 1] = 0x80 | point >> 6 & 63
    out[to + 2] = 0x80 | point & 63
    return to + 3


@kernel
def _escape(data: NDArray[np.uint8], at: int, out: NDArray[np.uint8], to: int) -> tuple[int, int, bool]:
    """Write what an escape stands for; return where it ends and where that does, 0 if it is not read.

    The last value tells whether it would be written so here.
    """
    letter = data[at + 1]
    if letter == 117:
        to = _named(data, at + 2, out, to) if at + 6 < len(data) else 0
        return (at + 6 if to else 0), to, False
    out[to] = _MEANT[letter]
    return (at + 2 if _MEANT[letter] else 0), to + 1, letter != 47


@inlined
def _separates(out: NDArray[np.uint8], start: Number, to: Number, byte: Number) -> Number:
    """Tell whether a byte ends U+0085, U+2028 or U+2029, which are escaped where rows are written."""
    if byte == 0x85:
        return to > start and out[to - 1] == 0xC2
    return (byte == 0xA8 or byte == 0xA9) and to > start + 1 and out[to - 1] == 0x80 and out[to - 2] == 0xE2


@inlined
def _plain(word: Number) -> Number:
    """Tell whether 8 bytes are ASCII that stands for itself in a string."""
    special = word | (word - _SPACES) | ((word ^ _QUOTES) - _ONES) | ((word ^ _BACKSLASHES) - _ONES)
    return special & _HIGHS == 0


@kernel
def _string(data: NDArray[np.uint8], at: int, out: NDArray[np.uint8], to: int) -> tuple[int, int, bool]:
    """Write what a string holds to `out` from `to`; return where the string ends and where that does, 0 if not read.

    The last value tells whether the string is written as it would be here.
    """
    if data[at] != 34:
        return 0, 0, False
    at += 1
    start, alike = to, True
    source, target, last = address(data), address(out), len(data) - 8
    while True:
        while at <= last:
            word = load64(source, at)
            if not _plain(word):
                break
            store64(target, to, word)
            at += 8
            to += 8
        byte = data[at]
        stop = at + 8
        while at < stop and byte >= 32 and byte != 34 and byte != 92:
            if byte >= 0x80 and _separates(out, start, to, byte):
                return 0, 0, False
            out[to] = byte
            to += 1
            at += 1
            byte = data[at]
        if byte == 34:
            return at + 1, to, alike
        if byte < 32:
            return 0, 0, False
        if byte != 92:
            continue
        at, to, so = _escape(data, at, out, to)
        if not at:
            return 0, 0, False
        alike = alike and so


@kernel
def _role(data: NDArray[np.uint8], at: int) -> tuple[int, int]:
    """Return where the name of a role ends, and which it is; 0 if it is none."""
    for role in range(3):
        end = _word(data, at, _ROLES[role])
        if end:
            return end, role
    return 0, 0


@kernel
def _message(data: NDArray[np.uint8], at: int, text: NDArray[np.uint8], to: int) -> tuple[int, int, int, int, int]:
    """Read a message; return where it ends, where its text does, and its role; 0 if it is not read.

    The last numbers are where the text begins and ends in `data`, if it is written there as it would be here; else 0.
    """
    at = _sign(data, at, 123)
    role, to_end, place, place_end = 0, -1, 0, 0
    role_seen = False
    for number in range(2):
        if not at:
            return 0, 0, 0, 0, 0
        end = 0 if role_seen else _word(data, at, _ROLE)
        if end:
            at = _sign(data, end, 58)
            if at:
                at, role = _role(data, at)
            role_seen = True
        else:
            end = 0 if to_end >= 0 else _word(data, at, _CONTENT)
            at = _sign(data, end, 58) if end else 0
            if at:
                place = at + 1
                at, to_end, alike = _string(data, at, text, to)
                place, place_end = (place, at - 1) if alike else (0, 0)
        if at:
            at = _sign(data, at, 125 if number else 44)
    return at, to_end, role, place, place_end


@kernel
def _quoted(text: NDArray[np.uint8], start: int, end: int, out: NDArray[np.uint8], to: int) -> int:
    """Write a text as the inside of a JSON string, as `msgspec` does; return where it ends."""
    for place in range(start, end):
        byte = text[place]
        if byte >= 32 and byte != 34 and byte != 92:
            out[to] = byte
            to += 1
            continue
        out[to] = 92
        if _ESCAPED[byte]:
            out[to + 1] = _ESCAPED[byte]
            to += 2
            continue
        out[to + 1] = 117
        out[to + 2] = out[to + 3] = 48
        out[to + 4] = _HEX[byte >> 4]
        out[to + 5] = _HEX[byte & 15]
        to += 6
    return to


@kernel
def scan(data: NDArray[np.uint8]) -> int:
    """Return how many line feeds there are; -1 if the bytes are not UTF-8."""
    at, end, lines = 0, len(data), 0
    source = address(data)
    while at < end:
        if at + 8 <= end:
            word = load64(source, at)
            if word & _HIGHS == 0:
                feeds = ~((word ^ _FEEDS) + _SEVENS) & _HIGHS
                if feeds:
                    lines += int(((feeds >> np.uint64(7)) * _ONES) >> np.uint64(56))
                at += 8
                continue
        byte = data[at]
        if byte < 0x80:
            lines += byte == 10
            at += 1
            continue
        size = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
        if byte < 0xC2 or byte > 0xF4 or at + size > end:
            return -1
        for place in range(at + 1, at + size):
            if data[place] & 0xC0 != 0x80:
                return -1
        second = data[at + 1]
        if (byte == 0xE0 and second < 0xA0) or (byte == 0xED and second >= 0xA0):
            return -1
        if (byte == 0xF0 and second < 0x90) or (byte == 0xF4 and second >= 0x90):
            return -1
        at += size
    return lines


@kernel
def read(
    data: NDArray[np.uint8],
    lines: NDArray[np.int64],
    text: NDArray[np.uint8],
    ends: NDArray[np.int64],
    roles: NDArray[np.uint8],
    messages: NDArray[np.int64],
    encoded: NDArray[np.uint8],
    sizes: NDArray[np.int64],
    places: NDArray[np.int64],
) -> tuple[int, int, int]:
    """Read all lines of `data`, each of which ends in a line feed; return how many texts and bytes of these there are.

    Line `n` begins at `lines[n]`; so many `messages` are read of it (0: it is left to others), and so many bytes
    (`sizes`) are added to `encoded`, the lines of an output. The text of message `m` ends at `ends[m + 1]` in `text`.
    The last number is that of the bytes in `encoded`. `places`, of shape (messages, 2), is room for where texts stand.
    """
    at = to = count = written = 0
    source, target = address(data), address(encoded)
    for line in range(len(messages)):
        lines[line] = at
        first, begin, low = count, to, at
        at = _sign(data, at, 123)
        at = _word(data, at, _MESSAGES) if at else 0
        at = _sign(data, at, 58) if at else 0
        at = at + 1 if at and data[at] == 91 else 0
        while at:
            at, to, role, start, end = _message(data, at, text, to)
            roles[count] = role
            places[count, 0], places[count, 1] = start, end
            count += 1
            ends[count] = to
            if not at or data[at] != 44:
                break
            at += 1
        at = _sign(data, at, 93) if at else 0
        at = _sign(data, at, 125) if at else 0
        if not at or data[at] != 10:
            count, to = first, begin
            at = low
            while data[at] != 10:
                at += 1
        at += 1
        messages[line] = count - first
        before = written
        if count > first and len(encoded):
            written = copied(address(_HEAD), 0, len(_HEAD), target, written)
            for message in range(first, count):
                head = _TURNS[roles[message]]
                written = copied(address(head), 0, len(head), target, written)
                if places[message, 0]:
                    written = copied(source, places[message, 0], places[message, 1], target, written)
                else:
                    written = _quoted(text, ends[message], ends[message + 1], encoded, written)
                written = copied(address(_END), 0, len(_END), target, written)
            written = copied(address(_TAIL), 0, len(_TAIL), target, written - 1)
        sizes[line] = written - before
    return count, to, written
