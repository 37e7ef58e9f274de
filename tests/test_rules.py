"""Each rule's two examples are run: one fires, the other does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import phi3data
from phi3data.rules import RULES

WITH_EXAMPLES = [code for code, rule in RULES.items() if rule.fires and rule.silent]
GOOD = {"messages": [{"role": "user", "content": "good"}, {"role": "assistant", "content": "row"}]}


def codes(line: str, path: Path) -> set[str]:
    path.write_text(f"{json.dumps(GOOD)}\n{line}\n{json.dumps(GOOD)}\n", "utf-8")
    return {found.code for found in phi3data.check(path).findings if found.line == 2}


@pytest.mark.parametrize("code", WITH_EXAMPLES)
def test_the_examples_of_a_rule_fire_and_stay_silent(code: str, tmp_path: Path) -> None:
    rule = RULES[code]
    assert rule.fires is not None
    assert rule.silent is not None
    assert code in codes(rule.fires, tmp_path / "fires.jsonl")
    assert codes(rule.silent, tmp_path / "silent.jsonl") == set()


def test_enough_rules_have_examples() -> None:
    assert len(WITH_EXAMPLES) >= 24


def test_fingerprints_do_not_depend_on_the_place(tmp_path: Path) -> None:
    bad = json.dumps({"messages": [{"role": "user", "content": "alone"}]})
    one, two = tmp_path / "one.jsonl", tmp_path / "two.jsonl"
    one.write_text(f"{bad}\n")
    two.write_text(f"{json.dumps(GOOD)}\n{bad}\n")
    first, second = (phi3data.check(path).findings[0] for path in (one, two))
    assert (first.line, second.line) == (1, 2)
    assert first.fingerprint == second.fingerprint


def test_findings_of_rows_in_memory_and_selection(tmp_path: Path) -> None:
    rows = [GOOD, {"messages": [{"role": "user", "content": "alone"}]}]
    assert {found.code for found in phi3data.iter_findings(rows)} == {"R408", "R401"}
    assert phi3data.check(rows, select=("R40",), ignore=("R408",)).to_dict()["summary"]["codes"] == {"R401": 1}
    assert phi3data.check([GOOD]).ok
