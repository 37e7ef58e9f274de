"""``phi3data fix``: mend what ``phi3data check`` finds."""

from __future__ import annotations

import shutil
from collections import Counter
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryFile
from typing import TYPE_CHECKING, Any

import click

from phi3data.cli.linting import AGAINST, OPTIONS, PROJECT, Linting
from phi3data.cli.options import add
from phi3data.errors import InputError, UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from phi3data.findings import Finding
    from phi3data.fixes.file import LineFix
    from phi3data.sources.inputs import Input


@click.command("fix")
@click.argument("paths", nargs=-1)
@click.option("--unsafe-fixes", "unsafe", is_flag=True, help="Also fixes that change text, or drop or reorder rows.")
@click.option("--diff", is_flag=True, help="Show what would change and write nothing; exit 1 if something would.")
@click.option(
    "--ledger", type=click.Path(dir_okay=False, path_type=Path), help="Write every change to this .jsonl file."
)
@add(*OPTIONS, PROJECT, AGAINST)
def fix_command(paths: tuple[str, ...], ledger: Path | None, *, unsafe: bool, diff: bool, **options: Any) -> int:
    """Mend chat rows in PATHS (.jsonl files and directories), in place.

    Safe fixes change no trained token. Files in which nothing is fixed are not touched, and a second run changes
    nothing. Exit 0 when done, 2 if a file cannot be used.
    """
    from phi3data import targets
    from phi3data.fixes.diff import unified
    from phi3data.fixes.file import FixPlan, fix_file
    from phi3data.lint.conversation import Plan
    from phi3data.lint.line import line_linter
    from phi3data.rules import RULES

    linting = Linting(paths, **options)
    destination = targets.target(linting.target)
    codes = _codes(linting.select, linting.ignore)
    lint = line_linter(
        Plan(frozenset(RULES), linting.model, linting.tokenizer, destination.name, linting.settings.keys.rules)
    )
    summary = _Summary()
    items = _inputs(linting, ledger)
    drops, order = _of_others(linting, unsafe=unsafe)
    with _ledger(None if diff else ledger) as keep:
        for item in items:
            wanted = codes & linting.settings.codes(item.name)
            plan = FixPlan(wanted, unsafe, destination, drops.get(item.name, {}), order.get(item.name))
            fixes = summary.counted(item.name, fix_file(item, lint, plan, write=not diff))
            if diff:
                for line in unified(item.name, fixes):
                    click.echo(line)
            else:
                keep(item.name, fixes)
    for line in summary.lines(diff=diff):
        click.echo(line, err=diff)
    return int(diff and bool(summary.codes))


def _of_others(linting: Linting, *, unsafe: bool) -> tuple[dict[str, dict[int, Finding]], dict[str, Finding]]:
    """Return what is to be fixed because of other rows, of the project or of a benchmark.

    The rows that go are by file and line. The order of the rows is by file; of several files for training it says
    nothing that could be mended in one of them.
    """
    from phi3data.findings import Finding
    from phi3data.sources.files import Scratch

    drops: dict[str, dict[int, Finding]] = {}
    order: dict[str, Finding] = {}
    if linting.project or linting.against:
        with Scratch() as work:
            result = linting.check(work, baseline=False)
            for found in result.findings:
                if found.code == "D802" or (unsafe and found.code in {"D803", "D805", "D810"}):
                    drops.setdefault(found.path, {})[found.line] = Finding(found.code, found.message)
                elif found.code == "D807" and len(result.paths) == 1:
                    order[found.path] = Finding(found.code, found.message)
    return drops, order


def _codes(select: str, ignore: str) -> frozenset[str]:
    """Return the codes to fix. Raises `UsageError` for one that no rule, or no rule with a fix, begins with."""
    from phi3data.fixes import FILE_FIXES, FIXES
    from phi3data.rules import RULES

    chosen, left_out = ([code.strip() for code in given.split(",") if code.strip()] for given in (select, ignore))
    having = FIXES.keys() | FILE_FIXES.keys()
    for code in chosen + left_out:
        if not any(known.startswith(code) for known in RULES):
            raise UsageError(f"unknown rule '{code}'{did_you_mean(code, RULES)}")
    for code in chosen:
        if not any(known.startswith(code) for known in having):
            raise UsageError(f"--select {code}: there is no fix for it, phi3data rule {code} explains it")
    return frozenset(
        code for code in having if code.startswith(tuple(chosen) or "") and not code.startswith(tuple(left_out))
    )


def _inputs(linting: Linting, ledger: Path | None) -> list[Input]:
    """Return the files to fix; of a directory those of lines. Raises `InputError` before any file is changed."""
    from phi3data.lint.opening import inputs

    items: list[Input] = []
    for path in linting.paths:
        found = [] if path == "-" else inputs(path, linting.settings, force_exclude=linting.force_exclude)
        items += [item for item in found if item.container == "jsonl"]
        if path == "-" or not all(item.container == "jsonl" for item in found):
            raise InputError(f"{path}: fix writes .jsonl files only: run phi3data convert to make one of it")
    if ledger is not None and any(item.path and item.path.resolve() == ledger.resolve() for item in items):
        raise UsageError(f"--ledger {ledger}: this is one of the files to fix, name another one")
    return items


@contextmanager
def _ledger(path: Path | None) -> Iterator[Callable[[str, Iterable[LineFix]], None]]:
    """Give the function that takes the changes of a file: into the ledger when the file is fixed, or nowhere."""
    from phi3data.fixes.file import ledger

    with path.open("wb") if path else nullcontext() as out:

        def keep(name: str, fixes: Iterable[LineFix]) -> None:
            with TemporaryFile() as file:
                for fix in fixes:
                    if out is not None:
                        file.writelines(ledger(name, fix))
                if out is not None:
                    file.seek(0)
                    shutil.copyfileobj(file, out)

        yield keep


class _Summary:
    """Counts what was fixed."""

    def __init__(self) -> None:
        self.codes: Counter[str] = Counter()
        self._files: set[str] = set()
        self._lines = self._dropped = 0

    def counted(self, name: str, fixes: Iterable[LineFix]) -> Iterator[LineFix]:
        """Pass on the fixes of a file."""
        for fix in fixes:
            self._files.add(name)
            self.codes.update(change.code for change in fix.done)
            if fix.line is not None:
                self._lines += 1
                self._dropped += not fix.after and fix.done[-1].code != "J203"
            yield fix

    def lines(self, *, diff: bool) -> Iterator[str]:
        """Yield a line a code, and one for all."""
        from phi3data.fixes import FILE_FIXES, FIXES
        from phi3data.report.lint.results import plural

        for code, count in sorted(self.codes.items()):
            does = FIXES[code].does if code in FIXES else FILE_FIXES[code].does
            yield f"{count:>7,}  {code}  {does}"
        verb = "would be fixed" if diff else "fixed"
        if not self.codes:
            yield "nothing to fix"
            return
        rows = f", {plural(self._dropped, 'row')} dropped" if self._dropped else ""
        where = f"{plural(self._lines, 'line')} of {plural(len(self._files), 'file')}"
        yield f"{sum(self.codes.values()):,} {verb} in {where}{rows}"
