"""J: one line as JSON. Found by `text.jsonline` and the layouts while reading."""

from __future__ import annotations

from phi3data.rules.base import GOOD, Rule

RULES = (
    Rule(
        "J201",
        "invalid-json",
        "error",
        "invalid JSON",
        "The loader stops at this line, or skips it in silence.",
        "{'messages': []}",
        GOOD,
    ),
    Rule(
        "J204", "two-objects", "error", "two objects on one line", "Readers take the first or none.", GOOD + GOOD, GOOD
    ),
    Rule("J205", "truncated-line", "error", "the file stops in the middle of the line", "The download or copy is cut."),
    Rule(
        "J206",
        "duplicate-key",
        "error",
        "one key twice in an object",
        "Parsers keep the last value in silence: half of the row is lost.",
        GOOD[:-1] + ',"messages":[]}',
        GOOD,
    ),
    Rule(
        "J207",
        "non-finite",
        "error",
        "NaN or Infinity",
        "Not JSON: strict readers refuse the file.",
        GOOD.replace('"Hello!"', '"Hello!","weight":NaN'),
        GOOD.replace('"Hello!"', '"Hello!","weight":1'),
    ),
    Rule(
        "J208",
        "lone-surrogate",
        "error",
        "half of a surrogate pair",
        "The text cannot be written as UTF-8: tokenizers fail on it or replace it.",
        GOOD.replace("Hi", "\\ud83d"),
        GOOD.replace("Hi", "\\ud83d\\ude00"),
    ),
    Rule("J209", "too-deep", "error", "nested too deeply", "Parsers overflow.", "[" * 5000, GOOD),
    Rule(
        "J210",
        "raw-control-char",
        "error",
        "unescaped control character",
        "Not JSON: strict readers refuse the file.",
        GOOD.replace("Hi", "Hi\x01"),
        GOOD.replace("Hi", "Hi\\n"),
    ),
    Rule("J211", "not-an-object", "error", "the row is no object", "A row is an object with messages.", "42", GOOD),
    Rule(
        "J212", "row-too-long", "error", "row longer than 16 MiB", "No model reads so much; it is likely a broken file."
    ),
)
