"""What a reporter is given: the findings with the summary of a run, and how to show them."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.lint.located import Located, Skipped, summary

if TYPE_CHECKING:
    from phi3data.findings import Severity

# (path, line) of a finding → the bytes of that line without its end; None where there is no line to show.
RawOf = Callable[[str, int], bytes | None]

SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")


class Results(msgspec.Struct, frozen=True):
    """The findings of a run in the order of the files, and what was looked at."""

    findings: Sequence[Located]
    rows: int
    paths: Sequence[str]  # of all files looked at, the clean ones too
    skipped: Sequence[Skipped] = ()

    def rows_with(self, findings: Iterable[Located]) -> int:
        """Return in how many rows these findings are; what is of a whole file counts as one."""
        return len({(found.path, found.record or -found.line) for found in findings})

    def summary(self) -> dict[str, Any]:
        """Return what `--output json` says under `summary`."""
        return summary(self.findings, self.rows, len(self.paths))

    def headline(self) -> str:
        """Return the one line that says how much was found."""
        found = plural(len(self.findings), "finding") if self.findings else "no findings"
        return f"{found} in {plural(self.rows, 'row')} of {plural(len(self.paths), 'file')}"


class Options(msgspec.Struct, frozen=True):
    """How to show findings.

    `max_per_rule` caps what is shown to people of each rule (text, github); None is the format's own default.
    `raw_of` reads a line again for its excerpt; `root` is what paths are relative to where a format wants that. `width`
    is that of the terminal, in cells; 0 where there is none.
    """

    max_per_rule: int | None = None
    raw_of: RawOf | None = None
    root: Path = Path()
    width: int = 0


# Yields the text of a report in pieces, styled with ANSI codes where it is for a terminal.
Reporter = Callable[[Results, Options], Iterator[str]]


def plural(count: int, noun: str) -> str:
    """Return ``"1 row"`` or ``"2 rows"``."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def encoded(document: object) -> bytes:
    """Return a document as JSON. Halves of surrogate pairs, which a file's name may hold, are spelled: ``\\udcff``."""
    try:
        return msgspec.json.encode(document)
    except UnicodeEncodeError:
        import json

        text = json.dumps(msgspec.to_builtins(document), ensure_ascii=False)
        return re.sub("[\ud800-\udfff]", lambda half: f"\\\\u{ord(half[0]):04x}", text).encode()


def capped(findings: Sequence[Located], most: int | None) -> tuple[list[Located], list[str]]:
    """Return at most so many findings of each rule, the first ones, and a sentence for each rule that has more."""
    if most is None:
        return list(findings), []
    seen: Counter[str] = Counter()
    shown = []
    for found in findings:
        seen[found.code] += 1
        if seen[found.code] <= most:
            shown.append(found)
    return shown, [f"showing {most:,} of {count:,} {code}" for code, count in sorted(seen.items()) if count > most]


def project_root(start: Path) -> Path:
    """Return the root of the repository that `start` is in, or `start` where there is none."""
    return next((folder for folder in (start, *start.parents) if (folder / ".git").exists()), start)


def relative(path: str, root: Path) -> str:
    """Return a path as seen from `root`, with forward slashes; the absolute path for what is not inside of it.

    What is no file (``<stdin>``) stays as it is.
    """
    if path.startswith("<"):
        return path
    # Not `resolve`: a link is known by its own name in the repository.
    absolute = Path(os.path.abspath(path))  # noqa: PTH100
    try:
        return absolute.relative_to(root.absolute()).as_posix()
    except ValueError:
        return absolute.as_posix()
