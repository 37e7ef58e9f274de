"""Whatever JSON comes in, a converter returns conversations or refuses the row; nothing else gets out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phi3data.chat import ROLE_ALIASES, ROLES, Conversation
from phi3data.errors import InputError
from phi3data.sources.formats import FORMATS, Format, Row, UnconvertibleError, detect, recognise_other

if TYPE_CHECKING:
    from phi3data.findings import Finding

FIELDS = sorted({field for form in FORMATS.values() for field in form.fields} | {"label", "text", "Question"})
KEYS = ["role", "content", "from", "value", "text", "type", "parts", "weight", "name", "tool_calls", "tool_call_id"]
KEYS += ["function_call", "input", "output", "messages", "functionDeclarations", "function"]
MARKED = ["[|Human|]", "[|AI|]", "<|user|>", "<|assistant|>\n", "<|end|>", "<|model|>", "[INST]", "[/INST]", "<<SYS>>"]
MARKED += [
    "<</SYS>>",
    "<|im_start|>user\n",
    "<|im_end|>",
    "### Instruction:\n",
    "### Input:\n",
    "### Response:\n",
    "\n",
]
MARKED += [
    "### Human:",
    "### Assistant:",
    "</s>",
    "<s>",
    " ->",
    " END",
    "<noinput>",
    "Hi",
    '{"name": "f", "arguments": {}}',
]

TEXTS = (
    st.text(max_size=8)
    | st.sampled_from([*ROLE_ALIASES, *MARKED])
    | st.lists(st.sampled_from(MARKED), max_size=8).map("".join)
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=4)
        | st.fixed_dictionaries({"role": TEXTS, "content": inner})
        | st.fixed_dictionaries({"from": TEXTS, "value": inner}).map(lambda turn: [turn, turn])
    ),
    max_leaves=12,
)
ROWS = st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=6), VALUES, max_size=6)


@pytest.mark.parametrize("name", list(FORMATS))
@settings(max_examples=150, deadline=None)
@given(row=ROWS)
def test_a_row_is_converted_or_refused(name: str, row: Row) -> None:
    conversations, finding = outcome(name, row)
    if finding:
        assert resolves(row, finding.pointer)
        assert finding.message.isprintable()
        return
    assert conversations
    for conversation in conversations:
        assert isinstance(conversation, Conversation)
        assert conversation.messages
        for message in conversation.messages:
            assert message.role in ROLES
            assert message.content is None or isinstance(message.content, str)


@settings(max_examples=300, deadline=None)
@given(rows=st.lists(ROWS, max_size=4))
def test_detection_names_a_format_or_says_why_not(rows: list[Row]) -> None:
    found = named(rows)
    if isinstance(found, str):
        assert found.startswith(("no known format: ", "plain text is no conversation: "))
        assert found.isprintable()
        return
    assert any(found.recognises(row) for row in rows) or any(None in row.values() for row in rows)
    for row in rows:
        other = recognise_other(row, found)
        assert other is None or FORMATS[other].recognises(row)


def outcome(name: str, row: Row) -> tuple[list[Conversation], Finding | None]:
    try:
        return FORMATS[name].convert(row), None
    except UnconvertibleError as refused:
        return [], refused.finding


def named(rows: list[Row]) -> Format | str:
    try:
        return detect(rows)
    except InputError as error:
        return str(error)


def resolves(row: Any, at: str) -> bool:
    """Tell whether a JSON pointer leads to a value of the row."""
    value = row
    for part in at.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            value = value[int(key)]
        elif key in value:
            value = value[key]
        else:
            return False
    return True
