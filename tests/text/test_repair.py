from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data.text import repair

KERNELS = (
    repair.nfc,
    repair.misread,
    repair.line_ends,
    repair.control,
    repair.invisible,
    repair.end_space,
    repair.line_space,
)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("pass\u200bword", "password"),
        ("\u202eevil\u202c", "evil"),
        ("soft\u00adhyphen", "softhyphen"),
        ("hidden\U000e0041\U000e0042", "hidden"),
        ("x\ufe0f\ufe0f\ufe0f", "x\ufe0f"),
        ("\ufeffstart", "start"),
    ],
)
def test_invisible_characters_go(before: str, after: str) -> None:
    assert repair.invisible(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "👨\u200d👩\u200d👧 family",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f flag",
        "می\u200cخواهم",
        "क्\u200dष",
        "שלום \u200fabc",
        "❤\ufe0f",
        "don’t “touch” — this…",
        "中文，标点。",
        "a\u00a0b",
    ],
)
def test_invisible_characters_with_a_meaning_stay(text: str) -> None:
    assert repair.invisible(text) == text


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("bell\x07", "bell"),
        ("\x93quoted\x94", "“quoted”"),
        ("a\tb\nc", "a\tb\nc"),
        ("del\x7f", "del"),
    ],
)
def test_control_characters_go_or_become_what_was_meant(before: str, after: str) -> None:
    assert repair.control(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("possession â\x80\x94 and", "possession — and"),
        ("Ã\x85ngstrÃ¶m", "ÅngstrÃ¶m"),  # only what a C1 control proves
        ("São Paulo", "São Paulo"),
        ("â\x80 alone", "â\x80 alone"),
    ],
)
def test_utf8_read_as_latin1_is_mended_where_it_is_proven(before: str, after: str) -> None:
    assert repair.misread(before) == after


@pytest.mark.parametrize(
    ("before", "after"),
    [("    def f():\n        pass  \n\n", "    def f():\n        pass"), ("\n\n  x ", "  x"), ("  ", ""), ("a", "a")],
)
def test_indentation_survives(before: str, after: str) -> None:
    assert repair.end_space(before) == after


def test_line_ends_are_line_feeds() -> None:
    assert repair.line_ends("a\r\nb\rc\u2028d\x85e") == "a\nb\nc\nd\ne"


@given(st.text())
def test_kernels_are_idempotent(text: str) -> None:
    for kernel in KERNELS:
        once = kernel(text)
        assert kernel(once) == once, kernel.__name__


@given(st.text())
def test_what_can_be_seen_is_not_touched(text: str) -> None:
    def seen(value: str) -> list[str]:
        return [c for c in value if unicodedata.category(c)[0] in "LNPS" and not 0xFE00 <= ord(c) <= 0xFE0F]

    clean = "".join(
        c for c in text if c not in "\u115f\u1160\u3164\uffa0\u17b4\u17b5\u034f"
    )  # fillers look like letters
    assert seen(repair.invisible(clean)) == seen(clean)
    assert seen(repair.end_space(clean)) == seen(clean)
    assert seen(repair.line_ends(clean)) == seen(clean)


@given(st.text(alphabet=" \t\n\r\u200b\ufeff\u2060\u00ad\u3000\u200d\x00\x1f", max_size=8))
def test_nothing_to_see_is_empty(text: str) -> None:
    assert repair.is_empty(text)


@given(
    st.text(
        alphabet=st.characters(categories=["L", "N", "P"], exclude_characters="\u115f\u1160\u3164\uffa0\u17b4\u17b5"),
        min_size=1,
    )
)
def test_something_to_see_is_not_empty(text: str) -> None:
    assert not repair.is_empty(text)
