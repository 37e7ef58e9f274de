"""Step `balance`: how many rows of each group stay, which ones, and how often.

Groups are the values of one thing: label, source, language, system prompt, length or a column. `quotas` says how many
rows each group is to have, `choose` which ones: it goes round the clusters of similar rows of a group, a row of each at
a time, so that what stays is spread over what there is. The order follows from the seed and from the digests of the
rows, not from where they stand, and a smaller quota takes a part of what a larger one takes.

Only training rows are balanced, after the split: a row that is repeated must not be in another split too, and a
validation set that was balanced would no longer measure what the data is like.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np
from msgspec import Meta

from phi3data.errors import UsageError, did_you_mean
from phi3data.similarity.plain import GOLDEN, mixed
from phi3data.text.language import language

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from phi3data.chat import Conversation

NONE = "(none)"  # the group of the rows without a value
OVER_QUOTA = "over-quota"  # why a row goes
REPEATED = "repeated"  # why a copy was added
NO_QUOTA = (
    "balance.by: nothing says how many rows a group is to have: set balance.cap, balance.floor, balance.rows, "
    "balance.shares or balance.temperature too"
)
_Rows = Annotated[int, Meta(ge=1, le=10**12)]


class BalanceConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many rows of each group stay. Where nothing is set all rows stay as they are."""

    by: Annotated[
        str,
        Meta(
            description='What makes a group: "label", "source", "language", "system" (the system prompt), "length" '
            '(tokens, in powers of two) or a column ("column:NAME").',
            pattern="^(label|source|language|system|length|column:.+)$",
        ),
    ] = "label"
    cap: Annotated[_Rows | None, Meta(description="Rows that a group has at most; the others are dropped.")] = None
    floor: Annotated[_Rows | None, Meta(description="Rows that a group has at least: rows are repeated.")] = None
    temperature: Annotated[
        float,
        Meta(
            description="Groups in proportion to rows^(1/temperature): 1 leaves them, 100 makes them equal.",
            ge=1,
            le=100,
        ),
    ] = 1.0
    shares: Annotated[
        dict[str, Annotated[float, Meta(ge=0, le=1)]],
        Meta(description="Group = its share of all rows, for example {billing = 0.4}; the others share the rest."),
    ] = {}
    rows: Annotated[
        _Rows | None, Meta(description="Rows in all: as many, if there are enough and the floors need no more.")
    ] = None
    repeat: Annotated[
        int,
        Meta(
            description="How often one row stands at most, where a floor, a share or the temperature asks for more "
            "rows than a group has; 1 never repeats. Up to 4 times is as good as new rows (Muennighoff et al. 2023).",
            ge=1,
            le=10_000,
        ),
    ] = 4
    spread: Annotated[
        bool, Meta(description="Choose rows that differ: some of each cluster of similar rows, not any rows.")
    ] = True
    seed: Annotated[int, Meta(description="Another seed gives another choice.")] = 0

    @property
    def column(self) -> str | None:
        """The column that makes the groups, if it is one."""
        return self.by.removeprefix("column:") if self.by.startswith("column:") else None

    @property
    def active(self) -> bool:
        """Whether anything is to be done."""
        return bool(self.cap or self.floor or self.rows or self.shares or self.temperature > 1)


class Group(msgspec.Struct, frozen=True):
    """Rows of a group before and after; `repeated` of those after are copies of other ones."""

    name: str
    before: int
    after: int
    repeated: int


class Balance(msgspec.Struct, frozen=True):
    """What balancing did. Entropies are in bits; the effective number of groups is `effective_number` of their rows."""

    groups: list[Group]
    entropy_before: float
    entropy_after: float
    effective_before: float
    effective_after: float


def group_of(conversation: Conversation, by: str, source: str, tokens: int) -> str:
    """Return the group of a row: `NONE` where it has no value. `by` is no column, `source` the name of the row's file.

    The language is that of what is answered, which is what is learned to be written.
    """
    if by == "source":
        return source
    if by == "length":
        low = 1 << max(tokens, 1).bit_length() - 1
        return f"{low} to {2 * low - 1} tokens" if low > 1 else "1 token or less"
    messages = conversation.messages
    if by == "language":
        answers = "\n".join(message.content or "" for message in messages if message.role == "assistant")
        return language(answers) or NONE
    if by == "system":
        return next((message.content for message in messages if message.role == "system" and message.content), NONE)
    return conversation.label or NONE


def weights(sizes: NDArray[np.int64], names: Sequence[str], config: BalanceConfig) -> NDArray[np.float64]:
    """Return numbers in whose proportion the groups are wanted. Raises `UsageError` for a share of no group."""
    out = np.power(sizes, 1 / config.temperature, dtype=np.float64)
    if not config.shares:
        return out
    place = {name: number for number, name in enumerate(names)}
    for name in config.shares:
        if name not in place:
            raise UsageError(f"balance.shares: no row has the {config.by} '{name}'{did_you_mean(name, names)}")
    total = sum(config.shares.values())
    if total > 1 + 1e-9:
        raise UsageError(f"balance.shares: they add up to {total:g}, more than 1")
    named = np.isin(np.arange(len(sizes)), [place[name] for name in config.shares])
    others = out[~named].sum()
    out[~named] *= max(1 - total, 0) / others if others else 0
    for name, share in config.shares.items():
        out[place[name]] = share
    return out


def quotas(sizes: NDArray[np.int64], names: Sequence[str], config: BalanceConfig) -> NDArray[np.int64]:
    """Return how many rows each group is to have. `sizes` are the rows that the groups have.

    Without a budget the groups are as large as their proportions can be held, with all repetitions, and there are no
    more rows in all than before; then cap and floor hold. With a budget (`rows`) what one group cannot give the others
    do, in proportion, and it is met exactly unless the floors need more or the rows do not suffice. A cap comes before
    a floor, a floor before the budget. Raises `UsageError` for a share of a group that is none.
    """
    wanted = weights(sizes, names, config)
    mixing = bool(config.shares) or config.temperature > 1
    held = sizes * config.repeat
    low = np.minimum(held, config.floor or 0)
    high = np.maximum(held if mixing else sizes, low)
    if config.cap is not None:
        low, high = np.minimum(low, config.cap), np.minimum(high, config.cap)
    high = np.where(wanted > 0, high, low)
    if config.rows is not None:
        total = config.rows
    elif mixing:
        asked = (wanted > 0) & (sizes > 0)
        factor = min((held[asked] / wanted[asked]).min(), sizes.sum() / wanted.sum()) if asked.any() else 0.0
        total = round(float(np.clip(factor * wanted, low, high).sum()))
    else:
        total = int(high.sum())
    luck = _luck(np.array([_number(name) for name in names], np.uint64), config.seed)
    return _filled(wanted, low, high, min(max(total, int(low.sum())), int(high.sum())), luck)


def _filled(
    wanted: NDArray[np.float64],
    low: NDArray[np.int64],
    high: NDArray[np.int64],
    total: int,
    luck: NDArray[np.uint64],
) -> NDArray[np.int64]:
    """Divide `total` in proportion to `wanted`, none less than `low` or more than `high`, whose sums it lies between.

    The factor of the proportion is found by bisection; what rounding down leaves goes to the largest remainders, equal
    ones in the order of `luck`.
    """
    ratio = np.divide(high, wanted, out=np.zeros(len(wanted)), where=wanted > 0)
    below, above = 0.0, float(ratio.max(initial=0.0))
    for _ in range(100):
        middle = (below + above) / 2
        under = np.clip(middle * wanted, low, high).sum() < total
        below, above = (middle, above) if under else (below, middle)
    exact = np.clip(above * wanted, low, high)
    out = np.minimum(np.floor(exact + 1e-9).astype(np.int64), high)
    order = np.lexsort((luck, -np.round(exact - out, 9)))
    while (left := total - int(out.sum())) != 0:
        step = 1 if left > 0 else -1
        free = order[(out < high)[order]] if left > 0 else order[::-1][(out > low)[order[::-1]]]
        out[free[: abs(left)]] += step
    return out


def clusters(columns: Iterable[NDArray[np.uint32]], digests: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return the cluster of each row: the key that it shares with the most rows; its digest where it shares none.

    `columns` are keys of bands or values of a signature, a key for each row in each: rows are similar to the degree to
    which their keys in one column agree. Rows are not chained: all of a cluster share one key, thus some text.
    """
    out = digests.copy()
    most = np.ones(len(digests), np.int64)
    for column, values in enumerate(columns):
        _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
        rows = counts[inverse]
        better = rows > most
        out[better] = mixed(values[better].astype(np.uint64) + (np.uint64(column) << np.uint64(32)))
        most[better] = rows[better]
    return out


def choose(
    groups: NDArray[np.int64],
    digests: NDArray[np.uint64],
    quota: NDArray[np.int64],
    config: BalanceConfig,
    cluster: NDArray[np.uint64] | None = None,
) -> NDArray[np.int64]:
    """Return how many times each row stays, so that each group has its quota.

    `groups` are numbers of groups, `digests` 64-bit digests of what the rows say, `cluster` those of similar rows
    (`clusters`). Rows of one group come in rounds: the first row of every cluster, then the second of each, and so on;
    inside of a cluster, and among clusters, the seed decides. No row stands two times more than
    another one of its group.
    """
    shuffled = _luck(digests, config.seed)
    if cluster is None or not config.spread:
        order = np.lexsort((shuffled, groups))
    else:
        inside = np.lexsort((shuffled, cluster, groups))
        turn = np.empty(len(groups), np.int64)
        turn[inside] = _places(np.stack([groups[inside].astype(np.uint64), cluster[inside]]))
        order = np.lexsort((shuffled, _luck(cluster, config.seed), turn, groups))
    place = _places(groups[order][None])
    sizes = np.bincount(groups, minlength=len(quota))
    whole, rest = np.divmod(quota, np.maximum(sizes, 1))
    out = np.empty(len(groups), np.int64)
    out[order] = whole[groups[order]] + (place < rest[groups[order]])
    return out


def _places(keys: NDArray[np.generic]) -> NDArray[np.int64]:
    """Return the place of each column in its run of equal columns, from 0."""
    count = keys.shape[1]
    first = np.ones(count, bool)
    first[1:] = (keys[:, 1:] != keys[:, :-1]).any(axis=0)
    starts = np.flatnonzero(first)
    return np.arange(count) - np.repeat(starts, np.diff(np.append(starts, count)))


def balance(
    groups: NDArray[np.int64],
    names: Sequence[str],
    digests: NDArray[np.uint64],
    config: BalanceConfig,
    cluster: NDArray[np.uint64] | None = None,
) -> tuple[NDArray[np.int64], Balance]:
    """Return how many times each row stays (0, 1 or more), and what that does to the groups.

    `groups` has the number of the group of each row, `names` the names of the groups; the other arrays are those of
    `choose`. Raises `UsageError` for a share of a group that is none.
    """
    sizes = np.bincount(groups, minlength=len(names))
    quota = quotas(sizes, names, config) if config.active else sizes
    times = choose(groups, digests, quota, config, cluster)
    repeated = np.bincount(groups, np.maximum(times - 1, 0), len(names)).astype(np.int64)
    columns = (names, sizes.tolist(), quota.tolist(), repeated.tolist())
    counts = [Group(*values) for values in zip(*columns, strict=True)]
    return times, Balance(counts, entropy(sizes), entropy(quota), effective_number(sizes), effective_number(quota))


def entropy(counts: NDArray[np.int64]) -> float:
    """Return Shannon's entropy of the shares, in bits; 0 for no rows."""
    shares = counts[counts > 0] / max(int(counts.sum()), 1)
    return abs(float((shares * np.log2(shares)).sum()))


def effective_number(counts: NDArray[np.int64]) -> float:
    """Return the number of equally large groups that have the same entropy: its exponential.

    That is the Hill number of order 1 (Hill 1973; Jost 2006), and the perplexity of the group; 0 for no rows.
    """
    return 2 ** entropy(counts) if counts.sum() else 0.0


def _luck(keys: NDArray[np.uint64], seed: int) -> NDArray[np.uint64]:
    """Return a pseudo-random number per key and seed."""
    return mixed(keys + np.uint64(seed * GOLDEN % 2**64))


def _number(name: str) -> int:
    return int.from_bytes(blake2b(name.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big")
