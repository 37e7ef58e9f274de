"""Formats with a prompt: prompt/completion, Metharme, preference pairs, KTO."""

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


def message(role: str, text: str) -> dict[str, str]:
    return {"role": role, "content": text}


ASK, ANSWER, BAD = message("user", "Q"), message("assistant", "A"), message("assistant", "B")


@pytest.mark.parametrize(
    ("prompt", "completion", "expected"),
    [
        ("Q", "A", pair("Q", "A")),
        ("Q", None, pair("Q", None)),
        ("Q", 3, pair("Q", "3")),
        ([ASK], [ANSWER], pair("Q", "A")),
        ([message("system", "S"), ASK], "A", [("system", "S"), *pair("Q", "A")]),
        ("Q", ANSWER, pair("Q", "A")),
        # the legacy convention: only where the prompt ends with a separator
        ("Q ->", " A", pair("Q", "A")),
        ("Q ->", " A END", pair("Q", "A")),
        ("Q ->", " A\nEND", pair("Q", "A")),
        ("Q ->", " A <END>", pair("Q", "A")),
        ("Q ->", " A###", pair("Q", "A")),
        ("Q ->", " A\n###", pair("Q", "A")),
        ("Q\n\n###\n\n", " A ###", pair("Q", "A")),
        ("Q\n\n###\n\n", "  A", pair("Q", " A")),
        ("Q\n\n###\n\n", " WEEKEND", pair("Q", "WEEKEND")),
        ("Q ->", None, pair("Q ->", None)),
        ("Q", " A END", pair("Q", " A END")),
        ("Q->", " A\n###", pair("Q->", " A\n###")),
        ("a -> b", " A", pair("a -> b", " A")),
        ("Q ->\n", " A END", pair("Q ->\n", " A END")),
    ],
)
def test_prompt_completion(prompt: object, completion: object, expected: Turns) -> None:
    assert turns("prompt-completion", {"prompt": prompt, "completion": completion}) == expected


@pytest.mark.parametrize(
    ("prompt", "generation", "expected"),
    [
        ("Q", "A", pair("Q", "A")),
        (None, "A", pair(None, "A")),
        ("<|system|>S<|user|>Q<|model|>", "A", [("system", "S"), *pair("Q", "A")]),
        ("<|system|>\nS\n<|user|>\nQ\n<|model|>\n", "A", [("system", "S"), *pair("Q", "A")]),
        ("<|user|>q<|model|>a<|user|>Q<|model|>", "A", [*pair("q", "a"), *pair("Q", "A")]),
        ("<|user|>Q", "A", pair("Q", "A")),
        ("<|user|>Q<|model|>Once ", "upon", pair("Q", "Once upon")),
        ("<|user|>Q<|model|>Once", None, pair("Q", "Once")),
        ("<|user|>Q<|model|>", None, pair("Q", None)),
    ],
)
def test_metharme(prompt: object, generation: object, expected: Turns) -> None:
    assert turns("metharme", {"prompt": prompt, "generation": generation}) == expected


@pytest.mark.parametrize(
    ("row", "expected", "rejected"),
    [
        ({"prompt": "Q", "chosen": "A", "rejected": "B"}, pair("Q", "A"), "B"),
        ({"prompt": "Q", "chosen": ANSWER, "rejected": BAD}, pair("Q", "A"), "B"),
        ({"prompt": [ASK], "chosen": [ANSWER], "rejected": [BAD]}, pair("Q", "A"), "B"),
        ({"prompt": "Q", "chosen": [ASK, ANSWER], "rejected": [ASK, BAD]}, pair("Q", "A"), "B"),
        ({"prompt": [ASK], "chosen": [ASK, ANSWER], "rejected": [ASK, BAD]}, pair("Q", "A"), "B"),
        (
            {"prompt": [message("system", "S"), ASK], "chosen": [ASK, ANSWER], "rejected": "B"},
            [("system", "S"), *pair("Q", "A")],
            "B",
        ),
        (
            {"prompt": [message("system", "S")], "chosen": [message("system", "S"), ANSWER], "rejected": "B"},
            [("system", "S"), ("assistant", "A")],
            "B",
        ),
        (
            {"prompt": "Q", "chosen": [message("system", "S"), ASK, ANSWER], "rejected": "B"},
            [("system", "S"), *pair("Q", "A")],
            "B",
        ),
        (
            {"chosen": [ASK, ANSWER], "rejected": [ASK, BAD]},
            pair("Q", "A"),
            [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "B"}],
        ),
        (
            {
                "conversations": [{"from": "human", "value": "Q"}],
                "chosen": {"from": "gpt", "value": "A"},
                "rejected": {"from": "gpt", "value": "B"},
                "system": "S",
            },
            [("system", "S"), *pair("Q", "A")],
            "B",
        ),
        ({"messages": [ASK], "chosen": ANSWER, "rejected": BAD}, pair("Q", "A"), "B"),
        (
            {"input": {"messages": [ASK]}, "preferred_output": [ANSWER], "non_preferred_output": [BAD]},
            pair("Q", "A"),
            "B",
        ),
        ({"input": "Q", "preferred_output": "A", "non_preferred_output": "B"}, pair("Q", "A"), "B"),
        ({"system": "S", "question": "Q", "chosen": "A", "rejected": "B"}, [("system", "S"), *pair("Q", "A")], "B"),
        ({"instruction": "I", "input": "X", "chosen": "A", "rejected": "B"}, pair("I\n\nX", "A"), "B"),
        ({"prompt": "Q", "chosen": None, "rejected": "B"}, pair("Q", None), "B"),
        ({"prompt": "Q", "chosen": [], "rejected": "B"}, pair("Q", None), "B"),
        ({"prompt": None, "chosen": "A", "rejected": "B"}, pair(None, "A"), "B"),
        ({"prompt": "Q", "chosen": "A"}, pair("Q", "A"), None),
        ({"prompt": "Q", "chosen": "A", "rejected": {"text": 4}}, pair("Q", "A"), {"text": 4}),
    ],
)
def test_preference(row: dict[str, Any], expected: Turns, rejected: object) -> None:
    assert turns("preference", row) == expected
    assert get("preference").convert(row)[0].evidence == {"rejected": rejected}


def test_a_preference_pair_keeps_its_tools() -> None:
    asked = {"messages": [ASK], "tools": [{"type": "function", "function": {"name": "f"}}]}
    row = {"input": asked, "preferred_output": [ANSWER], "non_preferred_output": [BAD]}
    assert get("preference").convert(row)[0].tools == asked["tools"]


@pytest.mark.parametrize("label", [True, "true", "True "])
def test_a_desirable_row_of_kto(label: object) -> None:
    assert turns("kto", {"prompt": "Q", "completion": "A", "label": label}) == pair("Q", "A")
    assert turns("kto", {"messages": [ASK, ANSWER], "label": label}) == pair("Q", "A")
    assert turns("kto", {"prompt": [ASK], "completion": [ANSWER], "label": label}) == pair("Q", "A")
    assert get("kto").convert({"prompt": "Q", "completion": "A", "label": label})[0].label is None


@pytest.mark.parametrize(
    ("name", "row", "code", "at", "message"),
    [
        (
            "prompt-completion",
            {"question": "Q"},
            "S303",
            "",
            "the row has none of the columns of prompt/completion: 'prompt', 'completion'",
        ),
        (
            "prompt-completion",
            {"prompt": [], "completion": []},
            "S301",
            "/prompt",
            "prompt and completion are empty lists",
        ),
        (
            "prompt-completion",
            {"prompt": [ASK], "completion": ["A"]},
            "S305",
            "/completion/0",
            "expected a message object, found text",
        ),
        (
            "prompt-completion",
            {"prompt": {"content": "Q"}, "completion": "A"},
            "S306",
            "/prompt",
            "the message has no 'role'",
        ),
        (
            "prompt-completion",
            {"prompt": [{"role": "user", "content": 3}], "completion": "A"},
            "S308",
            "/prompt/0/content",
            "expected text, found a number",
        ),
        ("metharme", {"x": 1}, "S303", "", "the row has none of the columns of Metharme: 'prompt', 'generation'"),
        (
            "metharme",
            {"prompt": "Hm <|user|>Q<|model|>", "generation": "A"},
            "T604",
            "/prompt",
            "the prompt has words before its first turn marker",
        ),
        ("metharme", {"prompt": "Q", "generation": {}}, "S308", "/generation", "expected text, found an object"),
        ("preference", {"prompt": "Q"}, "X001", "", "the row has no 'chosen'"),
        (
            "preference",
            {"prompt": "Q", "chosen": {"content": "A"}, "rejected": "B"},
            "S306",
            "/chosen",
            "the message has no 'from'",
        ),
        (
            "preference",
            {"prompt": "Q", "chosen": [{"role": "assistant", "content": {}}], "rejected": "B"},
            "S308",
            "/chosen/0/content",
            "expected text, found an object",
        ),
        (
            "preference",
            {"input": {"messages": []}, "preferred_output": [ANSWER], "non_preferred_output": [BAD]},
            "S301",
            "/input/messages",
            "'messages' is an empty list, expected a list of messages",
        ),
        (
            "kto",
            {"prompt": "Q", "completion": "A", "label": False},
            "undesirable",
            "/label",
            "the row is labelled false: its answer is not one to learn",
        ),
        (
            "kto",
            {"messages": [ASK, ANSWER], "label": "FALSE"},
            "undesirable",
            "/label",
            "the row is labelled false: its answer is not one to learn",
        ),
        (
            "kto",
            {"prompt": "Q", "completion": "A", "label": 1},
            "X001",
            "/label",
            "the label is a number, expected true or false",
        ),
        ("kto", {"prompt": "Q", "completion": "A"}, "X001", "", "the row has no 'label'"),
    ],
)
def test_what_they_refuse(name: str, row: dict[str, Any], code: str, at: str, message: str) -> None:
    with pytest.raises(UnconvertibleError) as caught:
        get(name).convert(row)
    finding = caught.value.finding
    assert (finding.code, finding.pointer, finding.message) == (code, at, message)
