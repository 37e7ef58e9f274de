"""Examine: one shard of raw rows → examined conversations on disk, and their facts in the sidecar.

A pure function of the shard and the plan, so that it can run in any process, in any order, and again.
"""

from __future__ import annotations

import gc
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

from phi3data.engine.batch import Batch, Examined
from phi3data.engine.conversations import conversations
from phi3data.engine.facts import Sidecar, signed
from phi3data.findings import Finding
from phi3data.sources.files import whole
from phi3data.sources.source import BLANK
from phi3data.steps.check import check
from phi3data.steps.clean import clean
from phi3data.steps.decontaminate import Benchmarks, Reference
from phi3data.steps.missing import missing

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from phi3data.chat import Conversation
    from phi3data.engine.conversations import Found
    from phi3data.engine.recipe import Recipe
    from phi3data.sources.source import Raw, Shard, Source
    from phi3data.steps.decontaminate import DecontaminateConfig
    from phi3data.tokens import count

REFERENCES = "references.json"  # in the work folder: the texts of benchmarks
_encode = msgspec.json.Encoder().encode


class Summary(msgspec.Struct):
    """What examining a shard found, and the sign that it is done. `lines` and `records` count blank lines too."""

    lines: int
    records: int
    rows: int
    blank: int


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


def examine(shard: Shard, source: Source, recipe: Recipe, tokenizer: count.TokenizerRef, folder: Path) -> Summary:
    """Examine a shard; write its rows, its facts and, last, its summary to `folder`."""
    with _no_collector():
        return finish(shard, _examine(shard, source, recipe, tokenizer, folder), folder)


def finish(shard: Shard, summary: Summary, folder: Path) -> Summary:
    """Write the summary of a shard, which says that it is done, and return it."""
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
    with sidecar(folder, shard) as out:
        benchmarks = _benchmarks(folder.parent, recipe.decontaminate)
        batch = Batch(shard, source, recipe, tokenizer, benchmarks, out.add)
        return examine_rows(conversations(source, shard, recipe.source), recipe, batch)


@contextmanager
def sidecar(folder: Path, shard: Shard) -> Iterator[Sidecar]:
    """Open what examining a shard writes."""
    with (
        whole(folder / f"{shard.index:06d}.rows") as rows,
        whole(folder / f"{shard.index:06d}.facts.parquet") as facts,
        whole(signed(folder, shard.index)) as keyed,
    ):
        out = Sidecar(rows, facts, keyed)
        yield out
        out.close()


def examine_rows(rows: Iterable[tuple[Raw, Found]], recipe: Recipe, batch: Batch) -> Summary:
    """Examine raw rows with what became of each; hand them to a batch."""
    summary, before = Summary(0, 0, 0, 0), batch.number
    for raw, found in rows:
        summary.lines, summary.records = raw.line + 1, raw.record + 1
        if raw.value is BLANK:
            summary.blank += 1
        elif isinstance(found, Finding):
            batch.add(raw, [Examined(None, [], {}, "read", found)])
        else:
            batch.add(raw, [examine_row(conversation, recipe) for conversation in found])
    batch.flush()
    summary.rows = batch.number - before
    return summary


@lru_cache(1)  # a process works for one run at a time
def _benchmarks(work: Path, config: DecontaminateConfig) -> Benchmarks | None:
    if not config.references:
        return None
    return Benchmarks(msgspec.json.decode((work / REFERENCES).read_bytes(), type=list[Reference]), config)
