"""What a run folder holds, read once: the source of the report and of comparisons."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypeVar

import msgspec

from phi3data.errors import OutputError
from phi3data.inspection.view import Inspection
from phi3train import settings
from phi3train.config import Config
from phi3train.folder import RunFolder
from phi3train.scores import Scores

_Kind = TypeVar("_Kind")


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A step of metrics.jsonl. A number that was none there is None; `loss` is in nats per token (per row of a class).

    `tokens` and `seconds` are counted from the start of the run.
    """

    step: int
    loss: float | None
    tokens: int
    seconds: float
    tokens_per_second: float
    epoch: float | None = None
    grad_norm: float | None = None
    learning_rate: float | None = None
    spike: dict[str, Any] | None = None


class Evaluated(msgspec.Struct, frozen=True, kw_only=True):
    """An evaluation of metrics.jsonl; fractions are 0–1. The last two are those of a classification head."""

    step: int
    eval_loss: float | None
    eval_perplexity: float | None = None
    eval_token_accuracy: float | None = None
    stop_rate: float | None = None
    eval_accuracy: float | None = None
    eval_macro_f1: float | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """A line of samples.jsonl."""

    step: int
    id: str
    prompt: str
    wanted: str
    answer: str
    stopped: bool


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """A run, as its folder tells it. What a run did not come to is empty, or None."""

    path: Path
    state: dict[str, Any]
    config: Config
    data: dict[str, dict[str, Any]]
    predicted: dict[str, Any] | None
    measured: dict[str, Any] | None
    steps: list[Step]
    evaluations: list[Evaluated]
    answers: list[Answer]
    preview: list[Inspection]
    evaluation: dict[str, Any] | None
    confusion: Scores | None

    @property
    def best(self) -> Evaluated | None:
        """The evaluation with the lowest loss, the first of equals."""
        known = [each for each in self.evaluations if each.eval_loss is not None]
        return min(known, key=lambda each: each.eval_loss or 0.0, default=None)

    @property
    def tokens_at(self) -> dict[int, int]:
        """Tokens that were trained on after each step."""
        return {each.step: each.tokens for each in self.steps}


def read(path: Path) -> Story:
    """Read a run folder. Raises `OutputError` for one that is none, or a file in it that is damaged."""
    state = RunFolder(path).state()
    plan = _json(path / "plan.json", dict[str, Any]) or {}
    metrics = _lines(path / "metrics.jsonl", dict[str, Any])
    return Story(
        path=path,
        state=state,
        config=settings.load(path / "config.toml"),
        data=_json(path / "data.json", dict[str, dict[str, Any]]) or {},
        predicted=plan.get("predicted"),
        measured=plan.get("measured"),
        steps=[msgspec.convert(each, Step) for each in metrics if "loss" in each],
        evaluations=[msgspec.convert(each, Evaluated) for each in metrics if "eval_loss" in each],
        answers=_lines(path / "samples.jsonl", Answer),
        preview=_json(path / "preview.json", list[Inspection]) or [],
        evaluation=_json(path / "eval.json", dict[str, Any]),
        confusion=_json(path / "confusion.json", Scores),
    )


def _json(path: Path, kind: type[_Kind]) -> _Kind | None:
    if not path.is_file():
        return None
    return _decode(path, path.read_bytes(), kind)


def _lines(path: Path, kind: type[_Kind]) -> list[_Kind]:
    """Return the whole lines of a file: a run that was killed may have left half a line at its end."""
    if not path.is_file():
        return []
    *lines, _ = path.read_bytes().split(b"\n")
    return [_decode(path, line, kind) for line in lines]


def _decode(path: Path, data: bytes, kind: type[_Kind]) -> _Kind:
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.DecodeError as error:
        raise OutputError(f"{path}: is damaged ({error}): phi3train run with --resume auto writes it again") from None
