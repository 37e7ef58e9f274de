"""Unseen characters become visible; scripts and emoji that need joiners stay whole."""

import pytest

from phi3data.report.html.visible import mark, mark_diff, plain

FAMILY = "👨\u200d👩\u200d👧"
PERSIAN = "می\u200cخواهم"
ENGLAND = "\U0001f3f4\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f"


@pytest.mark.parametrize(
    "text", ["plain", FAMILY, PERSIAN, ENGLAND, "1\ufe0f\u20e3", "❤\ufe0f", "a\tb\nc", "\u3000中文"]
)
def test_text_that_needs_its_joiners_stays(text: str) -> None:
    assert plain(text) == text
    assert mark(text, changed=False) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\u200bb", "a⟨U+200B⟩b"),
        ("a\u200db", "a⟨U+200D⟩b"),
        ("\u202egpj.exe", "⟨U+202E⟩gpj.exe"),
        ("\x00\x1b", "⟨U+0000⟩⟨U+001B⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("hi\U000e0068\U000e0069", "hi⟨U+E0068⟩⟨U+E0069⟩"),
    ],
)
def test_plain_names_what_cannot_be_seen(text: str, shown: str) -> None:
    assert plain(text) == shown


def test_a_tag_names_the_character() -> None:
    assert mark("\u200b", changed=False) == '<span class="ch" title="U+200B zero width space">U+200B</span>'


def test_blanks_are_marked_only_where_something_changed() -> None:
    assert "␠" not in mark("a  b ", changed=False)
    assert mark("a b ", changed=True).striptags() == "a b␠"
    assert mark("a  b", changed=True).count("␠") == 2
    assert mark("\r\n\t\u00a0", changed=True).striptags().split() == ["␍⏎", "⇥U+00A0"]


def test_a_long_run_is_shown_once_with_its_length() -> None:
    assert mark("\u200b" * 2000, changed=True).striptags() == "U+200B × 2,000"
    assert mark("\u200b" * 4, changed=True).striptags() == "U+200B" * 4


def test_a_diff_is_marked_and_escaped() -> None:
    html = mark_diff([("=", "a<b"), ("-", "<i>"), ("+", "&"), ("-", " ")])
    assert html.startswith("a&lt;b<del>&lt;i&gt;</del><ins>&amp;</ins><del><span")


def test_a_message_of_blanks_shows_them() -> None:
    assert mark_diff([("=", " \u200b")]).striptags() == "␠U+200B"
    assert mark_diff([("=", " a")]) == " a"
