"""The main job on the sample data: every planted defect meets the fate that its key says, and nothing else does."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from markupsafe import escape
from tests.engine.test_prepare import assert_balanced

import phi3data

CALLS = "T605"  # no Phi-3 template writes a message that calls a function and says nothing
FILES = ("agent_chats.jsonl", "faq.csv", "howto.alpaca.json", "support_chats.sharegpt.json")


@pytest.fixture(scope="module")
def prepared(sample_data: Path) -> phi3data.Prepared:
    return phi3data.prepare([sample_data / name for name in FILES])


@pytest.fixture(scope="module")
def entries(prepared: phi3data.Prepared) -> dict[tuple[str, int], dict[str, Any]]:
    return {(Path(row["source"]).name, row["line"]): row for row in prepared.ledger.to_pylist()}


def test_every_row_is_accounted_for(prepared: phi3data.Prepared) -> None:
    assert_balanced(prepared)
    assert prepared.profile.rows_in > 1800
    assert {source.format for source in prepared.profile.sources} == {"question-answer", "sharegpt", "alpaca", "chat"}


def test_every_planted_defect_meets_its_fate(sample_data: Path, entries: dict[tuple[str, int], dict[str, Any]]) -> None:
    key = json.loads((sample_data / "key.json").read_text("utf-8"))
    wrong = []
    for defect in key:
        entry = entries.get((defect["file"], defect["line"]))
        fate = entry["action"] if entry else "ignored"
        # A row with function calls goes for its calls, whatever else is wrong with it.
        codes = {defect["code"], CALLS} if defect["code"].startswith("G") else {defect["code"]}
        if fate != defect["expect"] or (entry and fate == "dropped" and entry["reason"] not in codes):
            wrong.append(
                (defect["file"], defect["line"], defect["code"], defect["expect"], fate, entry and entry["reason"])
            )
    assert wrong == []


def test_nothing_else_is_dropped_or_changed(sample_data: Path, entries: dict[tuple[str, int], dict[str, Any]]) -> None:
    planted = {(defect["file"], defect["line"]) for defect in json.loads((sample_data / "key.json").read_text("utf-8"))}
    others = {place: entry["reason"] for place, entry in entries.items() if entry["action"] != "kept"}
    rows = (sample_data / "agent_chats.jsonl").read_bytes().split(b"\n")
    calling = {("agent_chats.jsonl", line) for line, row in enumerate(rows, 1) if b'"tool_calls"' in row}
    assert {place: reason for place, reason in others.items() if place not in planted} == dict.fromkeys(
        calling - planted, CALLS
    )


def test_the_report_shows_what_happened(prepared: phi3data.Prepared) -> None:
    profile = prepared.profile
    assert profile.verdict == "look"
    assert sum(reason.rows for reason in profile.dropped) == profile.rows_dropped
    html = (prepared.folder / "report.html").read_text("utf-8")
    for reason in profile.dropped:
        assert str(escape(reason.title)) in html
    shown = Counter(example.action for example in profile.examples)
    assert shown["dropped"] >= len(profile.dropped)
    assert shown["changed"] >= 5
    assert shown["kept"] >= 5
    for example in profile.examples:
        before = ["".join(text for kind, text in message.diff if kind != "+") for message in example.messages]
        after = ["".join(text for kind, text in message.diff if kind != "-") for message in example.messages]
        if example.step != "missing":  # a message without text that was removed shows no text either
            assert (before != after) == (example.action == "changed"), example
    assert len(profile.labels) >= 6
    assert profile.label_column
