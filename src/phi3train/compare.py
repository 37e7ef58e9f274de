"""Runs beside each other: what differs in their configurations, and what that did.

Runs differ in length, so losses are compared at equal tokens: those of the shortest run. What is compared at its best
is said to be so.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from phi3data.errors import UsageError
from phi3train.plan.text import duration
from phi3train.report import tables
from phi3train.report.charts import together
from phi3train.report.page import environment
from phi3train.report.story import Story, read
from phi3train.report.tables import Table, formatted

if TYPE_CHECKING:
    from collections.abc import Sequence

_PLACES = {"output"}  # keys that differ between any two runs
_SAMPLES = 4  # prompts that are shown
_MEAN = 0.05  # of the tokens: the loss of one step says little


class Compared(msgspec.Struct, frozen=True, kw_only=True):
    """A run in a comparison. `at_tokens` and what follows it are at the equal tokens; losses in nats per token.

    `tokens_per_second` is of the whole run, its evaluations included; `eval` is what phi3train eval measured on
    `eval_data`. None is what a run does not tell.
    """

    run: str
    state: str
    steps: int
    tokens: int
    seconds: float
    tokens_per_second: float | None
    best_loss: float | None
    best_step: int | None
    best_tokens: int | None
    train_loss: float | None
    evaluation_loss: float | None
    evaluation_tokens: int | None
    eval_data: str | None
    eval: dict[str, float]


class SampleRow(msgspec.Struct, frozen=True, kw_only=True):
    """The last answers of each run to one prompt, None where a run has none."""

    id: str
    prompt: str
    wanted: str
    answers: list[str | None]


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """A comparison. `differences` are keys of the configurations and their values in the order of the runs."""

    tokens: int
    runs: list[Compared]
    differences: dict[str, list[str]]
    same_data: bool
    samples: list[SampleRow]


def compare(paths: Sequence[Path]) -> tuple[Comparison, list[Story]]:
    """Compare two or more run folders.

    Raises `UsageError` for fewer than two, `OutputError` for a folder that is no run.
    """
    if len(paths) < 2:
        raise UsageError("compare: give two run folders or more")
    stories = [read(path) for path in paths]
    trained = [story.steps[-1].tokens if story.steps else 0 for story in stories]
    equal = min(trained)
    every = [dict(tables.keys(story.config)) for story in stories]
    differences = {
        key: values for key in every[0] if key not in _PLACES and len(set(values := [each[key] for each in every])) > 1
    }
    digests = [{split: each["sha256"] for split, each in story.data.items()} for story in stories]
    found = Comparison(
        tokens=equal,
        runs=[_run(story, name, equal) for story, name in zip(stories, names(paths), strict=True)],
        differences=differences,
        same_data=all(each == digests[0] for each in digests),
        samples=_samples(stories),
    )
    return found, stories


def names(paths: Sequence[Path]) -> list[str]:
    """Return the last parts of paths, and the paths themselves where those are not enough."""
    short = [path.resolve().name for path in paths]
    return short if len(set(short)) == len(short) else [str(path) for path in paths]


def _run(story: Story, name: str, equal: int) -> Compared:
    steps, state, best, tokens = story.steps, story.state, story.best, story.tokens_at
    before = [each for each in story.evaluations if tokens.get(each.step, equal + 1) <= equal]
    last = before[-1] if before else None
    recent = [each.loss for each in steps if (1 - _MEAN) * equal < each.tokens <= equal and each.loss is not None]
    seconds = state.get("seconds", 0.0)
    return Compared(
        run=name,
        state=state["state"],
        steps=state.get("step", 0),
        tokens=state.get("tokens", 0),
        seconds=seconds,
        tokens_per_second=round(state["tokens"] / seconds, 1) if seconds else None,
        best_loss=best.eval_loss if best else None,
        best_step=best.step if best else None,
        best_tokens=tokens.get(best.step) if best else None,
        train_loss=sum(recent) / len(recent) if recent else None,
        evaluation_loss=last.eval_loss if last else None,
        evaluation_tokens=tokens.get(last.step) if last else None,
        eval_data=(story.evaluation or {}).get("data"),
        eval=tables.figures(story.evaluation or {}),
    )


def _samples(stories: Sequence[Story]) -> list[SampleRow]:
    """Return the last answers to the prompts that the runs share, those of the first run first."""
    last = [{each.id: each for each in story.answers} for story in stories]
    every = list(dict.fromkeys(chain.from_iterable(last)))
    shared = [each for each in every if sum(each in answers for answers in last) > 1][:_SAMPLES]
    rows = []
    for key in shared:
        one = next(answers[key] for answers in last if key in answers)
        said = [answers[key].answer if key in answers else None for answers in last]
        rows.append(SampleRow(id=key, prompt=one.prompt, wanted=one.wanted, answers=said))
    return rows


def figures(found: Comparison) -> Table:
    """Return the metrics: a row each, a column a run."""
    runs, at = found.runs, f"{found.tokens:,} tokens"
    rows = [
        ["State", *(each.state for each in runs)],
        ["Steps", *(f"{each.steps:,}" for each in runs)],
        ["Tokens", *(f"{each.tokens:,}" for each in runs)],
        ["Time", *(duration(each.seconds) for each in runs)],
        ["Tokens/s", *(formatted(each.tokens_per_second, ",.0f") for each in runs)],
        [f"Training loss at {at}", *(formatted(each.train_loss, ".4f") for each in runs)],
        [f"Evaluation up to {at}", *(formatted(each.evaluation_loss, ".4f") for each in runs)],
        ["Best evaluation", *(formatted(each.best_loss, ".4f") for each in runs)],
        ["… after tokens", *(formatted(each.best_tokens, ",") for each in runs)],
    ]
    if any(each.eval_data for each in runs):
        rows.append(["eval of", *(Path(each.eval_data).name if each.eval_data else "–" for each in runs)])
    for key, (name, form) in tables.MEASURES.items():
        if any(key in each.eval for each in runs):
            rows.append([f"eval: {name}", *(formatted(each.eval.get(key), form) for each in runs)])
    return Table(heads=["", *(each.run for each in runs)], rows=rows)


def changed(found: Comparison) -> Table | None:
    """Return the keys that differ; None where the configurations are equal."""
    rows = [[key, *(value or "–" for value in values)] for key, values in found.differences.items()]
    return Table(heads=["", *(each.run for each in found.runs)], rows=rows) if rows else None


def render(found: Comparison, width: int) -> str:
    """Return a comparison for a terminal of `width` columns."""
    lines = ["── Configuration ──", ""]
    differing = changed(found)
    lines += _columns(differing, width) if differing else ["nothing differs"]
    if not found.same_data:
        lines += ["", "warning: the runs saw other data: losses on other rows are no comparison"]
    lines += ["", "── Metrics ──", "", *_columns(figures(found), width)]
    if found.samples:
        lines += ["", "── Samples ──"]
    label = max(len("wanted"), *(len(each.run) for each in found.runs))
    for row in found.samples:
        lines += [
            "",
            row.id,
            *_wrapped("prompt", row.prompt, label, width),
            *_wrapped("wanted", row.wanted, label, width),
        ]
        for run, answer in zip(found.runs, row.answers, strict=True):
            lines += _wrapped(run.run, "–" if answer is None else answer, label, width)
    return "\n".join(lines) + "\n"


def _columns(table: Table, width: int) -> list[str]:
    """Return a table as lines; long cells are cut where the columns would not fit."""
    rows = [table.heads, *table.rows]
    first = max(len(row[0]) for row in rows)
    room = max(8, (width - first) // (len(table.heads) - 1) - 2)
    sizes = [min(room, max(len(row[at]) for row in rows)) for at in range(1, len(table.heads))]
    return [
        f"{row[0]:<{first}}"
        + "".join(f"  {_cut(cell, size):>{size}}" for cell, size in zip(row[1:], sizes, strict=True))
        for row in rows
    ]


def _cut(text: str, size: int) -> str:
    """Cut a text in its middle: what tells paths and numbers apart is at their ends."""
    return text if len(text) <= size else f"{text[: (size - 1) // 2]}…{text[len(text) - size // 2 :]}"


def _wrapped(name: str, text: str, label: int, width: int) -> list[str]:
    from textwrap import wrap

    from phi3data.report.html.visible import plain

    parts = [part for line in text.splitlines() for part in wrap(plain(line), max(20, width - label - 4))] or [
        "(empty)"
    ]
    return [f"  {name if not number else '':<{label}}  {part}" for number, part in enumerate(parts)]


def page(found: Comparison, stories: Sequence[Story]) -> str:
    """Return a comparison as one self-contained page."""
    made, styles = environment()
    runs = [each.run for each in found.runs]
    return made.get_template("compare.html.j2").render(
        found=found,
        runs=runs,
        styles=styles,
        headline=headline(found),
        changed=changed(found),
        figures=figures(found),
        curves=together(runs, stories),
    )


def headline(found: Comparison) -> str:
    """Return which run has the best evaluation, and at what price."""
    known = [each for each in found.runs if each.best_loss is not None]
    if not known:
        return f"Compared at {found.tokens:,} tokens; none of the runs was evaluated."
    best = min(known, key=lambda each: each.best_loss or 0.0)
    return (
        f"{best.run} has the best evaluation: {best.best_loss:.4f} after {best.best_tokens or 0:,} tokens. Losses "
        f"beside each other are at {found.tokens:,} tokens, those of the shortest run."
    )
