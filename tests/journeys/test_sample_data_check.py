"""The linter on the sample data: every planted defect is found with its code at its row, no other row has an error."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import phi3data

CHATS = "agent_chats.jsonl"
OTHERS = ("faq.csv", "howto.alpaca.json", "support_chats.sharegpt.json")

Row = tuple[str, int]  # file and record, from 1


@pytest.fixture(scope="module")
def planted(sample_data: Path) -> set[tuple[Row, str]]:
    key = json.loads((sample_data / "key.json").read_text("utf-8"))
    return {((entry["file"], entry["record"]), entry["code"]) for entry in key}


@pytest.fixture(scope="module")
def found(sample_data: Path, tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Row, str, str]]:
    """What is found in each row: in the chats as they are, in the other files as they are converted."""
    converted = phi3data.convert([sample_data / name for name in OTHERS])
    out: list[tuple[Row, str, str]] = []
    kept: dict[int, Row] = {}
    for entry in converted.ledger.to_pylist():
        row = OTHERS[int(entry["row_id"].partition(":")[0]) - 1], int(entry["row_id"].partition(":")[2].split(".")[0])
        if entry["action"] == "dropped":
            out.append((row, entry["reason"], "error"))
        else:
            kept[entry["output_line"]] = row
    chats = sample_data / CHATS
    for located in phi3data.check([chats, converted.folder / "train.jsonl"], project=True).findings:
        row = (CHATS, located.line) if located.path == str(chats) else kept[located.line]
        out.append((row, located.code, located.severity))
    return out


def test_every_planted_defect_is_found_with_its_code_at_its_row(
    planted: set[tuple[Row, str]], found: list[tuple[Row, str, str]]
) -> None:
    assert planted - {(row, code) for row, code, _ in found} == set()


def test_no_other_row_has_an_error(
    sample_data: Path, planted: set[tuple[Row, str]], found: list[tuple[Row, str, str]]
) -> None:
    lines = (sample_data / CHATS).read_bytes().split(b"\n")
    # No template of Phi-3 writes function calls, so that these rows are in error whatever they say.
    calling = {(CHATS, number) for number, line in enumerate(lines, 1) if b"_call" in line}
    damaged = {row for row, _ in planted}
    others = {(row, code) for row, code, severity in found if severity == "error" and row not in damaged}
    assert {code for row, code in others if row in calling} <= {"T605"}
    # Of the file as a whole, told at its first row without the key: the calling rows alone have tools.
    assert {(row, code) for row, code in others if row not in calling} == {((CHATS, 1), "S313")}
