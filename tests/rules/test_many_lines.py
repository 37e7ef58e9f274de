"""Many lines at once are taken exactly if each of them alone is a row of roles and texts, and then read the same."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phi3data import targets
from phi3data.rules.typed import Bare, FastPath

FAST = FastPath(targets.target(targets.DEFAULT))
GOOD = b'{"messages":[{"role":"user","content":"Say \\"yes\\"."},{"role":"assistant","content":"Yes"}]}'
TWICE = GOOD.replace(b'"content":"Yes"', b'"content":"No","content":"Yes"')
ODD = (
    TWICE,
    GOOD.replace(b'"role":"user",', b'"role":"user","role":"user",'),
    GOOD.replace(b'"Yes"', b'"\\u0022Yes\\u0022 \\u0022Yes\\u0022"'),
    GOOD.replace(b'"Yes"', b'"Yes","weight":1'),
    GOOD[:-1] + b',"tools":[]}',
    GOOD + GOOD,
    b"",
    b" ",
    b"[]",
    GOOD[:40],
    GOOD[40:],
    b'{"messages":',
    GOOD[len(b'{"messages":') :],
    b"\xff",
    GOOD.replace(b"Yes", b"\xff"),
    b'{"messages":[]}',
    GOOD + b"\r",
    GOOD.replace(b"Yes", "Größe 漢字 😀".encode()),
    GOOD.replace(b'"role":"user"', b'"role":"tool"'),
)


def one_by_one(lines: list[bytes]) -> list[list[object]] | None:
    found = [FAST(line) for line in lines]
    return [list(row.messages) for row in found if row] if all(type(row) is Bare for row in found) else None


@settings(max_examples=400)
@given(st.lists(st.one_of(st.just(GOOD), st.sampled_from(ODD)), min_size=1, max_size=5))
def test_many_lines_are_taken_exactly_if_each_is(lines: list[bytes]) -> None:
    at_once, alone = FAST.many(lines), one_by_one(lines)
    if at_once is not None:
        assert alone is not None
        said = [[(turn.role, turn.content) for turn in row] for row in at_once]
        assert said == [[(turn.role, turn.content) for turn in row] for row in alone]  # type: ignore[attr-defined]
    elif alone is not None:  # these cost all lines of the block a second look
        assert any(b"\\u0022" in line or line.endswith(b"\r") for line in lines)


@pytest.mark.parametrize("line", [TWICE, b"", GOOD + GOOD])
def test_one_line_that_is_no_such_row_refuses_all(line: bytes) -> None:
    assert FAST.many([GOOD, GOOD]) is not None
    assert FAST.many([GOOD, line, GOOD]) is None


def test_an_object_over_two_lines_is_not_taken_for_two_rows() -> None:
    assert FAST.many([GOOD[:40], GOOD[40:]]) is None
