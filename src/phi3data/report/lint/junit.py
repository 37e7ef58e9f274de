"""junit: JUnit XML. A suite is a file, a case a rule that found something in it.

A clean file has one case, which passes. Findings that are mere information do not fail: their case passes and prints
them.
"""

from __future__ import annotations

import re
from html import escape
from typing import TYPE_CHECKING

from phi3data.text.visible import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3data.lint import Located
    from phi3data.report.lint.results import Options, Results

_WHITE = re.compile("[\t\n]")


def report(results: Results, options: Options) -> Iterator[str]:  # noqa: ARG001 (a reporter's arguments)
    """Yield the XML, suite by suite."""
    cases: dict[str, dict[str, list[Located]]] = {path: {} for path in results.paths}
    for found in results.findings:
        cases.setdefault(found.path, {}).setdefault(found.code, []).append(found)
    tests = sum(max(len(codes), 1) for codes in cases.values())
    failures = sum(_fails(findings) for codes in cases.values() for findings in codes.values())
    yield '<?xml version="1.0" encoding="utf-8"?>\n'
    yield f'<testsuites name="phi3data check" tests="{tests}" failures="{failures}" errors="0">\n'
    for path, codes in cases.items():
        failures = sum(map(_fails, codes.values()))
        name = _attribute(path)
        yield f'  <testsuite name="{name}" tests="{max(len(codes), 1)}" failures="{failures}" errors="0">\n'
        for findings in codes.values():
            yield from _case(name, findings)
        if not codes:
            yield f'    <testcase classname="{name}" name="no findings"/>\n'
        yield "  </testsuite>\n"
    yield "</testsuites>\n"


def _fails(findings: list[Located]) -> bool:
    return any(found.severity != "info" for found in findings)


def _case(path: str, findings: list[Located]) -> Iterator[str]:
    first = findings[0]
    lines = "\n".join(
        f"{found.path}:{found.line}:{found.column or 1}: {found.message} {found.pointer}".rstrip() for found in findings
    )
    yield f'    <testcase classname="{path}" name="{_attribute(f"{first.code} {first.name}")}">\n'
    if _fails(findings):
        many = f" (and {len(findings) - 1:,} more)" if len(findings) > 1 else ""
        message = _attribute(f"line {first.line}: {first.message}{many}")
        yield f'      <failure type="{first.severity}" message="{message}">{_text(lines)}</failure>\n'
    else:
        yield f"      <system-out>{_text(lines)}</system-out>\n"
    yield "    </testcase>\n"


def _text(text: str) -> str:
    """Return `text` as XML takes it. What XML 1.0 forbids is unseen, so `plain` writes its number."""
    return escape(plain(text), quote=False)


def _attribute(text: str) -> str:
    """Return `text` for an attribute, in which a reader would turn tabs and line ends into blanks."""
    return escape(_WHITE.sub(" ", plain(text)))
