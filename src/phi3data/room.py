"""Memory that is used again: each 4 KiB that the system hands out anew take 2 to 3 µs, as long as 8 KiB of copying."""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import DTypeLike, NDArray

_MOST = 2**24  # bytes of an array that is kept


class Room:
    """Arrays by their names. What stands in one is lost when the same name is asked for again."""

    def __init__(self) -> None:
        self._held: dict[str, NDArray[np.uint8]] = {}

    def take(self, name: str, size: int, kind: DTypeLike = np.uint8) -> NDArray[Any]:
        """Return an array of so many numbers, each of which may be any."""
        wanted = size * np.dtype(kind).itemsize
        if wanted > _MOST:
            return np.empty(size, kind)
        held = self._held.get(name)
        if held is None or len(held) < wanted:
            held = self._held[name] = np.empty(wanted + wanted // 8, np.uint8)
        return held[:wanted].view(kind)


_spare: list[Room] = []


@contextmanager
def lent() -> Iterator[Room]:
    """Lend a room that nobody uses, with the arrays that it has from before."""
    try:
        room = _spare.pop()
    except IndexError:
        room = Room()
    yield room
    _spare.append(room)


def release() -> None:
    """Give memory that nobody uses back to the system: the rooms', and what the C library holds ready."""
    _spare.clear()
    _trim(0)


def _found_trim() -> Callable[[int], Any]:
    """Return `malloc_trim` of glibc, which otherwise holds some 60 MB of freed arrays for every thread."""
    try:
        found = ctypes.CDLL(None).malloc_trim
    except (AttributeError, TypeError, OSError):  # another C library
        return lambda _: None
    found.argtypes = [ctypes.c_size_t]
    trim: Callable[[int], Any] = found
    return trim


_trim = _found_trim()
