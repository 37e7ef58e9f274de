from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data.steps.split import SplitConfig, assign, components

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
