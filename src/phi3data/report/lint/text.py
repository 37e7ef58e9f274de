"""text: for people. Place, code, message, pointer; the line with a caret; at the end a table of the rules.

Nothing of the data reaches the terminal as it is: control characters are shown by their numbers.
"""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING

import click

from phi3data.report.lint.excerpt import Excerpts
from phi3data.report.lint.results import capped
from phi3data.text.visible import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from phi3data.findings import Severity
    from phi3data.lint import Located
    from phi3data.report.lint.results import Options, Results

MAX_PER_RULE = 20
_INDENT = "    "
_LEAST = 16  # cells of an excerpt: on a narrower terminal it wraps
_COLOURS: dict[Severity, str] = {"error": "red", "warning": "yellow", "info": "blue"}
_HEAD = ("rows", "of rows", "fixable", "name")


def report(results: Results, options: Options) -> Iterator[str]:
    """Yield the findings by place, then the table."""
    most = MAX_PER_RULE if options.max_per_rule is None else options.max_per_rule
    shown, more = capped(results.findings, most)
    excerpts = Excerpts(options.raw_of, results.findings, options.width and max(options.width - len(_INDENT), _LEAST))
    spaced = True
    for _, together in groupby(_by_place(shown), key=_place):
        for line in _findings(list(together), excerpts):
            spaced = line == "\n"
            yield line
    if results.findings:
        yield from () if spaced else ("\n",)
        yield from _table(results)
    for sentence in more:
        yield f"{click.style(sentence, fg='yellow')} (--max-per-rule N shows more)\n"
    for item in results.skipped:
        yield f"{click.style(f'{item.code} did not run', fg='yellow')}: {one_line(item.reason)}\n"
    colour = "red" if any(found.severity == "error" for found in results.findings) else "yellow"
    yield click.style(results.headline(), fg=colour if results.findings else "green", bold=True) + "\n"


def _place(found: Located) -> tuple[str | int | None, ...]:
    return found.path, found.line, found.column, found.end_column, found.pointer if found.column is None else ""


def _by_place(findings: Iterable[Located]) -> list[Located]:
    """Sort by file (in the order they were read), line and column, so that what stands together is told together."""
    order: dict[str, int] = {}
    return sorted(findings, key=lambda found: (order.setdefault(found.path, len(order)), found.line, found.column or 0))


def _findings(together: list[Located], excerpts: Excerpts) -> Iterator[str]:
    """Yield findings of one place and the excerpt that they share."""
    for found in together:
        place = click.style(f"{one_line(found.path)}:{found.line}:{found.column or 1}:", bold=True)
        code = click.style(found.code, fg=_COLOURS[found.severity], bold=True)
        pointer = click.style(one_line(found.pointer), dim=True) if found.pointer else ""
        yield f"{place} {code} {one_line(found.message)} {pointer}".rstrip() + "\n"
    excerpt = excerpts.of(together[-1])
    if excerpt is None:
        return
    line, caret = excerpt
    yield f"{_INDENT}{line}\n"
    if caret:
        yield f"{_INDENT}{click.style(caret, fg=_COLOURS[together[0].severity], bold=True)}\n"
    yield "\n"


def _table(results: Results) -> Iterator[str]:
    """Yield how many rows each rule found fault with, and how many of its findings can be fixed."""
    by_code: dict[str, list[Located]] = {}
    for found in results.findings:
        by_code.setdefault(found.code, []).append(found)
    lines = []
    for code, findings in sorted(by_code.items()):
        rows = results.rows_with(findings)
        fixable = sum(found.fix is not None for found in findings)
        cells = (f"{rows:,}", _share(rows, results.rows), f"{fixable:,}" if fixable else "–", findings[0].name)
        lines.append((code, findings[0].severity, cells))
    widths = [max(len(_HEAD[at]), *(len(cells[at]) for _, _, cells in lines)) for at in range(3)]
    first = max(4, *(len(code) for code, _, _ in lines))
    yield click.style(f"{'code':<{first}}  {_row(_HEAD, widths)}", dim=True) + "\n"
    for code, severity, cells in lines:
        yield click.style(f"{code:<{first}}", fg=_COLOURS[severity], bold=True) + f"  {_row(cells, widths)}\n"


def _row(cells: tuple[str, ...], widths: list[int]) -> str:
    numbers = [f"{cell:>{width}}" for cell, width in zip(cells[:-1], widths, strict=True)]
    return "  ".join([*numbers, cells[-1]])


def _share(rows: int, of: int) -> str:
    if not of:
        return "–"
    return "<0.1%" if rows * 1000 < of else f"{rows / of:.1%}"
