"""The loops of `rephrased`, compiled by numba: which references share rare words, and how alike the shingles are.

Importing this module imports numba (about 0.5 s). numba notices a change of the file that a kernel is in and of no
other: so they stand alone here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phi3data.jit import kernel

if TYPE_CHECKING:
    from numpy.typing import NDArray


@kernel
def strongest(
    words: NDArray[np.int64],
    rows: NDArray[np.int64],
    starts: NDArray[np.int64],
    postings: NDArray[np.int64],
    weights: NDArray[np.float64],
    totals: NDArray[np.float64],
    floor: float,
    out: NDArray[np.int64],
) -> None:
    """Write for each row the references of whose weight its words have the largest shares, the largest first.

    `words[rows[n]:rows[n + 1]]` are the words of row `n`; `postings[starts[w]:starts[w + 1]]` the references with word
    `w`. `out` is of shape (rows, most) and full of -1. Shares under `floor` are left out; of equal ones the first
    reference is taken.
    """
    held = np.zeros(len(totals))
    touched = np.empty(len(totals), np.int64)
    most = out.shape[1]
    best = np.zeros(most)
    for row in range(len(rows) - 1):
        count = 0
        for place in range(rows[row], rows[row + 1]):
            word = words[place]
            for posting in range(starts[word], starts[word + 1]):
                reference = postings[posting]
                if held[reference] == 0:
                    touched[count] = reference
                    count += 1
                held[reference] += weights[word]
        filled = 0
        for place in range(count):
            reference = touched[place]
            share = held[reference] / totals[reference]
            held[reference] = 0
            if share < floor:
                continue
            if filled < most:
                filled += 1
            elif share < best[most - 1] or (share == best[most - 1] and reference > out[row, most - 1]):
                continue
            at = filled - 1
            while at > 0 and (best[at - 1] < share or (best[at - 1] == share and out[row, at - 1] > reference)):
                best[at] = best[at - 1]
                out[row, at] = out[row, at - 1]
                at -= 1
            best[at] = share
            out[row, at] = reference


@kernel
def likeness(
    pairs: NDArray[np.int64],
    rows: NDArray[np.int64],
    row_starts: NDArray[np.int64],
    references: NDArray[np.int32],
    reference_starts: NDArray[np.int64],
    weights: NDArray[np.float64],
    room: float,
    out: NDArray[np.float64],
) -> None:
    """Write the weighted Jaccard index of each pair (row, reference): of the part of the row that is most like it.

    `rows` are the shingles of the rows as numbers, in their order; `references` those of the references, each once.
    `weights` has a weight for each number. A row that is over `room` times as long as the reference is looked at
    through a window of that length, where it has most of what the reference has.
    """
    marked = np.zeros(len(weights), np.int64)  # number of the pair, + 1, whose reference has the shingle
    counted = np.zeros(len(weights), np.int64)
    for pair in range(len(pairs)):
        row, reference = pairs[pair, 0], pairs[pair, 1]
        low, high = row_starts[row], row_starts[row + 1]
        first, last = reference_starts[reference], reference_starts[reference + 1]
        whole = 0.0
        for place in range(first, last):
            marked[references[place]] = pair + 1
            whole += weights[references[place]]
        width = int(room * (last - first))
        if high - low > width:
            held = 0.0
            most = -1.0
            begin = low
            for place in range(low, high):
                if marked[rows[place]] == pair + 1:
                    held += weights[rows[place]]
                if place - low >= width and marked[rows[place - width]] == pair + 1:
                    held -= weights[rows[place - width]]
                if place - low >= width - 1 and held > most + 1e-9:
                    most = held
                    begin = place - width + 1
            low, high = begin, begin + width
        common = 0.0
        union = whole
        for place in range(low, high):
            shingle = rows[place]
            if counted[shingle] == pair + 1:
                continue
            counted[shingle] = pair + 1
            if marked[shingle] == pair + 1:
                common += weights[shingle]
            else:
                union += weights[shingle]
        out[pair] = common / union if union > 0 else 0.0
