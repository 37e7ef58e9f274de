"""The order in which rows are trained on: a function of the seed and the epoch, so that a step can name its rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class MicroBatches:
    """Yields micro-batches of row numbers, shuffled anew each epoch; a batch sampler of PyTorch.

    `buckets` gives each row's bucket: no micro-batch mixes two, since LongRoPE picks its factors by the longest
    position in a batch. What is left of a bucket makes a smaller micro-batch: no row is left out of an epoch.
    """

    drop_last = False

    def __init__(self, buckets: Sequence[bool], size: int, seed: int) -> None:
        self.batch_size, self._seed, self._epoch = size, seed, 0
        self._buckets = [
            rows for bucket in (False, True) if len(rows := np.flatnonzero(np.asarray(buckets, dtype=bool) == bucket))
        ]

    def __len__(self) -> int:
        return sum(-(-len(rows) // self.batch_size) for rows in self._buckets)

    def __iter__(self) -> Iterator[list[int]]:
        return iter(self.epoch(self._epoch))

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0, that iteration yields."""
        self._epoch = epoch

    def epoch(self, number: int) -> list[list[int]]:
        """Return the micro-batches of an epoch, from 0."""
        random = np.random.Generator(np.random.PCG64([self._seed, number]))
        size = self.batch_size
        batches = []
        for rows in self._buckets:
            shuffled = random.permutation(rows).tolist()
            batches += [shuffled[start : start + size] for start in range(0, len(shuffled), size)]
        return [batches[index] for index in random.permutation(len(batches))]

    def step(self, step: int, accumulation: int) -> list[int]:
        """Return the rows of an optimiser step, counted from 0 over all epochs."""
        per_epoch = -(-len(self) // accumulation)
        epoch, within = divmod(step, per_epoch)
        batches = self.epoch(epoch)[within * accumulation : (within + 1) * accumulation]
        return [row for batch in batches for row in batch]
