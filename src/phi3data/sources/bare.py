"""Lines that are nothing but messages, some thousand at a time and without an object for each: texts in one buffer.

A line is read here if it is an object with the one key `messages`, whose items have a role (system, user or assistant)
and a text and no more, in strict JSON. So no key is there twice, and the line says what the reader of any chat row
would find in it. Left to that reader are all other lines, surrogates, and characters that are escaped where rows are
written. The kernels release the GIL.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from phi3data.native import Kernels
from phi3data.room import Room

if TYPE_CHECKING:
    from numpy.typing import NDArray

bare_kernel: Any = Kernels("phi3data.sources.bare_kernel")

_LINE_FEED = 10
_SHORTEST = len('{"role":"user","content":""}')


class Bare(NamedTuple):
    """The lines of a buffer, and what those hold that were read.

    Line `n` begins at `begins[n]`; `messages[n]` of its messages were read, 0 if it is left to others, and `sizes[n]`
    bytes of `encoded` are its line in an output. Message `m` has the role `roles[m]` (0 to 2: system, user, assistant),
    and its text ends at `ends[m + 1]` in `text`, in UTF-8.
    """

    begins: NDArray[np.int64]
    messages: NDArray[np.int64]
    text: NDArray[np.uint8]
    ends: NDArray[np.int64]
    roles: NDArray[np.uint8]
    encoded: NDArray[np.uint8]
    sizes: NDArray[np.int64]


def read(data: bytes | memoryview, *, encode: bool = True, room: Room | None = None) -> Bare:
    """Read lines, each of which ends in a line feed; none of them if they are not UTF-8.

    Without `encode` there are no lines for an output. Texts and what is written of them stand in `room`, until that is
    given again.
    """
    room = room or Room()
    buffer = np.frombuffer(data, np.uint8)
    lines, most = bare_kernel.scan(buffer), len(data) // _SHORTEST + 1
    if lines < 0:
        begins = np.append(0, np.flatnonzero(buffer == _LINE_FEED)[:-1] + 1)
        none = np.zeros(0, np.uint8)
        return Bare(begins, np.zeros_like(begins), none, np.zeros(1, np.int64), none, none, np.zeros_like(begins))
    begins, messages, sizes = (np.zeros(lines, np.int64) for _ in range(3))
    text, encoded = room.take("text", len(data)), room.take("encoded", len(data) * encode)
    ends, roles = room.take("ends", most + 1, np.int64), room.take("roles", most)
    places = room.take("places", 2 * most, np.int64).reshape(most, 2)
    ends[0] = 0
    count, size, written = bare_kernel.read(buffer, begins, text, ends, roles, messages, encoded, sizes, places)
    return Bare(begins, messages, text[:size], ends[: count + 1], roles[:count], encoded[:written], sizes)
