"""ShareGPT turns: two spellings of the keys, many of the roles, and function calls inside the text."""

from __future__ import annotations

from typing import Any

import pytest

from phi3data.chat import Conversation, Message
from phi3data.sources.formats import UnconvertibleError, get

FORMAT = get("sharegpt")
ASK = {"from": "human", "value": "Hi"}
ANSWER = {"from": "gpt", "value": "Hello"}
CALL = {"from": "function_call", "value": '{"name": "add", "arguments": {"a": [1,  2]}}'}


def turn(name: str, value: str | None = "x") -> dict[str, Any]:
    return {"from": name, "value": value}


def one(*turns: Any, **extra: Any) -> Conversation:
    (conversation,) = FORMAT.convert({"conversations": list(turns), **extra})
    return conversation


def calls(number: int, name: str, arguments: str) -> list[dict[str, Any]]:
    return [{"id": f"call_{number}", "type": "function", "function": {"name": name, "arguments": arguments}}]


@pytest.mark.parametrize(
    ("name", "role"),
    [
        *((name, "user") for name in ("human", "user", "Human")),
        *((name, "assistant") for name in ("gpt", "bing", "chatgpt", "assistant", "bot", "model", "function_call")),
        *((name, "tool") for name in ("observation", "tool")),
        ("system", "system"),
    ],
)
def test_roles(name: str, role: str) -> None:
    assert one(turn(name)).messages == [Message(role, "x")]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"role": "user", "content": "Hi"}, Message("user", "Hi")),
        ({"from": None, "value": None, "role": "user", "content": "Hi"}, Message("user", "Hi")),
        ({"from": "human", "content": "Hi"}, Message("user", "Hi")),
        ({"from": "human", "value": "Hi", "weight": 1, "markdown": None}, Message("user", "Hi", weight=1)),
        ({"from": "human", "value": None}, Message("user", None)),
        ({"from": "human", "value": ""}, Message("user", "")),
        ({"from": "human"}, Message("user", None)),
        ({"from": "human", "value": [{"type": "text", "text": "a"}, {"text": "b"}]}, Message("user", "ab")),
    ],
)
def test_a_turn(raw: dict[str, Any], expected: Message) -> None:
    assert one(raw).messages == [expected]


def test_a_call_and_what_answers_it() -> None:
    found = one(ASK, CALL, turn("observation", "3"), ANSWER, ASK, CALL, turn("tool", "4"))
    arguments = '{"a": [1,  2]}'
    assert found.messages == [
        Message("user", "Hi"),
        Message("assistant", None, tool_calls=calls(1, "add", arguments)),
        Message("tool", "3", tool_call_id="call_1"),
        Message("assistant", "Hello"),
        Message("user", "Hi"),
        Message("assistant", None, tool_calls=calls(2, "add", arguments)),
        Message("tool", "4", tool_call_id="call_2"),
    ]


def test_several_calls_are_answered_in_their_order() -> None:
    found = one(CALL, CALL, turn("observation", "3"), turn("observation", "4"), turn("observation", "5"))
    assert [message.tool_call_id for message in found.messages] == [None, None, "call_1", "call_2", None]


def test_a_call_that_nobody_answered_is_closed_by_the_next_turn() -> None:
    found = one(CALL, ANSWER, turn("observation", "3"))
    assert found.messages[2] == Message("tool", "3")


def test_an_id_of_its_own_is_kept() -> None:
    found = one(CALL, {"role": "tool", "content": "3", "tool_call_id": "abcdefghi"})
    assert found.messages[1].tool_call_id == "abcdefghi"


def test_arguments_that_are_json_text_already_are_taken_out_of_their_quotes() -> None:
    found = one({"role": "function_call", "content": '{"name": "f", "arguments": "{\\"a\\": 1}"}'})
    assert found.messages[0].tool_calls == calls(1, "f", '{"a": 1}')


@pytest.mark.parametrize(
    "text",
    [
        "add(1, 2)",
        '{"name": "f"}',
        '{"arguments": {}}',
        '[{"name": "f", "arguments": {}}]',
        '{"name": 1, "arguments": 2}',
        '{"name": "\ud800", "arguments": {}}',
        '{"name": "f", "arguments": ' + "[" * 100_000,
    ],
)
def test_a_call_in_any_other_spelling_stays_text(text: str) -> None:
    assert one(turn("function_call", text)).messages == [Message("assistant", text)]


def test_what_the_assistant_says_is_never_taken_for_a_call() -> None:
    assert one(turn("gpt", CALL["value"]), CALL).messages[0] == Message("assistant", CALL["value"])


@pytest.mark.parametrize(
    ("extra", "system"),
    [({"system": "Be brief."}, "Be brief."), ({"system": ""}, None), ({"system": None}, None), ({"id": "7"}, None)],
)
def test_the_system_prompt_at_the_top(extra: dict[str, Any], system: str | None) -> None:
    found = one(ASK, ANSWER, **extra).messages
    assert (found[0].content if found[0].role == "system" else None) == system
    assert [message.content for message in found[-2:]] == ["Hi", "Hello"]


@pytest.mark.parametrize(
    "tools", ['[{"name": "f"}]', [{"name": "f"}], [{"type": "function", "function": {"name": "f"}}]]
)
def test_bare_functions_are_wrapped(tools: object) -> None:
    assert one(ASK, tools=tools).tools == [{"type": "function", "function": {"name": "f"}}]


def test_no_functions_are_no_tools() -> None:
    assert one(ASK, tools="[]").tools is None


@pytest.mark.parametrize(
    ("row", "code", "at", "message"),
    [
        ({}, "S301", "", "the row has no 'conversations'"),
        (
            {"conversations": []},
            "S301",
            "/conversations",
            "'conversations' is an empty list, expected a list of messages",
        ),
        ({"conversations": None}, "S301", "/conversations", "'conversations' is null, expected a list of messages"),
        ({"conversations": [ASK, "Hello"]}, "S305", "/conversations/1", "expected a message object, found text"),
        ({"conversations": [{"value": "Hi"}]}, "S306", "/conversations/0", "the message has no 'from'"),
        ({"conversations": [turn("usr")]}, "S307", "/conversations/0/from", "unknown role 'usr'; did you mean 'user'?"),
        (
            {"conversations": [{"from": "gpt", "value": 4}]},
            "S308",
            "/conversations/0/value",
            "expected text, found a number",
        ),
        (
            {"conversations": [{"from": "function_call", "value": {"name": "f", "arguments": {}}}]},
            "S308",
            "/conversations/0/value",
            "expected text, found an object",
        ),
        (
            {"conversations": [{"role": "user", "content": False}]},
            "S308",
            "/conversations/0/content",
            "expected text, found a boolean",
        ),
        (
            {"conversations": [{**ANSWER, "weight": "1"}]},
            "S310",
            "/conversations/0/weight",
            "the weight is text, expected 0 or 1",
        ),
        (
            {"conversations": [ASK], "tools": "f"},
            "G901",
            "/tools",
            "the function definitions are text that is not JSON",
        ),
    ],
)
def test_what_it_refuses(row: dict[str, Any], code: str, at: str, message: str) -> None:
    with pytest.raises(UnconvertibleError) as caught:
        FORMAT.convert(row)
    finding = caught.value.finding
    assert (finding.code, finding.pointer, finding.message) == (code, at, message)
