"""S: the shape of a row. Found by the converters of `sources.formats` while reading."""

from __future__ import annotations

from phi3data.rules.base import GOOD, Rule

_ASSISTANT = '{"role":"assistant","content":"Hello!"}'
_USER = '{"role":"user","content":"Hi"}'

RULES = (
    Rule(
        "S301",
        "no-messages",
        "error",
        "no messages",
        "There is nothing to train on.",
        '{"messages":[]}',
        GOOD,
    ),
    Rule(
        "S303",
        "mixed-formats",
        "error",
        "row of another format",
        "One file, one format: a loader fixes its columns from the first rows and loses the others.",
        '{"instruction":"Hi","output":"Hello!"}',
        GOOD,
    ),
    Rule(
        "S305",
        "message-not-object",
        "error",
        "a message is no object",
        "The chat template fails.",
        f'{{"messages":["Hi",{_ASSISTANT}]}}',
        GOOD,
    ),
    Rule(
        "S306",
        "no-role",
        "error",
        "a message without a role",
        "Phi-3's template drops the message in silence.",
        f'{{"messages":[{{"content":"Hi"}},{_ASSISTANT}]}}',
        GOOD,
    ),
    Rule(
        "S307",
        "unknown-role",
        "error",
        "unknown role",
        "Phi-3's template drops the message in silence.",
        f'{{"messages":[{{"role":"narrator","content":"Hi"}},{_ASSISTANT}]}}',
        GOOD,
    ),
    Rule(
        "S308",
        "bad-content",
        "error",
        "content that is no text",
        "The chat template fails deep inside, or trains on a number's spelling.",
        f'{{"messages":[{{"role":"user","content":42}},{_ASSISTANT}]}}',
        f'{{"messages":[{{"role":"user","content":[{{"type":"text","text":"Hi"}}]}},{_ASSISTANT}]}}',
    ),
    Rule(
        "S310",
        "bad-weight",
        "error",
        "weight other than 0 or 1",
        "Services refuse the file.",
        f'{{"messages":[{_USER},{{"role":"assistant","content":"Hello!","weight":0.5}}]}}',
        f'{{"messages":[{_USER},{{"role":"assistant","content":"Hello!","weight":1}}]}}',
    ),
    Rule("G901", "bad-tools", "error", "tools that are no list of functions", "The row cannot be rendered."),
    Rule("T604", "already-rendered", "error", "a chat template inside a message", "Control tokens end up as text."),
    Rule("undesirable", "undesirable", "info", "answer labelled as bad (KTO)", "Only good answers are trained on."),
)
