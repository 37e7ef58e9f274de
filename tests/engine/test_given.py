"""A validation set of the user's own stays as it is, and nothing of it is trained on; `--against` the same way."""

from __future__ import annotations

import csv
import json
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from bench.leakage import similar
from bench.make_duplicates import LOOKALIKES, planted
from tests.conftest import chat
from tests.engine.test_balance import made

import phi3data
from phi3data.cli import group, run
from phi3data.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path


def question(row: dict[str, Any]) -> str:
    return next(str(message["content"]) for message in row["messages"] if message["role"] == "user")


def answer(row: dict[str, Any]) -> str:
    return str(row["messages"][1]["content"])


def gone(prepared: phi3data.Prepared) -> dict[str, tuple[str, str, dict[str, Any]]]:
    """row_id → step, reason and evidence of the rows that went."""
    return {
        line["row_id"]: (line["step"], line["reason"], json.loads(line["evidence"]))
        for line in prepared.ledger.to_pylist()
        if line["action"] == "dropped"
    }


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    longer = made(1, seed=4)[0]
    more = [*longer["messages"], *made(1, seed=6)[0]["messages"]]
    return [*({"messages": row["messages"]} for row in made(60)), {"messages": more}]


@pytest.fixture(scope="module")
def held(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """An equal row, one in capitals, a similar one, another answer, the beginning of a conversation, two new ones."""
    return [
        rows[3],
        chat(question(rows[5]).upper(), answer(rows[5])),
        chat(f"{question(rows[9])} indeed", answer(rows[9])),
        chat(question(rows[11]), "something else"),
        {"messages": rows[60]["messages"][:2]},
        chat("a new question", "a new answer"),
        chat("a new question", "a new answer"),
        chat("a question", ""),
    ]


@pytest.fixture(scope="module")
def given(
    rows: list[dict[str, Any]], held: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> phi3data.Prepared:
    folder = tmp_path_factory.mktemp("given")
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in [*rows, chat("Hi?", "")]))
    with (folder / "val.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["question", "answer"])
        writer.writerows((question(row), answer(row)) for row in held)
    return phi3data.prepare(folder / "rows.jsonl", output=folder / "out", validation=folder / "val.csv")


def test_the_rows_of_a_given_file_stay_but_for_those_that_no_one_can_learn_from(
    given: phi3data.Prepared, held: list[dict[str, Any]]
) -> None:
    assert [row["messages"] for row in given.validation] == [row["messages"] for row in held[:7]]
    assert gone(given)["2:8"][:2] == ("missing", "C501")
    assert given.manifest["recipe"]["split"]["validation"] == 0
    assert [item["given"] for item in given.manifest["inputs"]] == ["", "validation"]
    assert given.profile.outputs == {"train.jsonl": 56, "validation.jsonl": 7}
    assert given.profile.rows_in == 70 == given.profile.rows_kept + given.profile.rows_dropped
    assert [source.notes for source in given.profile.sources] == [[], ["given for validation"]]
    assert not [warning for warning in given.profile.warnings if "D804" in warning or "validation" in warning]


def test_what_a_given_row_says_or_asks_is_not_trained_on(given: phi3data.Prepared) -> None:
    name = given.profile.sources[1].path
    assert {row: why for row, why in gone(given).items() if why[0] == "split"} == {
        "1:4": ("split", "D805", {"kept": "2:1", "kind": "exact", "place": f"{name}:1"}),
        "1:6": ("split", "D805", {"kept": "2:2", "kind": "normalised", "place": f"{name}:2"}),
        "1:10": ("split", "D805", {"kept": "2:3", "kind": "near", "score": pytest.approx(0.8), "place": f"{name}:3"}),
        "1:12": ("split", "D805", {"kept": "2:4", "kind": "prompt", "place": f"{name}:4"}),
        "1:61": ("split", "D805", {"kept": "2:5", "kind": "prompt", "place": f"{name}:5"}),
    }
    details = {example.row_id: example.detail for example in given.profile.examples}
    assert f"the same as row 2:1 ({name}:1), which is kept" in details.values()


def test_a_group_of_a_given_file_is_not_trained_on_and_balance_leaves_the_file_alone(
    rows: list[dict[str, Any]],
) -> None:
    customers = [{**row, "customer": number // 3, "label": "ab"[number % 2]} for number, row in enumerate(rows)]
    mine = [{**chat(f"question {n}", f"answer {n}"), "customer": n, "label": "a"} for n in range(4)]
    recipe = {"source": {"group_by": "customer"}, "balance": {"cap": 5}, "dedup": {"enabled": False}}
    prepared = phi3data.prepare(customers, {**recipe, "split": {"test": 0.1}}, validation=mine)
    assert [row["messages"] for row in prepared.validation] == [row["messages"] for row in mine]
    kinds = Counter(evidence.get("kind") for step, _, evidence in gone(prepared).values() if step == "split")
    assert kinds == {"group": 12}
    assert sum(one.validation for one in prepared.profile.labels) == len(mine)
    assert sum(one.train for one in prepared.profile.labels) == len(prepared.train)
    assert len(prepared.train) == 10
    assert 3 <= len(prepared.test) <= 6


def test_nothing_of_validation_is_in_train() -> None:
    """Every pair is compared, by code apart from the package's; fillings of one template are no duplicates."""
    truth = planted(400, seed=11)
    template = {json.dumps(item.row["messages"]): item.source for item in truth if item.kind in LOOKALIKES}
    rows = [item.row for item in truth]
    for prepared in (phi3data.prepare(rows), phi3data.prepare(rows[50:], validation=rows[:50])):
        train, validation = list(prepared.train), list(prepared.validation)
        assert len(validation) >= 30
        for one, other, score in similar(train, validation, 0.8):
            filled = [template.get(json.dumps(row["messages"]), -1) for row in (train[one], validation[other])]
            assert filled[0] == filled[1] >= 0, (train[one], validation[other], score)
        asked = [{question(row).casefold() for row in split} for split in (train, validation)]
        assert not asked[0] & asked[1]
    assert Counter(why[2]["kind"] for why in gone(prepared).values() if why[0] == "split").keys() >= {"exact", "near"}


def test_dedup_against_drops_what_is_there_and_writes_none_of_it(
    rows: list[dict[str, Any]], held: list[dict[str, Any]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    one, other = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    beginning = {"messages": held[4]["messages"]}
    one.write_text("".join(json.dumps(row) + "\n" for row in [*rows[:60], rows[20], beginning]))
    other.write_text("\n".join(json.dumps(row) for row in [*held[:4], rows[60]]))
    prepared = phi3data.dedup(one, against=other)
    name = str(other)
    assert gone(prepared) == {
        "1:4": ("dedup", "D802", {"kept": "2:1", "kind": "exact", "place": f"{name}:1"}),
        "1:6": ("dedup", "D802", {"kept": "2:2", "kind": "normalised", "place": f"{name}:2"}),
        "1:10": ("dedup", "D803", {"kept": "2:3", "kind": "near", "score": pytest.approx(0.8), "place": f"{name}:3"}),
        "1:61": ("dedup", "D802", {"kept": "1:21", "kind": "exact"}),
        "1:62": ("dedup", "D809", {"kept": "2:5", "kind": "prefix", "place": f"{name}:5"}),
    }
    assert [row["messages"] for row in prepared.train] == [
        row["messages"] for number, row in enumerate(rows[:60]) if number not in {3, 5, 9}
    ]
    assert len(prepared.ledger) == prepared.profile.rows_in == 62
    assert prepared.profile.outputs == {"train.jsonl": 57}
    out = tmp_path / "c.jsonl"
    assert run(group, ["dedup", name, "--against", str(one), "-o", str(out), "-j", "1"]) == 0
    assert "b.jsonl" not in capfd.readouterr().err.partition(": ")[0]
    assert [json.loads(line)["messages"] for line in out.read_text().splitlines()] == [
        held[3]["messages"], rows[60]["messages"],
    ]  # fmt: skip
    assert run(group, ["dedup", str(one), "--against", name, "-o", name, "--overwrite"]) == 2
    assert capfd.readouterr().err.endswith(f"{name}: would replace the input: choose another name\n")


def test_the_command_takes_files_for_both_splits(
    rows: list[dict[str, Any]], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    parts = [tmp_path / name for name in ("train.jsonl", "val.jsonl", "test.jsonl")]
    for part, mine in zip(parts, (rows[:40], rows[38:45], rows[44:48]), strict=True):
        part.write_text("".join(json.dumps(row) + "\n" for row in mine))
    files = [str(part) for part in parts]
    command = ["prepare", files[0], "-j", "1", "--validation", files[1], "--test", files[2]]
    assert run(group, [*command, "-o", str(tmp_path / "out")]) == 0
    assert "split   D805  the row, or its prompt, is in another split too" in capfd.readouterr().out
    lines = {name: (tmp_path / "out" / name).read_text().count("\n") for name in ("train.jsonl", "validation.jsonl")}
    assert lines == {"train.jsonl": 38, "validation.jsonl": 7}
    test = (tmp_path / "out" / "test.jsonl").read_text().splitlines()
    assert [json.loads(line)["messages"] for line in test] == [row["messages"] for row in rows[44:48]]
    assert run(group, [*command[:2], "--validation", files[1] + "k", "-o", str(tmp_path / "no")]) == 2
    assert "val.jsonlk: no such file; did you mean 'val.jsonl'?" in capfd.readouterr().err
    assert not (tmp_path / "no").exists()


def test_a_row_of_another_group_does_not_go_for_one_that_leaks_by_its_group(tmp_path: Path) -> None:
    def row(asked: str, told: str, customer: str) -> dict[str, Any]:
        return {**chat(asked, told), "customer": customer}

    rows = [
        row("same question", "one answer", "K1"),
        row("same question", "another answer", "K2"),
        row("equal question", "equal answer", "K1"),
        row("equal question", "equal answer", "K2"),
        *(row(f"filler {n}", f"says {n} things", f"F{n}") for n in range(20)),
    ]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(each) + "\n" for each in rows))
    (tmp_path / "val.jsonl").write_text(json.dumps(row("held out", "for good", "K1")) + "\n")
    recipe = {"source": {"group_by": "customer"}, "dedup": {"conflicts": "best"}}
    prepared = phi3data.prepare(
        tmp_path / "rows.jsonl", recipe, output=tmp_path / "out", validation=tmp_path / "val.jsonl"
    )
    gone = {
        each["row_id"]: json.loads(each["evidence"])["kind"] for each in prepared.ledger.to_pylist() if each["step"]
    }
    assert gone == {"1:1": "group", "1:3": "group"}


def test_a_file_is_given_once_and_a_set_without_rows_is_told(tmp_path: Path) -> None:
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(chat(f"q {n}", f"answer {n}")) + "\n" for n in range(30)))
    (tmp_path / "val.jsonl").write_text(json.dumps(chat("q", "")) + "\n")
    both: dict[str, Any] = {"validation": tmp_path / "val.jsonl", "test": tmp_path / "val.jsonl"}
    with pytest.raises(UsageError, match="is given twice as validation or test rows: give it once"):
        phi3data.prepare(tmp_path / "rows.jsonl", output=tmp_path / "out", **both)
    prepared = phi3data.prepare(tmp_path / "rows.jsonl", output=tmp_path / "out", validation=tmp_path / "val.jsonl")
    assert "No row of the validation set that you gave can be used: there is none." in prepared.profile.warnings


def words(start: int, count: int) -> str:
    return " ".join(f"w{number}" for number in range(start, start + count))


def test_a_row_that_others_begin_goes_for_a_similar_given_one() -> None:
    turns = [("user", words(0, 60)), ("assistant", words(100, 60)), ("user", words(200, 60)), ("assistant", "fine")]
    longer = {"messages": [{"role": role, "content": content} for role, content in turns]}
    beginning = {"messages": longer["messages"][:2]}
    similar = {"messages": [{**longer["messages"][0], "content": words(0, 61)}, *longer["messages"][1:]]}
    kept = phi3data.prepare([beginning, longer, chat("Another?", "Yes.")])
    assert {line["kind"] for _, _, line in gone(kept).values()} == {"prefix"}
    against = gone(phi3data.prepare([beginning, longer, chat("Another?", "Yes.")], against=[similar]))
    assert against["1:2"][2]["kind"] == "near"
    assert set(against) == {"1:1", "1:2"}


def test_no_row_goes_for_one_that_goes_because_of_its_prompt() -> None:
    rows = [chat(words(0, 60), words(100, 60)), chat(words(0, 61), words(100, 60)), chat("Another?", "Yes.")]
    assert set(gone(phi3data.prepare(rows))) == {"1:2"}
    found = phi3data.prepare(rows, validation=[chat(words(0, 60), "Something else.")])
    assert {row: line["kind"] for row, (_, _, line) in gone(found).items()} == {"1:1": "prompt"}


def test_a_row_goes_for_a_given_one_of_another_label() -> None:
    rows = [{**chat(words(0, 60), words(100, 60)), "label": "x"}, {**chat("Another?", "Yes."), "label": "y"}]
    near = {**chat(words(0, 61), words(100, 60)), "label": "y"}
    trl = {"target": "trl"}
    assert not gone(phi3data.prepare([*rows, near], trl))
    assert set(gone(phi3data.prepare(rows, trl, against=[near]))) == {"1:1"}
