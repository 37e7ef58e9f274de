"""The rows of a part of a file against the rules: bytes → fast path → conversation, else every finding of the row.

A line that the fast path takes is certainly clean JSON of the right shape; only what its conversation says is left to
look at, some dozens at a time. Any other line is decoded again without haste, and all that is wrong with it is told.
"""

from __future__ import annotations

from contextlib import closing
from functools import cached_property, partial
from typing import TYPE_CHECKING

import msgspec

from phi3data import targets
from phi3data.lint.conversation import Plan, judge
from phi3data.lint.dataset import FileFacts
from phi3data.lint.located import Located, in_row
from phi3data.lint.shape import shape_of
from phi3data.rules import file, references, texts
from phi3data.rules.typed import Bare, FastPath, Plain
from phi3data.sources import lines
from phi3data.sources.open import read
from phi3data.sources.places import Places
from phi3data.sources.source import BLANK, Raw, Shard, Source, too_long

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from phi3data.chat import Conversation, Message
    from phi3data.findings import Finding
    from phi3data.lint.sifted import Sifted
    from phi3data.rules.sieve import Said
    from phi3data.sources.reader import Reader


_AT_ONCE = 512  # lines
_WAIT = 16  # pieces of lines that are not sieved after one that could not be
_DATE = 40  # characters: more than any date has


class Job(msgspec.Struct, frozen=True):
    """A part of a file to look at. `line` and `record` count what stands before it; `project` keeps keys of rows.

    Where it is `sieved`, lines that are nothing but messages are looked at by kernels, which takes a second to start.
    """

    source: Source
    shard: Shard
    line: int
    record: int
    plan: Plan
    project: bool = False
    sieved: bool = False


class Linted(msgspec.Struct):
    """What was found in a part of a file, row by row, and the facts about it."""

    findings: list[Located]
    facts: FileFacts
    lines: int
    records: int


class _Row(Raw, gc=False):
    """A row, its bytes where it is a line of the file, and what is wrong with it."""

    raw: bytes | None = None
    found: list[Finding] | None = None

    def add(self, finding: Finding) -> None:
        if self.found is None:
            self.found = []
        self.found.append(finding)


def lint(job: Job) -> Linted:
    """Look at a part of a file. A pure function of the job, so that it can run in any process."""
    with Places(job.source) as places:
        part = _Part(job, places)
        if job.source.layout == "lines" and not job.source.tabular:
            part.read_lines()
        else:
            part.read_records()
        return part.close()


class _Part:
    def __init__(self, job: Job, places: Places) -> None:
        self._job, self._places = job, places
        self._target = targets.target(job.plan.target)
        self._judge = judge(job.plan)
        self._fast = FastPath(self._target)
        self._facts = FileFacts(self._target, project=job.project)
        self._found: list[Located] = []
        self._rows: list[_Row] = []
        self._spoken: list[tuple[_Row, Conversation]] = []
        self._line, self._record = job.line, job.record

    @cached_property
    def _reader(self) -> Reader:
        from phi3data.sources.reader import Reader, SourceConfig  # and with it all formats: 10 ms for the first row

        return Reader(self._job.source, SourceConfig(format="chat"))

    def read_lines(self) -> None:
        """Look at every line that begins in the shard, by kernels where these pay and can.

        A thread reads ahead for these, as they do not need the GIL.
        """
        if self._job.sieved:
            from phi3data.workers import ahead

            with closing(ahead(self._sifted())) as sifted:
                self._read_pieces(sifted)
        else:
            self._read_pieces((piece, None) for piece in lines.pieces(self._job.source, self._job.shard))

    def _read_pieces(self, pieces: Iterable[tuple[lines.Piece[bytes], Sifted | None]]) -> None:
        """Look at lines, those without an object for each that were sieved."""
        ends = self._facts.line_ends = file.LineEnds()
        for piece, sifted in pieces:
            returns = b"\r" in piece.data
            if piece.too_long:
                self._look(_Row(piece.start, piece.too_long, self._line, self._line, too_long(piece.too_long)))
                self._line += 1
            elif sifted and not returns:
                ends.count(len(sifted.sizes), ended=piece.ended)
                self._take_sifted(piece, sifted)
            else:
                found = piece.lines
                if returns:
                    ends.add(found, self._line + 1, ended=piece.ended)
                else:
                    ends.count(len(found), ended=piece.ended)
                self._read(found, piece.start, piece.last)
        self._record = self._line

    def _sifted(self) -> Iterator[tuple[lines.Piece[bytes], Sifted | None]]:
        """Yield lines, and what the kernels say of them; None where one of them is more than messages."""
        from phi3data.lint.sifted import sift

        waiting = 0
        for piece in lines.pieces(self._job.source, self._job.shard):
            found = None if waiting or piece.too_long else sift(piece.data, self._judge.sieve)
            waiting = waiting - 1 if waiting else 0 if found else _WAIT
            yield piece, found

    def _read(self, found: list[bytes], offset: int, last: int) -> None:
        """Look at lines; `last` is the number of the file's last line, if that has no end."""
        for at in range(0, len(found), _AT_ONCE):
            piece = found[at : at + _AT_ONCE]
            if not self._take_bare(piece, offset, self._line):
                self._read_each(piece, offset, self._line, last - at)
            offset += sum(map(len, piece)) + len(piece)
            self._line += len(piece)

    def _read_each(self, piece: list[bytes], offset: int, line: int, last: int) -> None:
        """Look at lines one by one; `last` is the number of the file's last line, if that has no end."""
        for number, raw in enumerate(piece):
            row = _Row(offset, len(raw), line, line, None, raw)
            conversation = self._fast(raw)
            if conversation is None:
                self._decode(row, raw, last=number == last)
            else:
                self._take(row, raw, conversation)
            offset += len(raw) + 1
            line += 1

    def _take_bare(self, piece: list[bytes], offset: int, line: int) -> bool:
        """Look at lines that are nothing but messages with a role and a text each, all at once; False if one is not."""
        rows = self._fast.many(piece)
        if rows is None:
            return False
        if self._rows:
            self._flush()
        self._count(rows, line + 1)
        sizes = [len(raw) for raw in piece]
        self._facts.sizes.add(sizes, range(line + 1, line + 1 + len(piece)))
        found: dict[int, list[Finding]] = {}
        wide = [number for number, raw in enumerate(piece) if not raw.isascii()]
        if wide and file.separator(b"\n".join([piece[number] for number in wide])):
            found = {number: [separator] for number in wide if (separator := file.separator(piece[number]))}
        for number, finding in self._judge.bare(rows, sizes):
            found.setdefault(number, []).append(finding)
        for number in sorted(found):
            raw = piece[number]
            start = offset + sum(sizes[:number]) + number
            self._place(_Row(start, len(raw), line + number, line + number, None, raw, found[number]))
        return True

    def _take_sifted(self, piece: lines.Piece[bytes], sifted: Sifted) -> None:
        """Do what `_take_bare` does, without an object for a row."""
        if self._rows:
            self._flush()
        line, sizes = self._line, sifted.sizes
        self._count_said(sifted.said, line + 1)
        self._facts.sizes.add(sizes.tolist(), range(line + 1, line + 1 + len(sizes)))
        found: dict[int, list[Finding]] = {}
        for number, finding in self._judge.said(sifted):
            found.setdefault(number, []).append(finding)
        for number in sorted(found):
            start = int(sifted.begins[number])
            raw = piece.data[start : start + int(sizes[number])]
            self._place(_Row(piece.start + start, len(raw), line + number, line + number, None, raw, found[number]))
        self._line += len(sizes)

    def _count_said(self, said: Said, line: int) -> None:
        """Do what `_count` does, for rows whose texts are not decoded."""
        facts, count = self._facts, len(said.rows) - 1
        facts.rows += count
        facts.add_plain(line, count)
        at = 0
        while at < count and facts.columns.wants_turns:
            facts.columns.add_turns(Bare(said.row(at)), line + at)
            at += 1
        prompts: dict[str, list[int]] = {}  # each with the rows that have it
        firsts = said.rows[:-1]
        for row in (said.roles[firsts] == 0).nonzero()[0].tolist():
            prompts.setdefault(said.read(firsts[row]), []).append(row)
        for text, rows in prompts.items():
            facts.systems.add(text, line + rows[0], len(rows))

    def _count(self, rows: Sequence[list[Message]], line: int) -> None:
        """Add the facts of rows that are nothing but messages, the first of them at `line`, from 1."""
        facts, every = self._facts, self._job.project
        facts.rows += len(rows)
        facts.add_plain(line, len(rows))
        # Until there is a text that is too long for a date, all texts may be a column of dates.
        long = (at for at, row in enumerate(rows) if max([len(turn.content or "") for turn in row]) > _DATE)
        dated = len(rows) if every else next(long, len(rows))
        for at in [at for at, row in enumerate(rows) if at <= dated or row[0].role == "system"]:
            facts.add(Bare(rows[at]), line + at, line + at)

    def read_records(self) -> None:
        """Look at every record that begins in the shard, of an array or a table."""
        for raw in read(self._job.source, self._job.shard):
            line, record = raw.line + self._job.line, raw.record + self._job.record
            self._line, self._record = line + 1, record + 1
            if raw.value is not BLANK:
                self._look(_Row(raw.offset, raw.length, line, record, raw.value))

    def close(self) -> Linted:
        """Return what was found."""
        self._flush()
        self._facts.close()
        return Linted(self._found, self._facts, self._line - self._job.line, self._record - self._job.record)

    def _take(self, row: _Row, raw: bytes, conversation: Conversation) -> None:
        """Take a row of the right shape."""
        facts = self._facts
        facts.rows += 1
        self._rows.append(row)
        if isinstance(conversation, Plain):
            facts.add_plain(row.line + 1)
        else:  # the columns beside the messages, as they stand in the line
            row.value = msgspec.json.decode(raw)
            facts.add_row(row.value, "chat", row.line + 1)
            for found in references.check(row.value):
                row.add(found)
        if not raw.isascii():
            separator = file.separator(raw)
            if separator:
                row.add(separator)
        self._say(row, conversation)

    def _decode(self, row: _Row, raw: bytes, *, last: bool) -> None:
        """Look at a line that may be anything."""
        beside = file.beside_rows(raw, row.line + 1)
        separator = file.separator(raw)
        for found in (beside, separator):
            if found:
                row.add(found)
        if beside and beside.code != "F104":
            self._rows.append(row)
            row.value = beside
            return
        row.value = lines.decode(raw, last=last)
        self._look(row)

    def _look(self, row: _Row) -> None:
        """Look at a decoded row of any shape."""
        facts, value = self._facts, row.value
        facts.rows += 1
        self._rows.append(row)
        shape = shape_of(value, self._target, lambda: self._reader)
        for found in shape.findings:
            if not facts.extra_keys.add(found, row.line + 1, partial(_fix, row.raw)):
                row.add(found)
        if shape.row is None:
            return
        facts.add_row(shape.row, shape.format, row.line + 1)
        if shape.format == "preference":
            facts.pairs.add(shape.row)
        for conversation in shape.conversations:
            self._say(row, conversation)

    def _say(self, row: _Row, conversation: Conversation) -> None:
        source = row.value.get("source") if isinstance(row.value, dict) else None
        self._facts.add(conversation, row.line + 1, row.record + 1, source)
        self._spoken.append((row, conversation))
        if len(self._spoken) >= texts.BATCH:
            self._flush()

    def _flush(self) -> None:
        """Look at what the conversations say, and place what was found in the rows so far."""
        spoken = self._spoken
        sizes = [row.length for row, _ in spoken]
        if sizes:
            self._facts.sizes.add(sizes, (row.line + 1 for row, _ in spoken))
        for number, found in self._judge.many([conversation for _, conversation in spoken], sizes):
            spoken[number][0].add(found)
        for row in self._rows:
            if row.found:
                self._place(row)
        self._spoken, self._rows = [], []

    def _place(self, row: _Row) -> None:
        source, codes = self._job.source, self._job.plan.codes
        if row.value is None and row.raw is not None:
            row.value = msgspec.json.decode(row.raw)
        for found in row.found or ():
            if found.code in codes:
                fix = _fix(row.raw, found)
                self._found.append(in_row(found, row, row.raw, source.name, self._places, self._target, fix))


def _fix(raw: bytes | None, found: Finding) -> str | None:
    """Tell whether `fix` can mend a finding; only rows that are lines are mended where they stand."""
    if raw is None:
        return None
    from phi3data.fixes.row import fixable

    return fixable(raw, found)
