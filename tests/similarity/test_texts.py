"""Shingles, signatures and sets: the same numbers however they are made, and near the truth."""

from __future__ import annotations

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data.similarity import bands, plain, texts
from phi3data.text.normalise import normalise

TEXTS = st.lists(
    st.text(st.sampled_from("aB1é中文字ひらกขྲ𠀀𠀁한 \t\n\u3000\u00a0.ßǅ")) | st.text(), min_size=1, max_size=6
)


# Blocks of 64 bytes, and words of 8, end anywhere in these.
_WORD = st.text(st.sampled_from("abcdefgh"), min_size=1, max_size=30) | st.sampled_from(["中文", "é", "€uro", "한"])
LONG = st.lists(st.lists(_WORD, max_size=40).map(" ".join), min_size=1, max_size=4)


@given(TEXTS | LONG)
def test_kernels_do_what_numpy_does(found: list[str]) -> None:
    normalised = [normalise(text.encode("utf-8", "ignore").decode()) for text in found]
    for sides in (1, len(normalised)):
        one, other = (texts.signatures(normalised, sides=sides, kernel=kernel) for kernel in (True, False))
        assert np.array_equal(one.values, other.values)
        assert np.array_equal(one.tokens, other.tokens)
    compiled, slow = (texts.sets(normalised, kernel=kernel) for kernel in (True, False))
    assert np.array_equal(compiled.hashes, slow.hashes)
    assert np.array_equal(compiled.starts, slow.starts)
    groups = np.array([[0, len(found) - 1, 0], [0, 0, 0]], np.int64)
    for width in (2, 3):
        counts = [texts.shared(slow, groups[:, :width], kernel=kernel).tolist() for kernel in (True, False)]
        assert counts[0] == counts[1]
        assert counts[0][1] == slow.sizes[0]


@given(TEXTS | LONG)
def test_texts_of_an_arrow_array_are_normalised(found: list[str]) -> None:
    given_texts = [text.encode("utf-8", "ignore").decode() for text in found]
    expected = texts.signatures([normalise(text) for text in given_texts], kernel=True)
    for array in (pa.array(given_texts), pa.array(["x", *given_texts], pa.large_string())[1:]):
        for kernel in (True, False):
            assert np.array_equal(texts.signatures(array, kernel=kernel).values, expected.values)


@pytest.mark.parametrize("before", ["", "word " * 20])
def test_every_character_of_ascii_is_a_space_or_part_of_a_word(before: str) -> None:
    for code in range(128):
        text = f"{before}ab{chr(code)}cd"
        found = texts.signatures(pa.array([text]), kernel=True)
        assert found.tokens.tolist() == [len(text.split())]
        assert np.array_equal(found.values, texts.signatures([normalise(text)], kernel=False).values)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("one two three", ["one", "two", "three"]),
        ("我喜欢 gpt-4 模型。", ["我", "喜", "欢", "gpt-4", "模", "型", "。"]),
        ("ฉันรัก", list("ฉันรัก")),
        ("ひらカナ", list("ひらカナ")),
        ("한국어 문장", ["한국어", "문장"]),
        ("", []),
    ],
)
def test_tokens_are_words_and_characters_of_scripts_without_spaces(text: str, tokens: list[str]) -> None:
    assert plain.tokens(text) == tokens
    assert texts.signatures([text], kernel=True).tokens.tolist() == [len(tokens)]


def test_a_short_text_is_its_own_shingle() -> None:
    sets = texts.sets(["a b", "a b c", "ab", "a b", "", "a b c d e", "a b c d e f"])
    assert sets.sizes.tolist() == [1, 1, 1, 1, 0, 1, 2]
    assert texts.shared(sets, np.array([[0, 3], [0, 1], [0, 2], [5, 6], [4, 4]])).tolist() == [1, 0, 0, 1, 0]


def test_equal_texts_on_different_sides_are_not_alike() -> None:
    values = texts.signatures(["one two three four five six", "", "", "one two three four five six"], sides=2).values
    assert (values[0] == values[1]).mean() < 0.05


def test_the_estimate_is_near_the_truth() -> None:
    rng = random.Random(0)
    words = [f"w{n}" for n in range(3000)]
    made: list[str] = []
    for _ in range(400):
        one = rng.choices(words, k=120)
        made += [" ".join(one), " ".join(one[rng.randrange(110) :] + rng.choices(words, k=rng.randrange(40)))]
    sets = texts.sets(made)
    pairs = np.arange(len(made)).reshape(-1, 2)
    common = texts.shared(sets, pairs)
    truth = common / (sets.sizes[0::2] + sets.sizes[1::2] - common)
    for start, text in zip(sets.starts[:4].tolist(), made[:4], strict=True):  # shingles are the 5-grams of the words
        found = text.split()
        grams = {tuple(found[n : n + 5]) for n in range(len(found) - 4)}
        assert np.searchsorted(sets.starts, start + len(grams)) > np.searchsorted(sets.starts, start)
    values = texts.signatures(made).values
    error = (values[0::2] == values[1::2]).mean(axis=1) - truth
    assert abs(error.mean()) < 0.005
    assert np.sqrt((error**2).mean()) < 0.045  # 128 permutations: at most sqrt(0.25 / 128) = 0.044


def test_long_texts_and_words() -> None:
    rng = random.Random(7)
    words = ["".join(rng.choices("abcdefgh", k=rng.choice([1, 3, 7, 8, 9, 16, 25]))) for _ in range(70_000)]
    found = [" ".join(words), "one two three four five six " * 4000, "\x01control\x7f " * 9, " ".join(words[:40])]
    one, other = (texts.signatures(found, kernel=kernel) for kernel in (True, False))
    assert np.array_equal(one.values, other.values)
    compiled, slow = (texts.sets(found, kernel=kernel) for kernel in (True, False))
    assert np.array_equal(compiled.hashes, slow.hashes)
    assert compiled.sizes.tolist() == slow.sizes.tolist()
    assert slow.sizes[1] == 6
    keys = bands.keys(one)
    assert keys.shape == (4, bands.BANDS)
