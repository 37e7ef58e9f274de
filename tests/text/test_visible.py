"""Unseen characters are named; cells are those that a terminal draws."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from phi3data.report.html import visible
from phi3data.text.visible import cells, one_line, plain


@given(st.text() | st.text(st.sampled_from("a\u200b\u200d\u200c\ufe0f\u202e👨é می#*1\u20e3©\x1b\r\n\t\ufeff\ud800")))
def test_it_is_what_the_report_page_does(text: str) -> None:
    assert plain(text) == visible.plain(text)


@given(st.text())
def test_nothing_that_a_terminal_obeys_is_left(text: str) -> None:
    assert not set(one_line(text)) & {chr(code) for code in (*range(32), *range(0x7F, 0xA0), *range(0x202A, 0x202F))}


def test_tabs_and_line_ends_are_one_sign() -> None:
    assert one_line("a\tb\nc\r\n") == "a⇥b⏎c⟨U+000D⟩⏎"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", 0),
        ("abc é", 5),
        ("e\u0301a", 2),
        ("你好，", 6),
        ("ｆｕｌｌ", 8),
        ("한국", 4),
        ("\u1112\u1161\u11ab", 2),
        ("👋", 2),
        ("👋🏽!", 3),
        ("👨\u200d👩\u200d👧", 2),
        ("❤\ufe0f", 2),
        ("🇩🇪", 2),
        ("می\u200cخواهم", 7),
        ("⟨U+200B⟩", 8),
    ],
)
def test_cells(text: str, expected: int) -> None:
    assert cells(text) == expected


@given(st.text(st.characters(min_codepoint=32, max_codepoint=0x9FFF, categories=["L", "N", "P", "Zs"])))
def test_letters_are_as_wide_as_rich_takes_them_for(text: str) -> None:
    for character in text:
        if not "\u1160" <= character <= "\u11ff":
            assert cells(character) == cell_len(character), f"U+{ord(character):04X}"
