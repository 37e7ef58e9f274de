"""The profile of a data set: everything that a report shows, as plain numbers and short texts.

`report.json` is this structure written out; report.html, DATASET_CARD.md and the table in the terminal are views of it.
"""

from __future__ import annotations

import msgspec


class SourceProfile(msgspec.Struct, kw_only=True):
    """One input file. `bytes` and `sha256` are those of the file as given, compressed or not."""

    path: str
    container: str  # "jsonl", "json", "csv", "parquet", ...
    format: str  # "chat", "alpaca", ...
    bytes: int
    sha256: str
    rows: int
    blank_lines: int = 0
    unused_columns: list[str] = []
    notes: list[str] = []  # "read as UTF-16", "starts with a byte-order mark"


class ReasonCount(msgspec.Struct, kw_only=True):
    """How many rows a step dropped or changed for one reason. `title` is the rule's or the reason's name in words."""

    step: str
    reason: str
    title: str
    rows: int


class Histogram(msgspec.Struct, kw_only=True):
    """`rows[i]` rows have a value in [`edges[i]`, `edges[i + 1]`)."""

    edges: list[int]
    rows: list[int]


class TokenProfile(msgspec.Struct, kw_only=True):
    """Tokens per kept row, special tokens of the chat template included. `over_limit` counts the rows above `limit`."""

    estimated: bool
    tokenizer: str  # a directory, a hub name, or "estimate"
    model: str
    limit: int
    total: int
    supervised: int  # tokens that the loss is computed on
    minimum: int
    p50: int
    p90: int
    p99: int
    maximum: int
    over_limit: int
    histogram: Histogram


class LabelCount(msgspec.Struct, kw_only=True):
    """One label: rows that were read, rows that were written, copies included, and where those went."""

    label: str
    before: int
    after: int
    train: int
    validation: int
    test: int


class GroupCount(msgspec.Struct, kw_only=True):
    """Training rows of one group before and after balancing; `added` of those after are copies of others."""

    group: str
    before: int
    after: int
    added: int


class BalanceProfile(msgspec.Struct, kw_only=True):
    """What balancing did to the training rows. Entropies are in bits; an effective number is that of equally large
    groups with the same entropy."""

    by: str
    groups: list[GroupCount]  # the largest, the largest first
    more: int  # groups besides
    before: int
    after: int
    gone: int  # rows dropped
    added: int
    entropy_before: float
    entropy_after: float
    effective_before: float
    effective_after: float


class ExampleMessage(msgspec.Struct, kw_only=True):
    """One message of an example. `diff` is a list of (operation, text), operation one of "=", "-", "+"; long runs of
    unchanged text are shortened. Concatenating "=" and "+" gives the text after, "=" and "-" the text before."""

    role: str
    diff: list[tuple[str, str]]


class Example(msgspec.Struct, kw_only=True):
    """One row shown in the report. `messages` is empty when the row could not be read; then `raw` has its beginning."""

    row_id: str
    source: str
    line: int
    action: str  # kept, changed, dropped
    step: str = ""
    reason: str = ""
    title: str = ""
    detail: str = ""  # one sentence: what was found, or which row was kept instead
    messages: list[ExampleMessage] = []
    raw: str = ""


class Tally(msgspec.Struct, kw_only=True):
    """What a command of one step tells at its end; the names are those of `Profile`."""

    rows_in: int
    rows_kept: int
    rows_changed: int
    rows_dropped: int
    rows_added: int
    dropped: list[ReasonCount]
    balance: BalanceProfile | None
    unread: dict[str, int]  # file that is only compared with → rows of it that could not be read


class Profile(msgspec.Struct, kw_only=True):
    """Everything that a report shows about one run of `prepare`."""

    version: str  # of phi3kit
    verdict: str  # "ready", "look" (trainable, but see the warnings) or "unusable"
    headline: str  # one sentence
    warnings: list[str]
    rows_in: int
    rows_kept: int
    rows_changed: int  # of the kept ones
    rows_dropped: int
    outputs: dict[str, int]  # file name -> rows; they add up to the rows kept and the copies added
    sources: list[SourceProfile]
    dropped: list[ReasonCount]  # in the order of the pipeline: the waterfall
    changed: list[ReasonCount]
    tokens: TokenProfile
    roles: dict[str, int]  # messages per role in the kept rows
    turns: dict[int, int]  # messages per conversation -> kept rows
    label_column: str
    labels: list[LabelCount]  # most frequent first; empty for a set without labels
    examples: list[Example]
    seed: int
    target: str
    rows_added: int = 0  # copies of kept rows, in train.jsonl
    balance: BalanceProfile | None = None  # where rows were balanced
