r"""Hints: pieces of which a text has one if a kernel finds something in it, and the automaton that looks for all.

A hint is text with a little of the language of regular expressions: ``[a-z_]`` is one of some characters of ASCII,
``\w`` in or outside of brackets an ASCII letter, digit or underscore or any byte of a character beyond ASCII, ``\W``
anything else of ASCII or any such byte, ``\s`` white space of ASCII or any such byte; a backslash makes a sign stand
for itself, ``^`` at the start means the start of the text. So a hint is a sequence of sets of bytes of UTF-8; written
in bytes, it may have sets of any bytes.
"""

from __future__ import annotations

import re
from functools import reduce
from itertools import islice
from operator import or_
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

#: Bytes of a hint; of a longer one the first ones are looked for.
LONGEST = 128

_PIECE = re.compile(rb"\[((?:\\.|[^\]\\])+)\]|\\(.)|(.)", re.DOTALL)
_MEMBER = re.compile(rb"\\([wsW])|\\?(.)-\\?(.)|\\?(.)", re.DOTALL)
_WIDE = frozenset(range(0x80, 0x100))
_WORD = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
_CLASSES = {
    b"w": _WORD | _WIDE,
    b"W": frozenset(range(0x80)) - _WORD | _WIDE,
    b"s": frozenset(b"\t\n\v\f\r\x1c\x1d\x1e\x1f ") | _WIDE,
}


class Automaton(NamedTuple):
    """A deterministic automaton over bytes: `table[state + kinds[byte]]` is the next state, a text begins in state 0.

    States are numbered by where their rows begin in the table. A hint ends in each state from `accepting` on:
    `masks[state // (number of kinds)]` are the bits of those that do.
    """

    table: NDArray[np.uint32]
    kinds: NDArray[np.uint8]
    masks: NDArray[np.int64]
    accepting: int


def sequence(hint: str | bytes) -> tuple[list[frozenset[int]], bool]:
    """Return the sets of bytes of a hint, and whether it stands at the start of a text only.

    Raises `ValueError` for brackets that hold a character beyond ASCII, which is more than a byte.
    """
    data = hint.encode() if isinstance(hint, str) else hint
    anchored = data[:1] == b"^"
    sets: list[frozenset[int]] = []
    for members, escaped, plain in _PIECE.findall(data[anchored:]):
        if members and isinstance(hint, str) and not members.isascii():
            raise ValueError(f"{hint!r}: brackets hold ASCII only")
        if members:
            sets.append(frozenset().union(*(_set(*member) for member in _MEMBER.findall(members))))
        else:
            sets.append(_CLASSES.get(escaped) or frozenset(escaped or plain))
    return sets, anchored


def _set(named: bytes, low: bytes, high: bytes, one: bytes) -> frozenset[int]:
    return _CLASSES[named] if named else frozenset(range(low[0], high[0] + 1)) if low else frozenset(one)


def automaton(hints: Iterable[tuple[str | bytes, int]], plain: Iterable[tuple[str, int]] = ()) -> Automaton:
    """Return the automaton that finds hints, each with its bits, and plain pieces of text.

    The places in all sequences are the bits of one number, in which a state is the places that were reached: a byte
    moves all of them on by one shift (Shift-And, Baeza-Yates and Gonnet 1992). The states that occur are numbered.
    """
    wanted = [(*sequence(hint), mask) for hint, mask in hints]
    wanted += [([frozenset([byte]) for byte in piece.encode()], False, mask) for piece, mask in plain]
    wanted = [(sets[:LONGEST], anchored, mask) for sets, anchored, mask in wanted]
    starts = anchors = ends = place = 0
    moves = [0] * 256  # for each byte the places that it may stand at
    masks: dict[int, int] = {}  # by the last place of a hint
    for sets, anchored, mask in wanted:
        starts, anchors = (starts, anchors | 1 << place) if anchored else (starts | 1 << place, anchors)
        for allowed in sets:
            for byte in allowed:
                moves[byte] |= 1 << place
            place += 1
        ends |= 1 << place - 1
        masks[place - 1] = mask
    kinds = {move: number for number, move in enumerate(dict.fromkeys(moves))}
    standing: list[list[tuple[int, int]]] = [[] for _ in range(place)]  # by place, the kinds of bytes that may be there
    for move, number in kinds.items():
        for at in _places(move):
            standing[at].append((number, move))
    known = {-1: 0, 0: 1}  # the number of each state; -1 is that in which a text begins
    rows = [[known.setdefault((starts | begin) & move, len(known)) for move in kinds] for begin in (anchors, 0)]
    for state in islice(_growing(known), 2, None):
        reached = (state & ~ends) << 1
        row = rows[1].copy()  # from places that a byte cannot stand at nothing is reached but the first places
        for number, move in {kind for at in _places(reached) for kind in standing[at]}:
            row[number] = known.setdefault((reached | starts) & move, len(known))
        rows.append(row)
    found = [0 if state < 0 else reduce(or_, map(masks.__getitem__, _places(state & ends)), 0) for state in known]
    order = sorted(range(len(known)), key=lambda state: found[state] != 0)  # stable: state 0 stays the first
    renumbered = len(kinds) * np.argsort(order)
    return Automaton(
        renumbered[np.array(rows)][order].astype(np.uint32).ravel(),
        np.array([kinds[move] for move in moves], np.uint8),
        np.array(found, np.int64)[order],
        len(kinds) * found.count(0),
    )


def _growing(known: dict[int, int]) -> Iterator[int]:
    """Yield the keys of a table that grows meanwhile."""
    done = 0
    while done < len(known):
        for key in list(known)[done:]:
            done += 1
            yield key


def _places(bits: int) -> Iterator[int]:
    """Yield the numbers of the bits that are set."""
    while bits:
        yield (bits & -bits).bit_length() - 1
        bits &= bits - 1
