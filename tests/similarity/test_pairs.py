"""Bands, exact similarity, groups: what may be alike, what is, and who stays."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data.similarity import texts
from phi3data.similarity.bands import BANDS, keys, recall
from phi3data.similarity.compare import scores
from phi3data.similarity.groups import components, keepers

WORDS = [f"w{n}" for n in range(4000)]


def all_pairs(rows: int) -> np.ndarray:
    return np.array(list(itertools.combinations(range(rows), 2)), np.int64)


def compared(asked: list[str], answered: list[str], floor: float = 0.7) -> dict[tuple[int, int], float]:
    pairs = all_pairs(len(asked))
    found = scores(texts.sets([side for row in zip(asked, answered, strict=True) for side in row]), 2, pairs, floor)
    return {(one, other): round(score, 3) for (one, other), score in zip(pairs.tolist(), found.tolist(), strict=True)}


def test_recall_of_the_bands() -> None:
    assert [round(recall(similarity), 4) for similarity in (0, 0.5, 0.7, 0.8, 1)] == [0, 0.5478, 0.9899, 1, 1]
    assert recall(0.85) > 0.999999
    rng = random.Random(1)
    made: list[str] = []
    for _ in range(1000):
        words = rng.choices(WORDS, k=100)
        made += [" ".join(words), " ".join(words[:-8])]
    found = keys(texts.signatures(made))
    assert found.shape == (2000, BANDS)
    assert (found[0::2] == found[1::2]).any(axis=1).mean() >= 0.999
    assert (found[0::2] == np.roll(found[1::2], 1, axis=0)).any(axis=1).mean() < 0.01


def test_rows_are_as_similar_as_their_least_similar_side() -> None:
    words = random.Random(2).choices(WORDS, k=104)
    whole, part = " ".join(words), " ".join(words[:84])
    assert compared([whole, part], [whole, whole]) == {(0, 1): 0.8}
    assert compared([whole, whole], [whole, part]) == {(0, 1): 0.8}
    assert compared([whole, whole], ["yes", "no"]) == {(0, 1): 0.0}
    assert compared(["", ""], [whole, whole]) == {(0, 1): 1.0}
    assert compared(["", "x"], [whole, whole]) == {(0, 1): 0.0}


def test_a_third_filling_shows_the_slot_of_a_template() -> None:
    words = random.Random(3).choices(WORDS, k=100)
    filled = [" ".join([*words[:50], f"slot{n}", *words[50:]]) for n in range(3)]
    answers = ["yes"] * 3
    assert compared(filled[:2], answers[:2]) == {(0, 1): 0.902}  # two rows: nobody can tell
    assert set(compared(filled, answers).values()) == {0.0}
    # What was said in a slot can be edited, and is compared without the template.
    long = random.Random(4).choices(WORDS, k=20)
    twins = [" ".join([*words, *part]) for part in (long, [*long[:-1], "end"], random.Random(5).choices(WORDS, k=20))]
    assert compared(twins, answers)[0, 1] == pytest.approx(19 / 21, abs=0.001)


def test_edits_of_one_row_are_no_template() -> None:
    words = random.Random(6).choices(WORDS, k=150)
    edited = [" ".join([*words[:at], f"edit{at}", *words[at + 1 :]]) for at in (10, 40, 70, 100)]
    found = compared([" ".join(words), *edited], ["yes"] * 5)
    assert {found[0, n] for n in range(1, 5)} == {0.934}
    assert {found[n, m] for n, m in itertools.combinations(range(1, 5), 2)} == {0.872}


def test_what_is_added_to_a_row_is_no_slot_of_a_template_where_the_row_itself_ends() -> None:
    words = random.Random(8).choices(WORDS, k=150)
    rows = [" ".join(words), " ".join([*words, "a", "b"]), " ".join([*words, "c", "d"])]
    assert compared(rows, ["yes"] * 3) == {(0, 1): 0.986, (0, 2): 0.986, (1, 2): 0.973}


def test_answers_to_one_question_are_no_template() -> None:
    words = random.Random(7).choices(WORDS, k=100)
    question = " ".join(words[:20])
    answers = [" ".join([*words, f"end{n}"]) for n in range(4)]
    assert set(compared([question] * 4, answers).values()) == {0.98}
    assert set(compared([f"{question} {n}" for n in range(4)], answers, 0.5).values()) == {0.0}


EDGES = st.integers(1, 25).flatmap(
    lambda rows: st.tuples(
        st.just(rows),
        st.lists(st.tuples(st.integers(0, rows - 1), st.integers(0, rows - 1), st.integers(70, 100)), max_size=50),
        st.sets(st.integers(0, rows - 1), max_size=3),
    )
)


@given(EDGES)
def test_components(graph: tuple[int, list[tuple[int, int, int]], set[int]]) -> None:
    rows, edges, _ = graph
    expected = list(range(rows))
    for _ in range(rows):
        for one, other, _ in edges:
            expected[one] = expected[other] = min(expected[one], expected[other])
    pairs = np.array([edge[:2] for edge in edges], np.uint32).reshape(-1, 2)
    assert components(pairs[:, 0], pairs[:, 1], rows).tolist() == expected


def test_components_of_a_long_chain_in_any_order() -> None:
    rows = 20_000
    order = np.random.default_rng(0).permutation(rows).astype(np.uint32)
    pairs = np.column_stack([order[:-1], order[1:]])
    assert not components(pairs[:, 0], pairs[:, 1], rows).any()


@given(EDGES)
def test_a_row_goes_only_for_a_similar_one_that_stays(
    graph: tuple[int, list[tuple[int, int, int]], set[int]],
) -> None:
    rows, edges, chosen = graph
    similar = {frozenset((one, other)): score / 100 for one, other, score in edges if one != other}
    enough = {pair: value for pair, value in similar.items() if value >= 0.8}
    pairs = np.array([sorted(pair) for pair in enough], np.uint32).reshape(-1, 2)
    protected = np.isin(np.arange(rows), list(chosen))
    kept, score = keepers(pairs[:, 0], pairs[:, 1], np.array([*enough.values()]), protected)
    stays = {row for row in range(rows) if kept[row] < 0}
    assert chosen <= stays
    for row in set(range(rows)) - stays:
        assert kept[row] in stays
        assert score[row] == enough[frozenset((row, int(kept[row])))]
        # The most similar one that comes before it, and of equally similar ones the first.
        before = [other for other in stays if (other not in chosen, other) < (row not in chosen, row)]
        alike = {other: enough.get(frozenset((row, other)), 0) for other in before}
        assert kept[row] == min(alike, key=lambda other: (-alike[other], other))
    # Nothing similar is left, but for protected rows; and the most wanted row of all never goes but for one of them.
    assert not [pair for pair in enough if pair <= stays and not pair <= chosen]
    assert 0 in stays or kept[0] in chosen
