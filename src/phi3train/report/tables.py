"""The tables of a run, once for page, Markdown and comparison."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.report.html.view import share
from phi3train.config import Config
from phi3train.data.rows import REASONS
from phi3train.plan.text import duration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from phi3train.report.story import Evaluated, Story
    from phi3train.scores import Scores

_GIB = 2**30
_SHOWN = 12  # evaluations in the table; the curve has all


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """Cells as text. The first column is words, the others are numbers unless `words`."""

    heads: list[str]
    rows: list[list[str]]
    words: bool = False


def evaluations(story: Story) -> Table | None:
    """Return the evaluations: the last ones and the best."""
    if not story.evaluations:
        return None
    best, tokens = story.best, story.tokens_at
    columns = [name for name in _COLUMNS if any(getattr(each, name) is not None for each in story.evaluations)]
    shown = [each for each in story.evaluations if each is best or each in story.evaluations[-_SHOWN:]]
    rows = [
        [
            f"{each.step:,}{' (best)' if each is best else ''}",
            f"{tokens.get(each.step, 0):,}",
            *(_value(each, name) for name in columns),
        ]
        for each in shown
    ]
    return Table(heads=["Step", "Tokens", *(_COLUMNS[name][0] for name in columns)], rows=rows)


_COLUMNS = {
    "eval_loss": ("Loss", ".4f"),
    "eval_perplexity": ("Perplexity", ",.3f"),
    "eval_token_accuracy": ("Token accuracy", ".1%"),
    "eval_accuracy": ("Accuracy", ".1%"),
    "eval_macro_f1": ("Macro-F1", ".3f"),
    "stop_rate": ("Stop rate", ".0%"),
}


def _value(each: Evaluated, name: str) -> str:
    return formatted(getattr(each, name), _COLUMNS[name][1])


def formatted(value: float | None, form: str) -> str:
    """Return a number in a format, a dash where there is none."""
    return "–" if value is None else format(value, form)


MEASURES = {
    "loss": ("Loss", ".4f"),
    "perplexity": ("Perplexity", ",.3f"),
    "token_accuracy": ("Token accuracy", ".1%"),
    "stop_rate": ("Stop rate", ".1%"),
    "exact_match": ("Exact match", ".1%"),
    "f1": ("F1 of words", ".1%"),
    "refusal_rate": ("Refusal rate", ".1%"),
    "accuracy": ("Accuracy", ".1%"),
    "macro_f1": ("Macro-F1", ".3f"),
}


def measured(evaluation: dict[str, Any]) -> Table | None:
    """Return what phi3train eval measured, beside the base model; None where a head was measured."""
    if "trained" not in evaluation:
        return None
    ours, theirs = (_flat(evaluation[side]) for side in ("trained", "base"))
    rows = [
        [name, formatted(ours[key], form), formatted(theirs[key], form)]
        for key, (name, form) in MEASURES.items()
        if ours.get(key) is not None and theirs.get(key) is not None
    ]
    return Table(heads=["", "Trained", "Base"], rows=rows)


def figures(evaluation: dict[str, Any]) -> dict[str, float]:
    """Return the figures of eval.json by name, those of a head included."""
    found = _flat(evaluation.get("trained", evaluation))
    return {key: found[key] for key in MEASURES if found.get(key) is not None}


def _flat(side: dict[str, Any]) -> dict[str, Any]:
    refused = side.get("refusals")
    rate = refused["refused"] / refused["prompts"] if refused else None
    return {**side, **(side.get("answers") or {}), "refusal_rate": rate}


def classes(scores: Scores) -> Table:
    """Return the scores of each class."""
    rows = []
    for each in scores.per_class:
        fractions = (each.precision, each.recall, each.f1)
        rows.append([each.name, f"{each.rows:,}", f"{each.predicted:,}", *map("{:.3f}".format, fractions)])
    return Table(heads=["Class", "Rows", "Predicted", "Precision", "Recall", "F1"], rows=rows)


def data(story: Story) -> Table:
    """Return the data card: each split's rows, tokens and losses on the way."""
    learned = story.config.method.kind != "classify"
    rows = []
    for split, account in story.data.items():
        lost = len(account["dropped_rows"])
        seen = account["rows"] + lost
        row = [split, f"{account['rows']:,}", f"{account['tokens']:,}"]
        row += [share(account["supervised_tokens"], account["tokens"])] if learned else []
        row += [f"{account['longest']:,}", f"{len(account['trimmed']):,}", f"{lost:,} ({share(lost, seen)})"]
        packed = account["packing_efficiency"]
        rows.append([*row, "–" if packed is None else f"{account['packed_rows']:,} rows, {packed:.1%} full"])
    heads = ["Split", "Rows", "Tokens", *(["Learned"] if learned else []), "Longest", "Trimmed", "Left out", "Packed"]
    return Table(heads=heads, rows=rows)


def files(story: Story) -> Table:
    """Return the file of each split."""
    rows = [[split, account["path"], account["sha256"]] for split, account in story.data.items()]
    return Table(heads=["Split", "File", "SHA-256"], rows=rows, words=True)


def lost(story: Story) -> Table | None:
    """Return why rows were left out, with the first of each reason; None where none was."""
    rows = []
    for split, account in story.data.items():
        for reason, number in account["dropped"].items():
            first = next(each for each in account["dropped_rows"] if each["reason"] == reason)
            rows.append([split, REASONS.get(reason, reason), f"{number:,}", first["id"]])
    return Table(heads=["Split", "Why", "Rows", "The first"], rows=rows, words=True) if rows else None


def plan(story: Story) -> Table | None:
    """Return the plan against what was measured; None for a run that did not come to a plan."""
    made = story.predicted
    if made is None:
        return None
    real = story.measured or {}
    state, steps = story.state, made["steps"]
    need = sum(made["memory"].values())
    memory, mfu = real.get("memory"), real.get("mfu")
    rate = real.get("tokens_per_second") or (state["tokens"] / state["seconds"] if state.get("seconds") else None)
    rows = [
        ["Steps", f"{steps['total']:,}", f"{state.get('step', 0):,}"],
        ["Tokens", f"{steps['total'] * steps['tokens']:,}", f"{state.get('tokens', 0):,}"],
        ["Time", duration(made["seconds"]), duration(state.get("seconds", 0.0))],
        ["Tokens/s", f"{made['tokens_per_second']:,.0f}", "–" if rate is None else f"{rate:,.0f}"],
        ["Memory", f"{need / _GIB:.2f} GiB", "not on a CPU" if memory is None else f"{memory / _GIB:.2f} GiB"],
        ["Rows at once", f"{made['micro_batch']:,} × {made['accumulation']:,}", "–"],
        ["Trainable parameters", f"{made['trainable']:,} of {made['parameters']:,}", "–"],
    ]
    rows += [["MFU", "–", f"{mfu:.1%}"]] if mfu is not None else []
    return Table(heads=["", "Planned", "Measured"], rows=rows)


def changes(config: Config) -> list[tuple[str, str]]:
    """Return the keys of a configuration that are not at their defaults, and their values as TOML has them."""
    usual = dict(keys(Config()))
    return [(key, value) for key, value in keys(config) if value != usual[key]]


def keys(config: Config) -> Iterable[tuple[str, str]]:
    """Yield each dotted key of a configuration and its value as TOML has it, "" for none."""
    for key, value in msgspec.to_builtins(config).items():
        if isinstance(value, dict):
            yield from ((f"{key}.{name}", _written(inner)) for name, inner in value.items())
        else:
            yield key, _written(value)


def _written(value: Any) -> str:
    return "" if value is None else msgspec.json.encode(value).decode()


def versions(story: Story) -> Table:
    """Return what the run was made with."""
    state = story.state
    found = {
        "phi3kit": state.get("phi3kit"),
        "Python": state.get("python"),
        **state.get("libraries", {}),
        "Device": " ".join(str(part) for part in state.get("device", {}).values() if part),
        "Model": state.get("model", {}).get("name"),
        "Model folder": state.get("model", {}).get("folder"),
        "Tokenizer": state.get("tokenizer", {}).get("sha256"),
        "Chat template": state.get("tokenizer", {}).get("template"),
        "Git": state.get("git"),
        "Seed": state.get("seed"),
    }
    rows = [[name, str(value)] for name, value in found.items() if value not in (None, "")]
    return Table(heads=["", ""], rows=rows, words=True)
