"""The kernel that cuts texts as the patterns of byte-level tokenizers do.

The patterns are alternatives that a backtracking engine tries in order at each place; each character is in one. The
kernel finds what the engine would find, without backtracking (`kinds` has the patterns in full):

suffix      ``'s 't 're 've 'm 'll 'd``
word        ``[^\\r\\n\\p{L}\\p{N}]?\\p{L}+``; what may stand before is no letter
cased word  o200k: capitals and then small letters, where some characters are both; see `_cased`
digits      ``\\p{N}{1,3}``
marks       `` ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*``
white       ``\\s*[\\r\\n]+`` is up to the last line end of a run; else ``\\s+(?!\\S)`` is all of the run at the end of
            the text, and all but its last character before anything; ``\\s+`` is the run of that one character
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phi3data.jit import Number, address, inlined, kernel, load8
from phi3data.tokens.exact import kinds
from phi3data.tokens.exact.classes import BEYOND, LETTER, LOWER, NEWLINE, NUMBER, SPACE, UPPER, Classes, Keep, classes
from phi3data.tokens.exact.engine import mark
from phi3data.tokens.exact.seams import PLANE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from phi3data.tokens.exact.blocks import Block
    from phi3data.tokens.exact.engine import Room
    from phi3data.tokens.exact.seams import Seams

_ANY = 1 << 62
_APOSTROPHE, _BLANK, _SLASH, _LF, _CR = 0x27, 0x20, 0x2F, 0x0A, 0x0D
_S, _T, _R, _E, _V, _M, _L, _D = 0x73, 0x74, 0x72, 0x65, 0x76, 0x6D, 0x6C, 0x64


class Pattern(NamedTuple):
    """What the patterns differ in."""

    digits: int = 3  # the most that are one piece
    blank_only: bool = False  # what may stand before letters is a blank, and one may stand before digits too (GPT-2)
    cased: bool = False  # a word ends before a capital, and a suffix is part of the word (o200k)
    lines: bool = True  # line ends are cut off from white space, and belong to the marks before them


_PATTERNS = {
    kinds.GPT2: Pattern(digits=_ANY, blank_only=True, lines=False),
    kinds.CL100K: Pattern(),
    kinds.QWEN2: Pattern(digits=1),
    kinds.O200K: Pattern(cased=True),
}


class PatternCutter:
    """Cuts texts by a pattern; see `engine.Cutter`."""

    def __init__(self, pattern: str, keep: Keep, seams: Seams) -> None:
        """`keep` is the engine that would read the pattern."""
        self._seams = seams
        self._pattern = _PATTERNS[pattern]
        self._classes = classes(keep, fold=not self._pattern.blank_only)

    def __call__(
        self,
        block: Block,
        room: Room,
        until: NDArray[np.int64],
        counts: NDArray[np.int64],  # noqa: ARG002 (other cutters count)
        handed: NDArray[np.bool_],
    ) -> None:
        """Cut the texts of a block."""
        if room.at[1] < 0 and room.at[0] == 0 and block.data.max() > 0xF0:
            mark(block, BEYOND, handed)
        cut(block.data, block.begins, block.ends, self._classes, self._seams, self._pattern, room, until, handed)


@inlined
def _character(text: Number, at: Number) -> tuple[Number, Number]:
    """Return the code point at a place, and the place after it."""
    code = load8(text, at)
    if code < 0x80:
        return code, at + 1
    if code < 0xE0:
        return ((code & 0x1F) << 6) | (load8(text, at + 1) & 0x3F), at + 2
    code = (code << 12) | ((load8(text, at + 1) & 0x3F) << 6) | (load8(text, at + 2) & 0x3F)
    if code < 0xF0000:
        return code & 0xFFFF, at + 3
    return ((code & 0xFFF) << 6) | (load8(text, at + 3) & 0x3F), at + 4  # planes 0 to 3: 18 bits


@inlined
def _next(text: Number, at: Number, end: Number, bits: Number) -> tuple[Number, Number]:
    """Return the classes of the character at a place, and the place after it; no class and the place at the end."""
    if at >= end:
        return 0, at
    code, after = _character(text, at)
    return load8(bits, code), after


@inlined
def _run(text: Number, at: Number, end: Number, bits: Number, wanted: Number) -> Number:
    """Return where the characters of some classes end."""
    while at < end:
        code, after = _character(text, at)
        if not load8(bits, code) & wanted:
            break
        at = after
    return at


@inlined
def _suffix(text: Number, at: Number, end: Number, letters: Number) -> Number:
    """Return the end of a suffix such as 's that begins at a place; the place itself if there is none."""
    if at + 1 >= end or load8(text, at) != _APOSTROPHE:
        return at
    code, after = _character(text, at + 1)
    one = load8(letters, code)
    if one in (_S, _T, _M, _D):
        return after
    if one in (_R, _V, _L) and after < end:
        code, after = _character(text, after)
        if load8(letters, code) == (_L if one == _L else _E):
            return after
    return at


@inlined
def _cased(text: Number, at: Number, end: Number, bits: Number) -> Number:
    """Return the end of what ``UPPER*LOWER+`` finds at a place; the place itself if that is nothing.

    A character may be both (marks, letters without case). The capitals take all they can. If a small letter follows,
    the small ones take all they can too. Else the capitals give back as much as leaves one character that is both.
    """
    place, both = at, at
    while place < end:
        kind, after = _next(text, place, end, bits)
        if not kind & UPPER:
            break
        if kind & LOWER:
            both = after
        place = after
    small = _run(text, place, end, bits, LOWER)
    return small if small > place else both


@inlined
def _word(
    text: Number,
    at: Number,
    after: Number,
    end: Number,
    before: Number,
    bits: Number,
) -> Number:
    """Return the end of o200k's words, without suffix; `before`: what ends at `after` may stand before letters."""
    found = _cased(text, after, end, bits) if before else at
    if found > after:
        return found
    found = _cased(text, at, end, bits)
    if found > at:
        return found
    found = _run(text, after, end, bits, UPPER) if before else at
    return found if found > after else _run(text, at, end, bits, UPPER)


@inlined
def _white(text: Number, at: Number, end: Number, bits: Number, lines: Number) -> Number:
    """Return the end of a piece of white space."""
    place, last, line = at, at, at
    while place < end:
        kind, after = _next(text, place, end, bits)
        if not kind & SPACE:
            break
        last, place = place, after
        if kind & NEWLINE:
            line = after
    if lines and line > at:
        return line
    return place if place == end or last == at else last


@inlined
def _digits(text: Number, at: Number, end: Number, bits: Number, most: Number) -> Number:
    """Return where digits end, after `most` of them at the latest."""
    while at < end and most > 0:
        kind, after = _next(text, at, end, bits)
        if not kind & NUMBER:
            break
        at, most = after, most - 1
    return at


@inlined
def _marks(text: Number, at: Number, end: Number, bits: Number, pattern: Pattern) -> Number:
    """Return where marks end, and the line ends that belong to them."""
    while at < end:
        kind, after = _next(text, at, end, bits)
        if kind & (SPACE | LETTER | NUMBER):
            break
        at = after
    while pattern.lines and at < end:
        byte = load8(text, at)
        if not (byte in (_LF, _CR) or (pattern.cased and byte == _SLASH)):
            break
        at += 1
    return at


@inlined
def _piece(text: Number, at: Number, end: Number, bits: Number, letters: Number, pattern: Pattern) -> Number:
    """Return where the piece that begins at a place ends."""
    kind, after = _next(text, at, end, bits)
    behind, later = _next(text, after, end, bits)
    blank = load8(text, at) == _BLANK
    before = blank if pattern.blank_only else not kind & (LETTER | NUMBER | NEWLINE)
    if pattern.cased:
        stop = _word(text, at, after, end, before, bits)
        if stop > at:
            return _suffix(text, stop, end, letters)
    else:
        stop = _suffix(text, at, end, letters)
        if stop > at:
            return stop
        if kind & LETTER or (before and behind & LETTER):
            return _run(text, after, end, bits, LETTER)
    if kind & NUMBER or (pattern.blank_only and blank and behind & NUMBER):
        return _digits(text, after, end, bits, pattern.digits - 1)
    if not kind & SPACE or (blank and later > after and not behind & (SPACE | LETTER | NUMBER)):
        return _marks(text, after, end, bits, pattern)
    return _white(text, at, end, bits, pattern.lines)


@inlined
def _sewn(text: Number, start: Number, stop: Number, seams: Seams, room: Room, pieces: Number) -> Number:
    """Write a piece, cut where no merge joins its characters, and return how many pieces there are now."""
    if stop - start > 4 and load8(text, stop - 1) >= 0x80 and stop - start <= room.starts.size:
        code, at = _character(text, start)
        while at < stop:
            right, after = _character(text, at)
            joint = np.int64(seams.left[min(code, PLANE)]) * seams.width + seams.right[min(right, PLANE)]
            if seams.apart[joint] and (code >= 0x80 or right >= 0x80):
                room.starts[pieces], room.sizes[pieces] = start, at - start
                pieces += 1
                start = at
            code, at = right, after
    room.starts[pieces], room.sizes[pieces] = start, stop - start
    return pieces + 1


@kernel
def cut(
    text: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    table: Classes,
    seams: Seams,
    pattern: Pattern,
    room: Room,
    until: NDArray[np.int64],
    handed: NDArray[np.bool_],
) -> None:
    """Cut texts as `engine.Cutter` says."""
    place, bits, letters = address(text), address(table.bits), address(table.suffix)
    number, at, pieces = room.at[0], room.at[1], 0
    while number < ends.size:
        end = ends[number]
        if at < 0:
            at = end if handed[number] else begins[number]
        while at < end:
            stop = _piece(place, at, end, bits, letters, pattern)
            if pieces and pieces + (stop - at) > room.starts.size:
                break
            pieces = _sewn(place, at, stop, seams, room, pieces)
            at = stop
        until[number] = pieces
        if at < end:
            break
        number, at = number + 1, -1
    room.at[0], room.at[1] = number, at
