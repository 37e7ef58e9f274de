from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3train.data.order import MicroBatches
from phi3train.data.pack import best_fit_decreasing, efficiency

LENGTHS = st.lists(st.integers(1, 120), max_size=60)


@given(LENGTHS, st.integers(1, 100))
def test_packing_is_a_partition_within_bounds(lengths: list[int], capacity: int) -> None:
    bins = best_fit_decreasing(lengths, capacity)
    assert sorted(index for each in bins for index in each) == list(range(len(lengths)))
    sums = [sum(lengths[index] for index in each) for each in bins]
    for each, total in zip(bins, sums, strict=True):
        assert total <= capacity or len(each) == 1
    # Any two bins together are over the capacity: were they not, the later one would never have been opened.
    small = sorted(total for total in sums if total <= capacity)
    assert len(small) < 2 or small[0] + small[1] > capacity
    # So no packing has fewer than half as many, and this one never needs more than 11/9 and a bin.
    fitting = [length for length in lengths if length <= capacity]
    least = -(-sum(fitting) // capacity) if fitting else 0
    assert len(small) <= max(2 * least, 1)


@given(st.lists(st.integers(1, 12), min_size=1, max_size=7), st.just(12))
def test_packing_is_close_to_the_best_there_is(lengths: list[int], capacity: int) -> None:
    bins = best_fit_decreasing(lengths, capacity)
    assert len(bins) <= 11 / 9 * _optimum(sorted(lengths, reverse=True), capacity) + 6 / 9


def _optimum(lengths: list[int], capacity: int) -> int:
    best = len(lengths)

    def place(at: int, bins: list[int]) -> None:
        nonlocal best
        if len(bins) >= best and at < len(lengths):
            return
        if at == len(lengths):
            best = min(best, len(bins))
            return
        for index, room in enumerate(bins):
            if room >= lengths[at]:
                place(at + 1, [*bins[:index], room - lengths[at], *bins[index + 1 :]])
        place(at + 1, [*bins, capacity - lengths[at]])

    place(0, [])
    return best


def test_packing_takes_the_place_where_the_least_room_is_left() -> None:
    assert best_fit_decreasing([6, 5, 4, 5, 9, 1], 10) == [[0, 2], [1, 3], [4, 5]]
    assert efficiency([6, 5, 4, 5, 9, 1], [[0, 2], [1, 3], [4, 5]], 10) == 1.0


def test_a_row_that_is_longer_than_a_pack_is_alone() -> None:
    assert best_fit_decreasing([3, 25, 3], 10) == [[0, 2], [1]]
    assert efficiency([3, 25, 3], [[0, 2], [1]], 10) == pytest.approx(31 / 35)


@given(st.lists(st.booleans(), min_size=1, max_size=50), st.integers(1, 7), st.integers(0, 3), st.integers(1, 4))
def test_an_epoch_has_every_row_once_and_no_batch_of_both_kinds(
    buckets: list[bool], size: int, epoch: int, accumulation: int
) -> None:
    order = MicroBatches(buckets, size, seed=3)
    order.set_epoch(epoch)
    batches = list(order)
    assert len(batches) == len(order)
    assert sorted(row for batch in batches for row in batch) == list(range(len(buckets)))
    assert all(len({buckets[row] for row in batch}) == 1 and len(batch) <= size for batch in batches)
    # A step names the rows that the trainer takes for it.
    steps = -(-len(order) // accumulation)
    named = [row for step in range(steps) for row in order.step(epoch * steps + step, accumulation)]
    assert named == [row for batch in batches for row in batch]


def test_the_order_follows_from_seed_and_epoch() -> None:
    order = MicroBatches([False] * 100, 8, seed=1)
    assert order.epoch(0) == MicroBatches([False] * 100, 8, seed=1).epoch(0)
    assert order.epoch(0) != order.epoch(1)
    assert order.epoch(0) != MicroBatches([False] * 100, 8, seed=2).epoch(0)
