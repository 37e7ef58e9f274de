"""Reports of a lint run, one module per format. Only the module of the format asked for is loaded.

text     for people: the place, the message, the line with a caret, a table of the rules at the end
json     one object with everything; jsonl: one finding a line
github   workflow commands, which become annotations of a pull request
sarif    SARIF 2.1.0, for code scanning
junit    JUnit XML, for CI servers that show tests
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from phi3data.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from phi3data.report.lint.results import Reporter

# Format → (module, function).
REPORTERS: dict[str, tuple[str, str]] = {
    "text": ("text", "report"),
    "json": ("document", "report"),
    "jsonl": ("document", "report_lines"),
    "github": ("github", "report"),
    "sarif": ("sarif", "report"),
    "junit": ("junit", "report"),
}


def reporter(name: str) -> Reporter:
    """Return the function that writes a format; loads its module. Raises `UsageError` for an unknown format."""
    if name not in REPORTERS:
        raise UsageError(f"unknown format '{name}'{did_you_mean(name, REPORTERS) or ': ' + ', '.join(REPORTERS)}")
    module, function = REPORTERS[name]
    found: Reporter = getattr(import_module(f"phi3data.report.lint.{module}"), function)
    return found
