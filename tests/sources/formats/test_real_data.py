"""Real data sets: every row converts, and every text of a row is found again, unchanged, in its messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from phi3data.sources.formats import Row, detect

if TYPE_CHECKING:
    from phi3data.chat import Conversation

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
FILES = {
    "gsm8k_train.qa.jsonl": ("question-answer", 7473),
    "gpteacher_roleplay.alpaca.json": ("alpaca", 1923),
    "gpteacher_codegen.alpaca.json": ("alpaca", 4535),
    "alpaca_zh_demo.json": ("alpaca", 1000),
    "identity.placeholders.json": ("alpaca", 91),
    "glaive_toolcall.sharegpt.json": ("sharegpt", 300),
    "dpo_en_demo.json": ("preference", 300),
    "foundry_phi3_sample.train.jsonl": ("chat", 79),
    "foundry_phi3_sample.validation.jsonl": ("chat", 21),
}


def read(name: str) -> list[Row]:
    path = DATA / name
    if not path.exists():
        pytest.skip(f"{path} is not here")
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in text.split("\n") if line]
    rows: list[Row] = json.loads(text)
    return rows


def trained(conversation: Conversation) -> list[str]:
    """Return all that a conversation says: contents, and the calls' names and arguments."""
    said = [message.content for message in conversation.messages if message.content is not None]
    for message in conversation.messages:
        for call in message.tool_calls or []:
            said += [call["function"]["name"], call["function"]["arguments"]]
    return said


def texts(row: Row) -> list[str]:
    """Return the texts of a row that its conversation must hold."""
    found = [
        text for text in (row.get(key) for key in ("question", "answer", "instruction", "input", "output")) if text
    ]
    found += [row["response"]] if "response" in row else []
    for turn in [*row.get("messages", []), *row.get("conversations", [])]:
        value: Any = turn.get("value", turn.get("content"))
        if turn.get("from") == "function_call":
            found.append(json.loads(value)["name"])
        else:
            found.append(value)
    if "chosen" in row:
        found.append(row["chosen"]["value"])
    return found


@pytest.mark.parametrize("name", list(FILES))
def test_every_row_converts_and_keeps_its_texts(name: str) -> None:
    expected, count = FILES[name]
    rows = read(name)
    assert len(rows) == count
    form = detect(rows[:200])
    assert form.name == expected
    for row in rows:
        (conversation,) = form.convert(row)
        said = trained(conversation)
        for text in texts(row):
            assert any(text == part or part.startswith(text) or part.endswith(text) for part in said)


def test_the_calls_of_glaive_keep_their_arguments_and_find_their_results() -> None:
    rows = read("glaive_toolcall.sharegpt.json")
    form = detect(rows)
    calls = 0
    for row in rows:
        (conversation,) = form.convert(row)
        raw = [turn["value"] for turn in row["conversations"] if turn["from"] == "function_call"]
        made = [call for message in conversation.messages for call in message.tool_calls or []]
        assert [call["id"] for call in made] == [f"call_{number}" for number in range(1, len(raw) + 1)]
        for call, source in zip(made, raw, strict=True):
            assert call["function"]["arguments"] in source
            assert json.loads(call["function"]["arguments"]) == json.loads(source)["arguments"]
        answered = [message.tool_call_id for message in conversation.messages if message.role == "tool"]
        assert answered == [call["id"] for call in made]
        calls += len(made)
    assert calls == 211


def test_the_rejected_answers_are_kept() -> None:
    rows = read("dpo_en_demo.json")
    form = detect(rows)
    for row in rows:
        (conversation,) = form.convert(row)
        assert conversation.evidence == {"rejected": row["rejected"]["value"]}
