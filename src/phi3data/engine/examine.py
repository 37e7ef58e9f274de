"""Examine: one shard of raw rows → examined conversations on disk, and their facts in the sidecar.

A pure function of the shard and the plan, so that it can run in any process, in any order, and again.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import lru_cache
from hashlib import blake2b
from math import inf, isfinite
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np

from phi3data import family, targets
from phi3data.chat import Conversation
from phi3data.engine.facts import ROW_BITS, Bands, Facts
from phi3data.findings import Finding
from phi3data.rules.length import too_long
from phi3data.similarity import bands
from phi3data.similarity.texts import signatures
from phi3data.sources.files import whole
from phi3data.sources.open import as_row, read
from phi3data.sources.reader import Reader
from phi3data.sources.source import BLANK, Shard, Source
from phi3data.steps.check import check
from phi3data.steps.clean import clean
from phi3data.steps.decontaminate import Benchmarks, Reference
from phi3data.steps.dedup import identify, sides
from phi3data.steps.missing import missing
from phi3data.tokens.lengths import Length, Lengths

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from phi3data.engine.recipe import Recipe
    from phi3data.sources.source import Raw
    from phi3data.steps.decontaminate import DecontaminateConfig
    from phi3data.steps.dedup import Identity
    from phi3data.targets import TargetProfile
    from phi3data.tokens import count

REFERENCES = "references.json"  # in the work folder: the texts of benchmarks
_BATCH = 5000  # rows whose tokens are counted in one call; bounds memory where rows are short
_encode = msgspec.json.Encoder().encode
# Readers that use str.splitlines break a row at these; escaped they are the same text. They stand in strings only.
_SEPARATORS = {"\u2028".encode(): b"\\u2028", "\u2029".encode(): b"\\u2029", "\u0085".encode(): b"\\u0085"}


class Summary(msgspec.Struct):
    """What examining a shard found, and the sign that it is done. `lines` and `records` count blank lines too."""

    lines: int
    records: int
    rows: int
    blank: int


class Examined(msgspec.Struct):
    """One row after the steps that look at a row alone. `conversation` is None when it could not be read."""

    conversation: Conversation | None
    changes: list[str]  # "step/reason"
    evidence: dict[str, Any]
    step: str | None = None  # that drops it
    dropped: Finding | None = None
    refused: bool = False


def examine_row(conversation: Conversation, recipe: Recipe) -> Examined:
    """Run the steps clean, missing and check on one conversation, in place."""
    row = Examined(conversation, [], conversation.evidence or {})
    if recipe.clean.enabled:
        row.changes += [f"clean/{code}" for code in clean(conversation, recipe.clean)]
    if recipe.missing.enabled:
        gaps = missing(conversation, recipe.missing)
        row.changes += [f"missing/{code}" for code in gaps.changed]
        if gaps.dropped:
            row.step, row.dropped, row.refused = "missing", gaps.dropped, gaps.refused
            return row
    if recipe.check.enabled:
        found = check(conversation, recipe.check)
        row.changes += [f"check/{code}" for code in found.changed]
        if found.findings:
            row.evidence["findings"] = [{"code": item.code, "pointer": item.pointer} for item in found.findings]
        if found.dropped:
            row.step, row.dropped = "check", found.dropped
    return row


def rows_of(raw: Raw, reader: Reader, recipe: Recipe) -> list[Examined]:
    """Read one raw row and examine what it holds: one row, or several for self-instruct seeds."""
    found = raw.value if isinstance(raw.value, Finding) else reader.conversations(raw.value)
    if isinstance(found, Finding):
        return [Examined(None, [], {}, "read", found)]
    return [examine_row(conversation, recipe) for conversation in found]


def examine(shard: Shard, source: Source, recipe: Recipe, tokenizer: count.TokenizerRef, folder: Path) -> Summary:
    """Examine a shard; write its rows, its facts and, last, its summary to `folder`."""
    with _no_collector():
        summary = _examine(shard, source, recipe, tokenizer, folder)
    with whole(folder / f"{shard.index:06d}.json") as file:
        file.write(_encode(summary))
    return summary


@contextmanager
def _no_collector() -> Iterator[None]:
    """Suspend the cycle collector: a shard makes a million objects and no cycles, and it would look at all of them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _examine(shard: Shard, source: Source, recipe: Recipe, tokenizer: count.TokenizerRef, folder: Path) -> Summary:
    reader = Reader(source, recipe.source)
    summary = Summary(0, 0, 0, 0)
    with (
        whole(folder / f"{shard.index:06d}.rows") as rows,
        whole(folder / f"{shard.index:06d}.facts.parquet") as sidecar,
        whole(folder / f"{shard.index:06d}.bands.parquet") as banded,
    ):
        facts = Facts(sidecar)
        keep = _Keeper(
            shard, recipe, tokenizer, rows, facts, Bands(banded), _benchmarks(folder.parent, recipe.decontaminate)
        )
        for raw in read(source, shard):
            summary.lines, summary.records = raw.line + 1, raw.record + 1
            if raw.value is BLANK:
                summary.blank += 1
                continue
            keep.add(raw, rows_of(raw, reader, recipe))
        keep.close()
        summary.rows = keep.number
    return summary


@lru_cache(1)  # a process works for one run at a time
def _benchmarks(work: Path, config: DecontaminateConfig) -> Benchmarks | None:
    if not config.references:
        return None
    return Benchmarks(msgspec.json.decode((work / REFERENCES).read_bytes(), type=list[Reference]), config)


def _decontaminate(rows: list[Examined], benchmarks: Benchmarks, recipe: Recipe) -> None:
    """Drop the rows that match a reference, or note the match in their evidence."""
    said = [(row, row.conversation) for row in rows if row.conversation is not None and row.dropped is None]
    texts = [sides(conversation.messages, "conversation") for _, conversation in said]
    for (row, _), match in zip(said, benchmarks.matches(texts), strict=True):
        if match is None:
            continue
        row.evidence["match"] = msgspec.to_builtins(match)
        if recipe.decontaminate.action == "drop":
            row.step, row.dropped = "decontaminate", match.finding
        else:
            row.evidence.setdefault("findings", []).append({"code": match.finding.code, "pointer": ""})


class _Named(NamedTuple):
    """What a raw row has in the columns that the recipe names: a score, and a time."""

    best: float | None
    time: float | None


class _Keeper:
    """Takes examined rows, counts their tokens some thousand at a time, and writes rows and facts."""

    def __init__(
        self,
        shard: Shard,
        recipe: Recipe,
        tokenizer: count.TokenizerRef,
        rows: IO[bytes],
        facts: Facts,
        banded: Bands,
        benchmarks: Benchmarks | None,
    ) -> None:
        self.number = 0
        self._shard, self._recipe, self._file, self._facts, self._bands = shard, recipe, rows, facts, banded
        self._offset = 0  # in the file of rows
        model = family.model(recipe.model)
        self._estimated = tokenizer.estimated
        self._lengths = Lengths.for_tokenizer(tokenizer, model)
        self._target = targets.target(recipe.target)
        self._limit = recipe.length.limit or model.context
        self._benchmarks = benchmarks
        self._near = recipe.dedup.enabled and recipe.dedup.match == "near"
        self._waiting: list[tuple[Raw, int, Examined, _Named]] = []
        # Of the rows that wait and can have near-duplicates: seq, digest, place, and two texts one after the other.
        self._seqs: list[int] = []
        self._places: list[float] = []
        self._ids: list[int] = []
        self._texts: list[str] = []

    def add(self, raw: Raw, found: list[Examined]) -> None:
        """Add what one raw row became."""
        named = _Named(_number(raw.value, self._recipe.dedup.column), _moment(raw.value, self._recipe.split.time))
        raw.value = None  # not needed any more, and may be large
        for sub, row in enumerate(found, start=1):
            self._waiting.append((raw, sub if len(found) > 1 else 0, row, named))
        if len(self._waiting) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Count and write the rows added so far."""
        if self._benchmarks is not None:
            _decontaminate([row for _, _, row, _ in self._waiting], self._benchmarks, self._recipe)
        alive = [row.conversation for _, _, row, _ in self._waiting if row.conversation is not None and not row.dropped]
        measured = iter(self._lengths.of(alive))
        for raw, sub, row, named in self._waiting:
            values: dict[str, Any] = named._asdict()
            if row.conversation is not None:
                values["label"] = row.conversation.label
                if row.dropped is None:
                    values |= self._measure(row, row.conversation, next(measured), named.best)
            self._facts.add(
                seq=(self._shard.index << ROW_BITS) + self.number,
                source=self._shard.source,
                line=raw.line,
                record=raw.record,
                sub=sub,
                offset=raw.offset,
                length=raw.length,
                **_verdict(row),
                **values,
            )
            self.number += 1
        self._facts.flush()
        self._waiting.clear()
        self._sign()

    def close(self) -> None:
        """Count and write what is left, and the ends of the sidecars."""
        self.flush()
        self._facts.close()
        self._bands.close()

    def _sign(self) -> None:
        if not self._seqs:
            return
        signed = signatures(self._texts, sides=2)
        long = signed.tokens >= bands.SHORT
        seqs, ids = np.array(self._seqs, np.int64)[long], np.array(self._ids, np.uint64)[long]
        self._bands.add(seqs, ids, np.array(self._places)[long], bands.keys(signed)[long])
        for waiting in (self._seqs, self._places, self._ids, self._texts):
            waiting.clear()

    def _measure(self, row: Examined, conversation: Conversation, length: Length, best: float | None) -> dict[str, Any]:
        """Drop the row if it is too long, else write it; return its facts."""
        policy = self._recipe.length
        identity = identify(conversation, with_label=bool(self._target.label_key), scope=self._recipe.dedup.scope)
        facts = {**_identity(identity, conversation), "tokens": length.total, "supervised": length.supervised}
        if policy.enabled and policy.over == "drop" and length.total > self._limit:
            row.step, row.dropped = "length", too_long(length.total, self._limit, estimated=self._estimated)
            return facts
        line = encode_row(conversation, self._target)
        self._file.write(line)
        facts |= {"row_offset": self._offset, "row_length": len(line)}
        self._offset += len(line)
        if self._near and any(identity.sides):
            seq = (self._shard.index << ROW_BITS) + self.number
            self._seqs.append(seq)
            self._places.append(_place(self._recipe.dedup.keep, seq, facts["size"], best))
            self._ids.append(identity.normalised[0])
            self._texts += identity.sides
        return facts


def _place(keep: str, seq: int, size: int, best: float | None) -> float:
    """Return a number that is smaller the more a row is wanted; rows with one number are wanted as they stand."""
    if keep == "first":
        return 0.0
    if keep == "newest":
        return float(-seq)
    return float(-size) if keep == "longest" else inf if best is None else -best


def _moment(value: Any, column: str | None) -> float | None:
    """Return the number that a raw row has in a column, or the seconds since 1970 of a time in ISO 8601; else None."""
    number = _number(value, column)
    row = as_row(value) if column is not None and number is None else None
    if column is None or not isinstance(row, dict):
        return number
    try:
        moment = datetime.fromisoformat(str(row.get(column)).strip())
    except ValueError:
        return None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _number(value: Any, column: str | None) -> float | None:
    """Return the number that a raw row has in a column; None where it has none."""
    if column is None:
        return None
    row = as_row(value)
    found = row.get(column) if isinstance(row, dict) else None
    try:
        number = float(found) if isinstance(found, int | float | str) else None
    except (ValueError, OverflowError):
        return None
    return number if number is not None and isfinite(number) else None


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


def _identity(identity: Identity, conversation: Conversation) -> dict[str, Any]:
    group = conversation.group
    return {
        "exact_hi": identity.exact[0],
        "exact_lo": identity.exact[1],
        "same_hi": identity.normalised[0],
        "same_lo": identity.normalised[1],
        "prompt": identity.prompt,
        "asked": identity.asked,
        "openings": identity.openings or None,
        "group_key": None if group is None else int.from_bytes(blake2b(group.encode(), digest_size=8).digest(), "big"),
        "size": sum(len(message.content or "") for message in conversation.messages),
        "roles": "".join(message.role[0] for message in conversation.messages),
    }


def _verdict(row: Examined) -> dict[str, Any]:
    evidence = dict(row.evidence)
    if row.dropped is not None:
        finding = row.dropped
        evidence["message"] = finding.message
        if finding.pointer:
            evidence["pointer"] = finding.pointer
        if finding.column is not None:
            evidence["column"] = finding.column
        step, reason = row.step, finding.code
    else:
        step, reason = (None, None)
        if row.changes:
            step, _, reason = row.changes[0].partition("/")
            evidence["changes"] = [change.partition("/")[2] for change in row.changes]
    return {
        "dropped": row.dropped is not None,
        "refused": row.refused,
        "step": step,
        "reason": reason,
        "changes": row.changes or None,
        "evidence": _encode(evidence).decode() if evidence else None,
    }
