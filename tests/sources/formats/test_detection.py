"""Which format a sample of rows is of, and the sentence where it is of none."""

from __future__ import annotations

from typing import Any

import pytest

from phi3data.errors import InputError, UsageError
from phi3data.sources.formats import FORMATS, Row, detect, get, recognise_other

CHAT = {"messages": [{"role": "user", "content": "Q"}, {"role": "assistant", "content": "A"}]}
ALPACA = {"instruction": "I", "input": "", "output": "O"}
PLAIN = {"text": "Once upon a time"}
SAMPLES: dict[str, list[Row]] = {
    "preference": [
        {"prompt": "Q", "chosen": "A", "rejected": "B"},
        {"conversations": [{"from": "human", "value": "Q"}], "chosen": {}, "rejected": {}},
        {**CHAT, "prompt": "Q", "chosen": [], "rejected": []},
        {"input": {"messages": []}, "preferred_output": [], "non_preferred_output": []},
        {"chosen": [{"role": "user"}], "rejected": [{"role": "user"}]},
    ],
    "kto": [
        {"prompt": "Q", "completion": "A", "label": True},
        {"prompt": "Q", "completion": "A", "label": "False"},
        {**CHAT, "label": False},
    ],
    "bedrock": [
        {**CHAT, "system": [{"text": "S"}]},
        {**CHAT, "system": "S"},
        {**CHAT, "schemaVersion": "bedrock-conversation-2024"},
        {"messages": [{"role": "user", "content": [{"text": "Q"}]}]},
    ],
    "mistral": [
        {"interactions": [{"role": "user", "text": "Q"}]},
        {"messages": [{"role": "user", "text": "Q"}]},
    ],
    "chat": [
        CHAT,
        {**CHAT, "tools": None, "system": None, "label": "billing"},
        {**CHAT, "prompt": "Q", "prompt_id": "7"},
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Q"}]}]},
        {"messages": []},
        {"messages": None},
    ],
    "gemini": [{"contents": [{"role": "user", "parts": [{"text": "Q"}]}]}],
    "sharegpt": [
        {"conversations": [{"from": "human", "value": "Q"}]},
        {"conversations": [{"role": "user", "content": "Q"}], "system": "S", "tools": "[]"},
        {"conversations": [{"from": "human", "value": "Q"}], "chosen": None, "rejected": None},
        {"conversations": None},
    ],
    "self-instruct": [{"instruction": "I", "instances": [{"input": "", "output": "O"}], "is_classification": False}],
    "openorca": [
        {"system_prompt": "S", "question": "Q", "response": "R"},
        {"question": "Q", "response": "R"},
    ],
    "dolly": [
        {"instruction": "I", "context": "C", "response": "R", "category": "qa"},
        {"instruction": "I", "context": None, "response": "R"},
        {"instruction": "I", "context": "C", "response": "R", "input": None},
    ],
    "alpaca": [
        ALPACA,
        {"instruction": "I", "response": "R"},
        {"instruction": "I", "input": "X", "response": "R", "context": "C"},
        {**ALPACA, "text": "### Instruction:\nI\n\n### Response:\nO"},
        {**ALPACA, "system": "S", "history": [["q", "a"]]},
    ],
    "metharme": [{"prompt": "Q", "generation": "A"}],
    "prompt-completion": [
        {"prompt": "Q", "completion": "A"},
        {"prompt": [{"role": "user"}], "completion": [{"role": "assistant"}]},
        {"prompt": "Q", "completion": "A", "label": "billing"},
        {"prompt": "Q", "completion": "A", "label": None},
        {"prompt": "Q", "completion": "A", "messages": None, "instruction": None, "output": None},
    ],
    "camel": [{"message_1": "Q", "message_2": "A"}],
    "question-answer": [
        {"question": "Q", "answer": "A"},
        {"query": "Q", "answer": "A", "intent": "x"},
        {"Question": "Q", "Answer": "A"},
        {"q": "Q", "a": "A"},
        {"question": 1, "answer": True},
        {"question": "Q", "answer": "A", "context": "C", "text": "t"},
        {"question": "Q", "answer": "A", "response": "R"},
        {"question": None, "answer": None},
    ],
    "baize": [
        {"input": "[|Human|] Q [|AI|] A", "topic": "t"},
        {"text": "[|Human|] Q [|AI|] A"},
        {"conversation": "[|Human|] Q [|AI|] A"},
    ],
    "rendered": [
        {"text": "<|user|>\nQ<|end|>\n<|assistant|>\nA<|end|>"},
        {"text": "<s>[INST] Q [/INST] A</s>"},
        {"text": "<|im_start|>user\nQ<|im_end|>"},
        {"text": "### Instruction:\nQ\n\n### Response:\nA"},
    ],
}


def test_every_format_has_samples() -> None:
    assert [*SAMPLES, "plain-text"] == list(FORMATS)


@pytest.mark.parametrize(("name", "row"), [(name, row) for name, rows in SAMPLES.items() for row in rows])
def test_a_row_is_detected_as_its_own_format(name: str, row: Row) -> None:
    assert detect([row]).name == name


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        ([CHAT, ALPACA, ALPACA], "alpaca"),
        ([CHAT, ALPACA], "chat"),
        ([ALPACA, CHAT], "chat"),
        ([{"unknown": 1}] * 9 + [ALPACA], "alpaca"),
        ([{"messages": None}] * 9 + [ALPACA], "alpaca"),
        # the label of one row is missing: the others still say what they are, and nothing undesirable is trained on
        ([{"prompt": "Q", "completion": "A", "label": None}, *SAMPLES["kto"][:2]], "kto"),
        ([PLAIN, CHAT], "chat"),
        ([PLAIN, SAMPLES["rendered"][0], SAMPLES["rendered"][1]], "rendered"),
    ],
)
def test_most_rows_decide(rows: list[Row], name: str) -> None:
    assert detect(rows).name == name


NEAREST = "no known format: the rows have the "


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"frage": "Q", "antwort": "A"}],
            NEAREST + "columns 'frage', 'antwort'; nearest is question/answer, which needs 'question', 'answer': "
            "name them with --columns question=frage,answer=antwort",
        ),
        (
            [{"Frage": "Q", "Antwort": "A", "Thema": "T"}],
            NEAREST + "columns 'Frage', 'Antwort', 'Thema'; nearest is question/answer, which needs 'question', "
            "'answer': name them with --columns question=…,answer=…",
        ),
        (
            [{"Messages": []}],
            NEAREST + "column 'Messages'; nearest is chat, which needs 'messages'; did you mean 'messages'? "
            "Name it with --columns messages=Messages",
        ),
        (
            [{"message": [], "id": 4}],
            NEAREST + "columns 'message', 'id'; nearest is chat, which needs 'messages'; did you mean 'messages'? "
            "Name it with --columns messages=message",
        ),
        (
            [{"conversation": []}],
            NEAREST + "column 'conversation'; nearest is ShareGPT, which needs 'conversations'; did you mean "
            "'conversations'? Name it with --columns conversations=conversation",
        ),
        (
            [{"Instruction": "I", "Output": "O"}],
            NEAREST
            + "columns 'Instruction', 'Output'; nearest is alpaca, which needs 'instruction', 'output'; did you "
            "mean 'instruction', 'output'? Name them with --columns instruction=Instruction,output=Output",
        ),
        (
            [{"input": "I", "output": "O"}],
            NEAREST + "columns 'input', 'output'; nearest is alpaca, which needs 'instruction', 'output': "
            "name it with --columns instruction=input",
        ),
        (
            [{"prompt": "Q", "response": "A"}],
            NEAREST + "columns 'prompt', 'response'; nearest is prompt/completion, which needs 'prompt', 'completion': "
            "name it with --columns completion=response",
        ),
        (
            [{"label": "x", "sentence": "Q"}],
            NEAREST + "columns 'label', 'sentence'; nearest is question/answer, which needs 'question', 'answer': "
            "name them with --columns question=sentence,answer=label",
        ),
        (
            [{"messages": "Hi"}],
            NEAREST + "column 'messages'; nearest is chat, which needs 'messages': here 'messages' is text",
        ),
        (
            [{"question": "Q", "answer": None}, {"question": "Q", "answer": ["A"]}][1:],
            NEAREST + "columns 'question', 'answer'; nearest is question/answer, which needs 'question', 'answer': "
            "here 'answer' is a list",
        ),
        (
            [{f"c{number}": number for number in range(12)}],
            NEAREST + "columns 'c0', 'c1', 'c2', 'c3', 'c4', 'c5', 'c6', 'c7', 'c8', 'c9' and 2 more; nearest is "
            "question/answer, which needs 'question', 'answer': name them with --columns question=…,answer=…",
        ),
        (
            [{"My Question": "Q", "The\nanswer": "A"}],
            NEAREST + "columns 'My Question', 'The\\nanswer'; nearest is question/answer, which needs 'question', "
            "'answer'; did you mean 'question'? Name them with --columns 'question=My Question,answer=…'",
        ),
        ([{}], "no known format: the rows have no columns"),
        ([], "no known format: the rows have no columns"),
        (
            [PLAIN],
            (
                "plain text is no conversation: write question/answer pairs, or name two columns with "
                "--columns question=…,answer=…"
            ),
        ),
        (
            [{**PLAIN, "Label": "story"}],
            (
                "plain text is no conversation: for labelled text name the columns with "
                "--columns question=text,answer=Label"
            ),
        ),
        (
            [PLAIN, PLAIN, CHAT],
            (
                "plain text is no conversation: write question/answer pairs, or name two columns with "
                "--columns question=…,answer=… (1 of 3 rows look like chat: --format chat)"
            ),
        ),
    ],
)
def test_rows_of_no_format(rows: list[Row], message: str) -> None:
    with pytest.raises(InputError) as caught:
        detect(rows)
    assert str(caught.value) == message


@pytest.mark.parametrize("name", list(FORMATS))
def test_a_format_goes_by_its_name(name: str) -> None:
    assert get(name).name == name
    assert get(name.replace("-", "_").upper()).name == name


@pytest.mark.parametrize("written", ["question/answer", "Question Answer", " question_answer "])
def test_a_name_may_be_written_as_people_do(written: str) -> None:
    assert get(written).name == "question-answer"


def test_an_unknown_name() -> None:
    with pytest.raises(UsageError) as near:
        get("sharegtp")
    assert str(near.value) == "unknown format 'sharegtp'; did you mean 'sharegpt'?"
    with pytest.raises(UsageError) as far:
        get("xyz")
    assert str(far.value) == f"unknown format 'xyz'; there are {', '.join(FORMATS)}"


@pytest.mark.parametrize(
    ("row", "current", "other"),
    [
        (ALPACA, "chat", "alpaca"),
        (CHAT, "alpaca", "chat"),
        (PLAIN, "chat", "plain-text"),
        (CHAT, "chat", None),
        ({**CHAT, "system": "S"}, "chat", None),
        (CHAT, "bedrock", None),
        (ALPACA, "bedrock", "alpaca"),
        ({"instruction": "I", "context": "C", "response": "R"}, "alpaca", None),
        ({"unknown": 1}, "chat", None),
    ],
)
def test_a_row_of_another_format(row: Row, current: str, other: str | None) -> None:
    assert recognise_other(row, get(current)) == other


def test_every_format_reads_the_fields_that_it_needs() -> None:
    reads: dict[str, Any] = {form.name: form for form in FORMATS.values()}
    assert all(set(form.needs) <= set(form.fields) for form in reads.values())
    assert all(form.name == name for name, form in FORMATS.items())
