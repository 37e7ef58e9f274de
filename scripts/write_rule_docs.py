#!/usr/bin/env python3
"""Write docs/rules.md from the rules, so that there is one text for each."""

from __future__ import annotations

from itertools import groupby
from pathlib import Path

from phi3data.report.lint.explain import FAMILIES, OTHER, family, markdown
from phi3data.rules import RULES

_HEAD = """# The rules

Made from `src/phi3data/rules` by `scripts/write_rule_docs.py`. `phi3data rule CODE` says the same in the terminal,
`phi3data rules` lists them. `phi3data check` takes codes and beginnings of codes: `--select R,T6`, `--ignore C5`. The
examples are run by the tests; ⟨U+0001⟩ stands for the character of that number.

"""
_FAMILIES = [*FAMILIES.values(), OTHER]


def page() -> str:
    """Return the whole page: a table of all rules, then each with its text and examples."""
    rules = sorted(RULES.values(), key=lambda rule: (_FAMILIES.index(family(rule.code)), rule.code))
    lines = ["| code | name | severity | finds |", "|---|---|---|---|"]
    lines += [
        f"| [{rule.code}](#{anchor(rule.code, rule.name)}) | {rule.name} | {rule.severity} | {_cell(rule.title)} |"
        for rule in rules
    ]
    for name, of_family in groupby(rules, lambda rule: family(rule.code)):
        lines += ["", f"## {name[:1].upper()}{name[1:]}"]
        for rule in of_family:
            lines += ["", f"### {heading(rule.code, rule.name)}", "", _text(markdown(rule)).rstrip()]
    return _HEAD + "\n".join(lines) + "\n"


def heading(code: str, name: str) -> str:
    return code if code == name else f"{code} {name}"


def anchor(code: str, name: str) -> str:
    """Return the anchor that GitHub makes of a heading."""
    return heading(code, name).lower().replace(" ", "-")


def _text(markdown: str) -> str:
    """Keep tags in a sentence from being taken for HTML; code blocks stay."""
    parts = markdown.split("```")
    parts[::2] = [part.replace("<", "&lt;") for part in parts[::2]]
    return "```".join(parts)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    (Path(__file__).parents[1] / "docs" / "rules.md").write_text(page(), "utf-8")
