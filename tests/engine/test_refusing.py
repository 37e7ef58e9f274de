"""What no step mends goes, with its code; so that the linter finds no error in a row that was written."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.conftest import chat

import phi3data
from phi3data.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

_TOOL = {"type": "function", "function": {"name": "find", "description": "Find.", "parameters": {"type": "object"}}}
_CALL = {"id": "c1", "type": "function", "function": {"name": "find", "arguments": "{}"}}
CALLED = {
    "tools": [_TOOL],
    "messages": [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Where is it?"},
        {"role": "assistant", "content": None, "tool_calls": [_CALL]},
        {"role": "tool", "tool_call_id": "c1", "content": "there"},
        {"role": "assistant", "content": "It is there."},
    ],
}
SPOKEN = {"tools": [_TOOL], "messages": [{"role": "system", "content": "Be kind."}, *chat("Hi?", "Hello!")["messages"]]}
KEY = "AKIA" + "IOSFODNN7" + "QWERTYU"  # of the shape that a cloud's keys have
BAD = {
    "T601": chat("What does <|end|> do?", "It ends a turn."),
    "P002": chat("My key?", f"Your key is {KEY}."),
    "T605": CALLED,
}


def _write(path: Path, rows: list[dict[str, Any]]) -> Path:
    good = [chat(f"Question {n}?", f"The answer is {n * n}.") for n in range(60)]
    path.write_text("".join(json.dumps(row) + "\n" for row in [*rows, *good]), "utf-8")
    return path


def _errors(path: Path, model: str) -> list[str]:
    return [each.code for each in phi3data.check(path, model=model).findings if each.severity == "error"]


def test_rows_with_an_error_go_and_the_linter_finds_none_in_what_is_left(tmp_path: Path) -> None:
    source = _write(tmp_path / "rows.jsonl", list(BAD.values()))
    assert set(BAD) <= set(_errors(source, "phi-3-mini-4k-instruct"))
    prepared = phi3data.prepare(source, output=tmp_path / "out")
    gone = {
        row["line"]: (row["step"], row["reason"]) for row in prepared.ledger.to_pylist() if row["action"] == "dropped"
    }
    assert gone == {number: ("check", code) for number, code in enumerate(BAD, 1)}
    assert _errors(tmp_path / "out" / "train.jsonl", "phi-3-mini-4k-instruct") == []


def test_codes_and_their_beginnings_can_be_let_pass_and_unknown_ones_are_named(tmp_path: Path) -> None:
    source = _write(tmp_path / "rows.jsonl", list(BAD.values()))
    prepared = phi3data.prepare(source, {"check": {"ignore": ["T6", "G"]}}, output=tmp_path / "out")
    assert [row["reason"] for row in prepared.ledger.to_pylist() if row["action"] == "dropped"] == ["P002"]
    with pytest.raises(UsageError, match=r"check\.ignore: unknown rule 'T691'; did you mean 'T601'\?"):
        phi3data.prepare(source, {"check": {"ignore": ["T691"]}}, output=tmp_path / "other")


def test_calls_in_the_older_spelling_are_looked_at_too(tmp_path: Path) -> None:
    old = chat("Where is it?", "It is there.")
    old["messages"][1:1] = [{"role": "assistant", "content": None, "function_call": {"name": "find", "arguments": "{"}}]
    source = _write(tmp_path / "rows.jsonl", [old])
    prepared = phi3data.prepare(source, {"check": {"ignore": ["T605", "G903", "S", "R"]}})
    gone = [(row["line"], row["reason"]) for row in prepared.ledger.to_pylist() if row["action"] == "dropped"]
    assert gone == [(1, "G902")]


def test_definitions_go_where_the_template_reads_them(tmp_path: Path) -> None:
    source = _write(tmp_path / "rows.jsonl", [SPOKEN])
    recipe = {"model": "phi-4-mini-instruct", "split": {"enabled": False}}
    prepared = phi3data.prepare(source, recipe, output=tmp_path / "out")
    first = prepared.ledger.to_pylist()[0]
    assert (first["action"], first["step"], first["reason"]) == ("changed", "check", "G907")
    row = json.loads((tmp_path / "out" / "train.jsonl").read_text("utf-8").splitlines()[0])
    assert "tools" not in row
    assert json.loads(row["messages"][0]["tools"]) == [_TOOL["function"]]
    assert _errors(tmp_path / "out" / "train.jsonl", "phi-4-mini-instruct") == []
