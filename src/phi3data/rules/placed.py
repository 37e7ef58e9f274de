"""A finding that is not of one row: of a file, or of many rows together."""

from __future__ import annotations

import msgspec

from phi3data.findings import Finding, Severity


class Placed(msgspec.Struct, frozen=True):
    """A finding and its line, 1-based; None where it is the whole file's.

    `severity` is set where it depends on what was found, else the rule and the target decide. `fix`, safe or unsafe, is
    set where rows are mended one by one, else the rule decides.
    """

    finding: Finding
    line: int | None = None
    severity: Severity | None = None
    fix: str | None = None
