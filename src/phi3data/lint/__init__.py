"""Lint: chat files against the rules, without changing anything. Loads nothing heavy.

Follow a row: `opening.py` opens the file and looks at it from outside, `rows.py` takes a part of it row by row,
`conversation.py` looks at what is said, `dataset.py` adds up what rows show together, `located.py` says where it is.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data import family, targets
from phi3data.errors import UsageError, did_you_mean
from phi3data.lint.conversation import Plan, judge, wanted
from phi3data.lint.dataset import FileFacts
from phi3data.lint.located import Located, in_file
from phi3data.lint.opening import Opened, inputs, open_input
from phi3data.lint.rows import Job, lint
from phi3data.rules import RULES
from phi3data.sources import lines
from phi3data.sources.files import Scratch
from phi3data.sources.open import plan as cut
from phi3data.sources.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from phi3data.lint.rows import Linted
    from phi3data.rules.placed import Placed
    from phi3data.sources.source import Shard


class CheckResult(msgspec.Struct):
    """What linting found.

    `rows` counts the rows looked at; `paths` are the files, the clean ones too; `sources` are those of them that could
    be read, as they can be read again; `notes` are about the model and its tokenizer.
    """

    findings: list[Located]
    rows: int
    paths: list[str]
    notes: tuple[str, ...] = ()
    sources: list[Source] = []

    @property
    def files(self) -> int:
        """How many files were looked at."""
        return len(self.paths)

    @property
    def ok(self) -> bool:
        """Whether nothing worse than an information was found."""
        return not any(found.severity != "info" for found in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return what `--output json` prints."""
        counts: dict[str, int] = {}
        for found in self.findings:
            counts[found.code] = counts.get(found.code, 0) + 1
        summary = {"files": self.files, "rows": self.rows, "findings": len(self.findings), "codes": counts}
        return {"findings": msgspec.to_builtins(self.findings), "summary": summary, "skipped": []}


def check(
    source: Any,
    *,
    select: str | Iterable[str] = (),
    ignore: str | Iterable[str] = (),
    encoding: str | None = None,
    model: str = family.DEFAULT,
    tokenizer: str | Path | None = None,
    target: str = targets.DEFAULT,
    workers: int = 1,
    work: Path | Scratch | None = None,
) -> CheckResult:
    """Lint chat rows; `select` and `ignore` are codes or prefixes of codes, a list or separated by commas.

    `source` is a path, a list of paths, or rows in memory. `model` decides what its chat template drops, which control
    tokens there are and how long a row may be; `tokenizer` (a directory or hub name) makes lengths exact. `target` is
    where the data goes: what it accepts decides some of the rules. `workers` are processes; the result is the same for
    any number. Inputs that cannot be read in place are copied to the folder `work`, where they stay for whoever reads
    `sources`; else to a temporary one.

    Raises `UsageError` for an unknown code, model or tokenizer, and `InputError` for a file that cannot be used at all.
    """
    run = _Run(source, _plan(select, ignore, model, tokenizer, target), encoding, workers)
    with Scratch() as scratch:
        findings = list(run.findings(work or scratch))
    note = judge(run.plan).tokenizer.note
    paths = [opened.name for opened in run.opened]
    sources = [opened.source for opened in run.opened if opened.source is not None]
    return CheckResult(findings, run.rows, paths, (note,) if note else (), sources)


def iter_findings(
    source: Any,
    *,
    select: str | Iterable[str] = (),
    ignore: str | Iterable[str] = (),
    encoding: str | None = None,
    model: str = family.DEFAULT,
    tokenizer: str | Path | None = None,
    target: str = targets.DEFAULT,
    workers: int = 1,
) -> Iterator[Located]:
    """Lint as `check` does, yielding each finding as it is found, in bounded memory."""
    run = _Run(source, _plan(select, ignore, model, tokenizer, target), encoding, workers)
    return run.alone()


def _plan(
    select: str | Iterable[str], ignore: str | Iterable[str], model: str, tokenizer: str | Path | None, target: str
) -> Plan:
    codes = wanted(_codes(select), _codes(ignore))
    plan = Plan(codes, model, None if tokenizer is None else str(tokenizer), targets.target(target).name)
    judge(plan)  # raises for an unknown model or tokenizer before any file is read
    return plan


def _codes(given: str | Iterable[str]) -> tuple[str, ...]:
    codes = given.split(",") if isinstance(given, str) else given
    found = tuple(code.strip() for code in codes if code.strip())
    for code in found:
        if not any(known.startswith(code) for known in RULES):
            raise UsageError(f"unknown rule '{code}'{did_you_mean(code, RULES)}")
    return found


class _Run:
    """One run over some inputs. What it counts is complete when all findings were taken."""

    def __init__(self, source: Any, plan: Plan, encoding: str | None, workers: int) -> None:
        self.plan, self.rows = plan, 0
        self.opened: list[Opened] = []
        self._inputs, self._encoding, self._workers = inputs(source), encoding, workers
        self._shards: list[list[Shard]] = []
        self._before = (0, 0)  # lines and records of the file so far

    def alone(self) -> Iterator[Located]:
        """Yield the findings, with a temporary folder of its own."""
        with Scratch() as work:
            yield from self.findings(work)

    def findings(self, work: Path | Scratch) -> Iterator[Located]:
        """Yield the findings file by file: of the file from outside, of its rows, of its rows together."""
        target = targets.target(self.plan.target)
        for index, item in enumerate(self._inputs):
            opened = open_input(item, index, self._encoding, work, target)
            self.opened.append(opened)
            self._shards.append([] if opened.source is None else list(cut([opened.source])))
        workers = min(self._workers, sum(map(len, self._shards)))
        parts = self._in_parallel(workers) if workers > 1 else map(lint, self._jobs(ahead=False))
        for opened, shards in zip(self.opened, self._shards, strict=True):
            yield from self._placed(opened.findings, opened.name, target)
            facts = FileFacts(target)
            for part in islice(parts, len(shards)):
                self._before = (self._before[0] + part.lines, self._before[1] + part.records)
                facts.merge(part.facts)
                yield from part.findings
            self._before = (0, 0)
            self.rows += facts.rows
            yield from self._placed(facts.findings(), opened.name, target)

    def _in_parallel(self, workers: int) -> Iterator[Linted]:
        from phi3data.workers import in_order, pool

        with pool(workers) as submit:
            yield from in_order(submit, lint, self._jobs(ahead=True))

    def _jobs(self, *, ahead: bool) -> Iterator[Job]:
        """Yield the parts of all files with the number of lines before each; `ahead` of reading, these are counted."""
        for opened, shards in zip(self.opened, self._shards, strict=True):
            line = 0
            for shard in shards:
                assert opened.source is not None
                if shard.line >= 0:
                    yield Job(opened.source, shard, shard.line, shard.record, self.plan)
                elif ahead:
                    yield Job(opened.source, shard, line, line, self.plan)
                else:
                    yield Job(opened.source, shard, *self._before, self.plan)
                if ahead and opened.source.layout == "lines":
                    line += lines.block(opened.source, shard).total

    def _placed(self, findings: Iterable[Placed], name: str, target: targets.TargetProfile) -> Iterator[Located]:
        for placed in findings:
            if placed.finding.code in self.plan.codes:
                yield in_file(placed, name, target, None)


__all__ = ["CheckResult", "Located", "check", "iter_findings"]
