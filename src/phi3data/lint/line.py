"""One line against the rules of a line and of its conversation: what `fix` asks before and after it mends a row."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data import targets
from phi3data.lint.conversation import Plan, judge
from phi3data.lint.shape import shape_of
from phi3data.rules import file
from phi3data.rules.typed import FastPath, Plain
from phi3data.sources import lines
from phi3data.sources.reader import Reader, SourceConfig
from phi3data.sources.source import Source

if TYPE_CHECKING:
    from collections.abc import Callable

    from phi3data.findings import Finding


def line_linter(plan: Plan) -> Callable[[bytes], list[Finding]]:
    """Return the function that gives all findings of one line as it stands in a file, after the first line."""
    target, conversations = targets.target(plan.target), judge(plan)
    fast = FastPath(target)
    nowhere = Source(index=0, name="", path="", size=0, container="jsonl", layout="lines", format="chat")
    reader = Reader(nowhere, SourceConfig(format="chat"))

    def lint(raw: bytes) -> list[Finding]:
        plain = fast(raw)
        if isinstance(plain, Plain):  # most rows: nothing can be wrong but what is said, and a raw separator
            between = file.separator(raw)
            said = conversations.many([plain], [len(raw)])
            return [*([between] if between else []), *(finding for _, finding in said)]
        beside = file.beside_rows(raw, 2)
        if beside and beside.code != "F104":
            return [beside]
        found = [each for each in (beside, file.separator(raw)) if each]
        shape = shape_of(lines.decode(raw, last=False), target, lambda: reader)
        said = conversations.many(shape.conversations, [len(raw)] * len(shape.conversations))
        return [*found, *shape.findings, *(finding for _, finding in said)]

    return lint
