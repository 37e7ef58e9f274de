"""Formats whose rows are columns of text: alpaca, Dolly, OpenOrca, question/answer, Camel."""

from __future__ import annotations

from typing import Any

import pytest

from phi3data.sources.formats import UnconvertibleError, get

Turns = list[tuple[str, str | None]]


def turns(name: str, row: dict[str, Any]) -> Turns:
    (conversation,) = get(name).convert(row)
    return [(message.role, message.content) for message in conversation.messages]


def pair(question: str | None, answer: str | None) -> Turns:
    return [("user", question), ("assistant", answer)]


ALPACA: list[tuple[dict[str, Any], Turns]] = [
    ({"instruction": "I", "input": "X", "output": "O"}, pair("I\n\nX", "O")),
    ({"instruction": "I", "input": "", "output": "O"}, pair("I", "O")),
    ({"instruction": "I", "input": None, "output": "O"}, pair("I", "O")),
    ({"instruction": "I", "input": " \n", "output": "O"}, pair("I", "O")),
    ({"instruction": "I", "input": "<noinput>", "output": "O"}, pair("I", "O")),
    ({"instruction": "I", "input": " <NoInput>\n", "output": "O"}, pair("I", "O")),
    ({"instruction": "I", "input": "<No Input>", "output": "O"}, pair("I", "O")),
    ({"instruction": "I", "input": "say <noinput>", "output": "O"}, pair("I\n\nsay <noinput>", "O")),
    ({"instruction": "I", "input": 0, "output": "O"}, pair("I\n\n0", "O")),
    ({"instruction": "I", "input": False, "output": "O"}, pair("I\n\nfalse", "O")),
    ({"instruction": "I", "output": "O"}, pair("I", "O")),
    ({"instruction": "I", "response": "O"}, pair("I", "O")),
    ({"instruction": "I", "output": None, "response": "O"}, pair("I", "O")),
    ({"instruction": "I", "output": "", "response": "O"}, pair("I", "")),
    ({"instruction": "I", "output": 42}, pair("I", "42")),
    ({"instruction": "I", "output": 1.5}, pair("I", "1.5")),
    ({"instruction": "I", "output": True}, pair("I", "true")),
    ({"instruction": "I", "output": float("nan")}, pair("I", None)),
    ({"instruction": "I", "output": "  x\n"}, pair("I", "  x\n")),
    ({"instruction": "I", "output": None}, pair("I", None)),
    ({"instruction": "I"}, pair("I", None)),
    ({"instruction": None, "output": None}, pair(None, None)),
    ({"instruction": "", "input": "X", "output": "O"}, pair("", "O")),
    ({"instruction": None, "input": "X", "output": "O"}, pair(None, "O")),
    ({"instruction": "I", "input": "", "output": "O", "text": "x", "id": 3}, pair("I", "O")),
    ({"instruction": "I", "output": "O", "system": "S"}, [("system", "S"), *pair("I", "O")]),
    ({"instruction": "I", "output": "O", "system": "", "history": None}, pair("I", "O")),
    ({"instruction": "I", "output": "O", "history": []}, pair("I", "O")),
    (
        {"instruction": "I", "input": "", "output": "O", "system": "S", "history": [["q", "a"], ["r", 2]]},
        [("system", "S"), *pair("q", "a"), *pair("r", "2"), *pair("I", "O")],
    ),
]
DOLLY: list[tuple[dict[str, Any], Turns]] = [
    ({"instruction": "I", "context": "C", "response": "R", "category": "qa"}, pair("I\n\nC", "R")),
    ({"instruction": "I", "context": "", "response": "R"}, pair("I", "R")),
    ({"instruction": "I", "context": None, "response": "R"}, pair("I", "R")),
    ({"instruction": "", "context": "C", "response": "R"}, pair("", "R")),
    ({"instruction": "I", "context": "C"}, pair("I\n\nC", None)),
]
OPENORCA: list[tuple[dict[str, Any], Turns]] = [
    ({"id": "t0.1", "system_prompt": "S", "question": "Q", "response": "R"}, [("system", "S"), *pair("Q", "R")]),
    ({"system_prompt": "", "question": "Q", "response": "R"}, pair("Q", "R")),
    ({"question": "Q", "response": 4}, pair("Q", "4")),
    ({"question": "Q"}, pair("Q", None)),
]
QUESTION_ANSWER: list[tuple[dict[str, Any], Turns]] = [
    ({"question": "Q", "answer": "A"}, pair("Q", "A")),
    ({"query": "Q", "answer": "A"}, pair("Q", "A")),
    ({"q": "Q", "a": "A"}, pair("Q", "A")),
    ({"Question": "Q", "Answer": "A"}, pair("Q", "A")),
    ({"QUESTION ": "Q", "ANSWER": "A"}, pair("Q", "A")),
    ({"Q": "Q", "A": "A"}, pair("Q", "A")),
    ({"Question": "other", "question": "Q", "answer": "A"}, pair("Q", "A")),
    ({"question": "Q", "Question": "other", "answer": "A", "context": "C"}, pair("Q\n\nC", "A")),
    ({"question": None, "query": "Q", "answer": "A"}, pair("Q", "A")),
    ({"question": "007", "answer": "NA", "topic": "x"}, pair("007", "NA")),
    ({"question": 7, "answer": 2.5}, pair("7", "2.5")),
    ({"question": "Q", "answer": "A", "context": "C"}, pair("Q\n\nC", "A")),
    ({"Question": "Q", "Answer": "A", "Context": "C"}, pair("Q\n\nC", "A")),
    ({"question": "Q", "answer": "A", "Context": "C"}, pair("Q\n\nC", "A")),
    ({"question": "Q", "answer": "A", "context": None}, pair("Q", "A")),
    ({"question": "", "answer": "A", "context": "C"}, pair("", "A")),
    ({"question": None, "answer": ""}, pair(None, "")),
    ({"answer": "A"}, pair(None, "A")),
]
CAMEL: list[tuple[dict[str, Any], Turns]] = [
    ({"message_1": "Q", "message_2": "A", "topic": "physics"}, pair("Q", "A")),
    ({"message_1": "Q", "message_2": None}, pair("Q", None)),
]
TABLES = {
    "alpaca": ALPACA,
    "dolly": DOLLY,
    "openorca": OPENORCA,
    "question-answer": QUESTION_ANSWER,
    "camel": CAMEL,
}


@pytest.mark.parametrize(
    ("name", "row", "expected"), [(name, *case) for name, table in TABLES.items() for case in table]
)
def test_a_row(name: str, row: dict[str, Any], expected: Turns) -> None:
    assert turns(name, row) == expected


@pytest.mark.parametrize(
    ("name", "row", "code", "at", "message"),
    [
        ("alpaca", {"instruction": ["I"], "output": "O"}, "S308", "/instruction", "expected text, found a list"),
        ("alpaca", {"instruction": "I", "output": {"a": 1}}, "S308", "/output", "expected text, found an object"),
        ("alpaca", {"instruction": "I", "response": []}, "S308", "/response", "expected text, found a list"),
        ("alpaca", {"instruction": "I", "input": [], "output": "O"}, "S308", "/input", "expected text, found a list"),
        (
            "alpaca",
            {"instruction": "I", "output": float("inf")},
            "S308",
            "/output",
            "expected text, found an infinite number",
        ),
        (
            "alpaca",
            {"instruction": "I", "output": 10**5000},
            "S308",
            "/output",
            "expected text, found a number of thousands of digits",
        ),
        (
            "alpaca",
            {"instruction": "I", "output": "O", "history": "x"},
            "S308",
            "/history",
            "expected a list of [question, answer] pairs, found text",
        ),
        (
            "alpaca",
            {"instruction": "I", "output": "O", "history": [["q", "a"], ["q"]]},
            "S308",
            "/history/1",
            "expected a [question, answer] pair, found a list of 1",
        ),
        (
            "alpaca",
            {"instruction": "I", "output": "O", "history": ["qa"]},
            "S308",
            "/history/0",
            "expected a [question, answer] pair, found text",
        ),
        (
            "alpaca",
            {"instruction": "I", "output": "O", "history": [["q", {}]]},
            "S308",
            "/history/0/1",
            "expected text, found an object",
        ),
        (
            "alpaca",
            {"question": "Q"},
            "S303",
            "",
            "the row has none of the columns of alpaca: 'instruction', 'output', 'response'",
        ),
        (
            "dolly",
            {"question": "Q"},
            "S303",
            "",
            "the row has none of the columns of Dolly: 'instruction', 'response'",
        ),
        ("dolly", {"instruction": "I", "context": {}}, "S308", "/context", "expected text, found an object"),
        ("openorca", {"text": "Q"}, "S303", "", "the row has none of the columns of OpenOrca: 'question', 'response'"),
        ("openorca", {"question": "Q", "system_prompt": []}, "S308", "/system_prompt", "expected text, found a list"),
        ("question-answer", {"Answer": ["A"]}, "S308", "/Answer", "expected text, found a list"),
        (
            "question-answer",
            {"text": "Q"},
            "S303",
            "",
            "the row has none of the columns of question/answer: 'question', 'answer'",
        ),
        ("camel", {"message": "Q"}, "S303", "", "the row has none of the columns of Camel: 'message_1', 'message_2'"),
        ("camel", {"message_1": {}}, "S308", "/message_1", "expected text, found an object"),
    ],
)
def test_what_they_refuse(name: str, row: dict[str, Any], code: str, at: str, message: str) -> None:
    with pytest.raises(UnconvertibleError) as caught:
        get(name).convert(row)
    finding = caught.value.finding
    assert (finding.code, finding.pointer, finding.message) == (code, at, message)
