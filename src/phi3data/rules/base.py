"""What a rule is. A rule has one text; help, reports, documentation and tests are views of it."""

from __future__ import annotations

import msgspec

from phi3data.findings import Severity


class Rule(msgspec.Struct, frozen=True):
    """One rule. Codes are stable and never reused.

    `fires` and `silent` are one raw line each that the rule finds fault with, and does not; tests run both. They are
    None where a whole file or data set is needed to show the rule. They are meant for `model`, where it matters.
    """

    code: str
    name: str  # kebab-case, as in the catalogue
    severity: Severity
    title: str  # the problem in a few words, for tables
    why: str  # what it does to the training, in one or two sentences
    fires: str | None = None
    silent: str | None = None
    model: str | None = None


GOOD = '{"messages":[{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello!"}]}'
