"""A finding with its place in a file."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.findings import Finding, Severity
from phi3data.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phi3data.lint.project import Beside
    from phi3data.rules.placed import Placed
    from phi3data.sources.places import Places
    from phi3data.sources.source import Raw
    from phi3data.targets import TargetProfile


class Located(msgspec.Struct, frozen=True):
    """A finding with its place.

    Lines and columns are 1-based; columns count code points, and the end is exclusive. `record` is the number of the
    row in its file, from 1; None for what concerns the whole file. `fix` says whether `phi3data fix` can mend it.
    `fingerprint` is made of the code, the row and the pointer, so that it stays the same where the row moves; of what
    concerns a whole file, of the file's path from the folder of the configuration instead of a row.
    """

    code: str
    name: str
    severity: Severity
    message: str
    path: str
    line: int
    column: int | None
    end_column: int | None
    pointer: str
    fingerprint: str
    fix: str | None
    record: int | None = None


class Skipped(msgspec.Struct, frozen=True):
    """A rule that could not run, and why."""

    code: str
    reason: str


def summary(findings: Sequence[Located], rows: int, files: int) -> dict[str, Any]:
    """Return the counts of a run, as `--output json` says them."""
    codes = Counter(found.code for found in findings)
    return {"files": files, "rows": rows, "findings": len(findings), "codes": dict(codes)}


def in_row(
    found: Finding, raw: Raw, line: bytes | None, path: str, places: Places, target: TargetProfile, fix: str | None
) -> Located:
    """Place a finding of a row; `line` are the row's bytes, where it stands in the file as it is."""
    row = (line or b"").strip() if isinstance(raw.value, Finding) else msgspec.json.encode(raw.value, order="sorted")
    place = places.of(raw, found.pointer, column=found.column, character=found.character, length=found.length)
    rule = RULES[found.code]
    return Located(
        code=found.code,
        name=rule.name,
        severity=target.severity(found.code, rule.severity),
        message=found.message,
        path=path,
        line=place.line,
        column=place.column,
        end_column=place.end_column,
        pointer=found.pointer,
        fingerprint=fingerprint(found, row),
        fix=fix,
        record=raw.record + 1,
    )


def in_file(placed: Placed, path: str, about: str, target: TargetProfile, fix: str | None) -> Located:
    """Place a finding of a whole file, or data set. `about` is the path that identifies the file; "" for a data set."""
    found, rule = placed.finding, RULES[placed.finding.code]
    return Located(
        code=found.code,
        name=rule.name,
        severity=placed.severity or target.severity(found.code, rule.severity),
        message=found.message,
        path=path,
        line=placed.line or 1,
        column=found.column,
        end_column=None if found.column is None else found.column + 1,
        pointer=found.pointer,
        fingerprint=fingerprint(found, about.encode("utf-8", "surrogateescape")),
        fix=fix,
    )


def beside(found: Beside, target: TargetProfile, fix: str | None) -> Located:
    """Place a finding of a row beside another row."""
    finding, rule = found.finding, RULES[found.finding.code]
    return Located(
        code=finding.code,
        name=rule.name,
        severity=target.severity(finding.code, rule.severity),
        message=finding.message,
        path=found.path,
        line=found.line,
        column=None,
        end_column=None,
        pointer="",
        fingerprint=fingerprint(finding, found.key.to_bytes(8)),
        fix=fix,
        record=found.record,
    )


def fingerprint(found: Finding, row: bytes) -> str:
    """Return what identifies a finding wherever its row stands: code, row (or file) and pointer, as sha256 in hex."""
    from hashlib import sha256

    return sha256(b"\0".join((found.code.encode(), row, found.pointer.encode("utf-8", "surrogatepass")))).hexdigest()
