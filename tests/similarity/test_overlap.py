"""n-grams, shingles, and the two indexes: what stands in a text word for word, and what in other words."""

from __future__ import annotations

import math
import random
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data.similarity.overlap import SHINGLE, Coded, Hits, Overlap, canonical
from phi3data.similarity.rephrased import Rephrased

TEXTS = st.lists(
    st.lists(st.sampled_from(["a", "bb", "c'd", "ccc", "7", "é", "日", "本"]), max_size=14).map(" ".join), max_size=8
)
WORDS = [f"w{n}" for n in range(2000)]


def found(hits: Hits) -> dict[tuple[int, int], float]:
    return {(int(text), int(reference)): float(score) for text, reference, score in zip(*hits, strict=True)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't PANIC!", " dont panic "),
        ("  3.5 + 4/2 =\n$5,50 ", " 3 5 4 2 5 50 "),
        ("snake_case, x->y", " snake case x y "),
        ("ＦＵＬＬ width Straße’s Größe", " full width strasses grösse "),
        ("我有3个苹果。", " 我 有 3 个 苹 果 "),
        ("?!", ""),
        ("", ""),
    ],
)
def test_canonical_form(text: str, expected: str) -> None:
    assert canonical(text) == expected
    assert canonical(expected) == expected


@given(TEXTS, st.integers(1, 5))
def test_equal_stretches_have_equal_hashes_and_others_have_not(raw: list[str], width: int) -> None:
    texts = [canonical(text) for text in raw]
    coded = Coded(texts)
    grams = [
        (number, " ".join(text.split()[at : at + width]))
        for number, text in enumerate(texts)
        for at in range(len(text.split()) - width + 1)
    ]
    shingles = [
        (number, text[at : at + SHINGLE]) for number, text in enumerate(texts) for at in range(len(text) - SHINGLE + 1)
    ]
    for expected, made in ((grams, coded.grams(width)), (shingles, coded.shingles())):
        assert made.texts.tolist() == [number for number, _ in expected]
        pairs = set(zip([stretch for _, stretch in expected], made.hashes.tolist(), strict=True))
        assert len(pairs) == len({stretch for stretch, _ in pairs}) == len({value for _, value in pairs})
        sets = made.sets(len(texts))
        for number in range(len(texts)):
            mine = sets.hashes[sets.starts[number] : sets.starts[number + 1]].tolist()
            assert mine == sorted(set(made.hashes[made.texts == number].tolist()))


def test_hashes_do_not_depend_on_what_stands_before() -> None:
    alone = Coded([canonical("one two three")])
    behind = Coded([canonical("something else"), canonical("x one two three")])
    assert set(alone.grams(2).hashes.tolist()) <= set(behind.grams(2).hashes.tolist())
    assert set(alone.shingles().hashes.tolist()) <= set(behind.shingles().hashes.tolist())


@given(TEXTS, TEXTS, st.integers(1, 3), st.floats(0.01, 1))
def test_overlap_is_the_share_of_the_n_grams_of_the_reference(
    raw: list[str], rows: list[str], width: int, floor: float
) -> None:
    references = list(dict.fromkeys(canonical(text) for text in raw))
    texts = [canonical(row) for row in rows]

    def grams(text: str) -> set[str]:
        words = text.split()
        return {" ".join(words[at : at + width]) for at in range(len(words) - width + 1)}

    expected = {
        (row, number): len(grams(reference) & grams(text)) / len(grams(reference))
        for row, text in enumerate(texts)
        for number, reference in enumerate(references)
        if grams(reference) & grams(text)
    }
    index = Overlap(references, width)
    assert found(index.hits(Coded(texts), floor)) == {pair: one for pair, one in expected.items() if one >= floor}
    one_by_one = [found(index.hits(Coded([text]), floor)) for text in texts]
    assert {(row, pair[1]) for row, hits in enumerate(one_by_one) for pair in hits} == {
        pair for pair, score in expected.items() if score >= floor
    }


def test_what_many_references_say_belongs_to_none_of_them() -> None:
    rng = random.Random(1)
    head = " ".join(rng.sample(WORDS, 12))
    references = [canonical(f"{head} {' '.join(rng.sample(WORDS, 12))}") for _ in range(20)]
    index = Overlap(references, 8)
    assert found(index.hits(Coded([canonical(head)]), 0.01)) == {}
    tail = " ".join(references[3].split()[12:])
    assert found(index.hits(Coded([canonical(f"x {tail}")]), 0.01))[0, 3] == pytest.approx(5 / 12)
    assert found(index.hits(Coded([references[3]]), 0.01)) == {(0, 3): 1.0}
    few = Overlap(references[:10], 8)
    assert len(found(few.hits(Coded([canonical(head)]), 0.01))) == 10


def test_what_many_rows_say_that_match_nothing_does_not_count_but_copies_do() -> None:
    rng = random.Random(2)
    phrase, rest = " ".join(rng.sample(WORDS, 10)), " ".join(rng.sample(WORDS, 20))
    reference = canonical(f"{phrase} {rest}")
    index = Overlap([reference], 8)
    boilerplate = [canonical(f"{phrase} {' '.join(rng.sample(WORDS, 5))}") for _ in range(30)]
    rows = Coded([*boilerplate, *[reference] * 30])
    assert found(index.hits(rows, 0.1))[0, 0] == pytest.approx(3 / 23)
    counts = index.survey(rows, 0.5)
    assert sorted(counts.tolist()) == [0] * 20 + [30] * 3
    halves = [index.survey(Coded(part), 0.5) for part in (boilerplate, [reference] * 30)]
    assert (halves[0] + halves[1] == counts).all()
    cleared = index.without(counts, rows.count)
    assert found(cleared.hits(rows, 0.01)) == {(row, 0): 1.0 for row in range(30, 60)}
    assert index.without(counts // 3, rows.count).hits(rows, 0.1).score.tolist() == index.hits(rows, 0.1).score.tolist()


def weighted(references: list[str], text: str, number: int) -> float:
    """The score of `Rephrased`, for texts that are no longer than the reference."""

    def shingles(one: str) -> set[str]:
        return {one[at : at + SHINGLE] for at in range(len(one) - SHINGLE + 1)}

    def weight(shingle: str) -> float:
        return math.log1p(len(references) / max(sum(shingle in shingles(one) for one in references), 1))

    mine, other = shingles(references[number]), shingles(text)
    jaccard = sum(map(weight, sorted(mine & other))) / sum(map(weight, sorted(mine | other)))
    numbers = set(re.findall(r"\b\d+\b", references[number]))
    kept = len(numbers & set(text.split()))
    return jaccard * (kept + 1) / (len(numbers) + 1) * min(1, len(references[number].split()) / Rephrased.ENOUGH)


def test_similarity_is_of_shingles_and_numbers() -> None:
    references = [
        canonical("A gardener plants 14 rows of tulips with 25 bulbs in each row. How many bulbs does she plant?"),
        canonical("A gardener sells 14 tulips and 30 roses in the morning. How many flowers does she sell by noon?"),
        canonical(
            "Which mountain in the Andes is the highest one outside of Asia, and in which country would a climber who "
            "wants to reach its top have to begin, as the northern and the eastern slopes are closed in winter?"
        ),
    ]
    index = Rephrased(references)
    for text in (
        "The tulips of a gardener stand in 14 rows, 25 bulbs a row. How many bulbs are planted?",
        "The tulips of a gardener stand in 13 rows, 24 bulbs a row. How many bulbs are planted?",
        "What is the highest mountain in the Andes and outside of Asia, and in which country would one begin to climb?",
    ):
        row = canonical(text)
        hits = found(index.hits([row], Coded([row]), 0.01))
        assert hits
        assert hits == {pair: pytest.approx(weighted(references, row, pair[1])) for pair in hits}
    same = index.hits(references, Coded(references), 0.5)
    assert found(same) == {(0, 0): pytest.approx(19 / 24), (1, 1): pytest.approx(19 / 24), (2, 2): 1.0}
    assert found(index.hits([""], Coded([""]), 0.01)) == {}
    assert found(Rephrased([]).hits(references, Coded(references), 0.01)) == {}


def test_a_reference_is_found_inside_of_a_long_text() -> None:
    rng = random.Random(3)
    references = [canonical(" ".join(rng.sample(WORDS, 40))) for _ in range(30)]
    index = Rephrased(references)
    words = references[7].split()
    edited = " ".join(word if at % 5 else "other" for at, word in enumerate(words))
    alone = canonical(edited)
    noise = [f"n{n}" for n in range(2000)]
    long = canonical(f"{' '.join(rng.sample(noise, 400))} {edited} {' '.join(rng.sample(noise, 400))}")
    scores = [found(index.hits([text], Coded([text]), 0.2))[0, 7] for text in (alone, long)]
    assert scores[0] > 0.35
    assert scores[1] == pytest.approx(scores[0], abs=0.12)
    assert found(index.hits([long], Coded([long]), 0.2)).keys() == {(0, 7)}
    both = found(index.hits([long, "", alone], Coded([long, "", alone]), 0.2))
    assert both == {(0, 7): scores[1], (2, 7): scores[0]}
    assert np.isfinite(scores).all()
