"""How long the rows of a data set are, and what limits and training cost: what `phi3data tokens --json` prints.

All lengths are in tokens and include the special tokens of the chat template. Where `estimated` is true, every number
that comes from tokens is an estimate; rows and files are always exact.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from phi3data import family
from phi3data.engine.tokens import LIMITS
from phi3data.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from phi3data.engine.tokens import Tally

PERCENTS = (1, 5, 25, 50, 75, 90, 95, 99)
# The last length of each bin: powers of two and the half steps between them, the same for every data set, so that two
# histograms compare, and so that contexts and limits, which are powers of two, never cut a bin.
LAST = tuple(sorted({2**power for power in range(4, 25)} | {3 * 2 ** (power - 1) for power in range(4, 24)}))


class File(msgspec.Struct, kw_only=True):
    """One input. `unreadable` rows are in no other number; the first of them and why is given.

    `unrenderable` are those of the rows that the chat template fails on: they are counted by their words.
    """

    path: str
    format: str  # "chat", "alpaca", …
    layout: str  # "lines", "table" or "array"; in an array several rows may stand on a line
    rows: int
    unreadable: int
    first_unreadable_line: int | None = None  # or record number, for tables
    first_unreadable_record: int | None = None
    first_unreadable_code: str | None = None
    first_unreadable_reason: str | None = None
    unrenderable: int = 0
    first_unrenderable_line: int | None = None  # as above
    first_unrenderable_record: int | None = None
    first_unrenderable_reason: str | None = None


class Percentiles(msgspec.Struct, kw_only=True):
    """Percentiles by nearest rank: the least value that at least that share of the rows does not exceed."""

    p1: int
    p5: int
    p25: int
    p50: int
    p75: int
    p90: int
    p95: int
    p99: int
    max: int
    mean: float


class PerRow(msgspec.Struct, kw_only=True):
    """Tokens per row, all and supervised."""

    total: Percentiles
    supervised: Percentiles


class Bin(msgspec.Struct, kw_only=True):
    """`rows` rows have `first` to `last` tokens; `cumulative` is the fraction 0–1 of rows of `last` tokens or fewer."""

    first: int
    last: int
    rows: int
    cumulative: float


class Limit(msgspec.Struct, kw_only=True):
    """What a limit costs if the rows over it are cut there (their end is lost), or dropped.

    `answers_lost` counts the rows, of those that have any supervised tokens, that keep none when they are cut.
    `packed_sequences` is how many sequences of this length the rows fill when they are cut and packed without gaps; a
    packer that keeps rows whole needs a few more.
    """

    limit: int
    rows_over: int
    tokens_lost: int
    supervised_lost: int
    answers_lost: int
    tokens_lost_if_dropped: int
    supervised_lost_if_dropped: int
    packed_sequences: int


class LongRow(msgspec.Struct, kw_only=True):
    """One of the longest rows. `line` is the number of the record where the file is a table."""

    path: str
    line: int
    record: int
    tokens: int
    supervised: int


class Cost(msgspec.Struct, kw_only=True):
    """Training cost in the user's currency; None where what it follows from was not given.

    cost = trained_tokens × price_per_million / 1,000,000; hours = trained_tokens / tokens_per_second / 3,600;
    cost_by_the_hour = hours × price_per_hour. `trained_tokens` is all tokens of all rows × epochs: services bill every
    token of a training file, supervised or not.
    """

    epochs: float
    trained_tokens: int
    price_per_million: float | None = None
    cost: float | None = None
    tokens_per_second: float | None = None
    hours: float | None = None
    price_per_hour: float | None = None
    cost_by_the_hour: float | None = None


class TokenReport(msgspec.Struct, kw_only=True):
    """Everything about the tokens of a data set."""

    version: str  # of phi3kit
    estimated: bool
    tokenizer: str  # a directory, a hub name, or "estimate"
    template: str  # chat template, by its name
    note: str  # what to know about the tokenizer's template; mostly ""
    model: str
    context: int  # of the model
    loss_on: str
    files: list[File]
    rows: int
    unreadable: int
    unrenderable: int
    tokens: int
    supervised: int
    rows_without_supervised: int
    per_row: PerRow
    histogram: list[Bin]  # from the first bin with rows to the last
    limits: list[Limit]
    padding: float  # fraction 0–1 of positions, all rows padded to the longest and cut at the context
    longest: list[LongRow]
    cost: Cost


def report(
    tally: Tally,
    *,
    limits: Sequence[int] = (),
    epochs: float = 1,
    price: float | None = None,
    per_hour: float | None = None,
    tokens_per_second: float | None = None,
) -> TokenReport:
    """Return the report of a tally of at least one row. `limits` were given to the tally too."""
    total, supervised = np.sort(tally.total), np.sort(tally.supervised)
    counting = tally.counting
    model = family.model(counting.model)
    tokens = int(total.sum(dtype=np.int64))
    return TokenReport(
        version=VERSION,
        estimated=counting.tokenizer.estimated,
        tokenizer=counting.tokenizer.name,
        template=counting.tokenizer.template,
        note=counting.tokenizer.note,
        model=model.name,
        context=model.context,
        loss_on=counting.loss_on,
        files=_files(tally),
        rows=len(total),
        unreadable=sum(tally.unread),
        unrenderable=sum(tally.unrendered),
        tokens=tokens,
        supervised=int(supervised.sum(dtype=np.int64)),
        rows_without_supervised=int(np.searchsorted(supervised, 1)),
        per_row=PerRow(total=percentiles(total), supervised=percentiles(supervised)),
        histogram=histogram(total),
        limits=[_limit(tally, limit) for limit in shown(int(total[-1]), model.context, limits)],
        padding=_padding(total, model.context),
        longest=[
            LongRow(
                path=tally.sources[row.source].name,
                line=row.line,
                record=row.record,
                tokens=row.tokens,
                supervised=row.supervised,
            )
            for row in tally.longest
        ],
        cost=cost(tokens, epochs, price, per_hour, tokens_per_second),
    )


def _files(tally: Tally) -> list[File]:
    files: list[File] = []
    for number, source in enumerate(tally.sources):
        file = File(
            path=source.name,
            format=source.format,
            layout="table" if source.tabular else source.layout,
            rows=tally.rows[number],
            unreadable=tally.unread[number],
            unrenderable=tally.unrendered[number],
        )
        first = tally.first_unread[number]
        if first is not None:
            file.first_unreadable_line = first.line
            file.first_unreadable_record = first.record
            file.first_unreadable_code = first.finding.code
            file.first_unreadable_reason = first.finding.message
        first = tally.first_unrendered[number]
        if first is not None:
            file.first_unrenderable_line = first.line
            file.first_unrenderable_record = first.record
            file.first_unrenderable_reason = first.finding.message
        files.append(file)
    return files


def percentiles(ascending: NDArray[np.int32]) -> Percentiles:
    """Return percentiles of sorted values, shape (rows,), rows > 0, by nearest rank.

    The value of rank ⌈percent × rows / 100⌉ from 1, which is definition 1 of Hyndman and Fan, "Sample Quantiles in
    Statistical Packages" (1996), and numpy's "inverted_cdf". In whole numbers, so that no rounding moves a rank.
    """
    count = len(ascending)
    ranks = {f"p{percent}": int(ascending[-(-percent * count // 100) - 1]) for percent in PERCENTS}
    return Percentiles(**ranks, max=int(ascending[-1]), mean=int(ascending.sum(dtype=np.int64)) / count)


def histogram(ascending: NDArray[np.int32]) -> list[Bin]:
    """Return the bins between the shortest and the longest of sorted lengths, shape (rows,), rows > 0."""
    upto = np.searchsorted(ascending, LAST, side="right").tolist()
    bins: list[Bin] = []
    first = before = 0
    for last, rows in zip(LAST, upto, strict=True):
        if rows and before < len(ascending):
            bins.append(Bin(first=first, last=last, rows=rows - before, cumulative=rows / len(ascending)))
        first, before = last + 1, rows
    return bins


def shown(longest: int, context: int, wished: Sequence[int]) -> list[int]:
    """Return the limits worth showing: powers of two up to the first that loses nothing, the context, and `wished`."""
    steps = [limit for limit, below in zip(LIMITS, (0, *LIMITS), strict=False) if below < longest]
    return sorted({*steps, context, *wished})


def _limit(tally: Tally, limit: int) -> Limit:
    over = tally.total > limit
    tokens = tally.total[over]
    number = tally.counting.limits.index(limit)
    total = int(tokens.sum(dtype=np.int64))
    kept = int(tally.total.sum(dtype=np.int64)) - (total - limit * len(tokens))
    return Limit(
        limit=limit,
        rows_over=len(tokens),
        tokens_lost=total - limit * len(tokens),
        supervised_lost=tally.losses.supervised[number],
        answers_lost=tally.losses.answers[number],
        tokens_lost_if_dropped=total,
        supervised_lost_if_dropped=int(tally.supervised[over].sum(dtype=np.int64)),
        packed_sequences=-(-kept // limit),
    )


def _padding(ascending: NDArray[np.int32], context: int) -> float:
    """Return the share of padding if every row is padded to the longest, or cut at the context."""
    longest = min(int(ascending[-1]), context)
    kept = int(np.minimum(ascending, longest).sum(dtype=np.int64))
    return 1 - kept / (longest * len(ascending)) if longest else 0.0


def cost(
    tokens: int, epochs: float, price: float | None, per_hour: float | None, tokens_per_second: float | None
) -> Cost:
    """Return what training costs. `price` is per million trained tokens, `per_hour` for a machine that is rented."""
    trained = round(tokens * epochs)
    hours = None if tokens_per_second is None else trained / tokens_per_second / 3600
    return Cost(
        epochs=epochs,
        trained_tokens=trained,
        price_per_million=price,
        cost=None if price is None else trained * price / 1e6,
        tokens_per_second=tokens_per_second,
        hours=hours,
        price_per_hour=per_hour,
        cost_by_the_hour=None if per_hour is None or hours is None else hours * per_hour,
    )
