"""Rows that give away what a benchmark asks: copies by the first tier, rephrasings by the second, nothing else."""

from __future__ import annotations

import gzip
import json
import random
from typing import TYPE_CHECKING

import msgspec
import pytest
from bench.make_rephrasings import QUESTIONS, rephrased
from hypothesis import given, settings
from hypothesis import strategies as st

from phi3data.errors import InputError
from phi3data.steps.decontaminate import Benchmarks, DecontaminateConfig, Match, Reference, read_references

if TYPE_CHECKING:
    from pathlib import Path

DEFAULT = DecontaminateConfig()
REFERENCES = [Reference("quiz.jsonl", number, question, "42") for number, question in enumerate(QUESTIONS, start=1)]
BENCHMARKS = Benchmarks(REFERENCES, DEFAULT)
UNRELATED = (
    "Write a polite e-mail to a customer whose parcel is 3 days late, and offer a refund of 10 dollars.",
    "How many sheep does it take to knit a sweater? Answer as a pirate would, in no more than 100 words.",
    "Explain how photosynthesis works and how much water a tree takes up in a day.",
    "Translate into French: The farmer sells eggs and the baker sells bread in the morning.",
    "What is the difference between a list and a tuple in Python? Give an example of each with 5 elements.",
    "Summarise the following article about buses, students and schools in one sentence.",
    "",
)


def match(question: str, config: DecontaminateConfig = DEFAULT, answer: str = "") -> Match | None:
    return Benchmarks(REFERENCES, config).matches([(question, answer)])[0]


def test_rephrasings_are_found_by_the_second_tier_and_not_by_the_first() -> None:
    rows = [(rephrased(question, seed), "") for seed in range(3) for question in QUESTIONS]
    assert all(row not in QUESTIONS for row, _ in rows)
    copies = Benchmarks(REFERENCES, DecontaminateConfig(similar=False)).matches(rows)
    assert [found for found in copies if found] == []
    found = BENCHMARKS.matches(rows)
    right = [hit is not None and hit.row == place % len(QUESTIONS) + 1 for place, hit in enumerate(found)]
    assert sum(right) >= 0.9 * len(rows)
    assert all(hit is None or (hit.tier, hit.measure) == ("similar", "shingles and numbers") for hit in found)
    assert [hit and hit.row for hit in found] == [
        row if ok else None for row, ok in zip(rows_of(found), right, strict=True)
    ]


def rows_of(found: list[Match | None]) -> list[int | None]:
    return [hit.row if hit else None for hit in found]


def test_unrelated_rows_and_other_questions_of_the_kind_are_not_found() -> None:
    assert BENCHMARKS.matches([(text, "") for text in UNRELATED]) == [None] * len(UNRELATED)
    for number in range(len(QUESTIONS)):
        others = Benchmarks(REFERENCES[:number] + REFERENCES[number + 1 :], DEFAULT)
        assert others.matches([(QUESTIONS[number], "")]) == [None]


def test_copies_are_found_however_they_are_spelled_and_wherever_they_stand() -> None:
    copy = QUESTIONS[4].upper().replace(",", " –").replace(".", "...\n")
    assert match(copy) == Match("quiz.jsonl", 5, "overlap", "13-grams", "prompt", 1.0)
    noise = " ".join(random.Random(1).choices(UNRELATED, k=60))
    inside = match(f"{noise} {QUESTIONS[4]} {noise}")
    assert inside == Match("quiz.jsonl", 5, "overlap", "13-grams", "prompt", 1.0)
    inside = match(f"{noise} {rephrased(QUESTIONS[4])} {noise}")
    assert inside is not None
    assert (inside.row, inside.tier) == (5, "similar")
    words = QUESTIONS[0].split()
    begun = match(" ".join(words[:17]))
    assert begun is not None
    assert (begun.row, begun.measure) == (1, "13-grams")
    assert 0.2 <= begun.score < 0.5


def test_what_the_tiers_say() -> None:
    assert [
        found.finding.message if found else None
        for found in (
            match(QUESTIONS[2]),
            match(rephrased(QUESTIONS[2])),
            Benchmarks([Reference("faq.csv", 7, "Who wrote the Odyssey?\nHomer, perhaps")], DEFAULT).matches(
                [("who wrote the ODYSSEY — Homer perhaps?", "")]
            )[0],
            match("x", DecontaminateConfig(compare="answer"), "42"),
        )
    ] == [
        "the question has 100% of the 13-grams of quiz.jsonl:3",
        "the question says quiz.jsonl:3 in other words (similarity 0.30)",
        "the question is that of faq.csv:7",
        None,
    ]
    found = match(QUESTIONS[2])
    assert found is not None
    assert found.finding.code == "D810"
    assert msgspec.to_builtins(found) == {
        "reference": "quiz.jsonl",
        "row": 3,
        "tier": "overlap",
        "measure": "13-grams",
        "field": "prompt",
        "score": 1.0,
    }


def test_tiers_and_thresholds_can_be_chosen() -> None:
    other = rephrased(QUESTIONS[2])
    assert match(other, DecontaminateConfig(similar=False)) is None
    assert match(other, DecontaminateConfig(similarity=0.9)) is None
    found = match(QUESTIONS[2], DecontaminateConfig(overlap=False))
    assert found is not None
    assert (found.tier, found.score) == ("similar", 1.0)
    words = QUESTIONS[0].split()
    assert match(" ".join(words[:14]), DecontaminateConfig(share_8=0.1, share_13=1, similar=False)) == Match(
        "quiz.jsonl", 1, "overlap", "8-grams", "prompt", round(7 / 23, 4)
    )


def test_fields_are_compared_with_their_own_kind() -> None:
    said = [Reference("a.jsonl", 1, QUESTIONS[0], QUESTIONS[1])]
    for compare, rows in (("prompt", [1, 0, 0]), ("answer", [0, 1, 0]), ("both", [1, 1, 0])):
        found = Benchmarks(said, msgspec.convert({"compare": compare}, DecontaminateConfig)).matches(
            [(QUESTIONS[0], "yes"), ("why?", QUESTIONS[1]), (QUESTIONS[1], QUESTIONS[0])]
        )
        assert [int(hit is not None) for hit in found] == rows
        assert all(hit is None or hit.field == ("prompt", "answer")[place] for place, hit in enumerate(found))


def test_equal_references_are_told_by_the_first_and_a_short_one_is_no_question() -> None:
    twice = [Reference("a.jsonl", 3, QUESTIONS[0]), Reference("b.jsonl", 1, QUESTIONS[0].lower())]
    found = Benchmarks(twice, DEFAULT).matches([(QUESTIONS[0], "")])[0]
    assert found is not None
    assert (found.reference, found.row) == ("a.jsonl", 3)
    greetings = Benchmarks([Reference("a.jsonl", 1, "Hello, how are you?"), Reference("a.jsonl", 2, "")], DEFAULT)
    assert greetings.matches([("Hello, how are you?", ""), ("", "")]) == [None, None]


def test_a_surveyed_phrase_does_not_count() -> None:
    phrase = "Solve the following problem step by step and give the final answer as a number on the last line"
    benchmark = Benchmarks([Reference("a.jsonl", 1, f"{phrase}. What is 17 times 23?")], DEFAULT)
    rows = [(f"{phrase}: {text}", "") for text in UNRELATED * 4]
    assert all(hit is not None and hit.tier == "overlap" for hit in benchmark.matches(rows))
    strict = DecontaminateConfig(share_8=0.9, share_13=0.9, similar=False)
    benchmark = Benchmarks([Reference("a.jsonl", 1, f"{phrase}. What is 17 times 23?")], strict)
    survey = benchmark.survey(rows[:20]).merged(benchmark.survey(rows[20:]))
    assert survey.rows == len(rows)
    cleared = benchmark.without(survey)
    loose = cleared.matches([(f"{phrase}. What is 17 times 23?", ""), *rows])
    assert [hit is not None for hit in loose] == [True] + [False] * len(rows)


@given(st.permutations(range(30)), st.integers(1, 29))
@settings(max_examples=10, deadline=None)
def test_a_match_depends_on_the_row_alone(order: list[int], cut: int) -> None:
    texts = [*QUESTIONS[:10], *(rephrased(question) for question in QUESTIONS[5:18]), *UNRELATED]
    rows = [(text, "") for text in texts]
    expected = [BENCHMARKS.matches([row])[0] for row in rows]
    shuffled = [rows[place] for place in order]
    assert BENCHMARKS.matches(shuffled) == [expected[place] for place in order]
    assert BENCHMARKS.matches(shuffled[:cut]) + BENCHMARKS.matches(shuffled[cut:]) == BENCHMARKS.matches(shuffled)


def test_rows_of_many_megabytes_are_matched_part_by_part() -> None:
    rng = random.Random(5)
    words = [f"word{n}" for n in range(5000)]
    head = QUESTIONS[1].split(" and ", 1)[0]  # too little for a match
    long = [(f"{' '.join(rng.choices(words, k=30_000))} {head}", "") for _ in range(7)]
    rows = [*long[:3], (QUESTIONS[3], ""), *long[3:], (rephrased(QUESTIONS[6]), "")]
    assert rows_of(BENCHMARKS.matches(rows)) == [None] * 3 + [4] + [None] * 4 + [7]
    whole = BENCHMARKS.survey(rows)
    assert [int(counts.max()) for counts in whole.counts] == [0, 7]
    parts = BENCHMARKS.survey(rows[:5]).merged(BENCHMARKS.survey(rows[5:]))
    assert parts.rows == whole.rows
    assert [counts.tolist() for counts in parts.counts] == [counts.tolist() for counts in whole.counts]


def test_references_of_any_format_are_read(tmp_path: Path) -> None:
    chat = [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "Q one"},
        {"role": "assistant", "content": "A"},
    ]
    files = {
        "chat.jsonl": (json.dumps({"messages": chat}) + "\n\n" + json.dumps({"messages": chat[1:]}) + "\n").encode(),
        "qa.csv": b"question,answer\nQ two,B\nQ three,C\n",
        "own.json": json.dumps([{"stem": "Q four", "choices": [{"text": "D"}, {"text": "E"}], "gold": 1}]).encode(),
        "qa.jsonl.gz": gzip.compress(b'{"question": "Q five", "answer": "F"}\n'),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    found = read_references([str(tmp_path / name) for name in files], tmp_path / "work")
    assert [(row.file.rpartition("/")[2], row.row, row.asked, row.answered) for row in found] == [
        ("chat.jsonl", 1, "q one", "a"),
        ("chat.jsonl", 3, "q one", "a"),
        ("qa.csv", 1, "q two", "b"),
        ("qa.csv", 2, "q three", "c"),
        ("own.json", 1, "Q four D E", ""),
        ("qa.jsonl.gz", 1, "q five", "f"),
    ]


def test_references_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"quiz\.jsonl: no such file"):
        read_references([str(tmp_path / "quiz.jsonl")], tmp_path)
    (tmp_path / "numbers.jsonl").write_text('{"a": 1}\n')
    with pytest.raises(InputError, match=r"numbers\.jsonl: no row holds a text to compare with"):
        read_references([str(tmp_path / "numbers.jsonl")], tmp_path)
