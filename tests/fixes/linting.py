"""What finds fault with one line in these tests: the linter's own rules, for a model and a destination."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from phi3data import family, targets
from phi3data.lint.conversation import Plan
from phi3data.lint.line import line_linter
from phi3data.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Callable

    from phi3data.findings import Finding


@cache
def linter(model: str | None = None, target: str = targets.DEFAULT) -> Callable[[bytes], list[Finding]]:
    return line_linter(Plan(frozenset(RULES), model=model or family.DEFAULT, target=target))


def codes(line: bytes, model: str | None = None) -> list[str]:
    return [finding.code for finding in linter(model)(line)]
