"""Bands: which rows may be alike. Two rows are candidates if their signatures agree in all values of one band."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phi3data.similarity.plain import GOLDEN, mixed
from phi3data.similarity.texts import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from phi3data.similarity.texts import Signatures

# 25 bands of 5 of the 128 values: of the pairs with a similarity of 0.70 (0.75, 0.85) they miss 1 in 100 (1,000, 2
# million). 16 bands of 8 miss 39% (20%, 0.6%), 21 of 6 miss 7% (1.6%, 0.005%).
BANDS, VALUES = 25, 5
#: Below this length in tokens a text has no shingle of its own kind: it counts as equal or as different.
SHORT = 5


def recall(similarity: float) -> float:
    """Return the share of the pairs of that Jaccard similarity (0 to 1) which become candidates."""
    return float(1 - (1 - similarity**VALUES) ** BANDS)


def keys(signatures: Signatures) -> NDArray[np.uint32]:
    """Return the keys of the bands, of shape (rows, `BANDS`).

    32 bits are enough: keys of one band that are equal by chance, one pair in four thousand million, fail when the
    texts are compared.
    """
    if compiled.loaded:
        out = np.empty((len(signatures.values), BANDS), np.uint32)
        compiled.keys(signatures.values, out, VALUES)
        return out
    grouped = signatures.values[:, : BANDS * VALUES].reshape(-1, BANDS, VALUES).astype(np.uint64)
    total = np.zeros(grouped.shape[:2], np.uint64)
    with np.errstate(over="ignore"):
        for place in range(VALUES):
            total = mixed(total * np.uint64(GOLDEN) + grouped[:, :, place])
    return (total >> np.uint64(32)).astype(np.uint32)
