"""Where a text may be cut for a tokenizer of the Llama kind, and the kernel that cuts it.

The Llama kind: byte-pair encoding with byte fallback over the characters of the whole text, which begins with a `▁` and
has one for each space. Nothing splits the text before, so that a piece tokenises on its own has to be proved:

    Two neighbouring characters *a b* may be cut apart if no merge has a left half that ends with *a* and a right half
    that begins with *b*. For what stands on either side of the place is merged on its own until a first merge joins
    symbols across it, and that merge has such halves. As long as there is none, merges on one side change nothing on
    the other, and their order among themselves is what it would be without the other side.

In Phi-3-mini 3,279 pairs of 264 characters can join. So words, single Chinese characters, digits and newlines are
pieces. A piece of one character needs no look-up: one token if it is in the vocabulary, else one for each byte. (The
bytes themselves merge with nothing; `kinds` makes sure of it.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phi3data.jit import Number, inlined, kernel
from phi3data.tokens.exact.kinds import SPACE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from phi3data.tokens.exact.blocks import Block
    from phi3data.tokens.exact.engine import Room

PLACES = 1 << 17  # cuts between two looks at the pieces
_UNKNOWN, _ALONE, _JOINS = 0, 1, 2  # classes of characters; from _JOINS on, each character has its own


class Joints(NamedTuple):
    """Which characters can be joined by a merge."""

    classes: NDArray[np.uint16]  # of each code point up to the last one in the vocabulary
    apart: NDArray[np.uint8]  # 0 where class a may join class b, else 1; at a * width + b
    width: int
    bytes: NDArray[np.uint8]  # (256,) the length of the character that begins with this byte


class CharacterCutter:
    """Cuts texts for the Llama kind; see `engine.Cutter`."""

    def __init__(self, table: Joints) -> None:
        self._table, self._places = table, np.zeros(PLACES, np.int32)

    def __call__(
        self,
        block: Block,
        room: Room,
        until: NDArray[np.int64],
        counts: NDArray[np.int64],
        handed: NDArray[np.bool_],
    ) -> None:
        """Cut the texts of a block."""
        cut(block.data, block.begins, block.ends, self._table, room, self._places, until, counts, handed)


def joints(vocabulary: Mapping[str, int], merges: Sequence[tuple[str, str]]) -> Joints:
    """Return which characters the merges can join."""
    single = [token for token in vocabulary if len(token) == 1]
    known = frozenset(single)
    pairs = {(left[-1], right[0]) for left, right in merges}
    pairs = {(left, right) for left, right in pairs if left in known and right in known}
    numbers = {character: number for number, character in enumerate(sorted(set().union(*pairs)), _JOINS)}
    classes = np.zeros(max(map(ord, single), default=0) + 129, np.uint16)  # all of ASCII, at least
    classes[[ord(character) for character in single]] = _ALONE
    classes[[ord(character) for character in numbers]] = list(numbers.values())
    classes[ord(" ")] = classes[ord(SPACE)]
    width = len(numbers) + _JOINS
    apart = np.ones((width, width), np.uint8)
    apart[[numbers[left] for left, _ in pairs], [numbers[right] for _, right in pairs]] = 0
    lengths = np.repeat(np.array([1, 2, 3, 4], np.uint8), [0xC0, 0x20, 0x10, 0x10])
    return Joints(classes, apart.reshape(-1), width, lengths)


@inlined
def _character(text: NDArray[np.uint8], at: np.uint64) -> tuple[np.uint64, np.uint64]:
    """Return the code point of a character beyond ASCII, and its number of bytes."""
    code, size = np.uint64(text[at]), np.uint64(2)
    if code < np.uint64(0xE0):
        code &= np.uint64(0x1F)
    elif code < np.uint64(0xF0):
        code, size = code & np.uint64(0x0F), np.uint64(3)
    else:
        code, size = code & np.uint64(0x07), np.uint64(4)
    for more in range(np.uint64(1), size):
        code = (code << np.uint64(6)) | np.uint64(text[at + more] & np.uint8(0x3F))
    return code, size


@kernel
def cut(
    text: NDArray[np.uint8],
    begins: NDArray[np.int64],
    ends: NDArray[np.int64],
    table: Joints,
    room: Room,
    cuts: NDArray[np.int32],
    until: NDArray[np.int64],
    counts: NDArray[np.int64],
    handed: NDArray[np.bool_],
) -> None:
    """Cut texts as `engine.Cutter` says. Pieces of one character are counted at once.

    `text[begins[i] - 1]` must be a space for each text: it is the `▁` that the tokenizer puts before a text. `cuts` is
    room for the places of cuts. A piece for which there is no room at all goes to the library with its text.
    """
    # Unsigned numbers throughout: an index that may be negative costs numba a test. And without branches in ASCII:
    # whether a piece ends at a byte is not to be foreseen, and each wrong guess costs 20 cycles.
    zero, one, width = np.uint64(0), np.uint64(1), np.uint64(table.width)
    at, starts, sizes = room.at, room.starts, room.sizes
    classes, apart, lengths = table.classes, table.apart, table.bytes
    limit = np.uint64(classes.size)
    pieces, number, start = zero, at[0], at[1]
    while number < ends.size:
        end = ends[number]
        if start < 0:  # a text of no characters has no `▁` either
            start = end if handed[number] or begins[number] == end else begins[number] - 1
        used: Number = np.int64(pieces)
        free = min(starts.size - used, cuts.size) - 1
        stop, place = np.uint64(min(end, start + free)), np.uint64(start)
        found, row, total = zero, zero, zero
        while place < stop:
            code, size = np.uint64(text[place]), one
            if code < np.uint64(0x80):
                right = np.uint64(classes[code])
            else:
                code, size = _character(text, place)
                right = np.uint64(classes[code]) if code < limit else zero
                if right == zero:
                    total += size - one  # one token for each byte; the first one is counted below
            cuts[found] = place
            found += np.uint64(apart[row + right])
            row = right * width
            place += size
        whole = np.int64(place) >= end
        if whole:
            cuts[found] = place
        elif found > zero:  # no more room: the piece that was begun is cut again
            found -= one
            if row == zero:
                total -= size - one
        for piece in range(found):
            begin = np.uint64(cuts[piece])
            length = np.uint64(cuts[piece + one]) - begin
            starts[pieces], sizes[pieces] = begin, length
            single = np.uint64(length == np.uint64(lengths[text[begin]]))
            total += single
            pieces += one - single
        counts[number] += np.int64(total)
        until[number] = np.int64(pieces)
        if whole:
            number, start = number + 1, -1
            continue
        if found == zero and pieces == zero:
            handed[number] = True
            number, start = number + 1, -1
        else:
            start = np.int64(cuts[found])
        break
    at[0], at[1] = number, start
