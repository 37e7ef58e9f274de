"""Formats of other services, and self-instruct seeds: Bedrock, Gemini, Mistral."""

from __future__ import annotations

from typing import Any

import pytest

from phi3data.chat import Message
from phi3data.sources.formats import UnconvertibleError, get

Turns = list[tuple[str, str | None]]
PAIR: Turns = [("user", "Q"), ("assistant", "A")]


def turns(name: str, row: dict[str, Any]) -> Turns:
    (conversation,) = get(name).convert(row)
    return [(message.role, message.content) for message in conversation.messages]


def blocks(role: str, *texts: str) -> dict[str, Any]:
    return {"role": role, "content": [{"text": text} for text in texts]}


def parts(role: str, *texts: str) -> dict[str, Any]:
    return {"role": role, "parts": [{"text": text} for text in texts]}


BEDROCK = {"messages": [blocks("user", "Q"), blocks("assistant", "A")]}
GEMINI = {"contents": [parts("user", "Q"), parts("model", "A")]}
MISTRAL = {"interactions": [{"role": "user", "text": "Q"}, {"role": "assistant", "text": "A"}]}


@pytest.mark.parametrize(
    ("name", "row", "expected"),
    [
        ("bedrock", BEDROCK, PAIR),
        ("bedrock", {"schemaVersion": "bedrock-conversation-2024", **BEDROCK}, PAIR),
        ("bedrock", {"system": [{"text": "S"}], **BEDROCK}, [("system", "S"), *PAIR]),
        ("bedrock", {"system": "S", **BEDROCK}, [("system", "S"), *PAIR]),
        ("bedrock", {"messages": [blocks("user", "a\n", "b"), blocks("assistant", "A")]}, [("user", "a\nb"), PAIR[1]]),
        ("gemini", GEMINI, PAIR),
        ("gemini", {"systemInstruction": parts("system", "S"), **GEMINI}, [("system", "S"), *PAIR]),
        ("gemini", {"system_instruction": {"parts": [{"text": "S"}]}, **GEMINI}, [("system", "S"), *PAIR]),
        ("gemini", {"systemInstruction": "S", **GEMINI}, [("system", "S"), *PAIR]),
        ("gemini", {"systemInstruction": None, **GEMINI}, PAIR),
        ("gemini", {"contents": [parts("user", "a", "b"), {"role": "model"}]}, [("user", "ab"), ("assistant", None)]),
        ("mistral", MISTRAL, PAIR),
        ("mistral", {"messages": MISTRAL["interactions"]}, PAIR),
        ("mistral", {"system_prompt": "S", **MISTRAL}, [("system", "S"), *PAIR]),
        ("mistral", {"interactions": [{"role": "user", "content": "Q"}]}, PAIR[:1]),
        ("mistral", {"interactions": [{"role": "user", "content": "Q", "text": "old"}]}, PAIR[:1]),
        ("mistral", {"interactions": [{"role": "user", "text": None}]}, [("user", None)]),
    ],
)
def test_a_row(name: str, row: dict[str, Any], expected: Turns) -> None:
    assert turns(name, row) == expected


def test_mistral_keeps_the_ids_of_its_calls() -> None:
    calls = [{"id": "Xy12Zw34Q", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
    row = {
        "interactions": [
            {"role": "assistant", "text": None, "tool_calls": calls},
            {"role": "tool", "text": "4", "tool_call_id": "Xy12Zw34Q"},
        ],
        "available_tools": [{"type": "function", "function": {"name": "f"}}],
    }
    (conversation,) = get("mistral").convert(row)
    assert conversation.messages == [
        Message("assistant", None, tool_calls=calls),
        Message("tool", "4", tool_call_id="Xy12Zw34Q"),
    ]
    assert conversation.tools == row["available_tools"]


def test_gemini_s_declarations_are_function_definitions() -> None:
    row = {**GEMINI, "tools": [{"functionDeclarations": [{"name": "f"}, {"name": "g"}]}]}
    assert get("gemini").convert(row)[0].tools == [
        {"type": "function", "function": {"name": "f"}},
        {"type": "function", "function": {"name": "g"}},
    ]


def test_each_instance_of_a_seed_is_a_conversation() -> None:
    row = {
        "id": "seed_task_0",
        "instruction": "Name the capital.",
        "instances": [{"input": "France", "output": "Paris"}, {"input": "", "output": 4}, {"output": None}],
        "is_classification": False,
    }
    found = [[turn.content for turn in conversation.messages] for conversation in get("self-instruct").convert(row)]
    assert found == [
        ["Name the capital.\n\nFrance", "Paris"],
        ["Name the capital.", "4"],
        ["Name the capital.", None],
    ]


@pytest.mark.parametrize(
    ("name", "row", "code", "at", "message"),
    [
        (
            "bedrock",
            {"messages": [{"role": "user", "content": [{"text": "Q"}, {"image": {}}]}]},
            "S308",
            "/messages/0/content/1",
            "expected a text part, found an object with 'image'",
        ),
        ("bedrock", {"system": "S"}, "S301", "", "the row has no 'messages'"),
        ("gemini", {}, "S301", "", "the row has no 'contents'"),
        ("gemini", {"contents": ["Q"]}, "S305", "/contents/0", "expected a message object, found text"),
        ("gemini", {"contents": [{"parts": [{"text": "Q"}]}]}, "S306", "/contents/0", "the message has no 'role'"),
        (
            "gemini",
            {"contents": [{"role": "user", "parts": [{"inlineData": {}}]}]},
            "S308",
            "/contents/0/parts/0",
            "expected a text part, found an object with 'inlineData'",
        ),
        (
            "gemini",
            {**GEMINI, "systemInstruction": {"parts": 4}},
            "S308",
            "/systemInstruction/parts",
            "expected text, found a number",
        ),
        ("mistral", {}, "S301", "", "the row has no 'interactions'"),
        (
            "mistral",
            {"interactions": [{"role": "user", "text": 4}]},
            "S308",
            "/interactions/0/text",
            "expected text, found a number",
        ),
        ("self-instruct", {"instruction": "I"}, "S301", "", "the row has no 'instances'"),
        (
            "self-instruct",
            {"instances": []},
            "S301",
            "/instances",
            "'instances' is an empty list, expected a list of instances",
        ),
        (
            "self-instruct",
            {"instances": ["x"]},
            "S305",
            "/instances/0",
            "expected an object with input and output, found text",
        ),
        (
            "self-instruct",
            {"instances": [{"input": [], "output": "O"}]},
            "S308",
            "/instances/0/input",
            "expected text, found a list",
        ),
    ],
)
def test_what_they_refuse(name: str, row: dict[str, Any], code: str, at: str, message: str) -> None:
    with pytest.raises(UnconvertibleError) as caught:
        get(name).convert(row)
    finding = caught.value.finding
    assert (finding.code, finding.pointer, finding.message) == (code, at, message)
