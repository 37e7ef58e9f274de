"""What came of questions to an endpoint, and what it adds up to."""

from __future__ import annotations

from collections import Counter
from math import ceil
from typing import TYPE_CHECKING, Any

import msgspec

from phi3train.endpoint.questions import Kind
from phi3train.scores import f1, same

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why there is no answer: the kind, what happened, and what to do. `said` may hold the endpoint's words."""

    kind: str
    said: str
    remedy: str
    status: int | None = None  # of HTTP, where an answer came


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, or why there is none; a line of answers.jsonl.

    Times are in seconds from the call, `first` that of the first words where the answer was streamed. `reason` is the
    endpoint's own word for the end: stop, length. Tokens are those that the endpoint counted, None where it did not.
    """

    id: str
    kind: Kind
    messages: list[Any]
    wanted: str | None
    answer: str
    reason: str | None
    seconds: float
    first: float | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    failure: Failure | None = None

    @property
    def as_exported(self) -> bool:
        """Whether it is what the weights answered when they were exported, white space at the ends aside.

        Where an answer was cut off within a character some endpoints show a sign in its place.
        """
        answer = self.answer.rstrip("\ufffd").strip()
        return self.failure is None and self.wanted is not None and answer == self.wanted.strip()


class Percentiles(msgspec.Struct, frozen=True, kw_only=True):
    """Nearest ranks: a value that occurred, and that so many percent do not exceed."""

    p50: float
    p90: float
    p99: float


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """All replies together.

    Times and scores are those of the data's questions, or of the others where no data was asked; times are in seconds.
    `tokens_per_second` is all tokens after the test request by the time that they took together. `stop_rate`,
    `exact_match` and `f1` (over words, as SQuAD counts it) are fractions 0-1. None: nothing to measure it by.
    """

    asked: int
    answered: int
    failures: dict[str, int]
    exported: int
    as_exported: int
    latency: Percentiles | None = None
    first: Percentiles | None = None
    speed: Percentiles | None = None
    tokens_per_second: float | None = None
    stop_rate: float | None = None
    exact_match: float | None = None
    f1: float | None = None

    @property
    def works(self) -> bool:
        """Whether something was asked, and all of it answered."""
        return self.asked == self.answered > 0


def measure(replies: Sequence[Reply], seconds: float) -> Measured:
    """Return what replies add up to; `seconds` is the time from the reply to the test request to the last one."""
    good = [each for each in replies if each.failure is None]
    exported = [each for each in replies if each.kind == "exported"]
    data = any(each.kind == "data" for each in replies)
    timed = [each for each in good if each.kind == "data" or not data]
    known = [(each.answer, each.wanted) for each in timed if each.kind == "data" and each.wanted is not None]
    tokens = sum(each.completion_tokens or 0 for each in good if each.kind != "request")
    return Measured(
        asked=len(replies),
        answered=len(good),
        failures=dict(Counter(each.failure.kind for each in replies if each.failure is not None).most_common()),
        exported=len(exported),
        as_exported=sum(each.as_exported for each in exported),
        latency=percentiles(each.seconds for each in timed),
        first=percentiles(each.first for each in timed if each.first is not None),
        speed=percentiles(
            (each.completion_tokens / each.seconds for each in timed if each.completion_tokens and each.seconds),
            least=True,
        ),
        tokens_per_second=tokens / seconds if tokens and seconds else None,
        stop_rate=_mean([each.reason == "stop" for each in timed]),
        exact_match=_score(same, known),
        f1=_score(f1, known),
    )


def percentiles(values: Iterable[float], *, least: bool = False) -> Percentiles | None:
    """Return the percentiles of some values, None of none. With `least` so many percent are not below them."""
    ordered = sorted(values, reverse=least)
    if not ordered:
        return None
    ranks = (ordered[ceil(part * len(ordered)) - 1] for part in (0.5, 0.9, 0.99))
    return Percentiles(**dict(zip(("p50", "p90", "p99"), ranks, strict=True)))


def _score(score: Callable[[str, str], float], known: Sequence[tuple[str, str]]) -> float | None:
    return _mean([score(answer, wanted) for answer, wanted in known])


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
