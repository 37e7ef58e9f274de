"""The kernels at work: a block of texts to counts, without Python for each piece.

Importing this module imports numba.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

from phi3data.tokens.exact.pieces import count_pieces

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from numpy.typing import NDArray

    from phi3data.tokens.exact.blocks import Block
    from phi3data.tokens.exact.pieces import Cache, Merges

PIECES = 1 << 17  # that are cut before they are counted
_LARGEST = 1 << 30  # bytes of a text; places in a block are 32-bit numbers


class Room(NamedTuple):
    """Room for pieces, and where to go on cutting."""

    at: NDArray[np.int64]  # text and byte; the byte is -1 where the text begins
    starts: NDArray[np.int32]
    sizes: NDArray[np.int32]


class Cutter(Protocol):
    """Cuts texts into pieces that tokenise on their own, until all are cut or there is no more room.

    It moves `room.at` on, sets `until[i]` to the number of pieces up to the end of text `i` or as far as it came, may
    add to `counts` instead of returning a piece, marks in `handed` the texts that it cannot cut, and skips those
    marked.
    """

    def __call__(
        self,
        block: Block,
        room: Room,
        until: NDArray[np.int64],
        counts: NDArray[np.int64],
        handed: NDArray[np.bool_],
    ) -> None:
        """Cut the texts of a block."""
        ...


class Engine:
    """Counts blocks of texts with one tokenizer."""

    def __init__(self, cut: Cutter, merges: Merges, cache: Cache) -> None:
        self.cache = cache
        self._cut, self._merges = cut, merges
        self._room = Room(np.zeros(2, np.int64), np.zeros(PIECES, np.int32), np.zeros(PIECES, np.int32))

    def count(self, block: Block, controls: Iterable[bytes] = ()) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Return the number of tokens of each text, and which texts only the library can count.

        Texts that contain one of `controls` are among the latter.
        """
        texts = block.ends.size
        counts, until = np.zeros(texts, np.int64), np.zeros(texts, np.int64)
        handed = block.ends - block.begins > _LARGEST
        mark(block, controls, handed)
        at, starts, sizes = self._room
        at[:] = 0, -1
        while at[0] < texts:
            first = int(at[0])
            self._cut(block, self._room, until, counts, handed)
            last = min(int(at[0]) + 1, texts) if at[1] >= 0 else int(at[0])
            count_pieces(block.data, starts, sizes, until[first:last], first, self._merges, self.cache, counts, handed)
        return counts, handed


def mark(block: Block, words: Iterable[bytes], handed: NDArray[np.bool_]) -> None:
    """Mark the texts of a block that contain one of the words; a word across two texts may mark the first."""
    data = block.data
    by_first: dict[int, list[bytes]] = {}
    for word in filter(None, words):
        by_first.setdefault(word[0], []).append(word)
    for first, group in by_first.items():
        for places in _complete(data, np.flatnonzero(data == first), group, 1):
            texts = np.searchsorted(block.ends, places, "right")
            handed[texts[texts < handed.size]] = True


def _complete(
    data: NDArray[np.uint8], places: NDArray[np.intp], words: list[bytes], depth: int
) -> Iterator[NDArray[np.intp]]:
    """Yield the places where a word is, of those where the first `depth` bytes of all the words are."""
    by_next: dict[int, list[bytes]] = {}
    for word in words:
        if len(word) == depth:
            yield places
        else:
            by_next.setdefault(word[depth], []).append(word)
    for byte, group in by_next.items():
        rest = places[data[np.minimum(places + depth, data.size - 1)] == byte]
        if rest.size:
            yield from _complete(data, rest, group, depth + 1)
