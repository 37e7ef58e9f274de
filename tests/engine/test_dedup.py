"""Duplicates end to end: planted truth, what only looks like a duplicate, who is kept, and why each row went."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pyarrow.parquet as pq
import pytest
from bench.make_duplicates import COPIES, LOOKALIKES, Planted, planted
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import chat
from tests.engine.test_prepare import assert_balanced, digests

import phi3data
from phi3data.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WORDS = [f"{a}{b}{c}" for a in "bdfklmnprst" for b in "aeiou" for c in ("", "lan", "ros", "tim", "gek")]
OFF = {"clean": {"enabled": False}, "check": {"enabled": False}, "missing": {"enabled": False}}


def ngrams(text: str) -> set[tuple[str, ...]]:
    """The 5-grams of words, or of Chinese characters; written apart from the package, which hashes."""
    tokens = re.findall(r"[一-鿿]|[^\s一-鿿]+", text.casefold())
    width = min(5, len(tokens))
    return {tuple(tokens[n : n + width]) for n in range(len(tokens) - width + 1)} if tokens else set()


def similarity(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The smaller Jaccard index of what is asked and what is answered."""
    found = []
    for role in ("user", "assistant"):
        a, b = (ngrams(" ".join(m["content"] for m in row["messages"] if m["role"] == role)) for row in (one, other))
        found.append(len(a & b) / len(a | b) if a | b else 1.0)
    return min(found)


def text(rng: random.Random, words: int) -> str:
    return " ".join(rng.choice(WORDS) for _ in range(words))


def dedup(rows: list[dict[str, Any]], **settings: Any) -> phi3data.Prepared:
    return phi3data.dedup(rows, {"dedup": settings})


def dropped(prepared: phi3data.Prepared) -> dict[int, dict[str, Any]]:
    """Number of the row (from 0) → its line in the ledger, with the number of the row that was kept for it."""
    out = {}
    for number, line in enumerate(prepared.ledger.to_pylist()):
        if line["action"] == "dropped":
            evidence = json.loads(line["evidence"])
            out[number] = {**line, **evidence, "kept": int(evidence["kept"].split(":")[1]) - 1}
    return out


@pytest.fixture(scope="module")
def truth() -> list[Planted]:
    return planted(6000, seed=3)


@pytest.fixture(scope="module")
def prepared(truth: list[Planted]) -> phi3data.Prepared:
    return dedup([item.row for item in truth])


def test_planted_copies_go_and_nothing_else_does(truth: list[Planted], prepared: phi3data.Prepared) -> None:
    assert_balanced(prepared, len(truth))
    gone = dropped(prepared)
    rows = [item.row for item in truth]
    wanted = Counter[str]()
    found = Counter[str]()
    for number, item in enumerate(truth):
        if item.kind not in COPIES:
            continue
        beginning = item.kind == "beginning"
        if beginning or similarity(rows[number], rows[item.source]) >= 0.85:
            wanted[item.kind] += 1
            found[item.kind] += number in gone or (not beginning and item.source in gone)
    assert set(wanted) == set(COPIES)  # every kind is there
    assert sum(found.values()) >= 0.99 * sum(wanted.values()), (wanted, found)
    assert not [item.kind for number, item in enumerate(truth) if item.kind in LOOKALIKES and number in gone]
    assert not [
        number
        for number, item in enumerate(truth)
        if not item.kind
        and number in gone
        and truth[gone[number]["kept"]].source != number
        and truth[gone[number]["kept"]].source != item.source
    ]


def test_every_row_goes_for_a_kept_one_that_is_what_the_ledger_says(
    truth: list[Planted], prepared: phi3data.Prepared
) -> None:
    gone = dropped(prepared)
    rows = [item.row for item in truth]
    assert {(line["kind"], line["reason"]) for line in gone.values()} == {
        ("exact", "D802"), ("normalised", "D802"), ("near", "D803"), ("prefix", "D809"),
    }  # fmt: skip
    for number, line in gone.items():
        kept = line["kept"]
        assert kept not in gone
        if line["kind"] == "prefix":
            length = len(rows[number]["messages"])
            assert rows[kept]["messages"][:length] == rows[number]["messages"]
        else:
            score = similarity(rows[number], rows[kept])
            assert score >= 0.8
            assert line.get("score", 1.0) == pytest.approx(score, abs=0.001)


def test_the_verified_pairs_are_saved_down_to_a_tenth_below_the_threshold(tmp_path: Path) -> None:
    rng = random.Random(1)
    question, answer = text(rng, 30), text(rng, 104)  # 100 shingles: an added word adds one
    rows = [chat(question, answer + "".join(f" {added}x{n}" for n in range(added))) for added in (0, 12, 33, 50)]
    assert [round(similarity(rows[0], row), 2) for row in rows] == [1.0, 0.89, 0.75, 0.67]
    result = dedup(rows)
    assert list(dropped(result)) == [1]
    kept = [row["messages"] for row in result.train]
    assert kept == [row["messages"] for row in (rows[0], rows[2], rows[3])]


def test_what_is_kept_of_a_group_is_similar_to_all_that_go_for_it() -> None:
    # Each row is like the next, the first not like the last: nothing goes by way of a row that goes itself.
    rng = random.Random(2)
    question, words = text(rng, 30), text(rng, 220).split()
    rows = [chat(question, " ".join(words[start : start + 100])) for start in range(0, 60, 6)]
    assert all(similarity(one, other) > 0.8 for one, other in pairwise(rows))
    gone = dropped(dedup(rows))
    assert set(gone) == {1, 3, 5, 7, 9}
    assert all(line["kept"] == number - 1 for number, line in gone.items())


def test_keep() -> None:
    rng = random.Random(3)
    question, answer = text(rng, 20), text(rng, 60)
    rows = [
        {**chat(question, f"{answer} {extra}"), "score": score}
        for extra, score in (("one", 1), ("two three", "7.5"), ("four", None), ("five", 3))
    ]

    def kept(keep: str) -> list[int]:
        return [number for number in range(4) if number not in dropped(dedup(rows, keep=keep))]

    assert kept("first") == [0]
    assert kept("newest") == [3]
    assert kept("longest") == [1]
    assert kept("best:score") == [1]
    same = [{**chat(question, answer), "score": score} for score in (1, 2, 2)]
    assert set(dropped(dedup(same, keep="best:score"))) == {0, 2}
    with pytest.raises(UsageError, match=re.escape("dedup.keep")):
        dedup(rows, keep="last")


def test_scope() -> None:
    rng = random.Random(4)
    questions, answers = [text(rng, 20) for _ in range(3)], [text(rng, 40) for _ in range(3)]
    near = [f"{line} indeed" for line in (questions[0], answers[0])]
    rows = [
        chat(questions[0], answers[0]),
        chat(near[0], answers[1]),  # asks the same
        chat(questions[1], near[1]),  # answers the same
        {"messages": [*chat(questions[2], answers[2])["messages"], *chat(questions[0], near[1])["messages"]]},
    ]

    def gone(scope: str) -> list[int]:
        return list(dropped(dedup(rows, scope=scope)))

    assert gone("conversation") == []
    assert gone("prompt") == [1]
    assert gone("answer") == [2]
    assert gone("last-turn") == [3]


def test_short_texts_are_duplicates_only_if_they_are_equal() -> None:
    rows = [chat(question, "yes") for question in ("Is it so?", "is  it SO?", "Is it so!", "Is it?", "So is it?")]
    assert list(dropped(dedup(rows))) == [1]
    assert not dropped(
        dedup([{"messages": [{"role": "system", "content": f"{n}"}, *rows[0]["messages"]]} for n in "ab"])
    )


def test_labels_that_are_written_out_are_answers_too() -> None:
    question, answer = text(random.Random(5), 40), text(random.Random(6), 40)
    rows = [chat(question, f"{answer} {end}", label=label) for end, label in (("a", "x"), ("b", "y"), ("c", "x"))]
    labelled = phi3data.dedup(rows, {"target": "trl"})
    written = any("label" in row for row in labelled.train)
    assert list(dropped(labelled)) == ([2] if written else [1, 2])


def test_conflicting_answers() -> None:
    rng = random.Random(7)
    question = text(rng, 20)
    rows = [{**chat(question, text(rng, 20)), "score": n} for n in range(3)] + [chat(text(rng, 20), text(rng, 20))]
    assert not dropped(dedup(rows))
    best = dropped(dedup(rows, conflicts="best", keep="best:score"))
    assert {number: (line["kept"], line["kind"], line["reason"]) for number, line in best.items()} == {
        0: (2, "conflict", "D804"), 1: (2, "conflict", "D804"),
    }  # fmt: skip
    assert {number: line["kept"] for number, line in dropped(dedup(rows, conflicts="drop")).items()} == {
        0: 2,
        1: 0,
        2: 0,
    }
    assert [row["messages"] for row in dedup(rows, conflicts="drop").train] == [rows[3]["messages"]]


def test_the_beginning_of_a_longer_conversation_goes_for_the_longest() -> None:
    rng = random.Random(8)
    turns = [chat(text(rng, 8), text(rng, 9))["messages"] for _ in range(4)]
    rows = [{"messages": [message for turn in turns[:count] for message in turn]} for count in (1, 3, 2, 4)]
    gone = dropped(dedup(rows))
    assert {number: (line["kept"], line["kind"]) for number, line in gone.items()} == dict.fromkeys(
        (0, 1, 2), (3, "prefix")
    )
    assert not dropped(dedup(rows, prefixes=False))
    assert not dropped(dedup(rows, match="exact"))


def test_edits_of_one_row_go_and_templates_filled_in_otherwise_stay() -> None:
    rng = random.Random(9)
    words = text(rng, 120).split()

    def edited(at: int) -> str:
        return " ".join([*words[:at], f"edit{at}", *words[at + 1 :]])

    answer = text(rng, 30)
    edits = [chat(edited(at), answer) for at in range(5, 115, 10)]
    assert len(dropped(dedup(edits))) == len(edits) - 1
    filled = [chat(" ".join([*words[:60], f"slot{n}", *words[60:]]), answer) for n in range(10)]
    assert min(similarity(filled[0], row) for row in filled) > 0.9
    assert not dropped(dedup(filled))
    answers = [row["messages"][0]["content"] for row in filled]
    assert not dropped(dedup([chat(f"{answer} slot{n}", text) for n, text in enumerate(answers)]))
    assert len(dropped(dedup([chat(answer, text) for text in answers]))) == len(answers) - 1  # one question


def test_many_copies_thin_out_and_many_fillings_of_a_template_stay() -> None:
    # More rows share their keys than are compared with one another.
    rng = random.Random(12)
    words = text(rng, 150).split()

    def edited() -> str:
        found = list(words)
        for _ in range(rng.randrange(1, 4)):
            found[rng.randrange(150)] = f"edit{rng.randrange(10**6)}"
        return " ".join(found)

    question = text(rng, 8)
    copies = [chat(question, edited()) for _ in range(120)]
    result = dedup(copies)
    gone = dropped(result)
    kept = [row for number, row in enumerate(copies) if number not in gone]
    assert all(similarity(copies[number], copies[line["kept"]]) >= 0.8 for number, line in gone.items())
    assert not [1 for n, one in enumerate(kept) for other in kept[:n] if similarity(one, other) >= 0.8]
    # Beside the template: rows that fill it with nearly the same text.
    template, fillings = text(rng, 100), [text(rng, 40).split() for _ in range(150)]
    twins = [chat(f"{template} {' '.join(words)}", "positive") for words in fillings]
    again = [chat(f"{template} {' '.join(words[:-1])}", "positive") for words in fillings[:20]]
    assert set(dropped(dedup([*twins, *again]))) == set(range(150, 170))


def test_similar_rows_that_stay_share_a_split() -> None:
    rng = random.Random(10)
    rows = []
    for _ in range(90):
        question, answer = text(rng, 104), text(rng, 104)
        rows += [chat(f"{question}{''.join(f' {n}{end}' for n in range(15))}", answer) for end in "ab"]
    prepared = phi3data.prepare(rows, {"split": {"validation": 0.3}})
    assert prepared.profile.rows_kept == len(rows)
    where = [line["output"] for line in prepared.ledger.to_pylist()]
    assert all(len(set(where[start : start + 2])) == 1 for start in range(0, len(where), 2))
    assert len(set(where)) == 2


@pytest.mark.parametrize("keep", ["first", "longest"])
def test_running_on_the_output_removes_nothing(truth: list[Planted], keep: str) -> None:
    once = dedup([item.row for item in truth], keep=keep)
    assert dropped(once)
    assert not dropped(dedup(list(once.train), keep=keep))


def test_the_order_of_the_rows_only_chooses_among_equals(truth: list[Planted], prepared: phi3data.Prepared) -> None:
    rows = [item.row for item in truth[:2500]]
    order = list(range(len(rows)))
    random.Random(11).shuffle(order)

    def pairs(result: phi3data.Prepared, order: list[int]) -> set[frozenset[int]]:
        return {frozenset((order[number], order[line["kept"]])) for number, line in dropped(result).items()}

    def groups(found: set[frozenset[int]]) -> set[frozenset[int]]:
        label = {number: frozenset({number}) for number in range(len(rows))}
        for pair in found:
            joined = frozenset().union(*(label[number] for number in pair))
            label.update(dict.fromkeys(joined, joined))
        return set(label.values())

    straight = pairs(dedup(rows, keep="longest"), list(range(len(rows))))
    shuffled = pairs(dedup([rows[number] for number in order], keep="longest"), order)
    assert groups(straight) == groups(shuffled)


ROWS = st.lists(
    st.tuples(st.sampled_from(range(3)), st.sampled_from(range(4)), st.lists(st.integers(0, 59), max_size=3)),
    min_size=1,
    max_size=12,
)


@settings(max_examples=7)
@given(ROWS, st.sampled_from(["first", "longest", "newest"]))
def test_whatever_the_rows_are_only_verified_ones_go_and_nothing_goes_twice(
    made: list[tuple[int, int, list[int]]], keep: str
) -> None:
    rows = []
    for question, answer, edits in made:
        words = [f"w{answer}x{n}" for n in range(60)]
        for at in edits:
            words[at] = "other"
        rows.append(chat(" ".join(f"q{question}x{n}" for n in range(9)), " ".join(words)))
    result = dedup(rows, keep=keep)
    gone = dropped(result)
    for number, line in gone.items():
        assert line["kept"] not in gone
        assert similarity(rows[number], rows[line["kept"]]) >= 0.8
    again = dedup(list(result.train), keep=keep)
    assert not dropped(again)


@pytest.mark.slow
def test_the_same_bytes_whatever_the_workers_and_the_shards(
    truth: list[Planted], jsonl: Callable[..., Path], tmp_path: Path
) -> None:
    path = jsonl([item.row for item in truth])
    phi3data.prepare(path, output=tmp_path / "one")
    phi3data.prepare(path, output=tmp_path / "other", workers=3, shard_bytes=300_000)
    assert digests(tmp_path / "one") == digests(tmp_path / "other")
    assert pq.read_table(tmp_path / "one" / "ledger.parquet").num_rows == len(truth)


def test_dedup_alone_counts_no_tokens_and_claims_none(tmp_path: Path) -> None:
    rows = [chat(f"Question {n}?", f"Answer {n}.") for n in range(12)]
    done = phi3data.dedup(rows, output=tmp_path / "out")
    assert {row["tokens"] for row in done.ledger.to_pylist()} == {None}
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    assert ">not counted<" in page
    assert 'id="tokens"' not in page
    assert "## Tokens" not in (tmp_path / "out" / "DATASET_CARD.md").read_text("utf-8")
