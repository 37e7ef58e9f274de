"""sarif: SARIF 2.1.0, for code scanning.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

from collections import Counter
from pathlib import PurePath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import msgspec

from phi3data.report.lint.explain import family, markdown, sentence
from phi3data.report.lint.results import SEVERITIES, encoded, relative
from phi3data.rules import RULES
from phi3data.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from phi3data.findings import Severity
    from phi3data.lint import Located
    from phi3data.report.lint.results import Options, Results

# GitHub shows the first 5,000 results of a run, and refuses a file with more than 25,000.
MOST = 5000
_LEVELS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "note"}
# The words that GitHub sorts alerts by.
_PROBLEM: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "recommendation"}
_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_ROOT = {"description": {"text": "The root of the repository; the current directory where there is none."}}


def report(results: Results, options: Options) -> Iterator[str]:
    """Yield the log: one run, its rules, and at most 5,000 results, the most severe ones."""
    chosen = _most_severe(results.findings)
    codes = list(dict.fromkeys(found.code for found in chosen))
    index = {code: number for number, code in enumerate(codes)}
    first = {found.code: found for found in reversed(chosen)}
    run = {
        "tool": {
            "driver": {
                "name": "phi3data",
                "version": VERSION,
                "semanticVersion": VERSION,
                "rules": [_rule(first[code]) for code in codes],
            }
        },
        "invocations": [{"executionSuccessful": True, **_notifications(results, chosen)}],
        "originalUriBaseIds": {"%SRCROOT%": _ROOT},
        "columnKind": "unicodeCodePoints",
        "results": [_result(found, index[found.code], options) for found in chosen],
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    yield msgspec.json.format(encoded(log), indent=2).decode() + "\n"


def _most_severe(findings: Sequence[Located]) -> list[Located]:
    """Return at most 5,000 findings in their order; where there are more, errors go before warnings."""
    if len(findings) <= MOST:
        return list(findings)
    by_severity = sorted(range(len(findings)), key=lambda at: SEVERITIES.index(findings[at].severity))
    return [findings[at] for at in sorted(by_severity[:MOST])]


def _rule(found: Located) -> dict[str, Any]:
    rule = RULES.get(found.code)
    described: dict[str, Any] = {"id": found.code, "name": found.name}
    if rule is not None:
        text = f"{sentence(rule.title)} {rule.why}"
        described["shortDescription"] = {"text": rule.title}
        described["fullDescription"] = {"text": rule.why}
        described["help"] = {"text": text, "markdown": markdown(rule)}
    described["defaultConfiguration"] = {"level": _LEVELS[found.severity]}
    described["properties"] = {"tags": [family(found.code)], "problem.severity": _PROBLEM[found.severity]}
    return described


def _result(found: Located, rule: int, options: Options) -> dict[str, Any]:
    region = {"startLine": found.line}
    if found.column is not None:
        region["startColumn"] = found.column
        if found.end_column is not None:
            region["endColumn"] = found.end_column
    location: dict[str, Any] = {
        "physicalLocation": {"artifactLocation": _artifact(found.path, options), "region": region}
    }
    if found.pointer:
        location["logicalLocations"] = [{"fullyQualifiedName": found.pointer, "kind": "value"}]
    result: dict[str, Any] = {
        "ruleId": found.code,
        "ruleIndex": rule,
        "level": _LEVELS[found.severity],
        "message": {"text": found.message},
        "locations": [location],
        "partialFingerprints": {"phi3data/v1": found.fingerprint},
    }
    if found.fix is not None:
        result["properties"] = {"fix": found.fix}
    return result


def _artifact(path: str, options: Options) -> dict[str, str]:
    name = relative(path, options.root)
    uri = quote(name.encode("utf-8", "backslashreplace"))
    if PurePath(name).is_absolute():
        return {"uri": f"file://{uri}" if uri.startswith("/") else f"file:///{uri}"}
    return {"uri": uri, "uriBaseId": "%SRCROOT%"}


def _notifications(results: Results, chosen: list[Located]) -> dict[str, Any]:
    """Return what the log has to say about itself: results left out, rules that could not run."""
    said: dict[str, Any] = {}
    if len(chosen) < len(results.findings):
        left_out = Counter(found.code for found in results.findings)
        left_out.subtract(found.code for found in chosen)
        codes = ", ".join(f"{count:,} {code}" for code, count in sorted(left_out.items()) if count)
        text = f"showing {len(chosen):,} of {len(results.findings):,} findings, errors first; left out: {codes}"
        said["toolExecutionNotifications"] = [{"level": "warning", "message": {"text": text}}]
    if results.skipped:
        said["toolConfigurationNotifications"] = [
            {"level": "note", "message": {"text": f"{item.code} did not run: {item.reason}"}}
            for item in results.skipped
        ]
    return said
