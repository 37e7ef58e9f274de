"""github: workflow commands, which become annotations. A job shows the first ten of each severity, and logs all.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data.report.lint.results import capped, relative
from phi3data.text.visible import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3data.findings import Severity
    from phi3data.lint import Located
    from phi3data.report.lint.results import Options, Results

_COMMANDS: dict[Severity, str] = {"error": "error", "warning": "warning", "info": "notice"}
_MESSAGE = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A", ":": "%3A", ",": "%2C"})


def report(results: Results, options: Options) -> Iterator[str]:
    """Yield one command a finding, and a notice for each rule that was capped or could not run."""
    shown, more = capped(results.findings, options.max_per_rule)
    for found in shown:
        yield _command(_COMMANDS[found.severity], _properties(found, options), f"{found.message} {found.pointer}")
    for sentence in (*more, *(f"{item.code} did not run: {item.reason}" for item in results.skipped)):
        yield _command("notice", {"title": "phi3data"}, sentence)


def _properties(found: Located, options: Options) -> dict[str, str]:
    properties = {"file": relative(found.path, options.root), "line": str(found.line)}
    if found.column is not None:
        properties["col"] = str(found.column)
    if found.end_column is not None:
        properties["endColumn"] = str(found.end_column)
    return properties | {"title": f"{found.code} {found.name}"}


def _command(name: str, properties: dict[str, str], message: str) -> str:
    written = ",".join(f"{key}={_escaped(value, _PROPERTY)}" for key, value in properties.items())
    return f"::{name} {written}::{_escaped(message.rstrip(), _MESSAGE)}\n"


def _escaped(text: str, table: dict[int, str]) -> str:
    # `plain` keeps terminal sequences of the data out of the log, which would obey them.
    return plain(text.translate(table))
