"""D810: rows that give away what a benchmark asks. Needs more than the plain install, and is loaded where asked for."""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from phi3data.lint.project import Beside
from phi3data.sources.open import read_all
from phi3data.sources.reader import Reader, SourceConfig
from phi3data.sources.source import BLANK
from phi3data.steps.decontaminate import Benchmarks, DecontaminateConfig, read_references
from phi3data.steps.dedup import identify, sides

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from phi3data.chat import Conversation
    from phi3data.sources.source import Raw, Source

_AT_ONCE = 2000  # rows


def contaminated(sources: Sequence[Source], against: Sequence[str], work: Path) -> Iterator[Beside]:
    """Yield the rows of chat files that say what a row of the files `against` asks, in their order.

    What many rows say is boilerplate and counts for nothing, so all rows are read twice. A file of `against` that is
    among the sources is passed over. Copies of what cannot be read in place go to the folder `work`. Raises
    `InputError` for a file of `against` that cannot be read or holds no text.
    """
    references = read_references(against, work)
    apart = {Path(reference.file).resolve() for reference in references}
    sources = [source for source in sources if Path(source.name).resolve() not in apart]
    benchmarks = Benchmarks(references, DecontaminateConfig())
    survey = benchmarks.survey([])
    for source in sources:
        for rows in _batches(source):
            survey = survey.merged(benchmarks.survey([said for _, _, said in rows]))
    benchmarks = benchmarks.without(survey)
    for source in sources:
        told = -1
        for rows in _batches(source):
            matches = benchmarks.matches([said for _, _, said in rows])
            for (raw, conversation, _), match in zip(rows, matches, strict=True):
                if match is not None and raw.record != told:
                    told = raw.record  # once, where a row makes several conversations
                    key = identify(conversation).normalised[0]
                    yield Beside(match.finding, source.name, raw.line + 1, raw.record + 1, key)


def _batches(source: Source) -> Iterator[list[tuple[Raw, Conversation, tuple[str, str]]]]:
    """Yield the conversations of a file, some at a time: their row, and what is asked and answered in them."""
    rows = _conversations(source)
    while batch := [(raw, found, sides(found.messages, "conversation")) for raw, found in islice(rows, _AT_ONCE)]:
        yield batch


def _conversations(source: Source) -> Iterator[tuple[Raw, Conversation]]:
    reader = Reader(source, SourceConfig(format="chat"))
    for raw in read_all(source):
        found = None if raw.value is BLANK else reader.conversations(raw.value)
        for conversation in found if isinstance(found, list) else ():
            yield raw, conversation
