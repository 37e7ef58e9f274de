"""The rules by code. Adding a rule is adding it to the module of its family."""

from __future__ import annotations

from phi3data.rules import content, line, schema, template, turns
from phi3data.rules.base import Rule

RULES: dict[str, Rule] = {
    rule.code: rule for family in (line, schema, turns, template, content) for rule in family.RULES
}


def title(code: str) -> str:
    """Return what a reason code says, in a few words; the code itself where there is no rule for it."""
    rule = RULES.get(code)
    return rule.title if rule else code.replace("-", " ")


__all__ = ["RULES", "Rule", "title"]
