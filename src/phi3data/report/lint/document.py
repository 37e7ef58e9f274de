"""json and jsonl: everything, uncapped, for programs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from phi3data.report.lint.results import encoded

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3data.report.lint.results import Options, Results


def report(results: Results, options: Options) -> Iterator[str]:  # noqa: ARG001 (a reporter's arguments)
    """Yield one object: findings, summary, skipped."""
    document = {"findings": results.findings, "summary": results.summary(), "skipped": results.skipped}
    yield msgspec.json.format(encoded(document), indent=2).decode() + "\n"


def report_lines(results: Results, options: Options) -> Iterator[str]:  # noqa: ARG001 (a reporter's arguments)
    """Yield one object a line, one for each finding."""
    for found in results.findings:
        yield encoded(found).decode() + "\n"
