"""Z: the linter's own configuration. Found by `settings`."""

from __future__ import annotations

from phi3data.rules.base import Rule

RULES = (
    Rule(
        "Z901",
        "unused-suppression",
        "warning",
        "an allow entry that allowed nothing",
        "What it excused is mended or gone; left in place, it would excuse the next one like it in silence.",
    ),
    Rule(
        "Z902",
        "unknown-code",
        "warning",
        "unknown rule code in the configuration",
        "A misspelt code selects, ignores or allows nothing, and nobody notices.",
    ),
)
