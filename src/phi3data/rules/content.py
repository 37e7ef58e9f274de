"""C, L and D: texts, lengths and duplicates. Found, and mended or dropped, by the steps of `prepare`."""

from __future__ import annotations

from phi3data.rules.base import GOOD, Rule

RULES = (
    Rule(
        "C501",
        "empty-content",
        "error",
        "message without text",
        "The model learns to say nothing, or services drop the row in silence.",
        GOOD.replace("Hello!", "\\u200b"),
        GOOD,
    ),
    Rule(
        "C502",
        "null-like",
        "error",
        "message that stands for nothing (nan, N/A)",
        "A missing value that an export turned into text is trained as an answer.",
        GOOD.replace("Hello!", "nan"),
        GOOD.replace("Hello!", "No"),
    ),
    Rule("C505", "control-char", "warning", "control characters", "Rare tokens that nobody sees."),
    Rule("C506", "invisible-char", "warning", "invisible characters", "Rare tokens that nobody sees, or hidden text."),
    Rule("C512", "csv-damage", "error", "record damaged by a comma or quote", "Text was chopped or merged on export."),
    Rule("C513", "html-residue", "info", "HTML tags or entities", "The model learns to write markup."),
    Rule("C516", "not-nfc", "info", "not in Unicode NFC", "One letter, two spellings: other tokens for equal text."),
    Rule("trailing-space", "trailing-space", "info", "white space at the end", "Trains on tokens that say nothing."),
    Rule("L701", "over-context", "error", "longer than the context", "The end, often the answer, is cut off."),
    Rule("D802", "exact-duplicate", "warning", "duplicate of another row", "Counted twice, and learned by heart."),
)
