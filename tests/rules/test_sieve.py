"""The sieve never hides a finding: what a kernel finds in a text, the sieve has marked for that kernel."""

from __future__ import annotations

import re
from functools import cache
from itertools import accumulate
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from tests.rules.test_screen import GLUE, KERNELS, PIECES, finds, texts_of

from phi3data.chat import Conversation, Message
from phi3data.rules import content, texts
from phi3data.rules.screen import Kernel, Mark
from phi3data.rules.sieve import Said, Sieve
from phi3data.steps.missing import MissingConfig, gaps
from phi3data.text import (
    attachment,
    boilerplate,
    contact,
    export,
    html,
    identity,
    language,
    markers,
    mojibake,
    numbers,
    placeholder,
    secrets,
    transcript,
)

pytest.importorskip("numba")
ROLES = ("system", "user", "assistant")
SIEVE = Sieve(KERNELS, content.PAIRS, ["<|end|>", "<s>"])


CUES = ("+44", "电话", "EGN", "Tel.", "NHS")
LANGUAGES = (
    "この機械はどうやって掃除しますか。",
    "机器要怎么清洗?",
    "请每个月清洗一次,",
    "カタログ",
    "漢字",
    "Ring. ",
    "How often is the machine to be cleaned, and what do you need for that? ",
    "You have to do it once a month, with water. ",
    "Wie oft muss ich die Maschine für das Gerät reinigen? ",
    "Das ist nicht für die Größe. ",
    "Как это делать, и что для этого нужно? ",
    "기계를 어떻게 청소합니까? ",
    "Πώς να το καθαρίσω; ",
    "12, 13. ",
)


def said(rows: list[list[tuple[str, str]]]) -> Said:
    """Return rows of messages (role, text) as the kernels read them."""
    turns = [turn for row in rows for turn in row]
    data = [text.encode() for _, text in turns]
    return Said(
        np.frombuffer(bytearray(b"".join(data)), np.uint8),
        np.array([0, *accumulate(map(len, data))], np.int64),
        np.array([ROLES.index(role) for role, _ in turns], np.uint8),
        np.array([0, *accumulate(map(len, rows))], np.int64),
    )


def masks(rows: list[list[tuple[str, str]]]) -> list[int]:
    return [int(mask) for mask in SIEVE.suspects(said(rows))]


def missed(text: str, role: str, mask: int) -> list[str]:
    wanted = [number for number, kernel in enumerate(KERNELS) if role in kernel.roles and finds(kernel, text)]
    return [KERNELS[number].code for number in wanted if not mask >> number & 1]


def encodable(text: str) -> bool:
    return all(not 0xD800 <= ord(letter) < 0xE000 for letter in text)


@pytest.mark.parametrize("before", ["", "And so: ", "Ü. ", "x" * 300 + " "])
@pytest.mark.parametrize("after", ["", ".", "\nThe end.", " " + "y" * 300])
def test_each_piece_is_seen(before: str, after: str) -> None:
    rows = [[(role, before + piece + after)] for piece in PIECES for role in ROLES if encodable(piece)]
    for ((role, text),), mask in zip(rows, masks(rows), strict=True):
        assert missed(text, role, mask) == [], (role, text)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(ROLES), texts_of.filter(encodable)), min_size=1, max_size=4))
@example([("user", "x" * 126 + "[Your Name]" + "x" * 130)])
@example([("assistant", "Sehr lang. " * 12 + "漢字" * 40 + "とても長いものです。" * 30)])
def test_the_sieve_hides_no_finding(row: list[tuple[str, str]]) -> None:
    for (role, text), mask in zip(row, masks([row]), strict=True):
        assert missed(text, role, mask) == [], (role, text)


PATTERNS: dict[str, list[Any]] = {
    "placeholder": [pattern for _, pattern, _ in placeholder._KINDS],
    "markers": [markers._FOREIGN, markers._TURN, markers._ALPACA, markers._IMAGE],
    "boilerplate": [boilerplate._SELF, boilerplate._REFUSAL],
    "transcript": [transcript._LABEL, transcript._HEADING],
    "attachment": [attachment._POINTS, attachment._POINTS_ELSEWHERE],
    "export": [export._DOUBLED, export._LINE_END, export._ENDS],
    "markup": [html._TAG, html._ENTITY],
    "mojibake": [mojibake._WESTERN, mojibake._CYRILLIC, mojibake._GBK],
    "secrets": [secrets._ANY, secrets._ASSIGNED, secrets._JWT, secrets._URL_PASSWORD, secrets._PEM],
    "numbers": [
        contact._EMAIL,
        contact._INTERNATIONAL,
        contact._WITH_CUE,
        contact._IPV4,
        identity._CARD,
        identity._IBAN,
    ],
}


@cache
def matches(module: str) -> st.SearchStrategy[str]:
    """Return texts in which one of the patterns of a module matches."""
    patterns = [getattr(pattern, "pattern", pattern) for pattern in PATTERNS[module]]
    return st.one_of([st.from_regex(re.compile(pattern)).filter(encodable) for pattern in patterns])


@pytest.mark.parametrize("module", PATTERNS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_whatever_a_pattern_matches_is_seen(module: str, data: st.DataObject) -> None:
    """No alternative of a pattern is without its hint."""
    glue = st.sampled_from(["", " ", "\n", "x", ". ", "ü ", "\nUser: "])
    text = "".join(data.draw(st.lists(st.one_of(matches(module), glue), min_size=1, max_size=4)))
    rows = [[(role, text)] for role in ROLES]
    for ((role, _),), mask in zip(rows, masks(rows), strict=True):
        assert missed(text, role, mask) == [], (role, text)


@pytest.mark.parametrize("letters", ["ab", "äb", "漢字", "😀x"])
@pytest.mark.parametrize("period", [1, 2, 7, 23, 24, 25, 180, 400])
@pytest.mark.parametrize("tail", ["", "The rest is another matter altogether, and long enough. "])
def test_loops_of_any_period_are_seen(letters: str, period: int, tail: str) -> None:
    part = "".join(Random(period).choices(letters + " cdefg", k=period))
    text = part * (2400 // period) + tail
    assert missed(text, "assistant", masks([[("assistant", text)]])[0]) == []


@settings(max_examples=400, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["2024-05-17", "1999-12-31", "2024-05-1", "12345", "1", "06", "555 123", "=", "$", "x", "é", "×"]
        )
        | st.sampled_from([" ", "-", ".", "(", ")", "/", "\u3000", "\n"]),
        max_size=9,
    ).map("".join),
    st.sampled_from(["", "x" * 300]),
    st.sampled_from(["", " ", "1. ", *(letter * count for letter in "xé漢" for count in range(28, 37))]),
    st.sampled_from(["+44", "电话", "EGN", " Tel.", "NHS"]),
)
@example("2024-05-17 12345", "", "", "+44")
@example("on 2024-05-17 (0303)", "x" * 300, "", "EGN")
@example("555 1234567", "x" * 300, "é" * 33, "EGN")
def test_what_stands_near_long_numbers_is_seen(text: str, before: str, between: str, cue: str) -> None:
    """A piece within reach of a long number, and no other, makes the sieve ask for a look."""
    (number,) = [number for number, kernel in enumerate(KERNELS) if kernel.find is numbers.find]
    for piece in (before + cue + between + text, before + text + between + cue):
        near = any(
            hint in piece[max(0, start - 36) : stop + 36] for start, stop in numbers._runs(piece) for hint in CUES
        )
        assert (not near) or masks([[("user", piece)]])[0] >> number & 1, piece


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(["", " ", "\n", "\u3000", "x", "é", "Wie ist der Filter? "]),
    st.sampled_from(["What is it? ", "ü. ", "x" * 40, "漢字かな。" * 9, "Где это? " * 6]),
    st.sampled_from(["", " ", "\u00a0", "\t"]),
    st.sampled_from(["", "x" * 40, "é" * 41, "漢字。" * 14, "Это здесь. " * 5]),
)
def test_pairs_that_say_something_are_compared(before: str, question: str, white: str, other: str) -> None:
    for answer in (other, question, white + question, question + white, before + question):
        asked = before + question + white
        mask = masks([[("user", asked), ("assistant", answer)]])
        if answer and any(pair.find(asked, answer) for pair in content.PAIRS):
            assert mask[0] & SIEVE.pair_bit or mask[1] & SIEVE.pair_bit, (asked, answer)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(st.sampled_from(LANGUAGES), min_size=1, max_size=6).map("".join), min_size=2, max_size=2))
def test_languages_that_change_are_compared(both: list[str]) -> None:
    mask = masks([[("user", both[0]), ("assistant", both[1])]])[1]
    if language.change(*both) and " der " not in both[0]:
        assert mask & SIEVE.pair_bit, both
    assert not masks([[("user", both[0]), ("assistant", both[0] + "!")]])[1] & SIEVE.pair_bit


WORDS = (
    "the and is THE you what the’s it's a_b",
    "der die das und nicht für SIE ist Größe Straße ẞein Kann ſie",
    "le les une est vous c'est l’est où LES déjà œuf ŒUVRE x'y'z",
    "que é não para uma mais É NÃO 'tis naïve",
    "nie się SIĘ są jest że do przez İs ǅ",
    "на и за КАК это ΑΣ 漢 ✓ 😀 x² ²nd 12 the_ _is а́",
)
PROSE = st.sampled_from(WORDS).flatmap(
    lambda words: st.lists(
        st.tuples(
            st.sampled_from(words.split()) | st.sampled_from(" ".join(WORDS).split()), st.sampled_from("   \n.,-")
        ),
        min_size=5,
        max_size=14,
    ).map(lambda drawn: "".join(map("".join, drawn)))
)


@settings(max_examples=800, deadline=None)
@given(PROSE, PROSE)
@example("What is the year, and the day? ", "é não para uma mais não é ")
@example("THE and is you what the ", "SIĘ nie są że to do się ")
@example("the the the the it's ", "é não para uma mais não é ")
@example("the the the the x'y'z ", "é não para uma mais não é ")
@example("the the the the the d'er d'er ", "é não para uma mais não é ")
@example("the " * 5 + "!" * 380 + "is", "é não para uma mais não é ")
@example("the " * 5 + "!" * 378 + "is", "é não para uma mais não é ")
def test_the_words_of_latin_texts_are_counted_as_they_are_elsewhere(asked: str, answered: str) -> None:
    compared = bool(masks([[("user", asked), ("assistant", answered)]])[1] & SIEVE.pair_bit)
    if " der " in asked or not language.may_differ(asked, answered):
        return
    one, other = language.language(asked), language.language(answered)
    differ = bool(one and other and one != other)
    assert compared or not differ
    if all(ord(letter) < 0x370 and letter != "İ" for letter in asked + answered):
        assert compared == differ


def test_most_clean_texts_are_passed_over() -> None:
    """Without this the properties above would hold for a sieve that marks all."""
    clean = [
        "How often is the tray to be emptied, and on 2024-05-17?",
        "Wie oft muss ich das tun? Größe 3.",
        "漢字かな。どう。" * 3,
    ]
    rows = [[("user", text), ("assistant", f"{text} Like that.")] for text in clean]
    assert masks(rows) == [0] * 6


@given(st.lists(st.sampled_from([*GLUE, "nan", "N/A", "\u200b", "<noinput>", "a"]), max_size=8).map("".join))
def test_texts_that_say_nothing_are_seen(text: str) -> None:
    talk = Conversation([Message("user", text)])
    if any(gaps(talk)):
        assert masks([[("user", text)]])[0] & SIEVE.nothing_bit, text
    assert max(map(len, MissingConfig().null_like)) < 12  # what the kernel takes for enough


def test_control_tokens_are_seen_in_any_text() -> None:
    assert [bool(mask & SIEVE.control_bit) for mask in masks([[("user", "<|end|> it"), ("assistant", "a<s>b")]])] == [
        True
    ] * 2
    assert not masks([[("user", "<|end |> it")]])[0] & SIEVE.control_bit


def test_a_very_long_control_token_is_seen_wherever_it_stands() -> None:
    token = "<|" + "x" * 300 + "|>"
    sieve = Sieve(KERNELS, content.PAIRS, [token])
    for before in (0, 100, 500, 900):
        found = sieve.suspects(said([[("user", "a" * before + token + "b" * (1000 - before))]]))
        assert found[0] & sieve.control_bit, before


def test_a_kernel_with_marks_of_the_skeleton_needs_hints() -> None:
    kernel = Kernel("X", lambda _: (), (Mark("bones", "<"),), frozenset({"user"}))
    with pytest.raises(ValueError, match="X: a mark of the skeleton is no hint: give the kernel hints"):
        Sieve([kernel], [], [])


def test_rows_are_told_apart() -> None:
    long = [("user", "Hi")] * 40
    rows = [
        [("user", "a"), ("assistant", "b")],
        long,
        [("system", "s"), ("assistant", "ü")],
        long,
        [("user", "漢"), ("assistant", "")],
    ]
    found = said(rows)
    assert [(turn.role, turn.content) for turn in found.row(2)] == rows[2]
    assert [found.place(number) for number in (0, 1, 2, 42, 84, 85)] == [(0, 0), (0, 1), (1, 0), (2, 0), (4, 0), (4, 1)]
    orders = sorted((roles[:2], len(roles), numbers) for roles, numbers in found.orders())
    assert orders == [
        (("system", "assistant"), 2, [2]),
        (("user", "assistant"), 2, [0, 4]),
        (("user", "user"), 40, [1]),
        (("user", "user"), 40, [3]),
    ]
    assert found.trained().tolist() == [1, 0, 2, 0, 0]
    assert found.rows_of(np.array([0, 1] + [0] * 40 + [1, 1] + [0] * 42)) == [0, 2]


def test_every_kernel_is_known_to_the_sieve() -> None:
    assert texts.CHECKER.kernels == KERNELS
