"""Lint: chat files against the rules, without changing anything. Loads nothing heavy.

Follow a row: `opening.py` opens the file and looks at it from outside, `run.py` cuts it, `rows.py` takes a part of it
row by row (many at a time where `sifted.py` can), `shape.py` says what a row is that is no plain one, `conversation.py`
looks at what is said, `dataset.py` adds up what the rows of a file show together, `project.py` what those of all files
do, `located.py` says where it is.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data import family, targets
from phi3data.errors import UsageError, did_you_mean
from phi3data.lint.conversation import Plan, judge
from phi3data.lint.located import Located, Skipped, in_file, summary
from phi3data.lint.opening import inputs
from phi3data.lint.run import Run
from phi3data.rules import RULES
from phi3data.rules.options import DEFAULTS
from phi3data.settings import Allowances, Settings
from phi3data.settings.patterns import relative
from phi3data.sources.files import Scratch
from phi3data.sources.source import Source

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from phi3data.lint.run import FindSimilar
    from phi3data.rules.options import Thresholds


class CheckResult(msgspec.Struct):
    """What linting found.

    `rows` counts the rows looked at; `paths` are the files, the clean ones too; `sources` are those of them that could
    be read, as they can be read again; `notes` are about the model and its tokenizer; `skipped` are the rules that
    could not run.
    """

    findings: list[Located]
    rows: int
    paths: list[str]
    notes: tuple[str, ...] = ()
    sources: list[Source] = []
    skipped: tuple[Skipped, ...] = ()

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
        return {
            "findings": msgspec.to_builtins(self.findings),
            "summary": summary(self.findings, self.rows, self.files),
            "skipped": msgspec.to_builtins(self.skipped),
        }


def check(
    source: Any,
    *,
    select: str | Iterable[str] = (),
    ignore: str | Iterable[str] = (),
    encoding: str | None = None,
    model: str = family.DEFAULT,
    tokenizer: str | Path | None = None,
    target: str = targets.DEFAULT,
    project: bool = False,
    splits: Mapping[str, Iterable[str | Path]] | None = None,
    similar: FindSimilar | None = None,
    against: str | Path | Iterable[str | Path] = (),
    settings: Settings | None = None,
    force_exclude: bool = False,
    stdin_filename: str | None = None,
    workers: int | None = 1,
    work: Path | Scratch | None = None,
) -> CheckResult:
    """Lint chat rows; `select` and `ignore` are codes or prefixes of codes, a list or separated by commas.

    `source` is a path, a list of paths, or rows in memory. `model` decides what its chat template drops, which control
    tokens there are and how long a row may be; `tokenizer` (a directory or hub name) makes lengths exact. `target` is
    where the data goes: what it accepts decides some of the rules. `project` looks at all rows beside each other, as
    one data set; `splits` are the paths of train, validation and test where their names do not tell, and `similar` is
    `phi3data.similar`, where similar texts are looked for too. `against` are files of benchmarks, of any format: rows
    that say what they ask are named. Both need the extra data. `settings` are those of a project
    (`phi3data.settings`): which rules for which paths, thresholds, what is left out (with `force_exclude` also where it
    is named) and what is allowed; none are looked for. `stdin_filename` names what comes from standard input.
    `workers` are processes, as many as pay where None; the result is the same for any number. Inputs that cannot be
    read in place are copied to the folder `work`, where they stay for whoever reads `sources`; else to a temporary one.

    Raises `UsageError` for an unknown code, model or tokenizer, and `InputError` for a file that cannot be used at all.
    """
    settings = (settings or Settings(Path())).over(_codes(select), _codes(ignore))
    plan = _plan(model, tokenizer, target, settings.keys.rules)
    of_splits = {str(Path(path).absolute()): name for name, paths in (splits or {}).items() for path in paths}
    items = inputs(source, settings, force_exclude=force_exclude, stdin_filename=stdin_filename)
    named = [against] if isinstance(against, str | Path) else against
    run = Run(
        items,
        plan,
        settings,
        encoding=encoding,
        project=project,
        splits=of_splits,
        against=[str(path) for path in named],
        workers=workers,
    )
    run.similar = similar
    allowances = Allowances(settings)
    with Scratch() as scratch:
        findings = [found for found in run.findings(work or scratch) if not allowances.allows(found)]
    note = judge(plan).tokenizer.note
    paths = [opened.name for opened in run.opened]
    sources = [opened.source for opened in run.opened if opened.source is not None]
    if settings.file is not None:
        name, chosen = os.path.relpath(settings.file), targets.target(target)
        about = allowances.notes(paths, whole_project=project)
        own = relative(str(settings.file), settings.root)
        findings += [in_file(placed, name, own, chosen, None) for placed in about]
    return CheckResult(findings, run.rows, paths, (note,) if note else (), sources, tuple(run.skipped()))


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
    settings = Settings(Path()).over(_codes(select), _codes(ignore))
    run = Run(inputs(source, settings), _plan(model, tokenizer, target), settings, encoding=encoding, workers=workers)
    return _alone(run)


def _alone(run: Run) -> Iterator[Located]:
    with Scratch() as work:
        yield from run.findings(work)


def _plan(model: str, tokenizer: str | Path | None, target: str, options: Thresholds = DEFAULTS) -> Plan:
    tokenizer = None if tokenizer is None else str(tokenizer)
    plan = Plan(frozenset(RULES), model, tokenizer, targets.target(target).name, options)
    judge(plan)  # raises for an unknown model or tokenizer before any file is read
    return plan


def _codes(given: str | Iterable[str]) -> tuple[str, ...]:
    codes = given.split(",") if isinstance(given, str) else given
    found = tuple(code.strip() for code in codes if code.strip())
    for code in found:
        if not any(known.startswith(code) for known in RULES):
            raise UsageError(f"unknown rule '{code}'{did_you_mean(code, RULES)}")
    return found


__all__ = ["CheckResult", "Located", "check", "iter_findings"]
