from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data.text.repetition import find, may_loop
from phi3data.text.spot import Spot, describe, quoted


@pytest.mark.parametrize(
    ("piece", "shown"),
    [
        ("plain", "'plain'"),
        ("a\nb\tc\r", "'a\\nb\\tc\\r'"),
        ("\x07\u200b\u0308\U000e0041", "'\\u0007\\u200b\\u0308\\U000e0041'"),
        ("0123456789" * 5, "'01234567890123456789…01234567890123456789'"),
    ],
)
def test_pieces_are_quoted_short_and_visible(piece: str, shown: str) -> None:
    assert quoted(piece) == shown


def test_places_are_counted_in_code_points_from_one() -> None:
    assert describe("😀é{{x}}", Spot(2, 7, "the placeholder")) == "the placeholder '{{x}}' at character 3"
    assert describe("abc", Spot(1, 2, "a letter", "")) == "a letter at character 2"


@given(st.text())
def test_what_is_shown_is_printable(piece: str) -> None:
    assert quoted(piece).isprintable()
    assert len(quoted(piece)) <= 41 * 10 + 2


@given(st.text("ab \n", min_size=12, max_size=40), st.integers(12, 40))
def test_a_loop_is_found_whatever_stands_before_it(part: str, times: int) -> None:
    text = "It begins so. " + (part + "c. ") * times
    spots = list(find(text, ""))
    assert not spots or (spots[0].start <= 14 + len(part) + 3 and spots[0].end == len(text))
    if sum(letter.isalpha() for letter in part) > len(part) // 2 + 3 and len(text) >= 240:
        assert spots


def test_one_find_tells_most_texts_clean() -> None:
    assert not may_loop("The tray is emptied once a week, the tank each day, and the group is rinsed now and then." * 1)
    assert may_loop("Check the hose. " * 30)
