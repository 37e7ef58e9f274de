"""The language of hints says what regular expressions say, and the automaton finds them where those match."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data.rules import texts
from phi3data.rules.hints import Automaton, automaton, sequence
from phi3data.text import html, markup

ALL = [hint for kernel in texts.CHECKER.kernels for hint in kernel.hints]
TRICKY: list[str | bytes] = [
    "aab",
    "aba",
    "^ab",
    "^a[bc]",
    "[a-c]b",
    r"\[a",
    r"a\\b",
    r"\w:",
    r"a\s",
    "ü",
    "[\\]a]",
    b"\xc3[\x80-\xbf]",
]


def expression(hint: str | bytes) -> re.Pattern[bytes]:
    r"""Return the expression of a hint; for bytes, ``\w`` and ``\s`` have to be written out."""
    wide = rb"\x80-\xff"
    data = hint.encode() if isinstance(hint, str) else hint
    inside = rb"(\[[^\]]*)"
    for name, members in ((b"w", b"A-Za-z0-9_" + wide), (b"s", b"\\t-\\r\\x1c-\\x20" + wide)):
        data = re.sub(inside + rb"\\" + name, lambda found, members=members: found[1] + members, data)  # type: ignore[misc]
        data = data.replace(b"\\" + name, b"[" + members + b"]")
    outside = re.compile(rb"(\[(?:\\.|[^\]\\])+\]|\\.|^\^)|(.)", re.DOTALL)
    return re.compile(outside.sub(lambda found: found[1] or re.escape(found[2]), data), re.DOTALL)


def bits(found: Automaton, text: bytes) -> int:
    state, mask, width = 0, 0, len(found.table) // len(found.masks)
    for byte in text:
        state = int(found.table[state + int(found.kinds[byte])])
        if state >= found.accepting:
            mask |= int(found.masks[state // width])
    return mask


def check(hints: list[str | bytes], text: bytes) -> None:
    found = bits(automaton([(hint, 1 << number) for number, hint in enumerate(hints)]), text)
    assert [found >> number & 1 for number in range(len(hints))] == [
        bool(expression(hint).search(text)) for hint in hints
    ]


@given(st.text("abc[:\\] \n\u00fc_]", max_size=12))
def test_hints_match_where_expressions_do(text: str) -> None:
    check(TRICKY, text.encode())


@given(st.lists(st.sampled_from(ALL), min_size=1, max_size=6, unique=True), st.data())
def test_those_of_the_rules_do_too(hints: list[str | bytes], data: st.DataObject) -> None:
    pieces = []
    for hint in data.draw(st.lists(st.sampled_from(ALL), max_size=4)):
        sets, _ = sequence(hint)
        pieces.append(bytes(data.draw(st.sampled_from(sorted(allowed))) for allowed in sets))
    glue = data.draw(st.sampled_from([b"", b" ", b"<", b"\n", b"a"]))
    check(hints, data.draw(st.sampled_from([b"", b"x"])) + glue.join(pieces))


def test_plain_pieces_have_no_signs() -> None:
    found = automaton([("a[bc]", 1)], [("a[bc]", 2), ("<|end|>", 4)])
    assert [bits(found, text) for text in (b"xab", b"a[bc]", b"a [bc] <|end|>")] == [1, 2, 4]


def test_brackets_hold_bytes() -> None:
    with pytest.raises(ValueError, match="brackets hold ASCII only"):
        sequence("I['’]m")


def test_every_tag_of_prose_is_a_hint() -> None:
    assert set(markup.TAGS.split()) == html._PROSE
