"""Lines that are nothing but messages, and what the sieve says of them: all of it by kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phi3data.rules.sieve import Said
from phi3data.sources import bare

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from phi3data.rules.sieve import Sieve


class Sifted(NamedTuple):
    """Lines of a piece of a file: where each begins in it, its size in bytes, what is said, what the sieve says."""

    begins: NDArray[np.int64]
    sizes: NDArray[np.int64]
    said: Said
    masks: NDArray[np.int64]


def sift(data: bytes, sieve: Sieve) -> Sifted | None:
    """Read and sieve lines, each of which ends in a line feed; None where one of them is more than messages."""
    read = bare.read(data, encode=False)
    if not read.messages.all():
        return None
    said = Said(read.text, read.ends, read.roles, np.append(0, np.cumsum(read.messages)))
    return Sifted(read.begins, np.diff(read.begins, append=len(data)) - 1, said, sieve.suspects(said))
