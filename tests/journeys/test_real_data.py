"""The main job on the real data sets beside the project: by detection alone, and without harm."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.engine.test_prepare import assert_balanced

import phi3data
from phi3data.text.repair import end_space

FILES = {
    "alpaca_zh_demo.json": ("alpaca", 1000),
    "dpo_en_demo.json": ("preference", 300),
    "foundry_phi3_sample.train.jsonl": ("chat", 79),
    "foundry_phi3_sample.validation.jsonl": ("chat", 21),
    "glaive_toolcall.sharegpt.json": ("sharegpt", 300),
    "gpteacher_codegen.alpaca.json": ("alpaca", 4535),
    "gpteacher_roleplay.alpaca.json": ("alpaca", 1923),
    "gsm8k_train.qa.jsonl": ("question-answer", 7473),
    "identity.placeholders.json": ("alpaca", 91),
}


@pytest.mark.parametrize("name", FILES)
def test_each_file_is_detected_and_accounted_for(shared: Path, name: str) -> None:
    prepared = phi3data.prepare(shared / "data" / name)
    assert_balanced(prepared, FILES[name][1])
    assert prepared.profile.sources[0].format == FILES[name][0]


@pytest.mark.parametrize(
    "name", [name for name, (kind, _) in FILES.items() if kind == "alpaca"] + ["gsm8k_train.qa.jsonl"]
)
def test_clean_changes_only_what_it_declares(shared: Path, name: str) -> None:
    """Undo what the ledger declares on the raw text; anything beyond it is harm."""
    path = shared / "data" / name
    raw = path.read_text("utf-8")
    rows = [json.loads(line) for line in raw.splitlines()] if path.suffix == ".jsonl" else json.loads(raw)
    prepared = phi3data.clean(path)
    ledger, cleaned = prepared.ledger.to_pylist(), prepared.train.to_pylist()
    assert len(rows) == len(cleaned) == len(ledger)
    for row, after, entry in zip(rows, cleaned, ledger, strict=True):
        answer: Any = row.get("answer") or row.get("output") or row.get("response")
        kept = after["messages"][-1]["content"]
        if entry["action"] == "kept":
            assert kept == answer
            continue
        declared = set(json.loads(entry["evidence"])["changes"])
        assert declared <= {"trailing-space", "F106", "C505", "C506"}, (entry, answer)
        assert "\n".join(line for line in kept.splitlines()) == kept.rstrip("\n")
        expected = answer.replace("\r\n", "\n").replace("\r", "\n")
        if "C506" not in declared and "C505" not in declared:
            assert kept == end_space(expected)
        assert [line[: len(line) - len(line.lstrip())] for line in kept.splitlines() if line.strip()] == [
            line[: len(line) - len(line.lstrip())] for line in end_space(expected).splitlines() if line.strip()
        ], "indentation was lost"
