"""The thresholds that a configuration moves: each is heeded, in any number of processes, and explained."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import phi3data
from phi3data.chat import Conversation, Message
from phi3data.lint import Located
from phi3data.lint.project import Languages
from phi3data.report.lint.explain import facts
from phi3data.rules import RULES
from phi3data.rules.options import Thresholds
from phi3data.settings import Settings, load

MOVED = """
[rules]
R410.characters = 5
L701.limit = 900
L703.share = 0.05
L704.times = 10
D806.ratio = 3
D807.times = 2
D808.share = 0.05
X003.share = 0.6
"""


def chat(number: int) -> dict[str, object]:
    """Return a row: every twelfth asks the same, three of twenty have a source, the last is long."""
    question = "How do I clean it?" if number % 12 == 0 else f"What is part {number * 7919 % 1009} for?"
    answer = f"It is for cleaning, step {number}, and for rinsing after that."
    if number == 59:
        question = " ".join(f"word{each}" for each in range(800))
        answer = " ".join(f"Answer {each}." for each in range(8))
    source = "b" if number % 20 < 3 else "a"
    return {"messages": said(("user", question), ("assistant", answer)), "source": source}


def said(*turns: tuple[str, str]) -> list[dict[str, str]]:
    return [{"role": role, "content": text} for role, text in turns]


def with_system(number: int) -> dict[str, object]:
    system = "You are a small help" if number == 0 else "You are a great help"
    return {"messages": said(("system", system), ("user", f"{number}?"), ("assistant", f"{number}."))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("options")
    pairs = [{"prompt": "Hi", "chosen": "x" * (2 + 2 * (n % 10 < 7)), "rejected": "yyy"} for n in range(60)]
    chats = [chat(number) for number in range(60)]
    for name, rows in (("train", chats), ("pairs", pairs), ("systems", list(map(with_system, range(12))))):
        (folder / f"{name}.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    (folder / "phi3data.toml").write_text(MOVED, "utf-8")
    return folder


def found(folder: Path, settings: Settings | None = None) -> list[Located]:
    """Return what the movable rules find, with rows of all kinds together but those of few system prompts."""
    rows = phi3data.check([folder / "train.jsonl", folder / "pairs.jsonl"], project=True, settings=settings)
    few = phi3data.check(folder / "systems.jsonl", settings=settings)
    return [each for each in (*rows.findings, *few.findings) if each.code in Thresholds.__struct_fields__]


def test_every_threshold_can_be_moved(folder: Path) -> None:
    assert found(folder) == []
    moved = found(folder, load(folder / "phi3data.toml"))
    assert {each.code for each in moved} == set(Thresholds.__struct_fields__) - {"D803"}, "D803 needs the engine"
    (prompt,) = [each.message for each in moved if each.code == "D808"]
    assert prompt == "the prompt 'How do I clean it?' is on 8% of 60 rows"


def test_every_option_is_of_a_rule_and_explained() -> None:
    assert set(Thresholds.__struct_fields__) <= set(RULES)
    assert (
        dict(facts(RULES["L704"]))["option"]
        == "times = 50: times the median length from which a row is told of (over 1)"
    )
    limit = "limit: tokens that a row may have; else the model's context (1 or more)"
    assert dict(facts(RULES["L701"]))["option"] == limit


def test_languages_are_weighed_too(tmp_path: Path) -> None:
    english = "It is to be cleaned with water that is warm, and then it has to dry."
    german = "Das Gerät ist mit warmem Wasser zu reinigen, und dann ist es für den Tag sauber."
    answers = [german if number == 7 else english for number in range(60)] + ["for row in rows:\n    print(row)"] * 9
    rows = [{"messages": said(("user", f"{n}?"), ("assistant", answer))} for n, answer in enumerate(answers)]
    (tmp_path / "train.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), "utf-8")
    result = phi3data.check(tmp_path / "train.jsonl", project=True, select="D806")
    assert [each.message for each in result.findings] == ["language: 'English' on 59 of 60 rows, 'German' on 1"]


@given(st.lists(st.integers(0, 50), max_size=40), st.integers(0, 40))
def test_the_sample_of_languages_does_not_depend_on_parts(keys: list[int], cut: int) -> None:
    def sampled(part: list[int]) -> Languages:
        found = Languages()
        found.MOST = 10
        for key in part:
            answer = "It is to be cleaned with water that is warm, and then it has to dry." if key % 3 else "x"
            found.add(key, Conversation([Message("assistant", answer)]))
        return found

    whole, first = sampled(keys), sampled(keys[:cut])
    first.merge(sampled(keys[cut:]))
    assert sorted(first._kept) == sorted(whole._kept)
    assert [-key for key, _ in sorted(whole._kept, reverse=True)] == sorted(keys)[:10]
    assert first._all == whole._all == (len(keys) <= 10)
