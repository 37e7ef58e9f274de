"""DATASET_CARD.md: the profile as a data set card for the Hugging Face Hub.

The header follows https://github.com/huggingface/hub-docs/blob/main/datasetcard.md. The profile knows neither a licence
nor a language, so the card states none. Texts of rows are not shown: a card is public where the data may not be.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3data.report.html.view import share, size
from phi3data.report.html.visible import plain

if TYPE_CHECKING:
    from collections.abc import Iterable

    from phi3data.report.profile import Profile

# The Hub's classes of size: upper bound (exclusive) and name.
_SIZES = (
    (10**3, "n<1K"),
    (10**4, "1K<n<10K"),
    (10**5, "10K<n<100K"),
    (10**6, "100K<n<1M"),
    (10**7, "1M<n<10M"),
    (10**8, "10M<n<100M"),
    (10**9, "100M<n<1B"),
    (10**10, "1B<n<10B"),
    (10**11, "10B<n<100B"),
    (10**12, "100B<n<1T"),
)
_SPLITS = ("train", "validation", "test")
_MOST_LABELS = 50

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|#~!$^&@])")
_LINK = re.compile(r"(?i)(www)(\.)|(:)(?=//)")
_LIST = re.compile(r"^(\s*)([-+=]|\d+(?=[.)]))")


def escape(text: str) -> str:
    """Return `text` as Markdown that shows it as it is: no markup, HTML, link, table cell or list, on one line."""
    line = " ".join(plain(text).split())
    line = _SPECIAL.sub(r"\\\1", line)
    line = _LINK.sub(lambda hit: f"{hit[1]}\\." if hit[1] else "\\:", line)
    return _LIST.sub(lambda hit: hit[1] + (f"\\{hit[2]}" if not hit[2].isdigit() else f"{hit[2]}\\"), line)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> list[str]:
    """Return a Markdown table; a head that ends in ":" is that of a column of numbers. Cells are escaped already."""
    names = list(heads)
    return [
        "| " + " | ".join(name.rstrip(":") for name in names) + " |",
        "|" + "|".join(" ---: " if name.endswith(":") else " --- " for name in names) + "|",
        *("| " + " | ".join(row) + " |" for row in rows),
        "",
    ]


def _header(profile: Profile) -> list[str]:
    sizes = next((name for bound, name in _SIZES if profile.rows_kept < bound), "n>1T")
    tasks = ["text-generation", *(["text-classification"] if profile.labels else [])]
    lines = ["---", "task_categories:", *(f"- {task}" for task in tasks), "size_categories:", f"- {sizes}"]
    files = [(split, f"{split}.jsonl") for split in _SPLITS if f"{split}.jsonl" in profile.outputs]
    if files:
        lines += ["configs:", "- config_name: default", "  data_files:"]
        for split, name in files:
            lines += [f"  - split: {split}", f"    path: {name}"]
    return [*lines, "tags:", "- chat", "- fine-tuning", "- phi3kit", "---", ""]


def _sources(profile: Profile) -> list[str]:
    rows = []
    for one in profile.sources:
        notes = [*one.notes]
        if one.blank_lines:
            notes.append(f"{one.blank_lines:,} blank lines")
        if one.unused_columns:
            notes.append("unused columns: " + ", ".join(one.unused_columns))
        kind = escape(f"{one.container}, {one.format}")
        rows.append([escape(one.path), kind, f"{one.rows:,}", size(one.bytes), one.sha256, escape("; ".join(notes))])
    return ["## Sources", "", *_table(["File", "Read as", "Rows:", "Size:", "SHA-256", "Notes"], rows)]


def _dropped(profile: Profile) -> list[str]:
    if not profile.dropped:
        return ["## What was dropped", "", "Nothing.", ""]
    rows = [
        [escape(one.step), escape(one.title), escape(one.reason), f"{one.rows:,}", _share(one.rows, profile.rows_in)]
        for one in profile.dropped
    ]
    return ["## What was dropped", "", *_table(["Step", "Why", "Code", "Rows:", "Of rows in:"], rows)]


def _changed(profile: Profile) -> list[str]:
    if not profile.changed:
        return ["## What was changed", "", "Nothing.", ""]
    rows = [[escape(one.step), escape(one.title), escape(one.reason), f"{one.rows:,}"] for one in profile.changed]
    return [
        "## What was changed",
        "",
        f"{profile.rows_changed:,} of the kept rows. One row can be changed for several reasons.",
        "",
        *_table(["Step", "What", "Code", "Rows:"], rows),
    ]


def _tokens(profile: Profile) -> list[str]:
    tokens = profile.tokens
    if profile.rows_kept and not tokens.total:  # nobody counted
        return []
    note = " (estimated)" if tokens.estimated else ""
    if tokens.estimated:
        how = "Estimated without a tokenizer"
    else:
        how = f"Counted with the tokenizer {escape(tokens.tokenizer)}"
    facts = [
        ("Total", tokens.total),
        ("Supervised, that is trained on", tokens.supervised),
        ("Shortest row", tokens.minimum),
        ("Median row", tokens.p50),
        ("90% of rows up to", tokens.p90),
        ("99% of rows up to", tokens.p99),
        ("Longest row", tokens.maximum),
    ]
    return [
        "## Tokens",
        "",
        f"{how}, with the chat template of {escape(tokens.model)}.",
        f"Rows above the limit of {tokens.limit:,} tokens: {tokens.over_limit:,}{note}.",
        "",
        *_table(["", f"Tokens{note}:"], [[name, f"{value:,}{note}"] for name, value in facts]),
    ]


def _labels(profile: Profile) -> list[str]:
    if not profile.labels:
        return []
    shown = profile.labels[:_MOST_LABELS]
    rows = [[escape(one.label), *(f"{n:,}" for n in (one.before, one.after))] for one in shown]
    written = "written" if profile.rows_added else "kept"
    more = len(profile.labels) - len(shown)
    return [
        "## Labels",
        "",
        f"From the column {escape(profile.label_column)}.",
        "",
        *_table(["Label", "Rows read:", f"Rows {written}:"], rows),
        *([f"And {more:,} more.", ""] if more else []),
    ]


def _balance(profile: Profile) -> list[str]:
    balance = profile.balance
    if balance is None:
        return []
    rows = [[escape(one.group), *(f"{n:,}" for n in (one.before, one.after, one.added))] for one in balance.groups]
    return [
        "## Balance",
        "",
        f"The training rows were balanced by {escape(balance.by)}: {balance.before:,} before, {balance.after:,} after,",
        f"of which {balance.added:,} are copies. Effective number of groups: {balance.effective_before:.1f} before,",
        f"{balance.effective_after:.1f} after. Entropy: {balance.entropy_before:.2f} bits before,",
        f"{balance.entropy_after:.2f} after.",
        "",
        *_table(["Group", "Before:", "After:", "Copies:"], rows),
        *([f"And {balance.more:,} more.", ""] if balance.more else []),
    ]


def _share(part: int, whole: int) -> str:
    return share(part, whole).replace("<", "&lt;").replace(">", "&gt;")


def render_card(profile: Profile) -> str:
    """Return DATASET_CARD.md. The same profile gives the same text."""
    in_all = sum(profile.outputs.values())
    splits = [[escape(name), f"{rows:,}", _share(rows, in_all)] for name, rows in profile.outputs.items()]
    roles = ", ".join(f"{count:,} {escape(role)}" for role, count in profile.roles.items())
    lines = [
        *_header(profile),
        "# Data set card",
        "",
        escape(profile.headline),
        "",
        'Each row is one conversation in the chat-completions format, one JSON object a line: `{"messages": [...]}`.',
        "",
        f"- Rows in: {profile.rows_in:,}",
        f"- Rows kept: {profile.rows_kept:,} ({_share(profile.rows_kept, profile.rows_in)})",
        f"- Rows changed: {profile.rows_changed:,}",
        *([f"- Copies added: {profile.rows_added:,}"] if profile.rows_added else []),
        f"- Rows dropped: {profile.rows_dropped:,} ({_share(profile.rows_dropped, profile.rows_in)})",
        *([f"- Messages: {roles}"] if roles else []),
        "",
        *(["## Warnings", "", *(f"- {escape(one)}" for one in profile.warnings), ""] if profile.warnings else []),
        *(["## Splits", "", *_table(["File", "Rows:", "Share:"], splits)] if splits else []),
        *_sources(profile),
        *_dropped(profile),
        *_changed(profile),
        *_tokens(profile),
        *_labels(profile),
        *_balance(profile),
        "## How it was made",
        "",
        f"With `phi3data prepare` of phi3kit {escape(profile.version)}, seed {profile.seed}, for the target",
        f"{escape(profile.target)}. The same input, recipe and seed give the same files. `manifest.json` has the",
        "recipe and the checksums, `ledger.parquet` the fate of every input row, `report.html` the whole report.",
    ]
    return "\n".join(lines) + "\n"
