"""Count the tokens of a whole data set, shard by shard, and what limits on the length cost; nothing is written.

Of a row two numbers are kept, its tokens and how many of them are supervised (8 bytes), never its text. What a limit
costs is added up shard by shard, since it needs the positions of the supervised tokens, which are not kept.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from msgspec.structs import replace
from numpy.typing import NDArray

from phi3data import family
from phi3data.engine.database import bases
from phi3data.engine.examine import Summary
from phi3data.engine.local import Silent
from phi3data.errors import InputError
from phi3data.family.template import Template, TemplateError
from phi3data.findings import Finding
from phi3data.sources.open import open_source, plan, read
from phi3data.sources.reader import Reader, SourceConfig
from phi3data.sources.source import BLANK, SHARD, Shard, Source
from phi3data.tokens import count
from phi3data.tokens.encode import LossOn
from phi3data.tokens.lengths import Length, Lengths
from phi3data.workers import each, pool

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phi3data.chat import Conversation
    from phi3data.engine.local import Progress
    from phi3data.engine.recipe import Recipe
    from phi3data.family.template import ChatTemplate
    from phi3data.sources.inputs import Input
    from phi3data.sources.source import Raw
    from phi3data.workers import Submit

# Powers of two, as contexts are. No row is longer than the last: 16 MiB of text are read at most (`MAX_RECORD`), and no
# tokenizer of the family makes more tokens of a text than it has bytes.
LIMITS = tuple(2**power for power in range(9, 25))
_BATCH = 5000  # rows counted in one call of the counter; the size of a shard bounds their text
_LONGEST = 5


class Row(msgspec.Struct, frozen=True):
    """A row and where it stands; both count from 1, and in a table `line` is the number of the record too."""

    source: int
    line: int
    record: int
    tokens: int
    supervised: int


class Failed(msgspec.Struct, frozen=True):
    """The first row of a source that could not be read, or not rendered, and why."""

    line: int
    record: int
    finding: Finding

    def after(self, line: int, record: int) -> Failed:
        """Return the same with its place counted from further up."""
        return replace(self, line=self.line + line, record=self.record + record)


class Counting(msgspec.Struct, frozen=True, kw_only=True):
    """How to count. Sent to workers, so plain data only. `limits` ascend."""

    reading: SourceConfig
    model: str
    tokenizer: count.TokenizerRef
    loss_on: LossOn
    limits: tuple[int, ...]


class Losses(msgspec.Struct):
    """Per limit, what cutting rows there loses: supervised tokens, and rows without a supervised token left."""

    supervised: list[int]
    answers: list[int]

    def add(self, row: Length, limits: Sequence[int]) -> None:
        """Add one row. Shape of `limits`: as long as both lists, ascending."""
        for number, limit in enumerate(limits):
            if row.total <= limit:
                return
            self.supervised[number] += sum(end - max(start, limit) for start, end in row.spans if end > limit)
            self.answers[number] += bool(row.spans) and row.spans[0][0] >= limit

    def merge(self, other: Losses) -> None:
        """Add what another part of the data loses."""
        self.supervised = [a + b for a, b in zip(self.supervised, other.supervised, strict=True)]
        self.answers = [a + b for a, b in zip(self.answers, other.answers, strict=True)]


class Counted(msgspec.Struct):
    """One shard. Lines and records are from its start, from 0, as in `Raw`."""

    summary: Summary
    total: NDArray[np.int32]  # per row, in order
    supervised: NDArray[np.int32]
    losses: Losses
    longest: list[Row]
    unread: int
    first_unread: Failed | None
    unrendered: int
    first_unrendered: Failed | None


class Tally(msgspec.Struct, kw_only=True):
    """A data set in numbers. `rows` and what follows are per source.

    Rows that the chat template cannot render are counted by their words, and are in all other numbers.
    """

    counting: Counting
    sources: list[Source]
    total: NDArray[np.int32]  # tokens per row, in the order of the inputs, shape (rows,)
    supervised: NDArray[np.int32]  # likewise
    losses: Losses
    longest: list[Row]
    rows: list[int]
    unread: list[int]
    first_unread: list[Failed | None]
    unrendered: list[int]
    first_unrendered: list[Failed | None]


def tally(
    inputs: list[Input],
    recipe: Recipe,
    *,
    loss_on: LossOn = "assistant",
    limits: Sequence[int] = (),
    workers: int = 1,
    online: bool = False,
    shard_bytes: int = SHARD,
    progress: Progress | None = None,
) -> Tally:
    """Count the rows of the inputs as `recipe` reads them, unclean and with their duplicates.

    `limits` are added to `LIMITS` and the model's context. The result does not depend on `workers` or `shard_bytes`.
    Raises `UsageError` (model, tokenizer, columns), `InputError` (an input that cannot be used at all), `WorkerError`.
    """
    model = family.model(recipe.model)
    counting = Counting(
        reading=recipe.source,
        model=model.name,
        tokenizer=count.resolve(recipe.length.tokenizer, model, online=online),
        loss_on=loss_on,
        limits=tuple(sorted({*LIMITS, model.context, *limits})),
    )
    with TemporaryDirectory(prefix="phi3data-") as folder:  # for what cannot be read in place
        sources = [open_source(item, n, recipe.source, Path(folder)) for n, item in enumerate(inputs)]
        shards = list(plan(sources, shard_bytes))
        if workers > 1:
            count.compile_kernels(counting.tokenizer, sum(shard.end - shard.start for shard in shards))
        with pool(min(workers, len(shards))) as submit:
            counted = _count(submit, shards, sources, counting, progress or Silent())
    found = _merge(counted, shards, sources, counting)
    if not len(found.total):
        raise InputError(_nothing(found))
    return found


def _nothing(found: Tally) -> str:
    first = next((number, unread) for number, unread in enumerate(found.first_unread) if unread is not None)
    source, unread = found.sources[first[0]], first[1]
    by_line = source.layout == "lines" and not source.tabular
    place = f"line {unread.line:,}" if by_line else f"row {unread.record:,}"
    return (
        f"{source.name}: no row can be read as {source.format}: the first, in {place}: "
        f"{unread.finding.message} ({unread.finding.code})"
    )


def _count(
    submit: Submit, shards: list[Shard], sources: list[Source], counting: Counting, progress: Progress
) -> list[Counted]:
    progress.stage("Counting", sum(shard.end - shard.start for shard in shards))
    todo: list[tuple[Shard, tuple[Any, ...]]] = [(shard, (shard, sources[shard.source], counting)) for shard in shards]
    found: dict[int, Counted] = {}
    for shard, counted in each(submit, count_shard, todo):
        found[shard.index] = counted
        progress.advance(shard.end - shard.start, counted.summary.rows)
    return [found[shard.index] for shard in shards]


def count_shard(shard: Shard, source: Source, counting: Counting) -> Counted:
    """Count the rows of one shard. A pure function, for any process and any order."""
    reader = Reader(source, counting.reading)
    keep = _Keeper(shard, counting)
    summary = Summary(0, 0, 0, 0)
    for raw in read(source, shard):
        summary.lines, summary.records = raw.line + 1, raw.record + 1
        if raw.value is BLANK:
            summary.blank += 1
            continue
        found = raw.value if isinstance(raw.value, Finding) else reader.conversations(raw.value)
        keep.add(raw, found)
    keep.flush()
    summary.rows = len(keep.total)
    return Counted(
        summary,
        np.array(keep.total, np.int32),
        np.array(keep.supervised, np.int32),
        keep.losses,
        keep.longest,
        keep.unread,
        keep.first_unread,
        keep.unrendered,
        keep.first_unrendered,
    )


class _Keeper:
    """Takes the rows of a shard, counts them some thousand at a time, and keeps numbers."""

    def __init__(self, shard: Shard, counting: Counting) -> None:
        self.total: list[int] = []
        self.supervised: list[int] = []
        self.losses = Losses([0] * len(counting.limits), [0] * len(counting.limits))
        self.longest: list[Row] = []
        self.unread = 0
        self.first_unread: Failed | None = None
        self.unrendered = 0
        self.first_unrendered: Failed | None = None
        self._shard, self._counting = shard, counting
        self._lengths = Lengths.for_tokenizer(counting.tokenizer, family.model(counting.model))
        self._template = _template(counting.tokenizer)
        self._own = not isinstance(self._template, Template)
        self._waiting: list[tuple[int, int, Conversation]] = []

    def add(self, raw: Raw, found: list[Conversation] | Finding) -> None:
        """Add what one raw row became."""
        if isinstance(found, Finding):
            self.unread += 1
            self.first_unread = self.first_unread or Failed(raw.line, raw.record, found)
            return
        self._waiting += [(raw.line, raw.record, conversation) for conversation in found]
        if len(self._waiting) >= _BATCH:
            self.flush()

    def flush(self) -> None:
        """Count the rows added so far."""
        lengths = self._lengths.of([conversation for _, _, conversation in self._waiting], self._counting.loss_on)
        limits = self._counting.limits
        for (line, record, conversation), row in zip(self._waiting, lengths, strict=True):
            # Templates of the family render all text; only a template of the user's own is asked about each row.
            if self._own or [each for each in conversation.messages if each.content is None or each.tools is not None]:
                self._render(line, record, conversation)
            supervised = row.supervised
            self.total.append(row.total)
            self.supervised.append(supervised)
            if row.total > limits[0]:
                self.losses.add(row, limits)
            if len(self.longest) < _LONGEST or row.total > self.longest[-1].tokens:
                self.longest.append(Row(self._shard.source, line, record, row.total, supervised))
                self.longest = longest(self.longest)
        self._waiting.clear()

    def _render(self, line: int, record: int, conversation: Conversation) -> None:
        try:
            self._template.render(conversation)
        except TemplateError as error:
            self.unrendered += 1
            self.first_unrendered = self.first_unrendered or Failed(line, record, error.finding)


@lru_cache(4)
def _template(ref: count.TokenizerRef) -> ChatTemplate:
    return count.template_of(ref)


def longest(rows: list[Row]) -> list[Row]:
    """Return the longest rows, longest first, and of equals those that come first: `rows` are in their order."""
    return sorted(rows, key=lambda row: -row.tokens)[:_LONGEST]


def _merge(counted: list[Counted], shards: list[Shard], sources: list[Source], counting: Counting) -> Tally:
    empty = np.zeros(0, np.int32)
    out = Tally(
        counting=counting,
        sources=sources,
        total=np.concatenate([empty, *(part.total for part in counted)]),
        supervised=np.concatenate([empty, *(part.supervised for part in counted)]),
        losses=Losses([0] * len(counting.limits), [0] * len(counting.limits)),
        longest=[],
        rows=[0] * len(sources),
        unread=[0] * len(sources),
        first_unread=[None] * len(sources),
        unrendered=[0] * len(sources),
        first_unrendered=[None] * len(sources),
    )
    starts = bases(shards, [part.summary for part in counted])
    for shard, part, base in zip(shards, counted, starts, strict=True):
        number = shard.source
        before = base.line + 1, base.record + 1
        out.losses.merge(part.losses)
        out.rows[number] += part.summary.rows
        out.unread[number] += part.unread
        out.unrendered[number] += part.unrendered
        if part.first_unread is not None and out.first_unread[number] is None:
            out.first_unread[number] = part.first_unread.after(*before)
        if part.first_unrendered is not None and out.first_unrendered[number] is None:
            out.first_unrendered[number] = part.first_unrendered.after(*before)
        out.longest = longest(
            out.longest
            + [replace(row, line=row.line + before[0], record=row.record + before[1]) for row in part.longest]
        )
    return out
