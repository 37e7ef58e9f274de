"""The order in which rows are trained on: a function of the seed and the epoch, so that a step can name its rows."""

from __future__ import annotations

from math import ceil
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


class MicroBatches:
    """Yields micro-batches of row numbers, shuffled anew each epoch; a batch sampler of PyTorch.

    `buckets` gives each row's bucket: no micro-batch mixes two, since LongRoPE picks its factors by the longest
    position in a batch. What is left of a bucket makes a smaller micro-batch: no row is left out of an epoch.

    Of several `processes` each, by its `number`, yields every n-th micro-batch, so that a step has the same rows as
    with one process. Where an epoch ends before all have one, the others get the blank row, numbered after the last.
    """

    drop_last = False

    def __init__(self, buckets: Sequence[bool], size: int, seed: int, processes: int = 1, number: int = 0) -> None:
        self.batch_size, self._seed, self._epoch = size, seed, 0
        self._processes, self._number, self._blank = processes, number, len(buckets)
        self._buckets = [
            rows for bucket in (False, True) if len(rows := np.flatnonzero(np.asarray(buckets, dtype=bool) == bucket))
        ]

    def __len__(self) -> int:
        """Return the micro-batches of one process in an epoch."""
        batches = sum(ceil(len(rows) / self.batch_size) for rows in self._buckets)
        return ceil(batches / self._processes)

    def __iter__(self) -> Iterator[list[int]]:
        """Yield this process's micro-batches of the epoch."""
        batches = self.epoch(self._epoch)
        for at in range(self._number, len(self) * self._processes, self._processes):
            yield batches[at] if at < len(batches) else [self._blank]

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch, from 0, that iteration yields."""
        self._epoch = epoch

    def epoch(self, number: int) -> list[list[int]]:
        """Return the micro-batches of all processes in an epoch, from 0."""
        random = np.random.Generator(np.random.PCG64([self._seed, number]))
        size = self.batch_size
        batches = []
        for rows in self._buckets:
            shuffled = random.permutation(rows).tolist()
            batches += [shuffled[start : start + size] for start in range(0, len(shuffled), size)]
        return [batches[index] for index in random.permutation(len(batches))]

    def step(self, step: int, accumulation: int) -> list[int]:
        """Return the rows of an optimiser step, counted from 0 over all epochs; `accumulation` is one process's."""
        per_epoch = -(-len(self) // accumulation)
        epoch, within = divmod(step, per_epoch)
        each = accumulation * self._processes
        batches = self.epoch(epoch)[within * each : (within + 1) * each]
        return [row for batch in batches for row in batch]
