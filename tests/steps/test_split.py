from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data.steps.split import SplitConfig, assign, by_time, components, deviation, joint

KEYS = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=60, unique=True)


@given(KEYS, st.data(), st.floats(0, 0.5), st.floats(0, 0.4), st.integers(0, 5))
def test_splits_have_the_wanted_sizes_and_do_not_depend_on_order(
    keys: list[int], data: st.DataObject, validation: float, test: float, seed: int
) -> None:
    count = len(keys)
    rows = data.draw(st.lists(st.integers(1, 5), min_size=count, max_size=count))
    strata = data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count))
    config = SplitConfig(validation=validation, test=test, seed=seed)

    def split(order: list[int]) -> dict[int, int]:
        out = assign(
            np.array([keys[n] for n in order], np.uint64),
            np.array([strata[n] for n in order], np.int64),
            np.array([rows[n] for n in order], np.int64),
            config,
        )
        return {keys[n]: int(out[place]) for place, n in enumerate(order)}

    found = split(list(range(count)))
    assert found == split(data.draw(st.permutations(range(count))))
    total = sum(rows)
    for number, fraction in ((1, validation), (2, test)):
        size = sum(rows[n] for n in range(count) if found[keys[n]] == number)
        if fraction == 0:
            assert size == 0
        else:
            assert size <= max(1, round(fraction * total)) or sum(v == number for v in found.values()) == 1
    assert 0 in found.values(), "nothing is left to train on"


def test_groups_of_one_row_hit_the_target_exactly_in_every_stratum() -> None:
    keys = np.arange(1000, dtype=np.uint64)
    strata = np.repeat([0, 1, 2], [700, 250, 50])
    out = assign(keys, strata, np.ones(1000, np.int64), SplitConfig(validation=0.1, test=0.2))
    for stratum, size in enumerate((700, 250, 50)):
        assert (out[strata == stratum] == 1).sum() == size // 10
        assert (out[strata == stratum] == 2).sum() == size // 5


@pytest.mark.parametrize("fraction", [0.01, 0.3])
def test_a_small_set_still_gets_a_validation_row(fraction: float) -> None:
    ones = np.ones(2, np.int64)
    assert sorted(assign(np.array([1, 2], np.uint64), ones, ones, SplitConfig(validation=fraction))) == [0, 1]
    assert assign(np.array([1], np.uint64), ones[:1], ones[:1], SplitConfig(validation=fraction)).tolist() == [0]


PAIRS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=40)


@given(PAIRS)
def test_components_are_what_a_union_find_gives(pairs: list[tuple[int, int]]) -> None:
    parent: dict[tuple[str, int], tuple[str, int]] = {}

    def root(node: tuple[str, int]) -> tuple[str, int]:
        while parent.setdefault(node, node) != node:
            node = parent[node]
        return node

    for left, right in pairs:
        parent[root(("left", left))] = root(("right", right))
    found = components(
        np.array([left for left, _ in pairs], np.uint64), np.array([right for _, right in pairs], np.uint64)
    )
    for n, (left, _) in enumerate(pairs):
        for m, (other, _) in enumerate(pairs):
            assert (found[n] == found[m]) == (root(("left", left)) == root(("left", other)))


def test_a_long_chain_is_one_component() -> None:
    number = np.arange(5000, dtype=np.uint64)
    left, right = np.r_[number, number[1:]], np.r_[number, number[:-1]]
    assert len(np.unique(components(left, right))) == 1


def test_a_split_may_be_a_number_of_rows() -> None:
    keys = np.arange(500, dtype=np.uint64)
    ones = np.ones(500, np.int64)
    out = assign(keys, np.zeros(500, np.int64), ones, SplitConfig(validation=40, test=7))
    assert np.bincount(out).tolist() == [453, 40, 7]
    assert (assign(keys, np.zeros(500, np.int64), ones, SplitConfig(validation=900)) == 0).sum() == 1, "train is left"


@given(KEYS, st.integers(1, 60), st.integers(0, 5))
def test_stable_splits_do_not_change_when_rows_are_added(keys: list[int], some: int, seed: int) -> None:
    config = SplitConfig(validation=0.3, test=0.2, seed=seed, stable=True)

    def split(of: list[int]) -> list[int]:
        none = np.zeros(len(of), np.int64)
        found: list[int] = assign(np.array(of, np.uint64), none, none + 1, config).tolist()
        return found

    assert split(keys[:some]) == split(keys)[: len(keys[:some])]


def test_stable_splits_have_their_sizes_on_average() -> None:
    keys = np.arange(20_000, dtype=np.uint64)
    none = np.zeros(20_000, np.int64)
    sizes = np.bincount(assign(keys, none, none + 1, SplitConfig(validation=0.1, test=0.05, stable=True)))
    assert abs(sizes[1] - 2000) < 150
    assert abs(sizes[2] - 1000) < 100


@given(st.lists(st.tuples(st.integers(0, 9) | st.none(), st.integers(1, 4)), min_size=1, max_size=50), st.data())
def test_by_time_no_row_is_older_than_one_of_an_earlier_split(
    groups: list[tuple[int | None, int]], data: st.DataObject
) -> None:
    times = np.array([np.nan if time is None else time for time, _ in groups])
    rows = np.array([count for _, count in groups], np.int64)
    out = by_time(times, rows, SplitConfig(validation=0.2, test=0.2, time="day"))
    order = data.draw(st.permutations(range(len(groups))))
    assert by_time(times[order], rows[order], SplitConfig(validation=0.2, test=0.2, time="day")).tolist() == [
        out[place] for place in order
    ]
    for early, late in ((0, 1), (0, 2), (1, 2)):
        before, after = times[out == early], times[out == late]
        if len(before[~np.isnan(before)]) and len(after):
            assert np.nanmax(before) < after.min()
    assert not np.isnan(times[out > 0]).any()


def test_by_time_takes_the_latest_rows() -> None:
    out = by_time(np.arange(100.0), np.ones(100, np.int64), SplitConfig(validation=0.1, test=5, time="day"))
    assert np.flatnonzero(out == 2).tolist() == [95, 96, 97, 98, 99]
    assert np.flatnonzero(out == 1).tolist() == list(range(85, 95))


def test_several_strata_at_once_are_met_nearly() -> None:
    rng = np.random.default_rng(3)
    labels, sources, lengths = (rng.choice(size, 4000, p=share) for size, share in STRATA)
    ones = np.ones(4000, np.int64)
    keys = rng.integers(0, 2**63, 4000).astype(np.uint64)
    out = assign(keys, joint((labels, sources, lengths)), ones, SplitConfig(validation=0.1))
    alone = assign(keys, np.zeros(4000, np.int64), ones, SplitConfig(validation=0.1))
    for values in (labels, sources, lengths):
        assert deviation(out, values, ones) < 0.012
        assert deviation(out, values, ones) < deviation(alone, values, ones)


STRATA = ((5, (0.5, 0.2, 0.15, 0.1, 0.05)), (3, (0.7, 0.2, 0.1)), (4, (0.25, 0.25, 0.25, 0.25)))
