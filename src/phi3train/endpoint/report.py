"""report.html, REPORT.md and the terminal: how an endpoint answered."""

from __future__ import annotations

from typing import Any

import msgspec

from phi3data.report.card import escape
from phi3data.text.visible import one_line, plain
from phi3train.endpoint.replies import Failure, Measured, Percentiles, Reply
from phi3train.report.markdown import written
from phi3train.report.page import environment
from phi3train.report.tables import Table, formatted

_SHOWN = 40  # answers on the page; answers.jsonl has all
_VERDICTS = {"ready": "It answers", "look": "Take a look", "unusable": "It fails"}
_SPEEDS = (
    ("latency", "Latency, s", ".3f"),
    ("first", "First token, s", ".3f"),
    ("speed", "Tokens/s of an answer", ",.1f"),
)
_SCORES = (("stop_rate", "Stops by itself"), ("exact_match", "Exact match"), ("f1", "F1 of words"))


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A test of an endpoint and what came of it. `when` is its day, `patience` in seconds."""

    address: str
    model: str
    when: str
    data: str | None
    questions: int
    stopped: bool
    max_tokens: int
    concurrency: int
    streamed: bool
    patience: float
    retries: int
    measured: Measured
    replies: list[Reply]

    @property
    def kind(self) -> str:
        """How it is to be looked at: ready, look or unusable."""
        if not self.measured.answered:
            return "unusable"
        return "look" if warnings(self) else "ready"


def failed(trial: Trial) -> str | None:
    """Return why an endpoint answers nothing at all, None where it answers."""
    if trial.measured.answered or not trial.replies:
        return None
    why = trial.replies[0].failure
    assert why is not None, "nothing was answered"
    return f"{trial.address}: {why.kind}: {why.said}; {why.remedy}"


def warnings(trial: Trial, *, words: bool = True) -> list[str]:
    """Return what is wrong, the worst first, without `words` of the endpoint: some repeat what they were asked."""
    made, said = trial.measured, []
    if trial.stopped:
        said.append(f"stopped by the user after {made.asked} of {trial.questions} requests")
    for kind, number in made.failures.items():
        why = _first(trial, kind)
        status = kind if why.status is None else f"{kind} ({why.status})"
        said.append(f"{number} of {made.asked} requests: {f'{kind}: {why.said}' if words else status}: {why.remedy}")
    if made.as_exported < made.exported:
        said.append(
            f"{made.as_exported} of {made.exported} answers are those of the export: other weights, another chat "
            "template, or half precision, in which near ties fall otherwise: look at the answers"
        )
    # The other questions have a limit of their own, at which good answers are cut off too.
    if any(each.kind == "data" for each in trial.replies) and made.stop_rate is not None and made.stop_rate < 1:
        said.append(
            f"{1 - made.stop_rate:.1%} of the answers were cut off: raise --max-tokens; if they then run on, the model "
            "was not taught to stop, or the endpoint does not know the tokens that end an answer"
        )
    return said


def render(trial: Trial) -> str:
    """Return a test for the terminal."""
    made = trial.measured
    lines = [f"{trial.address}: {one_line(trial.model)}, {made.answered} of {made.asked} requests answered"]
    first = trial.replies[0]
    if first.failure is None:
        lines.append(f"{'Test request, s':<22}{first.seconds:>12.3f}  {_cut(first.answer)}")
    speed = _speed(made)
    if speed is not None:
        lines += [
            f"{name:<22}{''.join(f'{value:>12}' for value in values)}" for name, *values in (speed.heads, *speed.rows)
        ]
    lines += [f"{name:<22}{value:>12}" for name, value in _scored(made)]
    return "\n".join([*lines, *(f"warning: {each}" for each in warnings(trial))]) + "\n"


def markdown(trial: Trial) -> str:
    """Return the report as Markdown. Texts of rows are not in it: it is kept where data may not be."""
    said = warnings(trial, words=False)
    lines = [f"# Endpoint test: {escape(trial.address)}", "", escape(headline(trial)), "", "## Warnings", ""]
    lines += [*([f"- {escape(each)}" for each in said] or ["None."]), ""]
    parts = {"Speed": _speed(trial.measured), "Answers": _scores(trial), "How it was asked": _about(trial)}
    for title, table in parts.items():
        if table is not None:
            lines += [f"## {title}", "", *written(table)]
    return "\n".join(lines).rstrip("\n") + "\n"


def page(trial: Trial) -> str:
    """Return the report as one self-contained page."""
    made, styles = environment()
    return made.get_template("endpoint.html.j2").render(
        trial=trial,
        styles=styles,
        verdict=_VERDICTS[trial.kind],
        headline=headline(trial),
        figures=_figures(trial.measured),
        warnings=warnings(trial),
        speed=_speed(trial.measured),
        scores=_scores(trial),
        about=_about(trial),
        answers=[_shown(each) for each in trial.replies[:_SHOWN]],
        more=max(0, len(trial.replies) - _SHOWN),
    )


def headline(trial: Trial) -> str:
    """Return what came of it in a sentence or two."""
    made = trial.measured
    said = f"{made.answered} of {made.asked} requests to '{one_line(trial.model)}' were answered."
    if made.latency is not None:
        said += f" Half of them within {made.latency.p50:.2f} s, nine of ten within {made.latency.p90:.2f} s."
    return said


def _speed(made: Measured) -> Table | None:
    rows = []
    for key, name, form in _SPEEDS:
        found: Percentiles | None = getattr(made, key)
        if found is not None:
            rows.append([name, *(f"{value:{form}}" for value in (found.p50, found.p90, found.p99))])
    return Table(heads=["", "p50", "p90", "p99"], rows=rows) if rows else None


def _scores(trial: Trial) -> Table:
    made = trial.measured
    rows = [["Requests", f"{made.asked:,}"], ["Answered", f"{made.answered:,}"]]
    rows += [[f"Failed: {kind}", f"{number:,}"] for kind, number in made.failures.items()]
    rows += [[name, value] for name, value in _scored(made)]
    return Table(heads=["", ""], rows=rows)


def _scored(made: Measured) -> list[tuple[str, str]]:
    found = [("As exported", f"{made.as_exported} of {made.exported}")] if made.exported else []
    found += [(name, f"{getattr(made, key):.1%}") for key, name in _SCORES if getattr(made, key) is not None]
    if made.tokens_per_second is not None:
        found.append(("Tokens/s in all", f"{made.tokens_per_second:,.1f}"))
    return found


def _about(trial: Trial) -> Table:
    how = "streamed" if trial.streamed else "whole"
    rows = [
        ["Endpoint", trial.address],
        ["Model", one_line(trial.model)],
        ["Day", trial.when],
        ["Data", trial.data or "–"],
        ["Answers", f"{how}, up to {trial.max_tokens:,} tokens, the likeliest ones (temperature 0)"],
        ["At a time", f"{trial.concurrency}"],
        ["Patience", f"{trial.patience:g} s for a request, {trial.retries} retries in it, whose time counts"],
    ]
    return Table(heads=["", ""], rows=rows, words=True)


def _figures(made: Measured) -> list[tuple[str, str, str]]:
    latency, first = made.latency, made.first
    return [
        ("Answered", f"{made.answered:,}", f"of {made.asked:,}"),
        ("Latency", "–" if latency is None else f"{latency.p50:.2f} s", "half are faster"),
        ("First token", "–" if first is None else f"{first.p50:.2f} s", "half are faster"),
        ("Tokens/s", formatted(made.tokens_per_second, ",.0f"), "in all"),
        ("Stops by itself", formatted(made.stop_rate, ".0%"), "of the answers"),
    ]


def _shown(reply: Reply) -> dict[str, Any]:
    facts = [f"{reply.seconds:.2f} s"]
    if reply.first is not None:
        facts.append(f"first words after {reply.first:.2f} s")
    if reply.completion_tokens is not None:
        facts.append(f"{reply.completion_tokens:,} tokens")
    turns = [(str(each.get("role", "")), _text(each.get("content"))) for each in reply.messages]
    return {"reply": reply, "turns": turns, "facts": ", ".join(facts)}


def _text(content: object) -> str:
    """Return the text of a message, also where it comes in parts."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return "" if content is None else str(content)


def _first(trial: Trial, kind: str) -> Failure:
    return next(each.failure for each in trial.replies if each.failure is not None and each.failure.kind == kind)


def _cut(text: str, size: int = 44) -> str:
    line = " ".join(plain(text).split())
    return line if len(line) <= size else f"{line[: size - 1]}…"
