"""One string that holds a whole conversation: Baize, rendered templates; and plain text, which holds none."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from phi3data.sources.formats import UnconvertibleError, get

Turns = list[tuple[str, str | None]]
PAIR: Turns = [("user", "Q"), ("assistant", "A")]
SYSTEM: Turns = [("system", "S"), *PAIR]
TWO: Turns = [*PAIR, ("user", "R"), ("assistant", "B")]
BELOW = "Below is an instruction that describes a task. Write a response that completes the request.\n\n"


def turns(name: str, row: dict[str, Any]) -> Turns:
    (conversation,) = get(name).convert(row)
    return [(message.role, message.content) for message in conversation.messages]


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {
                "input": "The conversation between human and AI assistant.\n[|Human|] Q\n[|AI|] A\n[|Human|] ",
                "topic": "t",
            },
            PAIR,
        ),
        ({"text": "[|Human|]Q[|AI|]A[|Human|]R[|AI|]B"}, TWO),
        ({"conversation": "S\n[|Human|] Q\n[|AI|] A"}, SYSTEM),
        ({"input": None, "text": "[|Human|] Q [|AI|] A"}, PAIR),
        (
            {"text": "[|Human|] Q\n[|AI|]\n    x = 1\n    y = 2\n"},
            [("user", "Q"), ("assistant", "    x = 1\n    y = 2")],
        ),
        ({"text": "[|Human|] Q\n[|AI|] "}, [("user", "Q"), ("assistant", "")]),
    ],
)
def test_baize(row: dict[str, Any], expected: Turns) -> None:
    assert turns("baize", row) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # Phi-3, with and without the tokens around it
        ("<|user|>\nQ<|end|>\n<|assistant|>\nA<|end|>\n<|endoftext|>", PAIR),
        ("<s><|system|>\nS<|end|>\n<|user|>\nQ<|end|>\n<|assistant|>\nA<|end|>\n", SYSTEM),
        ("<|user|>\nQ<|end|>\n<|assistant|>\nA<|endoftext|>", PAIR),
        ("<|user|>\nQ<|end|>\n<|assistant|>\n", [("user", "Q"), ("assistant", "")]),
        # Phi-4-mini has no newlines
        ("<|user|>Q<|end|><|assistant|>A<|end|><|endoftext|>", PAIR),
        # the words of a turn stay as they are: only the template's own newline goes
        ("<|user|>\n Q \n<|end|>\n<|assistant|>\n  A\n<|end|>", [("user", " Q \n"), ("assistant", "  A\n")]),
        # ChatML, Phi-4
        (
            "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\nQ<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n",
            SYSTEM,
        ),
        ("<|im_start|>user<|im_sep|>Q<|im_end|><|im_start|>assistant<|im_sep|>A<|im_end|>", PAIR),
        # Llama 3
        (
            (
                "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nQ<|eot_id|>"
                "<|start_header_id|>assistant<|end_header_id|>\n\nA<|eot_id|><|end_of_text|>"
            ),
            PAIR,
        ),
        (
            "<|start_header_id|>user<|end_header_id|>\n\nQ<|eot_id|><|start_header_id|>ipython<|end_header_id|>\n\n4<|eot_id|>",
            [("user", "Q"), ("tool", "4")],
        ),
        # Llama 2, Mistral
        ("<s>[INST] Q [/INST] A </s>", PAIR),
        ("<s>[INST] <<SYS>>\nS\n<</SYS>>\n\nQ [/INST] A </s>", SYSTEM),
        ("<s>[INST] Q [/INST] A </s><s>[INST] R [/INST] B </s>", TWO),
        ("<s>[INST] Q [/INST]A</s> [INST] R [/INST]B</s>", TWO),
        ("[INST] Q [/INST]", [("user", "Q"), ("assistant", "")]),
        # headings
        (BELOW + "### Instruction:\nQ\n\n### Response:\nA", PAIR),
        (BELOW + "### Instruction:\nQ\n\n### Input:\nX\n\n### Response:\nA</s>", [("user", "Q\n\nX"), PAIR[1]]),
        (BELOW + "### Instruction:\nQ\n\n### Input:\n\n\n### Response:\nA", PAIR),
        ("S\n\n### Instruction:\nQ\n### Response: A\n", SYSTEM),
        ("### System:\nS\n\n### Instruction:\nQ\n\n### Response:\nA", SYSTEM),
        ("### Instruction:\nQ\n\n### Response:\nA\n\n### Instruction:\nR\n\n### Response:\nB<|endoftext|>\n", TWO),
        ("### Instruction:\nQ\n\n### Response:\n  if x:\n    y\n", [("user", "Q"), ("assistant", "  if x:\n    y")]),
        ("### Human: Q### Assistant: A### Human: R### Assistant: B", TWO),
        ("<s>### System: S\n### Human: Q\n### Assistant: A</s>", SYSTEM),
    ],
)
def test_rendered_text(text: str, expected: Turns) -> None:
    assert get("rendered").recognises({"text": text})
    assert turns("rendered", {"text": text}) == expected


PHI = "text in the Phi template does not come apart into turns: "
INST = "text in the [INST] template does not come apart into turns: "
HEADINGS = "text in the ### Instruction template does not come apart into turns: "


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("Once upon a time", "the text is in no chat template that is known"),
        ("Say <|user|>\nQ<|end|>\n<|assistant|>\nA<|end|>", PHI + "there are words before the first turn"),
        ("<|user|>\nQ<|end|> and <|assistant|>\nA<|end|>", PHI + "there are words between two turns"),
        ("<|user|>\nQ<|assistant|>\nA<|end|>", PHI + "a turn lacks its <|end|>"),
        ("<|user|>\nQ<|end|>\n<|assistant|>\nA<|end|> more", PHI + "there are words between two turns"),
        (
            "<|im_start|>user\nQ<|im_start|> <|im_end|>",
            "text in the ChatML template does not come apart into turns: there is a marker inside a turn",
        ),
        (
            "the mark <|im_start|>",
            "text in the ChatML template does not come apart into turns: no turn has a whole head",
        ),
        ("Hm [INST] Q [/INST] A", INST + "there are words before the first turn"),
        ("[INST] Q [INST] R [/INST] A", INST + "[INST] and [/INST] do not alternate"),
        ("[/INST] Q [INST] A", INST + "[INST] and [/INST] do not alternate"),
        ("[INST] Q [/INST] A [INST] R", INST + "[INST] and [/INST] do not alternate"),
        ("[INST] Q [/INST] A </s> B", INST + "there is a marker inside a turn"),
        ("[INST] Q [/INST] A [INST] <<SYS>>S<</SYS>> R [/INST] B", INST + "there is a marker inside a turn"),
        ("### Response:\nA\n### Instruction:\nQ", HEADINGS + "'### Response:' stands behind '### nothing:'"),
        (
            "### Instruction:\nQ\n### Response:\nA\n### Instruction:\nR",
            HEADINGS + "the last section is no '### Response:'",
        ),
        (
            "### Instruction:\nQ\n### Response:\nA\n### Response:\nB",
            HEADINGS + "'### Response:' stands behind '### Response:'",
        ),
    ],
)
def test_text_that_does_not_come_apart(text: str, message: str) -> None:
    with pytest.raises(UnconvertibleError) as caught:
        get("rendered").convert({"text": text})
    finding = caught.value.finding
    assert (finding.code, finding.pointer, finding.message) == ("T604", "/text", message)


@pytest.mark.parametrize(
    ("name", "row", "code", "at", "message"),
    [
        ("rendered", {"x": 1}, "S303", "", "the row has none of the columns of rendered text: 'text'"),
        ("rendered", {"text": None}, "S301", "/text", "the text is empty: there are no messages in it"),
        ("rendered", {"text": " \n"}, "S301", "/text", "the text is empty: there are no messages in it"),
        ("rendered", {"text": ["Q"]}, "S308", "/text", "expected text, found a list"),
        (
            "rendered",
            {"text": "<|im_start|>usr\nQ<|im_end|>"},
            "S307",
            "/text",
            "unknown role 'usr'; did you mean 'user'?",
        ),
        ("baize", {"text": "Hello"}, "S301", "/text", "the text has no [|Human|] and no [|AI|]"),
        ("baize", {"input": ["x"]}, "S308", "/input", "expected text, found a list"),
        ("baize", {"x": 1}, "S303", "", "the row has none of the columns of Baize: 'input', 'text', 'conversation'"),
        ("plain-text", {"text": "Hello"}, "S301", "/text", "plain text is no conversation"),
        ("plain-text", {}, "S301", "", "plain text is no conversation"),
    ],
)
def test_what_they_refuse(name: str, row: dict[str, Any], code: str, at: str, message: str) -> None:
    with pytest.raises(UnconvertibleError) as caught:
        get(name).convert(row)
    finding = caught.value.finding
    assert (finding.code, finding.pointer, finding.message) == (code, at, message)


def test_a_long_text_takes_time_in_proportion() -> None:
    blank = " \n" * 200_000
    for text in (
        f"<|user|>{blank}Q<|end|><|assistant|>A{blank}x",
        f"[INST]{blank}<<SYS>> [/INST]{blank}x",
        f"### Instruction:{blank}### Response:{blank}x",
    ):
        with contextlib.suppress(UnconvertibleError):
            get("rendered").convert({"text": text})
