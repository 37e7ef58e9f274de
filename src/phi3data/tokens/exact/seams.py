"""Where a piece of a byte-level tokenizer may be cut further: between characters that no merge can join.

A pattern leaves a whole run of letters as one piece, and in Chinese or Thai a run is a clause: hardly one comes twice.
As with `llama`, a place can be cut if no merge has a left half that may end there and a right half that may begin
there. A half may be a part of a character: it may end at the place if it ends with the whole character before it, or is
itself the last bytes of that character; and likewise on the right. In cl100k 7 of 100 places in Chinese text can be
joined, 15 in Japanese, 86 in Russian.

Places between two characters of ASCII are never cut here, nor those beside a character beyond U+FFFF.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

PLANE = 0x10000  # code points that have classes of their own; what is beyond has the class of this one
_PARTS = 48  # parts of characters that a class can tell apart; a character that has others is never cut off


class Seams(NamedTuple):
    """Which characters may be cut apart."""

    left: NDArray[np.uint16]  # (PLANE + 1,) the class of a character before a place
    right: NDArray[np.uint16]  # (PLANE + 1,) the class of a character after it
    apart: NDArray[np.uint8]  # 1 where the place may be cut, at left * width + right
    width: int


def seams(merges: Iterable[tuple[bytes, bytes]]) -> Seams:
    """Return where texts may be cut, for merges of a left and a right half."""
    joints: dict[bytes, set[bytes]] = {}
    for left, right in merges:
        if (left[-1] >= 0x80 or right[0] >= 0x80) and not _inner(right[0]) and (before := _last(left)):
            joints.setdefault(before, set()).add(right[: _size(right[0])])
    heads, sizes = _spelled()
    tails = np.take_along_axis(heads, (np.arange(3) + sizes[:, None]) % 3, 1)  # the last byte last
    befores = _classes(joints, lambda part: (tails[:, 3 - len(part) :] == list(part)).all(1) & (sizes > len(part)))
    afters = _classes(
        set().union(*joints.values()), lambda part: (heads[:, : len(part)] == list(part)).all(1) & (sizes > len(part))
    )
    apart = np.ones((befores.width, afters.width), np.uint8)
    apart[0, :] = apart[:, 0] = 0
    for before, rights in joints.items():
        columns = [number for right in rights for number in afters.of[right]]
        apart[np.ix_(befores.of[before], columns)] = 0
    return Seams(befores.classes, afters.classes, apart.reshape(-1), afters.width)


class _Classes(NamedTuple):
    classes: NDArray[np.uint16]  # (PLANE + 1,); 0 is the class that is never cut off
    of: dict[bytes, list[int]]  # the classes of the characters that have a part
    width: int


def _classes(parts: Iterable[bytes], having: Callable[[bytes], NDArray[np.bool_]]) -> _Classes:
    """Tell characters apart by what they are and by their parts; `having` says which characters have a part."""
    marks = np.zeros(PLANE, np.uint64)  # a bit for each part, and above them a number for each whole character
    never = np.zeros(PLANE, np.bool_)
    bits: dict[bytes, int] = {}
    whole: dict[bytes, int] = {}
    for part in sorted(parts):
        if _inner(part[0]) or len(part) < _size(part[0]):
            if len(bits) < _PARTS:
                marks[having(part)] |= np.uint64(1 << len(bits))
                bits[part] = len(bits)
            else:
                never |= having(part)
        elif len(part) < 4:
            whole[part] = code = _code(part)
            marks[code] |= np.uint64(len(whole) << _PARTS)
    known, classes = np.unique(marks, return_inverse=True)
    of = {part: [] if never[code] else [int(classes[code]) + 1] for part, code in whole.items()}
    for part in parts:
        bit = bits.get(part)
        if bit is not None:
            of[part] = (np.flatnonzero((known >> np.uint64(bit)) & np.uint64(1)) + 1).tolist()
        else:
            of.setdefault(part, [])
    shifted = np.append(np.where(never, 0, classes + 1), 0).astype(np.uint16)
    return _Classes(shifted, of, known.size + 1)


def _inner(byte: int) -> bool:
    return 0x80 <= byte < 0xC0


def _size(lead: int) -> int:
    return 1 if lead < 0x80 else 2 if lead < 0xE0 else 3 if lead < 0xF0 else 4


def _last(left: bytes) -> bytes | None:
    """Return the last character of a left half, or the part of it that the half is; None if no character ends there."""
    start = len(left) - 1
    while start > 0 and _inner(left[start]):
        start -= 1
    part = left[start:]
    return part if _inner(part[0]) or len(part) == _size(part[0]) else None


def _code(character: bytes) -> int:
    if len(character) == 1:
        return character[0]
    code = character[0] & (0x1F if len(character) == 2 else 0x0F)
    for byte in character[1:]:
        code = code << 6 | byte & 0x3F
    return code


def _spelled() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the bytes of each character up to U+FFFF, (PLANE, 3), the first one first, and how many they are."""
    codes = np.arange(PLANE)
    sizes = 1 + (codes >= 0x80) + (codes >= 0x800)
    heads = np.zeros((PLANE, 3), np.uint8)
    heads[:, 0] = np.choose(sizes - 1, [codes, 0xC0 | codes >> 6, 0xE0 | codes >> 12])
    heads[:, 1] = np.choose(sizes - 1, [0 * codes, 0x80 | codes & 0x3F, 0x80 | codes >> 6 & 0x3F])
    heads[:, 2] = np.where(sizes == 3, 0x80 | codes & 0x3F, 0)
    return heads, sizes
