"""Each fix on a line that its rule finds fault with, and what no fix may do."""

from __future__ import annotations

import json

import pytest
from tests.fixes.examples import ANSWER, EXAMPLES, GOOD_LINE, UNFIXABLE, USER, Example, answer, line, user
from tests.fixes.linting import codes, linter

from phi3data.findings import Finding
from phi3data.fixes import FILE_FIXES, FIXES
from phi3data.fixes.row import fix_row, fixable
from phi3data.rules import RULES

ALL = frozenset(FIXES)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.code)
def test_a_fix_ends_its_finding_and_leaves_the_rest_alone(example: Example) -> None:
    lint = linter(example.model)
    assert example.code in codes(example.fires, example.model)
    fix = FIXES[example.code]
    fixed = fix_row(example.fires, lint, {example.code}, unsafe=True)
    assert fixed.lines == example.fixed
    assert all(example.code not in codes(each, example.model) for each in fixed.lines)
    assert {change.code for change in fixed.done} == {example.code}
    assert all(change.before != change.after for change in fixed.done)
    safely = fix_row(example.fires, lint, {example.code}, unsafe=False)
    assert safely.lines == (fixed.lines if fix.safe else (example.fires,))


def test_every_fix_has_an_example_and_a_rule() -> None:
    assert {example.code for example in EXAMPLES} == FIXES.keys() - {"F106"}
    assert FIXES.keys() | FILE_FIXES.keys() <= RULES.keys()


@pytest.mark.parametrize(("code", "raw", "model"), UNFIXABLE)
def test_what_nobody_can_know_is_left_alone(code: str, raw: bytes, model: str | None) -> None:
    findings = [finding for finding in linter(model)(raw) if finding.code == code]
    assert findings
    fixed = fix_row(raw, linter(model), {code}, unsafe=True)
    assert (fixed.lines, fixed.done) == ((raw,), ())
    assert all(fixable(raw, finding) is None for finding in findings)


def test_fixable_says_what_would_really_be_done() -> None:
    for example in EXAMPLES:
        found = next(each for each in linter(example.model)(example.fires) if each.code == example.code)
        assert fixable(example.fires, found) == ("safe" if FIXES[example.code].safe else "unsafe")
    assert fixable(GOOD_LINE, Finding("R401", "no message is the assistant's")) is None


def test_only_the_codes_asked_for_are_fixed() -> None:
    raw = line({**USER, "role": "human"}, {**ANSWER, "lang": "en"})
    assert fix_row(raw, linter(), {"S307"}, unsafe=True).lines == (line(USER, {**ANSWER, "lang": "en"}),)
    assert fix_row(raw, linter(), ALL, unsafe=False).lines == (line(USER, ANSWER),)


def test_what_a_fix_brings_to_light_is_fixed_too() -> None:
    fixed = fix_row(b'{"instruction":"Hi\x01","output":"Scho\xcc\x88n"}', linter(), ALL, unsafe=False)
    assert json.loads(fixed.lines[0]) == {
        "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Schön"}]
    }
    assert [change.code for change in fixed.done] == ["J210", "S302", "C505", "C516"]


def test_a_fix_that_would_break_something_is_undone() -> None:
    # Without its second half the turn of the user would be all there is: R408 and R401 were not there before.
    raw = line(USER, USER)
    assert set(codes(raw)) == {"R405", "R401"}
    assert fix_row(raw, linter(), ALL, unsafe=True).lines == (raw,)


def test_a_rendered_conversation_is_taken_apart_before_its_tokens_are() -> None:
    raw = user("<|user|>\nHi<|end|>\n<|assistant|>\n")
    assert {"T604", "T601"} <= set(codes(raw))
    assert fix_row(raw, linter(), ALL, unsafe=True).lines == (user("Hi"),)
    assert fix_row(raw, linter(), ALL - {"T604"}, unsafe=True).lines == (raw,)


def test_rows_with_a_system_prompt_beside_the_messages_are_not_mixed_up() -> None:
    raw = line({"role": "user", "content": "One\x07"}, {"role": "assistant", "content": "Two\x07"}, system="Be kind.")
    lint = linter(target="trl")
    assert [finding.pointer for finding in lint(raw)] == ["/messages/1/content", "/messages/2/content"]
    assert fix_row(raw, lint, ALL, unsafe=True).lines == (raw,)


def test_what_was_changed_is_shown_around_the_change_and_never_a_secret() -> None:
    mail = "nadia.kowalczyk84@gmail.com"
    long = "A sentence that goes on. " * 20
    (change,) = fix_row(answer(f"{long}\x07{long}"), linter(), {"C505"}, unsafe=False).done
    assert (change.before, change.after) == (
        "…tence that goes on. \x07A sentence that goes…",
        "…tence that goes on. A sentence that goes…",
    )
    empty = line({"role": "user", "content": f"I am\n{mail}"}, {**ANSWER, "content": ""})
    dropped = fix_row(empty, linter(), ALL, unsafe=True)
    masked = fix_row(user(f"\x07{mail}"), linter(), ALL, unsafe=True)
    key = "AKIA" + "IOSFODNN7" + "EXAMPLE"
    renamed = fix_row(line({"role": "human", "content": f"It is\n{key}"}, ANSWER, id=1), linter(), ALL, unsafe=False)
    assert dropped.lines == ()
    assert [change.code for change in renamed.done] == ["S304", "S307"]
    shown = [f"{change.before}{change.after}" for each in (dropped, masked, renamed) for change in each.done]
    assert not any(mail in text or key in text for text in shown)
    assert any("'n…@gmail.com'" in text for text in shown)


@pytest.mark.parametrize("within", ["\u200b", "\x07", "\\u0007"])
def test_a_secret_in_pieces_is_not_shown(within: str) -> None:
    raw = GOOD_LINE.replace(b"Hi", f"Use AKIAIOSF{within}ODNN7EXAMPLE".encode())
    done = fix_row(raw, linter(), ALL, unsafe=False).done
    assert done
    assert not any("ODNN7" in change.before + change.after for change in done)


def test_a_line_of_many_rows_is_fixed_to_its_end() -> None:
    fixed = fix_row(b" ".join([user("Hi\u200b")] * 300), linter(), ALL, unsafe=False)
    assert fixed.lines == (user("Hi"),) * 300
