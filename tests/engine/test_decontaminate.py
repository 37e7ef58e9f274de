"""The step decontaminate in the engine: rows that give away a benchmark go, or are flagged, with the evidence."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import chat

import phi3data

ASKED = "A farmer named Alice has 48 hens and each hen lays 5 eggs a week. How many eggs does she sell in 3 weeks?"
ALIKE = "A farmer called Bertha owns 48 hens; in a week each hen lays 5 eggs. In 3 weeks, how many eggs does she sell?"


@pytest.fixture
def reference(tmp_path: Path) -> Path:
    path = tmp_path / "benchmark.jsonl"
    path.write_text(json.dumps({"question": ASKED, "answer": "720"}) + "\n")
    return path


def rows() -> list[dict[str, Any]]:
    other = [chat(f"Where does the road number {n} lead to from here?", f"To the village of {n}.") for n in range(30)]
    return [*other, chat(f"Please solve this. {ASKED}", "It is 720."), chat(ALIKE, "She sells 720 eggs.")]


def test_copies_and_rephrasings_go_with_the_evidence(reference: Path, tmp_path: Path) -> None:
    prepared = phi3data.prepare(rows(), {"decontaminate": {"references": [str(reference)]}}, tmp_path / "out")
    entries = {row["line"]: row for row in prepared.ledger.to_pylist() if row["action"] == "dropped"}
    assert {line: (row["step"], row["reason"]) for line, row in entries.items()} == {
        31: ("decontaminate", "D810"),
        32: ("decontaminate", "D810"),
    }
    match = json.loads(entries[31]["evidence"])["match"]
    assert (match["tier"], match["reference"], match["row"]) == ("overlap", str(reference), 1)
    assert json.loads(entries[32]["evidence"])["match"]["tier"] == "similar"
    again = phi3data.prepare(
        rows(), {"decontaminate": {"references": [str(reference)]}}, tmp_path / "two", workers=2, shard_bytes=900
    )
    assert (again.folder / "train.jsonl").read_bytes() == (prepared.folder / "train.jsonl").read_bytes()


def test_rows_may_be_flagged_instead(reference: Path) -> None:
    recipe = {"decontaminate": {"references": [str(reference)], "action": "flag"}}
    prepared = phi3data.prepare(rows(), recipe)
    assert prepared.profile.rows_dropped == 0
    assert any("(D810)" in warning for warning in prepared.profile.warnings)


def test_the_step_alone(reference: Path) -> None:
    assert phi3data.decontaminate(rows(), [str(reference)]).profile.rows_dropped == 2
    with pytest.raises(phi3data.InputError, match="no such file"):
        phi3data.decontaminate(rows(), ["nowhere.jsonl"])
