"""R410, D801, D806, D807, D808: what the rows of a data set are together. Found with the whole project in view.

Accumulators as those of `rules.dataset`: digests, counts and short samples, never the rows; parts add up with `merge`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from phi3data.findings import Finding
from phi3data.rules.base import Rule
from phi3data.rules.placed import Placed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3data.targets import TargetProfile

RULES = (
    Rule(
        "D810",
        "contaminated",
        "error",
        "what a benchmark asks, or the same in other words",
        "The benchmark then measures what was learned by heart. Found by check --against, prepare and decontaminate.",
    ),
    Rule(
        "R410",
        "inconsistent-system",
        "info",
        "a system prompt that differs from a common one by a few characters",
        "The model is trained on a prompt that it will never see again, most often by a slip of the keyboard.",
    ),
    Rule(
        "D801",
        "too-few-rows",
        "error",
        "few rows",
        "Services refuse fewer than their minimum, and some dozens seldom change what a model does.",
    ),
    Rule(
        "D802",
        "exact-duplicate",
        "warning",
        "equal to another row",
        "The row is trained on twice as hard as the others, and learned by heart.",
    ),
    Rule(
        "D803",
        "near-duplicate",
        "warning",
        "almost the same as another row",
        "Copies with small changes are trained on as often as they stand there, and learned by heart.",
    ),
    Rule(
        "D804",
        "conflicting-answers",
        "warning",
        "one prompt with different answers",
        "The model learns to give a mixture of them; sometimes that is what is wanted.",
    ),
    Rule(
        "D805",
        "split-leakage",
        "error",
        "the row, or its prompt, is in another split too",
        "The validation loss then measures what was learned by heart, and falls while the model gets worse.",
    ),
    Rule(
        "D809",
        "prefix-duplicate",
        "warning",
        "a conversation that is the beginning of another one",
        "Its turns are trained on twice; in another split they are known already.",
    ),
    Rule(
        "D806",
        "imbalance",
        "warning",
        "one value on most of the rows",
        "The model learns the frequent answer and is right often enough not to learn the rare ones.",
    ),
    Rule(
        "D807",
        "sorted-file",
        "warning",
        "rows sorted by label or source",
        "The destination takes the end of the file for validation: it measures what it was not trained on.",
    ),
    Rule(
        "D808",
        "dominant-prompt",
        "warning",
        "one prompt on many rows",
        "The model learns one question by heart, and the split puts it on both sides.",
    ),
)

_SHOWN = 40  # characters of the user's own words in a message


def digest(text: str) -> int:
    """Return 64 bits of a text; equal in every process, unlike Python's own hash."""
    from hashlib import blake2b

    return int.from_bytes(blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest())


def too_few(rows: int, target: TargetProfile) -> Iterator[Placed]:
    """Yield D801 for a training set of so many rows: an error, a warning or an information."""
    if rows < target.minimum_rows:
        problem = f"{target.title} needs at least {target.minimum_rows}"
        yield Placed(Finding("D801", f"{rows:,} rows: {problem}"), None, "error")
    elif rows < target.advised_rows:
        yield Placed(Finding("D801", f"{rows:,} rows: {target.advised_rows} and more are advised"), None, "warning")
    elif rows < target.ample_rows:
        problem = f"under {target.ample_rows} an effect may be hard to see"
        yield Placed(Finding("D801", f"{rows:,} rows: {problem}"), None, "info")


class _Value(msgspec.Struct):
    sample: str
    rows: int


class Categories:
    """D806 and D807: how the rows spread over the values of something (label, system, source), and in which order."""

    MOST = 1000  # distinct values, from which on it is no category but a text
    FEW = 5  # rows of a value on average, under which it is none either
    LEAST = 50  # rows, under which shares say nothing

    def __init__(self, what: str, slips: float = 0) -> None:
        """`what` names the category in messages: label, system prompt, source, language.

        Values on less than the share `slips` of the rows are no values, where each row's is a guess.
        """
        self._what, self._slips = what, slips
        self._values: dict[int, _Value] = {}
        self._rows = self._runs = 0
        self._first = self._last = 0
        self._given_up = False

    def add(self, value: str | None) -> None:
        """Count a row; None is a row without a value."""
        key = 0 if value is None else digest(value)
        known = self._values.get(key)
        if known is not None:
            known.rows += 1
        elif len(self._values) < self.MOST:
            self._values[key] = _Value(f"no {self._what}" if value is None else repr(value[:_SHOWN]), 1)
        else:
            self._given_up = True
        self._note(key, key, 1, 1)

    def _note(self, first: int, last: int, runs: int, rows: int) -> None:
        if not self._rows:
            self._first = first
        self._runs += runs - (bool(self._rows) and first == self._last)
        self._rows += rows
        self._last = last

    def merge(self, later: Categories) -> None:
        """Add what a later part holds."""
        if not later._rows:
            return
        for key, value in later._values.items():
            self._values.setdefault(key, _Value(value.sample, 0)).rows += value.rows
        self._given_up = self._given_up or later._given_up or len(self._values) > self.MOST
        self._note(later._first, later._last, later._runs, later._rows)

    def findings(self, target: TargetProfile, ratio: float, times: float) -> Iterator[Placed]:
        """Yield D806 if one value outweighs another, D807 if the values stand in blocks and the target splits so.

        `ratio` are rows of the most frequent value for one of the rarest; blocks are so many `times` fewer than in a
        shuffled file.
        """
        values = [value for value in self._values.values() if value.rows >= self._slips * self._rows]
        kinds = len(values)
        if self._given_up or kinds < 2 or self._rows < max(self.LEAST, self.FEW * kinds):
            return
        most = max(values, key=lambda value: value.rows)
        least = min(values, key=lambda value: value.rows)
        if most.rows >= ratio * least.rows:
            shares = f"{most.sample} on {most.rows:,} of {self._rows:,} rows, {least.sample} on {least.rows:,}"
            yield Placed(Finding("D806", f"{self._what}: {shares}"))
        shuffled = 1 + self._rows * (1 - sum((value.rows / self._rows) ** 2 for value in self._values.values()))
        if target.splits_in_order and shuffled >= 2 * times and self._runs * times <= shuffled:
            problem = f"{self._runs:,} blocks of rows by {self._what}, {shuffled:,.0f} if they were shuffled"
            yield Placed(Finding("D807", f"{problem}: {target.title} takes the end for validation"))


class Prompts:
    """D808: prompts on a large share of the rows, by Misra and Gries's summary.

    With k counters each count is at most rows / (k + 1) too low, and never too high: any prompt over that share is
    held.
    """

    COUNTERS = 100
    LEAST = 50  # rows, under which shares say nothing

    def __init__(self) -> None:
        self._rows = 0
        self._values: dict[int, _Value] = {}

    def add(self, prompt: str) -> None:
        """Count a row by its first question."""
        self._rows += 1
        key = digest(prompt)
        known = self._values.get(key)
        if known is not None:
            known.rows += 1
        elif len(self._values) < self.COUNTERS:
            self._values[key] = _Value(repr(prompt[:_SHOWN]), 1)
        else:
            self._lower(1)

    def _lower(self, by: int) -> None:
        for value in self._values.values():
            value.rows -= by
        self._values = {key: value for key, value in self._values.items() if value.rows > 0}

    def merge(self, later: Prompts) -> None:
        """Add what a later part holds."""
        self._rows += later._rows
        for key, value in later._values.items():
            self._values.setdefault(key, _Value(value.sample, 0)).rows += value.rows
        counts = sorted((value.rows for value in self._values.values()), reverse=True)
        if len(counts) > self.COUNTERS:
            self._lower(counts[self.COUNTERS])

    def findings(self, least: float) -> Iterator[Placed]:
        """Yield one finding for each prompt on this share of the rows or more; a hundredth is the least."""
        if self._rows < self.LEAST:
            return
        for value in sorted(self._values.values(), key=lambda value: -value.rows):
            if value.rows >= least * self._rows:
                share = value.rows / self._rows
                yield Placed(Finding("D808", f"the prompt {value.sample} is on {share:.0%} of {self._rows:,} rows"))


class _System(msgspec.Struct):
    text: str
    rows: int
    line: int


class SystemPrompts:
    """R410: rare system prompts that are a common one but for a few characters.

    Where there are more than `MOST` prompts, each is written for its row, and nothing can be said.
    """

    MOST = 100
    KEPT = 2000  # characters of a prompt that are held and compared
    RARE = 10  # rows of the common one for each of the rare

    def __init__(self) -> None:
        self._prompts: dict[int, _System] = {}
        self._given_up = False

    def add(self, text: str, line: int, rows: int = 1) -> None:
        """Count rows with this system prompt, the first of them at `line`."""
        if self._given_up:
            return
        known = self._prompts.get(key := digest(text))
        if known is not None:
            known.rows += rows
        else:
            self._prompts[key] = _System(text[: self.KEPT], rows, line)
            self._forget()

    def _forget(self) -> None:
        if len(self._prompts) > self.MOST:
            self._given_up = True
            self._prompts = {}

    def merge(self, later: SystemPrompts) -> None:
        """Add what a later part of the file holds."""
        self._given_up = self._given_up or later._given_up
        for key, prompt in later._prompts.items():
            self._prompts.setdefault(key, _System(prompt.text, 0, prompt.line)).rows += prompt.rows
        self._forget()
        if self._given_up:
            self._prompts = {}

    def findings(self, characters: int) -> Iterator[Placed]:
        """Yield one finding for each rare prompt, at its first row.

        So many characters may differ from the common one, beside case, white space and punctuation.
        """
        prompts = sorted(self._prompts.values(), key=lambda prompt: -prompt.rows)
        for rare in prompts:
            for common in prompts:
                if common.rows < self.RARE * rare.rows:
                    break
                difference = _difference(rare.text, common.text, characters)
                if difference is not None:
                    rows = "1 row" if rare.rows == 1 else f"{rare.rows:,} rows"
                    problem = f"{rows} with a system prompt that on {common.rows:,} reads {difference}"
                    yield Placed(Finding("R410", problem, "/messages/0/content"), rare.line)
                    break


def _difference(rare: str, common: str, apart: int) -> str | None:
    """Say how the common text reads where the rare one differs; None if they are not almost the same."""
    start = next((at for at, (one, two) in enumerate(zip(rare, common, strict=False)) if one != two), None)
    if start is None:
        start = min(len(rare), len(common))
    end = 0
    while end < min(len(rare), len(common)) - start and rare[-1 - end] == common[-1 - end]:
        end += 1
    here, there = rare[start : len(rare) - end], common[start : len(common) - end]
    if len(here) > apart or len(there) > apart:
        if _bare(rare) != _bare(common):
            return None
    elif (here or there).isdigit() or len(common) < 2 * apart:
        return None  # numbers are data, and of a text so short a few characters are most
    return f"{there[:_SHOWN]!r} for {here[:_SHOWN]!r}, after {common[max(0, start - _SHOWN) : start]!r}"


def _bare(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())
