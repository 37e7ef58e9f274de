"""The end of a command in the terminal: what came in, what stays, what went and why, where to look next."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from phi3data.report.profile import BalanceProfile, Profile, ReasonCount, Tally

_REASONS = 12
_GROUPS = 12
_NAME = 30  # characters of a group's name
_COLOURS = {"ready": "green", "look": "yellow", "unusable": "red"}
_FILES = {
    "dropped.jsonl": "the dropped rows verbatim, with reasons",
    "ledger.parquet": "what became of each input row",
    "report.html": "open this first",
}


def summary(profile: Profile, output: str) -> str:
    """Return the table that ends `prepare`; colours are for a terminal, `click.echo` removes them elsewhere."""
    width = max(8, len(f"{profile.rows_in:,}"))
    share = f"{profile.rows_kept / max(profile.rows_in, 1):.1%}"
    lines = ["", _count("rows in", profile.rows_in, width)]
    lines += [_count("dropped", profile.rows_dropped, width), *_reasons(profile.dropped, width)]
    lines += [_count("kept", profile.rows_kept, width, share)]
    if profile.rows_added:
        lines.append(_count("added", profile.rows_added, width, "copies of kept rows, in train.jsonl"))
    lines += [_count("changed", profile.rows_changed, width), *_reasons(profile.changed, width)]
    if profile.tokens.total or not profile.rows_kept:
        lines.append(_count("tokens", profile.tokens.total, width, _tokens(profile)))
    lines.append("")
    if profile.balance:
        lines += [*_balance(profile.balance), ""]
    for name, rows in profile.outputs.items():
        lines.append(f"  {output.rstrip('/')}/{name}  {rows:,} row{'' if rows == 1 else 's'}")
    lines += [f"  {output.rstrip('/')}/{name}  {text}" for name, text in _FILES.items()]
    lines += ["", *(f"{click.style('warning', fg='yellow', bold=True)}: {text}" for text in profile.warnings)]
    lines.append(f"{click.style(profile.verdict, fg=_COLOURS[profile.verdict], bold=True)}: {profile.headline}")
    return "\n".join(lines)


def brief(profile: Profile | Tally, output: str) -> str:
    """Return the one or two lines that end a single step."""
    parts = [f"{profile.rows_in:,} rows in", f"{profile.rows_kept:,} kept"]
    if profile.rows_changed:
        parts.append(f"{profile.rows_changed:,} of them changed")
    if profile.rows_added:
        parts.append(f"{profile.rows_added:,} copies added")
    if profile.rows_dropped:
        reasons = ", ".join(f"{reason.rows:,} {reason.title}" for reason in profile.dropped[:4])
        parts.append(f"{profile.rows_dropped:,} dropped ({reasons}): --dropped FILE keeps them")
    lines = [f"{output}: {', '.join(parts)}"]
    return "\n".join([*lines, *_balance(profile.balance)] if profile.balance else lines)


def _balance(balance: BalanceProfile) -> list[str]:
    """Return training rows per group before and after, in columns, and how even the groups are."""
    shown = balance.groups[:_GROUPS]
    names = [_short(one.group, path=balance.by == "source") for one in shown]
    width = max(12, *(len(name) for name in names))
    head = f"{click.style(f'{balance.by:<{width}}', bold=True)}  {'before':>9}  {'after':>9}"
    lines = [f"balance  {head}"]
    for name, one in zip(names, shown, strict=True):
        added = f"  {one.added:,} of them copies" if one.added else ""
        lines.append(f"{'':9}{name:<{width}}  {one.before:>9,}  {one.after:>9,}{added}")
    hidden = len(balance.groups) - len(shown) + balance.more
    if hidden:
        lines.append(f"{'':9}and {hidden:,} more: see the report")
    even = f"{balance.effective_before:.1f} before, {balance.effective_after:.1f} after"
    bits = f"entropy {balance.entropy_before:.2f} and {balance.entropy_after:.2f} bits"
    return [*lines, f"{'':9}effective number of groups: {even}", f"{'':9}{bits}"]


def _short(group: str, *, path: bool) -> str:
    """Return a group's name on one line of a terminal: a system prompt may be long. Paths differ at their end."""
    text = " ".join(group.split())
    if len(text) <= _NAME:
        return text
    return f"…{text[1 - _NAME :]}" if path else f"{text[: _NAME - 1]}…"


def _count(name: str, number: int, width: int, note: str = "") -> str:
    return f"{click.style(f'{name:<9}', bold=True)}{number:>{width},}  {note}".rstrip()


def _reasons(reasons: list[ReasonCount], width: int) -> list[str]:
    chosen = {reason.reason + reason.step for reason in sorted(reasons, key=lambda reason: -reason.rows)[:_REASONS]}
    largest = [reason for reason in reasons if reason.reason + reason.step in chosen]
    shown = [
        click.style(f"{'':9}{reason.rows:>{width},}", dim=True) + f"  {reason.step:<8}{_code(reason)}{reason.title}"
        for reason in largest
    ]
    rest = [reason for reason in reasons if reason not in largest]
    if rest:
        rows = sum(reason.rows for reason in rest)
        shown.append(f"{'':9}{rows:>{width},}  for {len(rest)} more reasons: see the report")
    return shown


def _code(reason: ReasonCount) -> str:
    return f"{reason.reason:<6}" if reason.reason[1:].isdigit() else ""


def _tokens(profile: Profile) -> str:
    tokens = profile.tokens
    counted = "estimated" if tokens.estimated else "exact"
    share = f"{tokens.supervised / tokens.total:.0%} of them trained on" if tokens.total else "none"
    return f"{counted}, {share}; per row: median {tokens.p50:,}, longest {tokens.maximum:,}, limit {tokens.limit:,}"
