"""A trained head on held-out rows, beside what naming the most frequent class would get."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from phi3data.errors import UsageError
from phi3train import report
from phi3train.classification.head import evaluate
from phi3train.data.labelled import pad_id, refuse_unlabelled
from phi3train.scores import Scores

if TYPE_CHECKING:
    from pathlib import Path

    from phi3train.measuring import Trained

_LETTERS = 28  # of a class in the terminal
_MISTAKES = 5


class HeadEvaluation(msgspec.Struct, frozen=True, kw_only=True):
    """A head on rows. `loss` is in nats per row, the others are fractions 0–1. `dropped` rows could not be read."""

    data: str
    sha256: str
    rows: int
    dropped: int
    loss: float
    accuracy: float
    macro_f1: float
    majority: float
    confusion: Scores


def measure(trained: Trained, path: Path | None) -> HeadEvaluation:
    """Classify held-out rows, and write eval.json, confusion.json and the report.

    Raises `UsageError` for a run without a head, `InputError` for rows without a class or of one that was not learned.
    """
    if not trained.classes:
        raise UsageError(f'{trained.folder.path}: holds no classification head (method.kind = "classify")')
    data = trained.data(path)
    refuse_unlabelled(str(data.path), data.rows, data.lost, trained.classes)
    found = evaluate(
        trained.load(base=False),
        data.rows,
        trained.classes,
        trained.config.evaluation.micro_batch,
        pad=pad_id(trained.model),
        precision=trained.precision,
        window=trained.model.window,
    )
    scores = found.scores
    done = HeadEvaluation(
        data=str(data.path),
        sha256=data.sha256,
        rows=len(data.rows),
        dropped=len(data.lost),
        loss=found.loss,
        accuracy=scores.accuracy,
        macro_f1=scores.macro_f1,
        majority=scores.majority,
        confusion=scores,
    )
    trained.folder.write("eval.json", done)
    trained.folder.write("confusion.json", scores)
    report.write(trained.folder.path)
    return done


def render(found: HeadEvaluation) -> str:
    """Return an evaluation as a table for the terminal."""
    lines = [
        f"{found.data}: {found.rows:,} rows, {len(found.confusion.classes):,} classes",
        f"accuracy   {found.accuracy:>7.1%}  (always the most frequent class: {found.majority:.1%})",
        f"macro-F1   {found.macro_f1:>7.3f}",
        f"nats a row {found.loss:>7.4f}",
        "",
        f"{'class':<{_LETTERS}}{'rows':>9}{'predicted':>11}{'precision':>11}{'recall':>9}{'F1':>8}",
    ]
    for each in found.confusion.per_class:
        name = each.name if len(each.name) < _LETTERS else f"{each.name[: _LETTERS - 2]}…"
        figures = f"{each.precision:>11.3f}{each.recall:>9.3f}{each.f1:>8.3f}"
        lines.append(f"{name:<{_LETTERS}}{each.rows:>9,}{each.predicted:>11,}{figures}")
    mistakes = found.confusion.mistakes
    if mistakes:
        lines += ["", "most frequent mistakes"]
        lines += [f"{rows:>6,}  {true} taken for {guess}" for true, guess, rows in mistakes[:_MISTAKES]]
    return "\n".join(lines) + "\n"
