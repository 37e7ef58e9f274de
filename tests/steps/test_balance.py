"""Balance: how many rows of each group stay, which ones, how often; and that nothing depends on their order."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data.chat import Conversation, Message
from phi3data.errors import UsageError
from phi3data.similarity import bands, texts
from phi3data.similarity.plain import mixed
from phi3data.steps.balance import (
    Balance,
    BalanceConfig,
    balance,
    choose,
    clusters,
    effective_number,
    entropy,
    group_of,
    quotas,
)

NAMES = [f"g{n}" for n in range(6)]
SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=6)
CONFIGS = st.builds(
    BalanceConfig,
    cap=st.none() | st.integers(1, 40),
    floor=st.none() | st.integers(1, 40),
    temperature=st.sampled_from([1.0, 1.5, 3.0, 100.0]),
    rows=st.none() | st.integers(1, 200),
    repeat=st.integers(1, 4),
    spread=st.booleans(),
    seed=st.integers(-3, 3),
)


def rows_of(sizes: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Groups and digests of rows."""
    groups = np.repeat(np.arange(len(sizes)), sizes)
    return groups, mixed(np.arange(1, len(groups) + 1, dtype=np.uint64))


def after(sizes: list[int], **settings: Any) -> list[int]:
    names = NAMES[: len(sizes)]
    found = quotas(np.array(sizes), names, msgspec.convert(settings, BalanceConfig))
    return list(map(int, found))


@given(SIZES, CONFIGS, st.data())
def test_each_row_stays_as_often_whatever_the_order(
    sizes: list[int], config: BalanceConfig, data: st.DataObject
) -> None:
    groups, digests = rows_of(sizes)
    cluster = digests % np.uint64(data.draw(st.integers(1, 9)))
    names = NAMES[: len(sizes)]
    times, told = balance(groups, names, digests, config, cluster)
    order = np.array(data.draw(st.permutations(range(len(groups)))))
    again, told_again = balance(groups[order], names, digests[order], config, cluster[order])
    assert again.tolist() == times[order].tolist()
    assert told_again == told
    turned = np.array(data.draw(st.permutations(range(len(names)))))  # new number of group n
    renamed, _ = balance(turned[groups], [names[n] for n in np.argsort(turned)], digests, config, cluster)
    assert renamed.tolist() == times.tolist()


@given(SIZES, CONFIGS)
def test_caps_floors_repetitions_and_budgets_hold(sizes: list[int], config: BalanceConfig) -> None:
    groups, digests = rows_of(sizes)
    times, told = balance(groups, NAMES[: len(sizes)], digests, config)
    cap, mixing = config.cap or math.inf, config.temperature > 1
    low = [min(size * config.repeat, config.floor or 0, cap) for size in sizes]
    high = [
        min(max(size * config.repeat if mixing else size, least), cap) for size, least in zip(sizes, low, strict=True)
    ]
    for number, (size, group) in enumerate(zip(sizes, told.groups, strict=True)):
        mine = times[groups == number]
        assert (group.before, group.after) == (size, mine.sum())
        assert low[number] <= group.after <= high[number]
        assert mine.max() - mine.min() <= 1
        assert mine.max() <= config.repeat
        assert group.repeated == sum(max(time - 1, 0) for time in mine)
    total = int(times.sum())
    if config.rows is not None:
        assert total == min(max(config.rows, sum(low)), sum(high))
    else:
        assert total <= max(sum(sizes), sum(max(size, least) for size, least in zip(sizes, low, strict=True)))


@given(SIZES, st.integers(1, 30), st.integers(0, 5))
def test_what_was_balanced_stays_as_it_is(sizes: list[int], number: int, seed: int) -> None:
    for settings in ({"cap": number}, {"rows": number}, {"floor": number}, {"cap": number, "floor": number}):
        config = msgspec.convert({**settings, "seed": seed}, BalanceConfig)
        groups, digests = rows_of(sizes)
        times, told = balance(groups, NAMES[: len(sizes)], digests, config)
        groups, digests = np.repeat(groups, times), np.repeat(digests, times)
        again, _ = balance(groups, NAMES[: len(sizes)], digests, config)
        reached = all(group.after >= number for group in told.groups)
        if "floor" not in settings or reached:
            assert (again == 1).all()


@given(SIZES, st.integers(1, 30), st.integers(0, 5))
def test_a_smaller_quota_takes_a_part_of_a_larger_one(sizes: list[int], cap: int, seed: int) -> None:
    groups, digests = rows_of(sizes)
    small, large = (
        balance(groups, NAMES[: len(sizes)], digests, BalanceConfig(cap=rows, seed=seed), digests % np.uint64(5))[0]
        for rows in (cap, cap + 3)
    )
    assert (small <= large).all()


def test_sizes_of_groups() -> None:
    assert after([100, 10, 1]) == [100, 10, 1]
    assert after([100, 10, 1], cap=20) == [20, 10, 1]
    assert after([100, 10, 1], floor=20) == [100, 20, 4]
    assert after([100, 10, 1], floor=20, repeat=1) == [100, 10, 1]
    assert after([100, 10, 1], floor=20, cap=15, repeat=50) == [15, 15, 15]
    assert after([100, 50, 50], rows=20) == [10, 5, 5]
    assert after([100, 50, 50], rows=1000) == [100, 50, 50]
    assert after([100, 50, 2], rows=20, floor=4) == [11, 5, 4]
    assert after([400, 100], temperature=2, repeat=1) == [200, 100]
    assert after([400, 100], temperature=2) == [333, 167]
    assert after([400, 100], temperature=100, rows=300) == [151, 149]
    assert after([100, 100, 100], shares={"g0": 0.5}, rows=100) == [50, 25, 25]
    assert after([100, 100, 100], shares={"g0": 0.5}) == [150, 75, 75]
    assert after([100, 100, 100], shares={"g0": 0.5}, repeat=1) == [100, 50, 50]
    assert after([100, 20, 30], shares={"g0": 1.0}) == [150, 0, 0]
    assert after([10, 100, 100], shares={"g0": 0.9}, rows=100, repeat=1) == [10, 45, 45]
    assert after([5, 0, 7], temperature=3, shares={"g1": 0.2}, rows=8) == [4, 0, 4]
    assert after([3, 3, 3], rows=4, seed=1) in ([2, 1, 1], [1, 2, 1], [1, 1, 2])
    assert len({tuple(after([3, 3, 3], rows=4, seed=seed)) for seed in range(20)}) == 3
    assert after([], cap=3) == []


def test_shares_that_cannot_be_are_refused() -> None:
    with pytest.raises(UsageError) as caught:
        quotas(np.array([3, 4]), ["billing", "refund"], BalanceConfig(shares={"biling": 0.5}))
    assert str(caught.value) == "balance.shares: no row has the label 'biling'; did you mean 'billing'?"
    with pytest.raises(UsageError) as caught:
        quotas(np.array([3, 4]), ["a", "b"], BalanceConfig(shares={"a": 0.7, "b": 0.5}))
    assert str(caught.value) == "balance.shares: they add up to 1.2, more than 1"


def test_seeds_choose_other_rows_and_say_nothing_about_quotas() -> None:
    groups, digests = rows_of([1000, 500])
    found = [balance(groups, NAMES[:2], digests, BalanceConfig(cap=100, seed=seed))[0] for seed in range(3)]
    assert [times.sum() for times in found] == [200] * 3
    both = int(((found[0] > 0) & (found[1] > 0)).sum())
    assert both < 40  # 30 by chance
    assert not (found[1] == found[2]).all()


def test_rows_are_spread_over_clusters() -> None:
    sizes = [500, 30, 5, 1]
    cluster = np.repeat(np.arange(4, dtype=np.uint64), sizes)
    groups, digests = np.zeros(len(cluster), np.int64), mixed(np.arange(1, len(cluster) + 1, dtype=np.uint64))

    def taken(rows: int, *, spread: bool = True) -> list[int]:
        times = choose(groups, digests, np.array([rows]), BalanceConfig(spread=spread), cluster)
        return list(map(int, np.bincount(cluster.astype(np.int64), times, 4)))

    assert taken(4) == [1, 1, 1, 1]
    assert taken(16) == [5, 5, 5, 1]
    assert taken(66) == [30, 30, 5, 1]
    assert taken(100) == [64, 30, 5, 1]
    assert sum(taken(2)) == 2
    assert taken(16, spread=False)[0] >= 12
    assert taken(64) == [29, 29, 5, 1]
    assert taken(536 + 64) == [529, 59, 10, 2]  # repeated in the same order


def test_clusters_are_of_rows_that_share_a_key_and_are_not_chained() -> None:
    keys = np.array([[1, 10, 20], [1, 11, 21], [2, 11, 22], [1, 12, 23], [5, 13, 24], [6, 20, 25]], np.uint32)
    digests = mixed(np.arange(6, dtype=np.uint64))
    found = clusters(keys.T, digests)
    assert found[0] == found[1] == found[3]
    assert found[2] not in found[[0, 1, 3, 4, 5]]
    assert found[4:].tolist() == digests[4:].tolist()
    order = np.array([4, 2, 0, 5, 1, 3])
    assert clusters(keys[order].T, digests[order]).tolist() == found[order].tolist()
    crossed = clusters(np.array([[7, 1], [7, 2], [3, 7], [4, 7]], np.uint32).T, digests[:4])
    assert crossed[0] == crossed[1] != crossed[2] == crossed[3]  # one number in two columns is two keys
    assert clusters(keys[:, :0].T, digests).tolist() == digests.tolist()


def test_filled_templates_are_one_cluster_by_their_signatures() -> None:
    told = "Write a short and friendly reply to a customer of our shop who asks when the parcel with the {} will arrive"
    things = ["blue shoes", "lamp", "two chairs", "garden hose", "red kettle", "tent", "notebook", "wool blanket"]
    others = [
        f"Question {n} is about {n * 7} other things than {n + 3} of {n * n} the questions before" for n in range(4)
    ]
    rows = [*(told.format(thing) for thing in things), *others]
    signed = texts.signatures([row.casefold() for row in rows])
    digests = mixed(np.arange(len(rows), dtype=np.uint64))
    assert (
        len(set(clusters(bands.keys(signed).T, digests)[: len(things)].tolist())) <= 3
    )  # 25 keys of 5 values find less
    found = clusters(signed.values.T, digests).tolist()
    assert len(set(found[: len(things)])) == 1
    assert len(set(found)) == 5
    groups = np.zeros(len(rows), np.int64)
    times = choose(groups, digests, np.array([5]), BalanceConfig(), np.array(found, np.uint64))
    assert times[: len(things)].sum() == 1
    assert times[len(things) :].tolist() == [1] * 4


def test_what_is_told_of_the_groups() -> None:
    groups, digests = rows_of([6, 2, 1])
    _, told = balance(groups, ["a", "b", "c"], digests, BalanceConfig(cap=4, floor=4))
    assert msgspec.to_builtins(told) == {
        "groups": [
            {"name": "a", "before": 6, "after": 4, "repeated": 0},
            {"name": "b", "before": 2, "after": 4, "repeated": 2},
            {"name": "c", "before": 1, "after": 4, "repeated": 3},
        ],
        "entropy_before": pytest.approx(1.22439, abs=1e-5),
        "entropy_after": pytest.approx(math.log2(3)),
        "effective_before": pytest.approx(2**1.22439, abs=1e-4),
        "effective_after": pytest.approx(3),
    }
    times, told = balance(groups, ["a", "b", "c"], digests, BalanceConfig())
    assert (times == 1).all()
    nothing = balance(groups[:0], [], digests[:0], BalanceConfig(cap=1, temperature=2))
    assert (nothing[0].tolist(), nothing[1]) == ([], Balance([], 0.0, 0.0, 0.0, 0.0))


@given(st.lists(st.integers(0, 1000), max_size=8))
def test_the_effective_number_lies_between_one_and_the_number_of_groups(counts: list[int]) -> None:
    sizes = np.array(counts, np.int64)
    used = int((sizes > 0).sum())
    assert 0 <= entropy(sizes) <= math.log2(max(used, 1)) + 1e-9
    assert min(used, 1) - 1e-9 <= effective_number(sizes) <= used + 1e-9
    assert effective_number(np.full(7, 3)) == pytest.approx(7)


def test_groups_of_a_row() -> None:
    chat = Conversation(
        [
            Message("system", "You are brief."),
            Message("user", "Wie spät ist es?"),
            Message("assistant", "Es ist kurz nach drei, und der Zug ist noch nicht im Bahnhof."),
        ],
        label="time",
    )
    bare = Conversation([Message("user", "?"), Message("assistant", "42")])
    kinds: Any = ("label", "source", "language", "system", "length")
    assert [group_of(chat, by, "a.csv", 100) for by in kinds] == [
        "time",
        "a.csv",
        "German",
        "You are brief.",
        "64 to 127 tokens",
    ]
    assert [group_of(bare, by, "b.csv", 64) for by in kinds] == [
        "(none)",
        "b.csv",
        "(none)",
        "(none)",
        "64 to 127 tokens",
    ]
    assert [group_of(bare, "length", "", n) for n in (0, 1, 2, 3, 4, 63, 4096)] == [
        "1 token or less",
        "1 token or less",
        "2 to 3 tokens",
        "2 to 3 tokens",
        "4 to 7 tokens",
        "32 to 63 tokens",
        "4096 to 8191 tokens",
    ]


def test_settings_out_of_their_range_are_refused() -> None:
    for settings in ({"cap": 0}, {"by": "colour"}, {"temperature": 0.5}, {"repeat": 0}, {"shares": {"a": 1.5}}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(settings, BalanceConfig)
    config = msgspec.convert({"by": "column:team", "cap": 3}, BalanceConfig)
    assert (config.column, config.active) == ("team", True)
    assert (BalanceConfig().column, BalanceConfig().active) == (None, False)


def test_rows_with_one_digest_stay_as_often_together_whatever_their_order() -> None:
    groups, digests = np.zeros(6, np.int64), np.array([7, 7, 7, 8, 9, 9], np.uint64)
    for rows in range(1, 7):
        found = []
        for order in ([0, 1, 2, 3, 4, 5], [5, 2, 3, 0, 4, 1]):
            times = choose(groups, digests[order], np.array([rows]), BalanceConfig())
            found.append(Counter(np.repeat(digests[order], times).tolist()))
        assert found[0] == found[1]
