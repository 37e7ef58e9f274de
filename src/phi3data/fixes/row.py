"""One line of a file: fixes tried one after the other, until no one changes anything more.

A fix stays only if it broke nothing: a finding of severity error that was not there before undoes it. What could not be
seen before (the turns of a row that was no JSON) is not held against it.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Literal

import msgspec

from phi3data.findings import Finding
from phi3data.fixes import FIXES
from phi3data.fixes.change import Change, changes
from phi3data.rules import RULES, tools
from phi3data.sources.formats import chat
from phi3data.sources.formats.base import UnconvertibleError
from phi3data.text import jsonline

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from phi3data.fixes import Fix

    Lint = Callable[[bytes], Sequence[Finding]]

_ROUNDS = 100  # fixes of one line: each code that has one, twice over
# How far a line is read: as JSON, as a row, as a conversation. What is wrong at one of these hides the later ones.
_LINE, _SHAPE, _CONVERSATION = range(3)


class Fixed(msgspec.Struct, frozen=True):
    """The lines to write instead of one, and what was done. The line itself and nothing done if there was no need."""

    lines: tuple[bytes, ...]
    done: tuple[Change, ...] = ()


def fix_row(raw: bytes, lint: Lint, codes: Collection[str], *, unsafe: bool) -> Fixed:
    """Fix one line, without its end.

    `lint` gives all findings of a line as it stands in a file; only those with one of `codes` are fixed, and only by
    safe fixes unless `unsafe`. Fixing what comes out changes nothing.
    """
    todo = [_Part(raw, list(lint(raw)), _ROUNDS)]
    lines: list[bytes] = []
    done: list[Change] = []
    while todo:
        part = todo.pop()
        found = {finding.code for finding in part.found} if part.rounds else set()
        fixes = [FIXES[code] for code in FIXES if code in found and code in codes] if found else []
        step = next((step for fix in fixes if (fix.safe or unsafe) and (step := _try(fix, part, lint))), None)
        if step is None:
            lines.append(part.line)
            continue
        done += step.done
        todo += reversed(step.parts)
    return Fixed(tuple(lines), tuple(done))


class _Part(msgspec.Struct, frozen=True):
    """A line, its findings, and how many fixes may still be made: no two of them can go on for ever."""

    line: bytes
    found: list[Finding]
    rounds: int


class _Step(msgspec.Struct, frozen=True):
    """What one fix made of a line: the lines with their findings."""

    parts: list[_Part]
    done: list[Change]


def _try(fix: Fix, part: _Part, lint: Lint) -> _Step | None:
    """Return what a fix makes of a line; None if it could do nothing, or would do harm."""
    own = [finding for finding in part.found if finding.code == fix.code]
    lines = fix.apply(part.line, own)
    if lines == [part.line]:
        return None
    parts = [_Part(line, list(lint(line)), part.rounds - 1) for line in lines]
    after = [finding for each in parts for finding in each.found]
    depth = _depth(part.line)
    return None if _errors(after, depth) - _errors(part.found, depth) else _Step(parts, changes(part.line, lines, own))


def _depth(line: bytes) -> int:
    """Tell how far a line can be read."""
    value = jsonline.decode(line.removeprefix(jsonline.BOM))
    if isinstance(value, Finding):
        return _LINE
    try:
        chat.convert(value if isinstance(value, dict) else {})
    except UnconvertibleError:
        return _SHAPE
    return _CONVERSATION


def _level(code: str) -> int:
    if code[0] in "FJ":
        return _LINE
    return _SHAPE if code[0] in "SX" or code in _CALLS else _CONVERSATION


_CALLS = {rule.code for rule in tools.RULES}


def _errors(found: Sequence[Finding], depth: int) -> Counter[str]:
    """Count findings of severity error by code, as far as a line that was read to this depth shows them.

    Secrets are left out: no fix makes one, but one may stand there in pieces that a fix joins.
    """
    return Counter(
        finding.code
        for finding in found
        if RULES[finding.code].severity == "error" and _level(finding.code) <= depth and finding.code[0] != "P"
    )


def fixable(raw: bytes, finding: Finding) -> Literal["safe", "unsafe"] | None:
    """Tell whether the fix of a finding would change anything, by trying it; None where there is no such fix."""
    fix = FIXES.get(finding.code)
    if fix is None or fix.apply(raw, [finding]) == [raw]:
        return None
    return "safe" if fix.safe else "unsafe"
