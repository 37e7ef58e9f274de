"""The kernel that copies texts out of Arrow's buffers, with a space before each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data.jit import kernel

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@kernel
def pack(
    data: NDArray[np.uint8], offsets: NDArray[np.int64], ends: NDArray[np.int64], packed: NDArray[np.uint8]
) -> None:
    """Copy text `i`, at `offsets[i]` to `offsets[i + 1]` of `data`, so that it ends at `ends[i]` of `packed`."""
    for number in range(ends.size):
        shift = ends[number] - offsets[number + 1]
        for at in range(offsets[number], offsets[number + 1]):
            packed[at + shift] = data[at]
