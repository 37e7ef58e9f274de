"""Chat messages, the format of this project and of OpenAI."""

from __future__ import annotations

from typing import Any

import pytest

from phi3data.chat import Conversation, Message
from phi3data.sources.formats import UnconvertibleError, get

FORMAT = get("chat")
USER = {"role": "user", "content": "Hi"}
ANSWER = {"role": "assistant", "content": "Hello"}
CALLS = [{"id": "abcdefghi", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
TOOL = {"type": "function", "function": {"name": "f"}}


def one(row: dict[str, Any]) -> Conversation:
    (conversation,) = FORMAT.convert(row)
    return conversation


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"role": "user", "content": "Hi"}, Message("user", "Hi")),
        ({"content": "Hi", "role": "User "}, Message("user", "Hi")),
        ({"role": "developer", "content": "Be brief."}, Message("system", "Be brief.")),
        ({"role": "function", "name": "f", "content": "4"}, Message("tool", "4", name="f")),
        ({"role": "assistant", "content": "Hi", "weight": 0}, Message("assistant", "Hi", weight=0)),
        ({"role": "assistant", "content": "Hi", "weight": 1}, Message("assistant", "Hi", weight=1)),
        ({"role": "assistant", "content": "Hi", "weight": None, "name": None}, Message("assistant", "Hi")),
        ({"role": "assistant", "content": "Hi", "tool_calls": []}, Message("assistant", "Hi")),
        ({"role": "assistant", "content": None, "tool_calls": CALLS}, Message("assistant", None, tool_calls=CALLS)),
        ({"role": "assistant", "tool_calls": CALLS}, Message("assistant", None, tool_calls=CALLS)),
        (
            {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
            Message("assistant", None, function_call={"name": "f", "arguments": "{}"}),
        ),
        ({"role": "tool", "tool_call_id": "abcdefghi", "content": "4"}, Message("tool", "4", tool_call_id="abcdefghi")),
        ({"role": "user", "content": "Hi", "score": 4, "id": None}, Message("user", "Hi")),
        ({"role": "user", "content": None}, Message("user", None)),
        ({"role": "user", "content": ""}, Message("user", "")),
        ({"role": "user"}, Message("user", None)),
        ({"role": "user", "content": []}, Message("user", "")),
        ({"role": "user", "content": [{"type": "text", "text": "a "}, "b"]}, Message("user", "a b")),
        ({"role": "user", "content": [{"type": "text", "text": "a", "image_url": None}]}, Message("user", "a")),
        ({"role": "user", "content": [{"type": "text", "text": None}]}, Message("user", "")),
        ({"role": "user", "content": "  007\u2028 NA "}, Message("user", "  007\u2028 NA ")),
    ],
)
def test_a_message(raw: dict[str, Any], expected: Message) -> None:
    assert one({"messages": [raw]}).messages == [expected]


@pytest.mark.parametrize(
    ("extra", "tools"),
    [
        ({"tools": [TOOL]}, [TOOL]),
        ({"tools": [{"name": "f"}]}, [{"name": "f"}]),
        ({"tools": '[{"type": "function", "function": {"name": "f"}}]'}, [TOOL]),
        ({"functions": [{"name": "f"}]}, [TOOL]),
        ({"functions": '[{"name": "f"}]', "tools": None}, [TOOL]),
        ({"tools": None}, None),
        ({"tools": []}, None),
        ({"tools": " "}, None),
        ({"tools": "[]"}, None),
        ({"tools": "null"}, None),
        ({"source": "forum"}, None),
    ],
)
def test_function_definitions(extra: dict[str, Any], tools: list[Any] | None) -> None:
    assert one({"messages": [USER, ANSWER], **extra}) == Conversation(
        [Message("user", "Hi"), Message("assistant", "Hello")], tools=tools
    )


def test_a_top_level_system_prompt_comes_first_and_only_once() -> None:
    system = {"role": "system", "content": "Be brief."}
    for messages in ([USER, ANSWER], [system, USER, ANSWER]):
        found = one({"messages": messages, "system": "Be brief."}).messages
        assert [turn.role for turn in found] == ["system", "user", "assistant"]
    both = one({"messages": [system, USER, ANSWER], "system": "Be long."}).messages
    assert [turn.content for turn in both] == ["Be long.", "Be brief.", "Hi", "Hello"]


@pytest.mark.parametrize(
    ("row", "code", "at", "message"),
    [
        ({}, "S301", "", "the row has no 'messages'"),
        ({"messages": None}, "S301", "/messages", "'messages' is null, expected a list of messages"),
        ({"messages": "Hi"}, "S301", "/messages", "'messages' is text, expected a list of messages"),
        ({"messages": {}}, "S301", "/messages", "'messages' is an object, expected a list of messages"),
        ({"messages": []}, "S301", "/messages", "'messages' is an empty list, expected a list of messages"),
        ({"messages": [USER, "Hi"]}, "S305", "/messages/1", "expected a message object, found text"),
        ({"messages": [USER, None]}, "S305", "/messages/1", "expected a message object, found null"),
        ({"messages": [{"content": "Hi"}]}, "S306", "/messages/0", "the message has no 'role'"),
        ({"messages": [{"role": None}]}, "S306", "/messages/0/role", "the role is null, expected text"),
        ({"messages": [{"role": ["user"]}]}, "S306", "/messages/0/role", "the role is a list, expected text"),
        ({"messages": [{"role": "usr"}]}, "S307", "/messages/0/role", "unknown role 'usr'; did you mean 'user'?"),
        (
            {"messages": [{"role": "user", "content": 7}]},
            "S308",
            "/messages/0/content",
            "expected text, found a number",
        ),
        (
            {"messages": [{"role": "user", "content": True}]},
            "S308",
            "/messages/0/content",
            "expected text, found a boolean",
        ),
        (
            {"messages": [{"role": "user", "content": {"text": "a"}}]},
            "S308",
            "/messages/0/content",
            "expected text, found an object",
        ),
        (
            {"messages": [{"role": "user", "content": ["a", {"type": "image_url", "image_url": {"url": "x"}}]}]},
            "S308",
            "/messages/0/content/1",
            "expected a text part, found one of type 'image_url'",
        ),
        (
            {"messages": [{"role": "user", "content": [{"image": "x"}]}]},
            "S308",
            "/messages/0/content/0",
            "expected a text part, found an object with 'image'",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "text", "text": 4}]}]},
            "S308",
            "/messages/0/content/0/text",
            "the text of a part is a number",
        ),
        (
            {"messages": [{"role": "user", "content": [4]}]},
            "S308",
            "/messages/0/content/0",
            "expected a text part, found a number",
        ),
        (
            {"messages": [{"role": "user", "content": "a", "name": []}]},
            "S308",
            "/messages/0/name",
            "expected text, found a list",
        ),
        ({"messages": [USER], "system": 4}, "S308", "/system", "expected text, found a number"),
        (
            {"messages": [{**ANSWER, "tool_calls": {}}]},
            "G901",
            "/messages/0/tool_calls",
            "expected a list of calls, found an object",
        ),
        ({"messages": [{**ANSWER, "function_call": "f"}]}, "G901", "/messages/0/function_call", "the call is text"),
        (
            {"messages": [USER], "tools": "[{"},
            "G901",
            "/tools",
            "the function definitions are text that is not JSON",
        ),
        (
            {"messages": [USER], "tools": '[{"name": "\ud800"}]'},
            "G901",
            "/tools",
            "the function definitions are text that is not JSON",
        ),
        (
            {"messages": [USER], "tools": "[" * 100_000},
            "G901",
            "/tools",
            "the function definitions are text that is not JSON",
        ),
        (
            {"messages": [USER], "tools": {}},
            "G901",
            "/tools",
            "expected a list of function definitions, found an object",
        ),
        ({"messages": [USER], "functions": ["f"]}, "G901", "/functions/0", "a function definition is text"),
    ],
)
def test_what_it_refuses(row: dict[str, Any], code: str, at: str, message: str) -> None:
    with pytest.raises(UnconvertibleError) as caught:
        FORMAT.convert(row)
    finding = caught.value.finding
    assert (finding.code, finding.pointer, finding.message) == (code, at, message)


@pytest.mark.parametrize(
    ("weight", "shown"),
    [
        (True, "a boolean"),
        (False, "a boolean"),
        ("1", "text"),
        (1.0, "the number 1"),
        (0.5, "the number 0.5"),
        (2, "a number"),
        (-1, "a number"),
        ([], "a list"),
    ],
)
def test_a_weight_is_the_number_0_or_1(weight: object, shown: str) -> None:
    with pytest.raises(UnconvertibleError) as caught:
        one({"messages": [USER, {**ANSWER, "weight": weight}]})
    finding = caught.value.finding
    assert (finding.code, finding.pointer) == ("S310", "/messages/1/weight")
    assert finding.message == f"the weight is {shown}, expected 0 or 1"
