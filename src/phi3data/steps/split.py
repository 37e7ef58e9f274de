"""Step `split`: groups of rows → train, validation and test. Seeded, by group, stratified.

The order of the rows plays no part: a group's place follows from the seed and from what its rows ask, or from its time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
import numpy as np
from msgspec import Meta

from phi3data.similarity.groups import components as connected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

SPLITS = ("train", "validation", "test")
Stratum = Literal["label", "source", "length"]


class SplitConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How large the splits are. Rows with one prompt, or one value of `source.group_by`, are never separated."""

    enabled: Annotated[bool, Meta(description="Run this step; else every row goes to train.")] = True
    validation: Annotated[
        float, Meta(description="Rows for validation.jsonl: a fraction below 1, or a number of rows; 0 for none.", ge=0)
    ] = 0.1
    test: Annotated[float, Meta(description="Rows for test.jsonl, likewise.", ge=0)] = 0.0
    stratify: Annotated[
        tuple[Stratum, ...],
        Meta(description='Of what all splits have the same shares, as nearly as may be: "label", "source", "length".'),
    ] = ("label",)
    time: Annotated[
        str | None,
        Meta(description="Column with a time or number: the latest rows are for test, those before for validation."),
    ] = None
    stable: Annotated[
        bool,
        Meta(description="Rows that are added later move no row to another split; sizes are then met on average only."),
    ] = False
    seed: Annotated[int, Meta(description="Another seed gives another split.")] = 0


def components(left: NDArray[np.uint64], right: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return for each pair the key of its connected component: pairs that share a left or a right value are one.

    `left` and `right` are keys of prompts and of groups, one pair a row. The key of a component is its smallest left
    value.
    """
    prompts, by_left = np.unique(left, return_inverse=True)
    groups, by_right = np.unique(right, return_inverse=True)
    first = np.full(len(groups), len(prompts), np.uint32)  # prompts are sorted: the smallest of each group
    by_left = by_left.astype(np.uint32)
    np.minimum.at(first, by_right, by_left)
    other = first[by_right]
    tied = by_left != other
    keys: NDArray[np.uint64] = prompts[connected(by_left[tied], other[tied], len(prompts))[by_left]]
    return keys


def assign(
    keys: NDArray[np.uint64], strata: NDArray[np.int64], rows: NDArray[np.int64], config: SplitConfig
) -> NDArray[np.int8]:
    """Return the split (index into `SPLITS`) of each group.

    `keys` are the groups' 64-bit keys, `strata` the stratum of each group, `rows` how many rows each group has. In
    every stratum groups are taken in an order that the seed shuffles, as long as they fit into the stratum's share;
    shares are rounded so that their sum is the wanted fraction of all rows, ties by a seeded order. What large groups
    leave open is filled from all strata. A fraction above 0 gets at least one group, and train keeps at least one.
    """
    if config.stable:
        return _stable(keys, config)
    out = np.zeros(len(keys), np.int8)
    total = int(rows.sum())
    shuffled = _shuffled(keys, config.seed)
    order = np.lexsort((shuffled, strata))
    starts = np.flatnonzero(np.r_[True, strata[order][1:] != strata[order][:-1]])
    luck = _shuffled(starts.astype(np.uint64), config.seed)
    for split, fraction in ((1, config.validation), (2, config.test)):
        if fraction <= 0:
            continue
        wanted = wanted_rows(fraction, total)
        free = [stratum[out[stratum] == 0] for stratum in np.split(order, starts[1:])]
        shares = _shares(np.array([rows[stratum].sum() for stratum in free]), wanted, luck)
        for stratum, share in zip(free, shares.tolist(), strict=True):
            out[stratum[_fitting(rows[stratum], share)]] = split
        rest = np.argsort(shuffled, kind="stable")
        rest = rest[out[rest] == 0]
        out[rest[_fitting(rows[rest], wanted - int(rows[out == split].sum()))]] = split
        if not (out == split).any():
            _take_smallest(out, order, rows, split)
        # Small sets and large fractions: a group is left for train, and for test if there is to be one.
        taken, left = np.flatnonzero(out == split), int((out == 0).sum())
        for_test = 2 - left if split == 1 and config.test > 0 else 0
        excess = max(1 - left, min(for_test, len(taken) - 1))
        if excess > 0:
            out[taken[np.argsort(shuffled[taken])[-excess:]]] = 0
    return out


def wanted_rows(size: float, total: int) -> int:
    """Return how many of `total` rows a split is to have: a fraction of them below 1, else so many; one at least."""
    return max(1, round(size * total) if size < 1 else min(int(size), total))


def by_time(times: NDArray[np.float64], rows: NDArray[np.int64], config: SplitConfig) -> NDArray[np.int8]:
    """Return the split of each group by its latest row: the latest groups are for test, those before for validation.

    `times` are the groups' latest times, of any unit, `rows` how many rows each has. Groups of one time stay together,
    so that no split knows what another is asked; those without a time (NaN) are trained on.
    """
    out = np.zeros(len(times), np.int8)
    known = ~np.isnan(times)
    moments, place = np.unique(-times[known], return_inverse=True)  # the latest first
    sizes = np.bincount(place, rows[known], len(moments)).astype(np.int64)
    total, start = int(rows.sum()), 0
    splits = np.zeros(len(moments), np.int8)
    for split, size in ((2, config.test), (1, config.validation)):
        if size <= 0:
            continue
        sums = np.cumsum(sizes[start:])
        wanted = wanted_rows(size, total)
        end = start + int(np.searchsorted(sums, wanted, side="right"))
        # The moment at which the split is full goes to it where that comes nearer to what is wanted.
        before = int(sums[end - start - 1]) if end > start else 0
        if end < len(moments) and int(sums[end - start]) - wanted < wanted - before:
            end += 1
        splits[start:end] = split
        start = end
    out[known] = splits[place]
    return out


def joint(columns: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return one stratum for each combination of values of the columns."""
    _, place = np.unique(np.column_stack(columns), axis=0, return_inverse=True)
    return place.reshape(-1).astype(np.int64)


def deviation(split: NDArray[np.int8], values: NDArray[np.int64], rows: NDArray[np.int64]) -> float:
    """Return the largest difference, 0 to 1, between a value's share of a split's rows and its share of all rows."""
    whole = np.bincount(values, rows) / max(int(rows.sum()), 1)
    worst = 0.0
    for number in range(len(SPLITS)):
        of = split == number
        if of.any():
            share = np.bincount(values[of], rows[of], len(whole)) / rows[of].sum()
            worst = max(worst, float(np.abs(share - whole).max()))
    return worst


def _stable(keys: NDArray[np.uint64], config: SplitConfig) -> NDArray[np.int8]:
    """Return the split of each group by its key and the seed alone, whatever other groups there are."""
    lot = _shuffled(keys, config.seed).astype(np.float64) / 2.0**64
    out = np.zeros(len(keys), np.int8)
    out[lot < config.validation] = 1
    out[(lot >= config.validation) & (lot < config.validation + config.test)] = 2
    return out


def _fitting(rows: NDArray[np.int64], room: int) -> NDArray[np.int64]:
    """Return the places of the groups that fit: in their order, each one that still fits into what room is left."""
    sums = np.cumsum(rows)
    prefix = int(np.searchsorted(sums, room, side="right"))
    places = list(range(prefix))
    left = room - (int(sums[prefix - 1]) if prefix else 0)
    for place in range(prefix, len(rows)):
        if left <= 0:
            break
        if rows[place] <= left:
            places.append(place)
            left -= int(rows[place])
    return np.array(places, np.int64)


def _shuffled(keys: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Return a pseudo-random 64-bit number per key and seed (the finaliser of SplitMix64, Steele et al. 2014)."""
    with np.errstate(over="ignore"):
        x = keys + np.uint64((seed * 0x9E3779B97F4A7C15 + 0x9E3779B97F4A7C15) % 2**64)
        x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        mixed: NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return mixed


def _shares(sizes: NDArray[np.int64], wanted: int, luck: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Divide `wanted` rows among strata in proportion to their sizes, by largest remainder (Hamilton's method).

    `luck` is a number per stratum that decides between equal remainders, so that no label is always the first.
    """
    wanted = min(wanted, int(sizes.sum()))
    exact = sizes * wanted / max(int(sizes.sum()), 1)
    shares: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    largest = np.lexsort((luck, -np.round(exact - shares, 9)))[: wanted - int(shares.sum())]
    shares[largest] += 1
    return shares


def _take_smallest(out: NDArray[np.int8], order: NDArray[np.int64], rows: NDArray[np.int64], split: int) -> None:
    """Give the smallest free group to a split that would be empty, unless train would be."""
    free = order[out[order] == 0]
    if len(free) > 1:
        out[free[np.argmin(rows[free])]] = split
