"""Characters of UTF-8 for kernels: what is known of one, and where the others stand. Importing it imports numba."""

from __future__ import annotations

import numpy as np

from phi3data.jit import Number, inlined, load8, load64, part, point_at
from phi3data.rules.characters import AFTER_EMOJI, EMOJI, HIDDEN, LETTER, PLANE, SPACE, UNSURE

_HIGHS = np.uint64(0x8080808080808080)


@inlined
def known_at(text: Number, at: Number, characters: Number) -> Number:
    """Return what `character_table`, at `characters`, tells of the character that begins at a byte beyond ASCII."""
    point = point_at(text, at)
    if point >= PLANE:
        if not EMOJI <= point < AFTER_EMOJI:
            return HIDDEN | UNSURE | LETTER | SPACE
        point -= EMOJI - PLANE
    return load8(characters, point)


@inlined
def is_white(byte: Number) -> Number:
    """Tell whether a byte is white space of ASCII."""
    return byte == 32 or 9 <= byte <= 13 or 28 <= byte <= 31


@inlined
def is_ascii(text: Number, start: Number, end: Number) -> Number:
    """Tell whether a piece has characters of ASCII only."""
    bits = np.uint64(0)
    while start + 8 <= end:
        bits |= load64(text, start)
        start += 8
    wide = bits & _HIGHS != 0
    while start < end:
        wide |= load8(text, start) >= 0x80
        start += 1
    return not wide


@part
def step_back(text: int, start: int, at: int, count: int) -> int:
    """Return where the character begins that stands so many before a place, or where the text begins."""
    if is_ascii(text, max(start, at - count), at):
        return max(start, at - count)
    while at > start and count:
        at -= 1
        count -= load8(text, at) & 0xC0 != 0x80
    return at


@part
def step_on(text: int, at: int, end: int, count: int) -> int:
    """Return where the character begins that stands so many behind a place, or where the text ends."""
    if is_ascii(text, at, min(end, at + count)):
        return min(end, at + count)
    while at < end and count:
        at += 1
        count -= at == end or load8(text, at) & 0xC0 != 0x80
    return at
