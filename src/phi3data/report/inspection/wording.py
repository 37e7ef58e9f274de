"""Sentences about an inspected row that all renderers share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data import family
from phi3data.report.html.view import share
from phi3data.rules import RULES

if TYPE_CHECKING:
    from phi3data.findings import Finding
    from phi3data.inspection.view import Inspection, Turn

_READ = {
    "escape": "read as plain text",
    "keep": "read as the control token itself",
    "error": "refused (--control-text error)",
}
_LOSS_ON = {"assistant": "assistant turns", "last": "the last assistant turn", "all": "all turns"}


def plural(number: int, noun: str) -> str:
    """Return a number and its noun."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def about(turn: Turn, *, estimated: bool) -> str:
    """Say what becomes of a message: its tokens, and whether the loss is computed on it."""
    if not turn.rendered:
        return "the model never sees it"
    trained = "trained on" if turn.supervised else "not trained on"
    if turn.tokens is None:
        return trained
    return f"{'about ' if estimated else ''}{plural(turn.tokens, 'token')}, {trained}"


def spelled(turn: Turn, policy: str) -> list[tuple[str, str]]:
    """Return (code, sentence) about the control tokens that a message spells, and what becomes of them."""
    out = []
    for code, names in turn.spelled.items():
        listed = ", ".join(f"{name} ({times:,}×)" if times > 1 else name for name, times in names.items())
        out.append(
            (code, f"the text spells the control token{'s' if len(names) > 1 else ''} {listed}: {_READ[policy]}")
        )
    return out


def place(found: Inspection) -> str:
    """Say which row it is."""
    parts = [f"row {found.number:,}", f"format {found.format}"]
    if found.several:
        parts[0] += ", the first of several on this line (--record FILE:ROW picks one)"
    if found.sub:
        parts.insert(1, f"conversation {found.sub}")
    if found.label is not None:
        parts.append(f"label {found.label}")
    return ", ".join(parts)


def problem(finding: Finding) -> str:
    """Say what is wrong, and where in the row."""
    rule = RULES.get(finding.code)
    column = f", column {finding.column:,}" if finding.column is not None else ""
    where = f" ({finding.pointer}{column})" if finding.pointer else column and f" ({column[2:]})"
    name = f"{rule.name}: " if rule else ""
    return f"{name}{finding.message}{where}"


def totals(found: Inspection) -> dict[str, str]:
    """Return the counts and what they were made with, by name, in the order to show them."""
    settings, counts, ref = found.settings, found.counts, found.settings.tokenizer
    out: dict[str, str] = {}
    if counts is not None:
        kind = "ESTIMATED" if ref.estimated else "exact"
        trained = f"{counts.supervised:,} trained on ({share(counts.supervised, counts.total)})"
        out["tokens"] = f"{counts.total:,} {kind}, {trained}, {plural(counts.control, 'control token')}"
        if counts.longest is not None:
            turn = found.turns[counts.longest]
            size = plural(turn.tokens or 0, "token")
            out["longest"] = f"message {counts.longest + 1}, {turn.role}: {'about ' if ref.estimated else ''}{size}"
        out["limit"] = f"{settings.limit:,}, {_past(found)}"
    else:
        out["tokens"] = "none: see what is wrong above"
    out["loss on"] = _LOSS_ON[settings.loss_on]
    out["model"] = f"{settings.model}, template {found.template}"
    out["tokenizer"] = "none on this machine" if ref.estimated else _name(found)
    if ref.note:
        out["note"] = ref.note
    return out


def _past(found: Inspection) -> str:
    counts = found.counts
    assert counts is not None
    if not counts.over:
        return "the row is within it"
    if counts.over_supervised is None:
        return f"about {plural(counts.over, 'token')} past it"
    return f"{plural(counts.over, 'token')} past it, {counts.over_supervised:,} of them trained on"


def _name(found: Inspection) -> str:
    ref = found.settings.tokenizer
    folder = ref.path.rpartition("/")[0]
    parts = [ref.name] + ([folder] if folder not in {"", ref.name.rstrip("/")} and not ref.revision else [])
    own = ", the model's own" if ref.name == family.model(found.settings.model).hub else ""
    return ", ".join(parts) + own + (f", revision {ref.revision[:12]}" if ref.revision else "")


def no_tokenizer(hub: str) -> str:
    """Say why there are no tokens to show, and how to get them."""
    return (
        f"The tokenizer of {hub} is not on this machine, so the counts are ESTIMATED and no tokens can be shown: "
        "give its folder with --tokenizer DIR, or allow the download with --online."
    )
