"""Each rule's two examples are run: one fires, the other does not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import phi3data
from phi3data import family
from phi3data.rules import RULES

WITH_EXAMPLES = [code for code, rule in RULES.items() if rule.fires and rule.silent]
GOOD = {"messages": [{"role": "user", "content": "good"}, {"role": "assistant", "content": "row"}]}


def codes(line: str, path: Path, model: str | None = None, other: str = json.dumps(GOOD)) -> set[str]:
    path.write_text(f"{other}\n{line}\n{other}\n", "utf-8")
    return {found.code for found in phi3data.check(path, model=model or family.DEFAULT).findings if found.line == 2}


@pytest.mark.parametrize("code", WITH_EXAMPLES)
def test_the_examples_of_a_rule_fire_and_stay_silent(code: str, tmp_path: Path) -> None:
    rule = RULES[code]
    assert rule.fires is not None
    assert rule.silent is not None
    other = rule.silent if code.startswith("X") else json.dumps(GOOD)  # one file, one format
    assert code in codes(rule.fires, tmp_path / "fires.jsonl", rule.model, other)
    assert codes(rule.silent, tmp_path / "silent.jsonl", rule.model, other) == set()


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


def test_what_the_template_drops_depends_on_the_model() -> None:
    row = {"messages": [{"role": "system", "content": "s"}, *GOOD["messages"]]}
    assert phi3data.check([row]).ok
    (found,) = phi3data.check([row], model="phi-3-medium").findings
    assert (found.code, found.pointer) == ("R407", "/messages/0/role")


def test_a_role_that_the_vocabulary_does_not_know_is_said() -> None:
    row = {"messages": [*GOOD["messages"], {"role": "tool", "content": "21"}, GOOD["messages"][1]]}
    (found,) = phi3data.check([row], model="phi-3-small", select="R").findings
    assert (found.code, found.pointer) == ("R407", "/messages/2/role")
    assert "the plain text <|tool|>" in found.message
    assert phi3data.check([row], model="phi-4-mini", select="R").ok


def test_control_tokens_are_those_of_the_model() -> None:
    row = {"messages": [{"role": "user", "content": "What is <|im_end|>?"}, GOOD["messages"][1]]}
    assert phi3data.check([row], select="T601").ok
    (found,) = phi3data.check([row], model="phi-4", select="T601").findings
    assert (found.code, found.pointer) == ("T601", "/messages/0/content")
    assert "<|im_end|> (id 100265) at character 9" in found.message


def test_a_row_over_the_context_is_estimated_or_counted(shared: Path) -> None:
    row = {"messages": [{"role": "user", "content": "word " * 5000}, GOOD["messages"][1]]}
    (found,) = phi3data.check([row], select="L701").findings
    assert found.code == "L701"
    assert found.message.startswith("an estimated 5,")
    (exact,) = phi3data.check([row], select="L701", tokenizer=shared / "tokenizers" / "phi-3-mini").findings
    assert exact.message == "5,007 tokens, the limit is 4,096"
    assert phi3data.check([row], select="L701", model="phi-3-mini-128k").ok


def test_a_template_that_is_not_used_is_said(shared: Path) -> None:
    result = phi3data.check([GOOD], model="phi-3-small", tokenizer=shared / "tokenizers" / "phi-3-small")
    assert result.ok
    assert "the template of phi-3-small-8k-instruct is used instead" in result.notes[0]
