"""The rules by code. Adding a rule is adding it to the module of its family."""

from __future__ import annotations

from phi3data.rules import (
    balance,
    configuration,
    content,
    file,
    foreign,
    length,
    line,
    preference,
    privacy,
    schema,
    template,
    tools,
    turns,
)
from phi3data.rules.base import Rule

_FAMILIES = (
    file,
    line,
    schema,
    turns,
    template,
    tools,
    foreign,
    content,
    length,
    balance,
    privacy,
    preference,
    configuration,
)
RULES: dict[str, Rule] = {rule.code: rule for family in _FAMILIES for rule in family.RULES}


def title(code: str) -> str:
    """Return what a reason code says, in a few words; the code itself where there is no rule for it."""
    rule = RULES.get(code)
    return rule.title if rule else code.replace("-", " ")


__all__ = ["RULES", "Rule", "title"]
