"""A batch: some thousand examined rows → tokens, digests, signatures; rows and facts, column by column.

What is done here is done to all rows of a batch at once; what a row says of itself was done to it before.
"""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from phi3data import arrow, family, targets
from phi3data.chat import Conversation
from phi3data.engine import columns
from phi3data.engine.columns import Named
from phi3data.engine.facts import ROW_BITS, SCHEMA, Keys, Part, table
from phi3data.engine.refusing import TOOLS_UNSEEN, Refusing
from phi3data.findings import Finding
from phi3data.rules.length import too_long
from phi3data.similarity import bands, texts
from phi3data.steps.balance import group_of
from phi3data.steps.dedup import identify, sides
from phi3data.steps.identity import identify_all
from phi3data.tokens.lengths import Length, Lengths

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from phi3data.engine.recipe import Recipe
    from phi3data.sources.source import Raw, Shard, Source
    from phi3data.steps.decontaminate import Benchmarks
    from phi3data.steps.dedup import Identity
    from phi3data.targets import TargetProfile
    from phi3data.tokens import count

_ROWS = 4000  # of a batch; bounds memory where rows are short
_BYTES = 2**21  # of raw rows in a batch; bounds memory where rows are long
_encode = msgspec.json.Encoder().encode
# Readers that use str.splitlines break a row at these; escaped they are the same text. They stand in strings only.
_SEPARATORS = {"\u2028".encode(): b"\\u2028", "\u2029".encode(): b"\\u2029", "\u0085".encode(): b"\\u0085"}


class Examined(msgspec.Struct):
    """One row after the steps that look at a row alone. `conversation` is None when it could not be read."""

    conversation: Conversation | None
    changes: list[str]  # "step/reason"
    evidence: dict[str, Any]
    step: str | None = None  # that drops it
    dropped: Finding | None = None
    refused: bool = False


class Batch:
    """Takes the examined rows of a shard, looks at some thousand at a time, and hands them on with facts and keys."""

    def __init__(
        self,
        shard: Shard,
        source: Source,
        recipe: Recipe,
        tokenizer: count.TokenizerRef,
        benchmarks: Benchmarks | None,
        take: Callable[[Part], None],
        *,
        number: int = 0,
    ) -> None:
        """`take` is given the rows, some thousand at a time; `number` of the shard's rows stand before them."""
        self.number = number
        self._shard, self._source, self._recipe, self._benchmarks = shard, source, recipe, benchmarks
        self._take = take
        # A large input pays for loading the kernels at once, a small one when it has had enough of the slow way.
        self._kernel = recipe.signed and source.size > texts.SMALL_TEXT
        model = family.model(recipe.model)
        self._estimated = tokenizer.estimated
        self._lengths = Lengths.for_tokenizer(tokenizer, model) if recipe.counted else None
        self._target = targets.target(recipe.target)
        self._limit = recipe.length.limit or model.context
        self._refusing = Refusing(recipe, tokenizer) if recipe.check.enabled else None
        self._raws: list[Raw] = []
        self._subs: list[int] = []
        self._rows: list[Examined] = []
        self._named: list[Named] = []
        self._held = 0  # bytes

    def add(self, raw: Raw, found: list[Examined]) -> None:
        """Add what one raw row became."""
        named = columns.named(raw.value, self._recipe)
        raw.value = None  # not needed any more, and may be large
        for sub, row in enumerate(found, start=1):
            self._raws.append(raw)
            self._subs.append(sub if len(found) > 1 else 0)
            self._rows.append(row)
            self._named.append(named)
        self._held += raw.length
        if len(self._rows) >= _ROWS or self._held >= _BYTES:
            self.flush()

    def flush(self) -> None:
        """Hand on what is held."""
        rows, raws = self._rows, self._raws
        if not rows:
            return
        if self._refusing is not None:
            _refuse(rows, self._refusing)
        if self._benchmarks is not None:
            _decontaminate(rows, self._benchmarks, self._recipe)
        alive = [place for place, row in enumerate(rows) if row.conversation is not None and row.dropped is None]
        seqs = (self._shard.index << ROW_BITS) + self.number + np.arange(len(rows))
        facts = {
            "seq": seqs,
            "source": np.full(len(rows), self._shard.source),
            "line": [raw.line for raw in raws],
            "record": [raw.record for raw in raws],
            "sub": self._subs,
            "offset": [raw.offset for raw in raws],
            "length": [raw.length for raw in raws],
            "label": [row.conversation and row.conversation.label for row in rows],
            **dict(zip(Named._fields, zip(*self._named, strict=True), strict=False)),
        }
        measured, lines, keys = self._measure(alive, seqs)
        sizes = np.zeros(len(rows), np.int64)
        sizes[alive] = [len(line) for line in lines]
        self._take(Part(table(facts | measured | _verdicts(rows), len(rows)), b"".join(lines), sizes, keys))
        self.number += len(rows)
        self._held = 0
        for waiting in (rows, raws, self._subs, self._named):
            waiting.clear()

    def _measure(self, alive: list[int], seqs: NDArray[np.int64]) -> tuple[dict[str, Any], list[bytes], Keys | None]:
        """Drop the rows that are too long; return the facts of all, and lines and keys of the others.

        Facts are null for rows that were dropped before.
        """
        rows = [self._rows[place] for place in alive]
        talks = [row.conversation for row in rows if row.conversation is not None]
        lengths = self._lengths.of(talks) if self._lengths is not None else None
        with_label, scope = bool(self._target.label_key), self._recipe.dedup.scope
        if scope == "conversation" and self._kernel:
            same = identify_all(talks, with_label=with_label)
        else:
            same = [identify(talk, with_label=with_label, scope=scope) for talk in talks]
        facts = _identities(same, talks)
        if lengths is not None:
            facts |= self._counts(lengths, rows, talks)
        lines = [b"" if row.dropped else encode_row(talk, self._target) for row, talk in zip(rows, talks, strict=True)]
        keys = None
        if self._recipe.signed:
            signed = [number for number, line in enumerate(lines) if line and any(same[number].sides)]
            best = [self._named[alive[number]].best for number in signed]
            wanted = places(self._recipe.dedup.keep, seqs[alive][signed], facts["size"][signed], best)
            keys = self._sign([same[number] for number in signed], seqs[alive][signed], wanted)
        if len(alive) == len(self._rows):
            return facts, lines, keys
        index = np.full(len(self._rows), -1)
        index[alive] = np.arange(len(alive))
        spread = arrow.array(index, missing=index < 0)
        types = {name: SCHEMA.field(name).type for name in facts}
        facts = {name: arrow.array(column, types[name]).take(spread) for name, column in facts.items()}
        return facts, lines, keys

    def _counts(self, lengths: list[Length], rows: list[Examined], talks: list[Conversation]) -> dict[str, Any]:
        """Return what a row has in tokens, and drop those that have too many."""
        totals = [length.total for length in lengths]
        facts: dict[str, Any] = {"tokens": totals, "supervised": [length.supervised for length in lengths]}
        balance, policy = self._recipe.balance, self._recipe.length
        if balance.active and balance.column is None:
            name, by = self._source.name, balance.by
            facts["balanced_by"] = [group_of(talk, by, name, total) for talk, total in zip(talks, totals, strict=True)]
        if policy.enabled and policy.over == "drop" and max(totals, default=0) > self._limit:
            for row, total in zip(rows, totals, strict=True):
                if total > self._limit:
                    row.step, row.dropped = "length", too_long(total, self._limit, estimated=self._estimated)
        return facts

    def _sign(self, rows: list[Identity], seqs: NDArray[np.int64], places: NDArray[np.float64]) -> Keys | None:
        if not rows:
            return None
        signed = texts.signatures([side for row in rows for side in row.sides], sides=2, kernel=self._kernel or None)
        long = signed.tokens >= bands.SHORT
        ids = np.array([row.normalised[0] for row in rows], np.uint64)
        return Keys(seqs[long], ids[long], places[long], bands.keys(signed)[long])


def _refuse(rows: list[Examined], refusing: Refusing) -> None:
    """Drop the rows in which an error is left that no step mends."""
    said = [(row, row.conversation) for row in rows if row.conversation is not None and row.dropped is None]
    for row, talk in said:
        if talk.tools and refusing.mend(talk):
            row.changes.append(f"check/{TOOLS_UNSEEN}")
    for number, finding in refusing.errors([talk for _, talk in said]).items():
        said[number][0].step, said[number][0].dropped = "check", finding


def _decontaminate(rows: list[Examined], benchmarks: Benchmarks, recipe: Recipe) -> None:
    """Drop the rows that match a reference, or note the match in their evidence."""
    said = [(row, row.conversation) for row in rows if row.conversation is not None and row.dropped is None]
    asked = [sides(conversation.messages, "conversation") for _, conversation in said]
    for (row, _), match in zip(said, benchmarks.matches(asked), strict=True):
        if match is None:
            continue
        row.evidence["match"] = msgspec.to_builtins(match)
        if recipe.decontaminate.action == "drop":
            row.step, row.dropped = "decontaminate", match.finding
        else:
            row.evidence.setdefault("findings", []).append({"code": match.finding.code, "pointer": ""})


def places(
    keep: str, seqs: NDArray[np.int64], sizes: NDArray[np.int64], best: list[float | None]
) -> NDArray[np.float64]:
    """Return numbers that are smaller the more a row is wanted; rows with one number are wanted as they stand."""
    if keep == "first":
        return np.zeros(len(seqs))
    if keep == "newest":
        return -seqs.astype(np.float64)
    return -sizes.astype(np.float64) if keep == "longest" else -np.array([_LEAST if n is None else n for n in best])


_LEAST = float("-inf")


def encode_row(conversation: Conversation, target: TargetProfile) -> bytes:
    """Return the line of an output file, with its line feed."""
    line: dict[str, Any] = {"messages": conversation.messages}
    if conversation.tools:
        line["tools"] = conversation.tools
    if target.label_key and conversation.label is not None:
        line[target.label_key] = conversation.label
    encoded = _encode(line)
    if not encoded.isascii():
        for separator, escape in _SEPARATORS.items():
            if separator in encoded:
                encoded = encoded.replace(separator, escape)
    return encoded + b"\n"


def _identities(same: list[Identity], talks: list[Conversation]) -> dict[str, Any]:
    halves = np.array([(*one.exact, *one.normalised, one.prompt) for one in same], np.uint64).reshape(-1, 5)
    return {
        **dict(zip(("exact_hi", "exact_lo", "same_hi", "same_lo", "prompt"), halves.T, strict=True)),
        "asked": [one.asked for one in same],
        "openings": [one.openings or None for one in same],
        "group_key": [None if talk.group is None else _key(talk.group) for talk in talks],
        "size": np.array([sum([len(turn.content or "") for turn in talk.messages]) for talk in talks], np.int64),
        "roles": [_initials(tuple([turn.role for turn in talk.messages])) for talk in talks],
    }


@lru_cache(4096)  # few orders of roles make a data set
def _initials(roles: tuple[str, ...]) -> str:
    return "".join(role[0] for role in roles)


def _key(group: str) -> int:
    return int.from_bytes(blake2b(group.encode(), digest_size=8).digest(), "big")


def _verdicts(rows: Sequence[Examined]) -> dict[str, list[Any]]:
    """Return the columns that say what examining did; those that are null for a row to which nothing happened."""
    out: dict[str, list[Any]] = {name: [None] * len(rows) for name in ("step", "reason", "changes", "evidence")}
    out |= {"dropped": [row.dropped is not None for row in rows], "refused": [row.refused for row in rows]}
    for place, row in enumerate(rows):
        if row.dropped is None and not row.changes and not row.evidence:
            continue
        evidence = dict(row.evidence)
        if row.dropped is not None:
            out["step"][place], out["reason"][place] = row.step, row.dropped.code
            evidence |= _told(row.dropped)
        elif row.changes:
            out["step"][place], _, out["reason"][place] = row.changes[0].partition("/")
            evidence["changes"] = [change.partition("/")[2] for change in row.changes]
        out["changes"][place] = row.changes or None
        out["evidence"][place] = _encode(evidence).decode() if evidence else None
    return out


def _told(finding: Finding) -> dict[str, Any]:
    told: dict[str, Any] = {"message": finding.message}
    if finding.pointer:
        told["pointer"] = finding.pointer
    if finding.column is not None:
        told["column"] = finding.column
    return told
