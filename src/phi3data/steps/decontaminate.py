"""Step `decontaminate`: which rows hold a question or an answer that a benchmark asks for. D810.

Two tiers, each with a name and a score:

    overlap   a copy: the row has a share of the reference's 13-grams or 8-grams of words, or is a short reference
    similar   a rephrasing: few n-grams in common, but stems, names of things and numbers (`similarity.rephrased`)

What is said in many references, or in many rows that match none, is boilerplate and does not count
(`similarity.overlap`). A row is looked at alone, so that rows can be matched in any process and in any order; only the
survey of boilerplate goes over all rows before that: its counts are added up.

**The thresholds** were chosen on the 7,473 training questions of GSM8K, each held against all others, on rephrasings by
rule of 2,000 of them and on 14,916 unrelated texts (`bench/decontaminate.py` prints the rates), by looking at 110 pairs
of questions. With half of the 8-grams or a fifth of the 13-grams in common all pairs were one story with other numbers
or asked backwards; with a tenth of the 13-grams some only shared a setting. Of pairs with a similarity from 0.15 to
0.18 three in four only shared a topic; from 0.20 to 0.25 two in three were one problem with other numbers, things or
names, and above that nearly all. So 0.2 drops 1 to 2 in 100 rows of the benchmark's own kind, some of which give
nothing away, and none of another kind: the most similar of the unrelated texts has 0.13. It finds 19 of 20 rephrasings;
0.25 finds 18.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import msgspec
from msgspec import Meta

from phi3data.errors import InputError
from phi3data.findings import Finding
from phi3data.similarity.bands import SHORT
from phi3data.similarity.overlap import Coded, Overlap, canonical, parts
from phi3data.similarity.rephrased import Rephrased
from phi3data.sources.inputs import find
from phi3data.sources.open import as_row, format_of, laid_out, open_source, read_all, readable
from phi3data.sources.reader import Reader, SourceConfig
from phi3data.sources.source import BLANK
from phi3data.steps.dedup import sides

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from phi3data.sources.source import Source

Tier = Literal["overlap", "similar"]
Field = Literal["prompt", "answer"]
# Characters of a text that are looked at: twice what the longest context of a Phi model holds.
_LONGEST = 1_000_000


class DecontaminateConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which rows give away what a benchmark asks. Without references nothing is done."""

    references: Annotated[
        tuple[str, ...],
        Meta(description="Files with the questions of benchmarks, or a test set of your own, in any format."),
    ] = ()
    compare: Annotated[
        Literal["prompt", "answer", "both"],
        Meta(
            description='Compare what is asked ("prompt"), what is answered ("answer"), or each with its own ("both").'
        ),
    ] = "prompt"
    overlap: Annotated[bool, Meta(description="Find copies, by the n-grams of words that are in common.")] = True
    share_8: Annotated[
        float, Meta(description="Share of a reference's 8-grams from which on a row overlaps it.", gt=0, le=1)
    ] = 0.5
    share_13: Annotated[
        float, Meta(description="Share of a reference's 13-grams from which on a row overlaps it.", gt=0, le=1)
    ] = 0.2
    similar: Annotated[bool, Meta(description="Find rephrasings, by shingles of characters and numbers.")] = True
    similarity: Annotated[
        float, Meta(description="Similarity to a reference from which on a row rephrases it.", gt=0, le=1)
    ] = 0.2
    action: Annotated[
        Literal["drop", "flag"], Meta(description='"drop" the rows that match, or only "flag" them in the ledger.')
    ] = "drop"


class Reference(msgspec.Struct, frozen=True):
    """A text that must not be trained on: what it asks, what it answers, the file and the row (from 1) it stands in."""

    file: str
    row: int
    asked: str
    answered: str = ""


class Match(msgspec.Struct, frozen=True):
    """The reference that a row is most like. `score` is the share or the similarity that `measure` names, 0 to 1."""

    reference: str
    row: int
    tier: Tier
    measure: Literal["13-grams", "8-grams", "whole text", "shingles and numbers"]
    field: Field
    score: float

    @property
    def finding(self) -> Finding:
        """What is said of the row (D810)."""
        place = f"{self.reference}:{self.row}"
        what = "the question" if self.field == "prompt" else "the answer"
        if self.tier == "similar":
            return Finding("D810", f"{what} says {place} in other words (similarity {self.score:.2f})")
        if self.measure == "whole text":
            return Finding("D810", f"{what} is that of {place}")
        return Finding("D810", f"{what} has {self.score:.0%} of the {self.measure} of {place}")


class Survey(NamedTuple):
    """How many rows have each n-gram of the references and match none of them, and how many rows were looked at.

    Surveys of parts of the rows add up.
    """

    counts: list[NDArray[np.int64]]
    rows: int

    def merged(self, other: Survey) -> Survey:
        """Return the survey of the rows of both."""
        return Survey([one + two for one, two in zip(self.counts, other.counts, strict=True)], self.rows + other.rows)


def read_references(paths: Sequence[str], work: Path) -> list[Reference]:
    """Read the rows of reference files, of any container and format.

    A row of no known format is taken whole: all its texts, in their order. Copies of files that cannot be read in place
    go to the folder `work`. Raises `InputError` for a file that is not there or cannot be read, or holds no text.
    """
    found: list[Reference] = []
    for index, item in enumerate(find(list(paths))):
        copy, notes = readable(item, index, None, work)
        source = laid_out(item, index, copy, notes)
        if format_of(source) is not None:
            source = open_source(item, index, SourceConfig(), work)
        before = len(found)
        found += _references(source)
        if len(found) == before:
            raise InputError(f"{item.name}: no row holds a text to compare with")
    return found


def _references(source: Source) -> Iterator[Reference]:
    reader = Reader(source, SourceConfig()) if source.format else None
    for raw in read_all(source):
        if raw.value is BLANK or isinstance(raw.value, Finding):
            continue
        conversations = reader.conversations(raw.value) if reader else as_row(raw.value)
        if not isinstance(conversations, list):
            conversations = []
            text = " ".join(_texts(raw.value))
            if text.strip():
                yield Reference(source.name, raw.record + 1, text)
        for conversation in conversations:
            asked, answered = sides(conversation.messages, "conversation")
            if asked or answered:
                yield Reference(source.name, raw.record + 1, asked, answered)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _texts(part)


class Benchmarks:
    """The references as indexes, one for each field. Making them takes 50 bytes of memory a character."""

    def __init__(self, references: Sequence[Reference], config: DecontaminateConfig) -> None:
        wanted: tuple[Field, ...] = ("prompt", "answer") if config.compare == "both" else (config.compare,)
        self._references = references
        self._fields = [_Index(references, field, config) for field in wanted]

    def matches(self, rows: Sequence[tuple[str, str]]) -> list[Match | None]:
        """Return for each row, given as what is asked and what is answered, its best match, if it has one.

        A copy comes before a rephrasing, then the higher score counts, then the first reference.
        """
        best: list[tuple[Any, ...] | None] = [None] * len(rows)
        for number, index in enumerate(self._fields):
            for row, tier, score, measure, reference in index.found([row[index.side] for row in rows]):
                rank = (tier, -score, measure, reference, number)
                kept = best[row]
                if kept is None or rank < kept:
                    best[row] = rank
        return [None if rank is None else self._match(*rank) for rank in best]

    def survey(self, rows: Sequence[tuple[str, str]]) -> Survey:
        """Return how many of the rows have what, for `without`."""
        counts = [found for index in self._fields for found in index.survey([row[index.side] for row in rows])]
        return Survey(counts, len(rows))

    def without(self, survey: Survey) -> Benchmarks:
        """Return the same references without what the survey of all rows shows to be boilerplate."""
        other = object.__new__(Benchmarks)
        other._references = self._references
        counts = iter(survey.counts)
        other._fields = [index.without(counts, survey.rows) for index in self._fields]
        return other

    def _match(self, tier: Tier, score: float, measure: int, reference: int, number: int) -> Match:
        source = self._references[reference]
        return Match(source.file, source.row, tier, _MEASURES[measure], self._fields[number].field, round(-score, 4))


_MEASURES: tuple[Literal["13-grams", "8-grams", "whole text", "shingles and numbers"], ...] = (
    "13-grams",
    "8-grams",
    "whole text",
    "shingles and numbers",
)
_Found = tuple[int, Tier, float, int, int]  # row, tier, score, number of the measure, reference


class _Index:
    """The distinct texts of one field of the references."""

    def __init__(self, references: Sequence[Reference], field: Field, config: DecontaminateConfig) -> None:
        self.field: Field = field
        self.side = 0 if field == "prompt" else 1
        first: dict[str, int] = {}
        for number, reference in enumerate(references):
            text = canonical(reference.asked if self.side == 0 else reference.answered)[:_LONGEST]
            if text:
                first.setdefault(text, number)
        texts = list(first)
        self._first = list(first.values())
        self._floors = {13: config.share_13, 8: config.share_8} if config.overlap else {}
        self._overlaps = [Overlap(texts, width) for width in self._floors]
        # Shorter than any n-gram: only a text that says just this is a copy, and a few words are anybody's. A
        # canonical text has one space more than words.
        short = {text: number for text, number in first.items() if SHORT < text.count(" ") <= 8}
        self._whole = short if config.overlap else {}
        self._rephrased = Rephrased(texts) if config.similar else None
        self._similarity = config.similarity

    def found(self, texts: Sequence[str]) -> Iterator[_Found]:
        for start, part in _batches(texts):
            coded = Coded(part)
            for number, (overlap, floor) in enumerate(zip(self._overlaps, self._floors.values(), strict=True)):
                for row, reference, score in zip(*overlap.hits(coded, floor), strict=True):
                    yield start + int(row), "overlap", float(score), number, self._first[reference]
            for row, text in enumerate(part):
                if text in self._whole:
                    yield start + row, "overlap", 1.0, 2, self._whole[text]
            if self._rephrased is not None:
                for row, reference, score in zip(*self._rephrased.hits(part, coded, self._similarity), strict=True):
                    yield start + int(row), "similar", float(score), 3, self._first[reference]

    def survey(self, texts: Sequence[str]) -> list[NDArray[np.int64]]:
        counts = [overlap.survey(Coded([]), 1.0) for overlap in self._overlaps]
        for _, part in _batches(texts):
            coded = Coded(part)
            for number, (overlap, floor) in enumerate(zip(self._overlaps, self._floors.values(), strict=True)):
                counts[number] = counts[number] + overlap.survey(coded, floor)
        return counts

    def without(self, counts: Iterator[NDArray[np.int64]], rows: int) -> _Index:
        other = object.__new__(_Index)
        other.__dict__.update(self.__dict__)
        other._overlaps = [overlap.without(next(counts), rows) for overlap in self._overlaps]
        return other


def _batches(texts: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Yield canonical texts, some at a time, and the place of the first."""
    start = 0
    for part in parts(canonical(text)[:_LONGEST] for text in texts):
        yield start, part
        start += len(part)
