"""Which rows share a key: each with each in a small bucket, two comparisons a row in a large one."""

from __future__ import annotations

import itertools
from collections import defaultdict

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from phi3data.similarity.buckets import MOST, pairs, thinned, unpacked

KEYS = st.lists(st.sampled_from([0, 1, 7, 2**31, 2**32 - 1, *range(40, 60)]), max_size=120)


def listed(found: np.ndarray) -> list[tuple[int, int]]:
    one, other = unpacked(found)
    return list(zip(one.tolist(), other.tolist(), strict=True))


def packed(keys: list[int]) -> np.ndarray:
    return np.array([key << 32 | row for row, key in enumerate(keys)], np.uint64)


def buckets(keys: list[int]) -> list[list[int]]:
    rows = defaultdict(list)
    for row, key in enumerate(keys):
        rows[key].append(row)
    return [rows[key] for key in sorted(rows) if len(rows[key]) > 1]


@given(KEYS)
def test_rows_of_a_small_bucket_are_paired_each_with_each(keys: list[int]) -> None:
    found, crowd = pairs(packed(keys))
    small = [rows for rows in buckets(keys) if len(rows) <= MOST]
    assert sorted(listed(found)) == sorted(pair for rows in small for pair in itertools.combinations(rows, 2))
    large = [rows for rows in buckets(keys) if len(rows) > MOST]
    assert crowd.rows.tolist() == [row for rows in large for row in rows]
    assert [len([*rows]) for _, rows in itertools.groupby(crowd.bucket.tolist())] == [len(rows) for rows in large]


@settings(max_examples=30)
@given(st.data())
def test_a_crowd_is_compared_with_the_most_wanted_and_with_like_beside_like(data: st.DataObject) -> None:
    keys = data.draw(st.lists(st.sampled_from([5, 6]), min_size=MOST + 1, max_size=4 * MOST))
    draw = st.lists(st.integers(0, 3), min_size=len(keys), max_size=len(keys))
    following, ids, places = (data.draw(draw) for _ in range(3))
    _, crowd = pairs(packed(keys))
    at = crowd.rows
    found = thinned(
        crowd, np.array(following, np.uint32)[at], np.array(ids, np.uint64)[at], np.array(places, np.float64)[at]
    )
    expected: list[tuple[int, int]] = []
    for rows in buckets(keys):
        if len(rows) <= MOST:
            continue
        head = min(rows, key=lambda row: (places[row], row))
        expected += [(min(head, row), max(head, row)) for row in rows if row != head]
        beside = sorted(rows, key=lambda row: (following[row], ids[row], row))
        expected += [(min(pair), max(pair)) for pair in itertools.pairwise(beside)]
    assert sorted(listed(found)) == sorted(expected)
