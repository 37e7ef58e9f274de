"""Texts, in whatever form, as blocks of UTF-8 of a bounded size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from phi3data.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

BLOCK = 1 << 18  # code points or bytes: what the kernels write for a block stays in the second-level cache
_FEW, _LIST = 64, 4096  # texts
_PAD = b" " * 8  # kernels load 8 bytes at a time


class Block(NamedTuple):
    """Texts one after another, a space before each of them, and 8 bytes more at both ends."""

    first: int  # number of the first text
    data: NDArray[np.uint8]
    begins: NDArray[np.int64]  # (texts,) places in `data`
    ends: NDArray[np.int64]  # (texts,)

    def text(self, number: int) -> str:
        """Return a text of the block."""
        return self.data[self.begins[number] : self.ends[number]].tobytes().decode()


def size(texts: Any) -> int:
    """Return about how large texts are: the code points of a sequence, the bytes of an Arrow array."""
    return int(texts.nbytes) if hasattr(texts, "type") else sum(map(len, texts))


def lists(texts: Any) -> Iterator[list[str]]:
    """Yield the same texts as lists of some thousand. Raises `InputError` as `blocks` does."""
    for start in range(0, len(texts), _LIST):
        if hasattr(texts, "type"):
            array = texts.slice(start, _LIST)
            for chunk in getattr(array, "chunks", [array]):
                strings = _strings(chunk)
                _validate(strings, start)
                yield strings.to_pylist()
            continue
        part = list(texts[start : start + _LIST])
        try:
            for text in part:
                text.isascii() or text.encode()
        except UnicodeEncodeError as error:
            raise _no_utf8(texts, start, error) from None
        yield part


def blocks(texts: Any) -> Iterator[Block]:
    """Yield the texts of a sequence, or of an Arrow array of strings, in order.

    Raises `InputError` for a text that cannot be UTF-8, with its place.
    """
    if hasattr(texts, "type"):
        first = 0
        for array in getattr(texts, "chunks", [texts]):
            yield from _of_array(array, first)
            first += len(array)
    else:
        yield from _of_sequence(texts)


def _of_sequence(texts: Sequence[str]) -> Iterator[Block]:
    first, size = 0, 0
    parts: list[bytes] = []
    sizes: list[int] = []
    for start in range(0, len(texts), _FEW):  # few at a time: a text is looked at once, while it is in the cache
        try:
            new = [text.encode() for text in texts[start : start + _FEW]]
        except UnicodeEncodeError as error:
            raise _no_utf8(texts, start, error) from None
        lengths = list(map(len, new))
        parts += new
        sizes += lengths
        size += sum(lengths)
        if size >= BLOCK:
            yield _joined(first, parts, sizes)
            first, size, parts, sizes = start + len(new), 0, [], []
    if parts:
        yield _joined(first, parts, sizes)


def _joined(first: int, parts: list[bytes], sizes: list[int]) -> Block:
    lengths = np.array(sizes, np.int64)
    ends = np.cumsum(lengths + 1) + len(_PAD) - 1
    data = b" ".join([_PAD[1:], *parts, _PAD])
    return Block(first, np.frombuffer(data, np.uint8), ends - lengths, ends)


def _of_array(array: Any, first: int) -> Iterator[Block]:
    import pyarrow as pa

    from phi3data.tokens.exact.pack import pack

    array = _strings(array)
    kind = np.int64 if pa.types.is_large_string(array.type) else np.int32
    _, places, values = array.buffers()
    if places is None or not len(array):  # an array of no texts may have no buffers
        return
    offsets = np.frombuffer(places, kind)[array.offset : array.offset + len(array) + 1].astype(np.int64)
    data = np.frombuffer(values, np.uint8) if values is not None else np.zeros(0, np.uint8)
    for start, stop in _ranges(offsets[1:] - offsets[0]):
        _validate(array.slice(start, stop - start), first + start)
        part = offsets[start : stop + 1]
        ends = part[1:] - part[0] + np.arange(1, stop - start + 1) + len(_PAD) - 1
        packed = np.full(int(ends[-1]) + len(_PAD), ord(" "), np.uint8)
        pack(data, part, ends, packed)
        yield Block(first + start, packed, ends - np.diff(part), ends)


def _strings(array: Any) -> Any:
    """Return an array as one of strings without nulls, which are read as empty."""
    import pyarrow as pa

    kind = array.type.value_type if pa.types.is_dictionary(array.type) else array.type
    if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
        raise InputError(f"texts: an Arrow array of {array.type} has no texts: give one of string or large_string")
    if array.type != kind or pa.types.is_string_view(kind):
        array = array.cast(pa.large_string())
    return array.fill_null("") if array.null_count else array


def _validate(array: Any, first: int) -> None:
    import pyarrow as pa

    try:
        array.validate(full=True)
    except pa.ArrowInvalid as error:
        raise InputError(f"texts {first} to {first + len(array) - 1}: are no UTF-8: {error}") from None


def _ranges(until: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """Yield ranges of texts that are about a block together; `until` is the size up to the end of each text."""
    start, before = 0, 0
    while start < until.size:
        stop = max(start + 1, int(np.searchsorted(until, before + BLOCK, "right")))
        yield start, stop
        start, before = stop, int(until[stop - 1])


def _no_utf8(texts: Sequence[str], start: int, error: UnicodeEncodeError) -> InputError:
    number = next(n for n in range(start, len(texts)) if texts[n] == error.object)
    return InputError(
        f"text {number}: character {error.start + 1} is half of a surrogate pair "
        f"(U+{ord(error.object[error.start]):04X}) and cannot be UTF-8: repair the text, or replace the character by "
        "text.encode('utf-8', 'replace').decode()"
    )
