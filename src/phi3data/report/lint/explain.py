"""A rule's one text, as the terminal, the docs page and SARIF show it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data.fixes import FILE_FIXES, FIXES
from phi3data.rules.options import described
from phi3data.text.visible import one_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3data.rules import Rule

# The letter that codes begin with → what such rules look at, as in the catalogue.
FAMILIES = {
    "F": "file",
    "J": "line",
    "S": "schema",
    "R": "turns",
    "C": "content",
    "T": "template and tokens",
    "L": "length",
    "D": "data set",
    "G": "function calls",
    "P": "privacy and safety",
    "X": "preference rows",
    "Z": "the linter itself",
}
OTHER = "reasons of prepare that are no rules"
_LONGEST = 300  # characters of an example that are shown; the whole is run by the tests


def family(code: str) -> str:
    """Return what a code's rule looks at."""
    return FAMILIES.get(code[:1], OTHER) if code[1:].isdigit() else OTHER


def example(line: str) -> str:
    """Return an example line fit to be shown: unseen characters visible, not longer than 300 characters."""
    if len(line) <= _LONGEST:
        return one_line(line)
    return f"{one_line(line[:40])}… ({len(line):,} characters)"


def facts(rule: Rule) -> Iterator[tuple[str, str]]:
    """Yield what there is to know of a rule beside its text: name of the fact, the fact."""
    yield "severity", rule.severity
    yield "looks at", family(rule.code)
    fix = FIXES.get(rule.code) or FILE_FIXES.get(rule.code)
    if fix is not None:
        yield "fix" if fix.safe else "unsafe fix", f"{fix.does[:1].lower()}{fix.does[1:]}"
    for name, default, meaning in described(rule.code):
        yield "option", f"{name}{'' if default is None else f' = {default:g}'}: {meaning}"
    if rule.model:
        yield "model", rule.model


def markdown(rule: Rule) -> str:
    """Return the explanation as Markdown, without a heading."""
    lines = [f"{sentence(rule.title)} {rule.why}", ""]
    lines += [f"- {name}: {fact}" for name, fact in facts(rule)]
    for title, line in examples(rule):
        lines += ["", f"{title}:", "", "```json", example(line), "```"]
    return "\n".join(lines) + "\n"


def examples(rule: Rule) -> Iterator[tuple[str, str]]:
    """Yield the examples with what they show."""
    if rule.fires is not None:
        yield "Fires on", rule.fires
    if rule.silent is not None:
        yield "Silent on", rule.silent


def sentence(title: str) -> str:
    """Return a title as a sentence of its own."""
    return f"{title[:1].upper()}{title[1:]}."
