"""report.html: one self-contained page, without scripts or network, everything from the data escaped."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from phi3data.report import html as report
from phi3data.report import inspection
from phi3data.report.inspection.html import tokens
from phi3train.plan.text import duration
from phi3train.report import tables
from phi3train.report.charts import curves
from phi3train.report.matrix import picture

if TYPE_CHECKING:
    from collections.abc import Sequence

    import jinja2

    from phi3train.report.story import Answer, Story

_STATES = {"done": "Done", "interrupted": "Stopped", "failed": "Failed", "running": "Not ended"}
_PROMPTS, _TIMES = 4, 6  # of the samples that are shown, and answers to each


@cache
def environment() -> tuple[jinja2.Environment, Markup]:
    """Return what renders the pages of this package, and their styles: the data report's, with our own after them."""
    folder = Path(__file__).parent
    made = report.environment(folder, keep_trailing_newline=True)
    made.filters["num"] = "{:,}".format
    made.globals["tokens"] = tokens
    sheets = (
        Path(report.__file__).parent / "report.css",
        Path(inspection.__file__).parent / "page.css",
        folder / "run.css",
    )
    return made, Markup("".join(each.read_text("utf-8") for each in sheets))  # noqa: S704 - our own files


def render(story: Story, warnings: Sequence[str]) -> str:
    """Return the report of a run. The same folder gives the same text."""
    made, styles = environment()
    parts: dict[str, Any] = {
        "curves": curves(story),
        "evaluations": tables.evaluations(story),
        "measured": tables.measured(story.evaluation or {}),
        "confusion": story.confusion,
        "samples": samples(story.answers),
        "plan": tables.plan(story),
    }
    shown = {
        "warnings": True,
        "curves": parts["curves"],
        "evaluation": parts["evaluations"] or parts["measured"] or parts["confusion"],
        "samples": parts["samples"],
        "mask": story.preview,
        "data": True,
        "plan": parts["plan"],
        "configuration": True,
        "versions": True,
    }
    titles = {"mask": "Rows", "plan": "Plan and reality"}
    return made.get_template("report.html.j2").render(
        story=story,
        styles=styles,
        warnings=warnings,
        verdict=_STATES[story.state["state"]],
        kind=verdict(story, warnings),
        headline=headline(story),
        figures=figures(story),
        sections=[(name, titles.get(name, name.capitalize())) for name, there in shown.items() if there],
        matrix=picture(story.confusion) if story.confusion else None,
        classes=tables.classes(story.confusion) if story.confusion else None,
        data=tables.data(story),
        files=tables.files(story),
        lost=tables.lost(story),
        changes=tables.changes(story.config),
        given=(story.path / "config.given.toml").is_file(),
        versions=tables.versions(story),
        **parts,
    )


def verdict(story: Story, warnings: Sequence[str]) -> str:
    """Return how a run is to be looked at: ready, look or unusable."""
    if story.state["state"] == "failed":
        return "unusable"
    return "look" if warnings else "ready"


def headline(story: Story) -> str:
    """Return what came of a run in one or two sentences."""
    state, best = story.state, story.best
    trained = (
        f"{state.get('tokens', 0):,} tokens of {state.get('conversations', 0):,} rows "
        f"in {duration(state.get('seconds', 0.0))}."
    )
    if best is None or best.eval_loss is None:
        return f"{trained} Nothing was evaluated."
    if best.eval_macro_f1 is not None:
        return (
            f"Macro-F1 {best.eval_macro_f1:.3f} and accuracy {best.eval_accuracy or 0:.1%} on the validation rows at "
            f"step {best.step:,}, the best one. {trained}"
        )
    return (
        f"{best.eval_loss:.4f} nats a token on the validation rows (perplexity {best.eval_perplexity or 0:,.3f}) at "
        f"step {best.step:,}, the best one. {trained}"
    )


def figures(story: Story) -> list[tuple[str, str, str]]:
    """Return the figures under the headline: name, value, and what to know about it."""
    state, best, steps = story.state, story.best, story.steps
    losses = [each.loss for each in steps if each.loss is not None]
    rate = state["tokens"] / state["seconds"] if state.get("seconds") else None
    made = story.predicted or {}
    trainable = made.get("trainable", 0) / max(made.get("parameters", 1), 1)
    return [
        ("Steps", f"{state.get('step', 0):,}", f"of {state.get('steps', 0):,}"),
        ("Loss", tables.formatted(losses[-1] if losses else None, ".4f"), f"{losses[0]:.4f} first" if losses else "–"),
        (
            "Evaluation",
            tables.formatted(best.eval_loss if best else None, ".4f"),
            f"best, at step {best.step:,}" if best else "none",
        ),
        ("Tokens/s", "–" if rate is None else f"{rate:,.0f}", state.get("device", {}).get("name", "–")),
        ("Method", story.config.method.kind, "all weights" if trainable == 1 else f"{trainable:.2%} of the weights"),
    ]


def samples(answers: Sequence[Answer]) -> list[dict[str, Any]]:
    """Return the first prompts with their answers over time: the first, the last, and some between them."""
    by_prompt: dict[str, list[Answer]] = defaultdict(list)
    for each in answers:
        by_prompt[each.id].append(each)
    found = []
    for name, mine in islice(by_prompt.items(), _PROMPTS):
        chosen = sorted({round(part * (len(mine) - 1) / (_TIMES - 1)) for part in range(_TIMES)})
        found.append(
            {
                "id": name,
                "prompt": mine[0].prompt,
                "wanted": mine[0].wanted,
                "answers": [mine[index] for index in chosen],
            }
        )
    return found
