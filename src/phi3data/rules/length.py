"""L: how long rows are, in tokens, and how much of them is trained on.

Exact with a tokenizer, else an estimate that says so. Most rows are so short that nothing has to be counted: a token is
a byte of text at least.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from itertools import accumulate
from typing import TYPE_CHECKING

from phi3data.findings import Finding
from phi3data.rules.base import Rule
from phi3data.rules.placed import Placed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

RULES = (
    Rule("L701", "over-context", "error", "longer than the context", "The end, often the answer, is cut off."),
    Rule(
        "L702",
        "answer-lost",
        "error",
        "every trained token lies past the context",
        "What is left after the cut holds no answer: the row costs time and teaches nothing.",
    ),
    Rule(
        "L703",
        "few-trained-tokens",
        "warning",
        "a long row of which next to nothing is trained on",
        "It takes the time of hundreds of short rows for a few trained tokens, and averages of the loss hide them.",
    ),
    Rule(
        "L704",
        "length-outlier",
        "info",
        "many times as long as the other rows",
        "Batches are padded to the longest row, and one row of another kind is often a mistake of an export. "
        "Looked for from 50 rows on, since a median of fewer says little.",
    ),
)

LONG = 1000  # tokens from which the trained share is looked at
_SHOWN = 5  # outliers that are told of
_LEAST_ROWS = 50  # under which a median says nothing


def check(
    total: int, first: int | None, supervised: int, limit: int, share: float, *, estimated: bool
) -> Iterator[Finding]:
    """Yield the problems of a row of `total` tokens, of which `supervised` are trained, from position `first` on.

    `share` of the tokens must be trained on.
    """
    words = "an estimated " if estimated else ""
    if total > limit:
        yield too_long(total, limit, estimated=estimated)
        if first is not None and first >= limit:
            yield Finding("L702", f"the first trained token is {words}number {first + 1:,}, the limit is {limit:,}")
    if total >= LONG and first is not None and supervised < share * total:
        yield Finding("L703", f"{words}{supervised:,} of {total:,} tokens are trained on")


def too_long(total: int, limit: int, *, estimated: bool) -> Finding:
    """Return L701 for a row of `total` tokens where `limit` fit."""
    words = "an estimated " if estimated else ""
    return Finding("L701", f"{words}{total:,} tokens, the limit is {limit:,}")


class Sizes:
    """L704: the rows that are many times as long as the median, by the bytes they take. Parts add up with `merge`."""

    def __init__(self) -> None:
        self._octaves: Counter[int] = Counter()  # rows by the bits of their size
        self._longest: list[tuple[int, int]] = []  # (bytes, -line), the longest last

    def add(self, sizes: Sequence[int], lines: Iterable[int]) -> None:
        """Count rows of so many bytes, at least one, and at these lines, from 1."""
        self._octaves.update(map(int.bit_length, sizes))
        least = self._longest[0][0] if len(self._longest) == _SHOWN else sorted(sizes)[-_SHOWN:][0] - 1
        if max(sizes) > least:
            self._keep((size, -line) for size, line in zip(sizes, lines, strict=True) if size > least)

    def merge(self, later: Sizes) -> None:
        """Add what a later part of the file holds."""
        self._octaves.update(later._octaves)
        self._keep(later._longest)

    def _keep(self, more: Iterable[tuple[int, int]]) -> None:
        self._longest = sorted([*self._longest, *more])[-_SHOWN:]

    def findings(self, times: float) -> Iterator[Placed]:
        """Yield the longest rows that are so many times as long as the median."""
        rows = self._octaves.total()
        if rows < _LEAST_ROWS:
            return
        below = list(accumulate(self._octaves[bits] for bits in range(64)))
        median = 3 * 2 ** (bisect_left(below, rows / 2) - 2)  # the middle of its octave
        for size, line in sorted(self._longest, key=lambda item: -item[1]):
            if size >= times * median:
                problem = f"{size:,} bytes, about {size / median:,.0f} times the median of {rows:,} rows"
                yield Placed(Finding("L704", problem), -line)
