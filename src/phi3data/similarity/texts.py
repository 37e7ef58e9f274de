"""Texts → signatures and sets of shingles: with numpy for small jobs, by kernels for large ones; the same numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa

from phi3data.native import Kernels
from phi3data.room import Room
from phi3data.similarity import plain
from phi3data.text.normalise import normalise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

compiled: Any = Kernels("phi3data.similarity.kernel")
PERMUTATIONS = 128
_BUCKETS = 2**16  # that hashes are sorted into at most
#: Code points, and groups of sets, that take numpy as long as the kernels take to be loaded (about a second).
SMALL_TEXT, SMALL_GROUPS = 3_000_000, 20_000


class Texts(NamedTuple):
    """Normalised texts in UTF-8: text `n` is `data[ends[n]:ends[n + 1]]`. What is made of them is made by kernels."""

    data: NDArray[np.uint8]
    ends: NDArray[np.int64]


class Signatures(NamedTuple):
    """MinHash signatures, of shape (rows, `PERMUTATIONS`), and the number of tokens of the longest text of each row."""

    values: NDArray[np.uint32]
    tokens: NDArray[np.int64]


class Sets(NamedTuple):
    """The sorted set of shingles of each text: `hashes[starts[n]:starts[n + 1]]` is that of text `n`."""

    hashes: NDArray[np.uint64]
    starts: NDArray[np.int64]

    @property
    def sizes(self) -> NDArray[np.int64]:
        """How many shingles each text has."""
        return np.diff(self.starts)

    def take(self, places: NDArray[np.int64]) -> Sets:
        """Return the sets of some texts, in the order of their places."""
        sizes = self.sizes[places]
        starts = np.append(0, np.cumsum(sizes))
        return Sets(self.hashes[np.repeat(self.starts[places] - starts[:-1], sizes) + np.arange(starts[-1])], starts)


def _permutations() -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the factors (odd) and the terms of the permutations: always the same, so that signatures compare."""
    numbers = plain.mixed(np.arange(1, PERMUTATIONS + 1, dtype=np.uint64) * np.uint64(0x2545F4914F6CDD1D))
    return (numbers >> np.uint64(32)).astype(np.uint32) | np.uint32(1), numbers.astype(np.uint32)


_FACTORS, _TERMS = _permutations()
_left = SMALL_TEXT  # code points that this process still does with numpy


def signatures(
    texts: Sequence[str] | pa.Array | Texts, *, sides: int = 1, kernel: bool | None = None, room: Room | None = None
) -> Signatures:
    """Return the signatures of rows of `sides` texts each, which follow one another in `texts`.

    The texts are normalised; an Arrow array may have them as they are. The shingles of different sides are never equal.
    `kernel` chooses how they are made, and changes nothing of what is made. Kernels write their values to `room`, where
    they stand until it is given again.
    """
    if isinstance(texts, Texts) or (_with_kernel(texts) if kernel is None else kernel):
        buffer, offsets = _buffers(texts)
        rows, longest = (len(offsets) - 1) // sides, _longest(offsets) + 4
        values = (room or Room()).take("signatures", rows * PERMUTATIONS, np.uint32).reshape(rows, PERMUTATIONS)
        values.fill(0xFFFFFFFF)
        signed = Signatures(values, np.zeros(rows, np.int64))
        scratch = np.empty(longest, np.uint32), np.empty(longest, np.uint32), np.empty(longest, np.uint64)
        compiled.signatures(buffer, offsets, sides, _FACTORS, _TERMS, values, signed.tokens, *scratch)
        return signed
    rows = len(texts) // sides
    values = np.full((rows, PERMUTATIONS), 0xFFFFFFFF, np.uint32)
    tokens = np.zeros(rows, np.int64)
    listed = _normalised(texts)
    for row in range(rows):
        both = listed[row * sides : (row + 1) * sides]
        tokens[row] = max(len(plain.tokens(text)) for text in both)
        hashes = np.concatenate([plain.shingles(text, side) for side, text in enumerate(both)])
        values[row] = plain.minhash(hashes, _FACTORS, _TERMS)
    return Signatures(values, tokens)


def sets(
    texts: Sequence[str] | pa.Array | Texts, *, kernel: bool | None = None, out: NDArray[np.uint64] | None = None
) -> Sets:
    """Return the set of shingles of each text; texts and `kernel` as in `signatures`.

    Kernels write them to `out` if that has a place for each byte of the texts.
    """
    if isinstance(texts, Texts) or (_with_kernel(texts) if kernel is None else kernel):
        buffer, offsets = _buffers(texts)
        starts = np.zeros(len(offsets), np.int64)
        # No text has more shingles than bytes; the end, which most often is not needed, is never touched.
        size = int(offsets[-1] - offsets[0])
        hashes = out if out is not None and len(out) >= size else np.empty(size, np.uint64)
        room = _longest(offsets)
        scratch = np.empty(room, np.uint32), np.empty(room, np.uint64), np.empty(_BUCKETS + 1, np.int64)
        compiled.sets(buffer, offsets, hashes, starts, *scratch)
        return Sets(hashes[: starts[-1]], starts)
    found = [np.unique(plain.shingles(text)) for text in _normalised(texts)]
    starts = np.zeros(len(found) + 1, np.int64)
    starts[1:] = np.cumsum([len(one) for one in found])
    return Sets(np.concatenate([*found, np.empty(0, np.uint64)]), starts)


def shared(sets: Sets, groups: NDArray[np.int64], *, kernel: bool | None = None) -> NDArray[np.int64]:
    """Return for each group of two or three texts (shape (groups, 2 or 3)) how many shingles they all have."""
    if (compiled.loaded or len(groups) > SMALL_GROUPS) if kernel is None else kernel:
        out = np.zeros(len(groups), np.int64)
        compiled.shared(sets.hashes, sets.starts, np.ascontiguousarray(groups), out)
        return out
    return plain.shared(np.split(sets.hashes, sets.starts[1:-1]), groups)


def compile_kernels(size: int) -> None:
    """Compile the kernels for texts of `size` code points, where they will be needed: before several processes would.

    They are kept on the disk, so that this takes half a second where it has been done before.
    """
    if size > SMALL_TEXT:
        words = ["one two three four five six"] * 2
        signatures(words, kernel=True)
        shared(sets(words, kernel=True), np.array([[0, 1], [1, 0]], np.int64), kernel=True)


def pays(size: int) -> bool:
    """Tell whether the kernels are worth loading for texts of `size` code points, or are loaded."""
    return size > SMALL_TEXT or compiled.loaded


def _with_kernel(texts: Sequence[str] | pa.Array) -> bool:
    global _left  # noqa: PLW0603 (how much of the start-up time this process has made up for)
    if _left > 0 and not compiled.loaded:
        _left -= len(texts.buffers()[2] or b"") if isinstance(texts, pa.Array) else sum(map(len, texts))
    return _left <= 0 or compiled.loaded


def _normalised(texts: Sequence[str] | pa.Array) -> Sequence[str]:
    return [normalise(text or "") for text in texts.to_pylist()] if isinstance(texts, pa.Array) else texts


def _buffers(texts: Sequence[str] | pa.Array | Texts) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the bytes of the texts and where each begins. Text beyond ASCII in an Arrow array is normalised first."""
    if isinstance(texts, Texts):
        return texts
    if isinstance(texts, pa.Array):
        buffer, offsets = _arrow(texts)
        data = buffer[offsets[0] : offsets[-1]].tobytes()
        if data.isascii():
            return np.frombuffer(data.lower() or b"\0", np.uint8), offsets - offsets[0]
    encoded = [text.encode() for text in _normalised(texts)]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int64)
    return np.frombuffer(b"".join(encoded) or b"\0", np.uint8), ends


def _longest(offsets: NDArray[np.int64]) -> int:
    """Return the length of the longest text in bytes."""
    return int(np.diff(offsets).max(initial=0))


def _arrow(array: Any) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    array = array.cast(pa.large_string())
    _, offsets, data = array.buffers()
    begins = np.frombuffer(offsets, np.int64)[array.offset : array.offset + len(array) + 1]
    return (np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)), begins
