from __future__ import annotations

import pytest

from phi3data.text import html


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("<p>Hi &amp; bye</p><ul><li>one</li><li>two</li></ul>", "Hi & bye\n\n- one\n- two"),
        ("Tom &amp; Jerry&nbsp;Ltd.", "Tom & Jerry Ltd."),
        ("line<br/>next<BR>last", "line\nnext\nlast"),
        ('See <a href="https://example.com?x=1&copy=2">here</a>.', "See here (https://example.com?x=1&copy=2)."),
        ("5 < 6 and <b>bold</b>", "5 < 6 and bold"),
        ("<ol><li>Open</li><li>Close</li></ol>repeat step 2", "1. Open\n2. Close\nrepeat step 2"),
        ("<p>Our R&D team, AT&T &amp; Q&A</p>", "Our R&D team, AT&T & Q&A"),
        ("<br>see a?x=1&copy=2 now, R&D", "see a?x=1&copy=2 now, R&D"),
        ('<ol start="5"><li>five</li><li value="9">nine</li></ol>', "5. five\n9. nine"),
        ("<b>Note</b>\n    indented", "Note\n    indented"),
        ("10\u00a0000 &amp; more", "10\u00a0000 & more"),
        ('<a href="https://example.com">https://example.com</a>', "https://example.com"),
        ("&#39;quoted&#39; &lt;3", "'quoted' <3"),
    ],
)
def test_prose_in_html_becomes_text(before: str, after: str) -> None:
    assert html.is_html(before)
    assert html.to_text(before) == after


@pytest.mark.parametrize(
    "text",
    [
        "x < y and y > z",
        "Use <script>alert(1)</script>",
        "<custom-tag>value</custom-tag>",
        "std::vector<int> v;",
        "Dear <name>, welcome",
        "```html\n<p>Hi</p>\n```",
        "for (i = 0; i < n; i++) { a &= b; }",
        "https://example.com/?a=1&copy=2",
        "AT&T and R&D",
        "<|user|> says hi",
        "mail <someone@example.com>",
        "$<<48/2=24>>24",
        "It is 10<sup>6</sup>, that is 1,000,000.",
        "Use Vec<u> or List<A> in Rust.",
        "Choose <a> or <b>, then press <i>.",
        "If a <b and c> d then yes.",
        "</b>x<b>",
        "Use Vec<u> holds <b></u></b>",
        "Write &copy; there.",
        "Type &lt; where it stands.",
        "&section; &timestamp; &notify; &region;",
        "if a && b: pass &amp; {x}",
    ],
)
def test_what_only_looks_like_html_is_left_alone(text: str) -> None:
    assert not html.is_html(text)


@pytest.mark.parametrize(
    "text", ["How do I write HTML?", "the <b> tag", "用HTML写一个网页", "Translate, keep the formatting"]
)
def test_texts_about_markup_are_told(text: str) -> None:
    assert html.speaks_of_markup(text)


@pytest.mark.parametrize("text", ["Enter the promo code on our website.", "What is the price?"])
def test_support_texts_are_not_about_markup(text: str) -> None:
    assert not html.speaks_of_markup(text)
