"""The engine through the Python API: every row accounted for, the same bytes however it is run."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import json
import lzma
import os
import random
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import chat

import phi3data
from phi3data import api

OUTPUTS = {
    "train.jsonl",
    "dropped.jsonl",
    "ledger.parquet",
    "report.json",
    "report.html",
    "DATASET_CARD.md",
    "manifest.json",
}


def digests(folder: Path) -> dict[str, str]:
    return {item.name: sha256(item.read_bytes()).hexdigest() for item in folder.iterdir() if item.is_file()}


def assert_balanced(prepared: phi3data.Prepared, rows_in: int | None = None) -> None:
    """Rows in = kept + dropped, in the profile, the ledger, the files and the manifest."""
    profile, ledger = prepared.profile, prepared.ledger.to_pylist()
    if rows_in is not None:
        assert profile.rows_in == rows_in
    assert profile.rows_in == profile.rows_kept + profile.rows_dropped == len(ledger)
    assert len({row["row_id"] for row in ledger}) == len(ledger)
    kept = [row for row in ledger if row["action"] in {"kept", "changed"}]
    dropped = [row for row in ledger if row["action"] == "dropped"]
    assert (len(kept), len(dropped)) == (profile.rows_kept, profile.rows_dropped)
    assert all(row["output"] and row["output_line"] for row in kept)
    assert all(row["reason"] and row["step"] and row["output"] is None for row in dropped)
    lines = {
        name: (prepared.folder / name).read_bytes().split(b"\n")[:-1]
        for name in ("train.jsonl", "validation.jsonl", "test.jsonl")
        if (prepared.folder / name).exists()
    }
    assert sorted((row["output"], row["output_line"]) for row in kept) == sorted(
        (name, number) for name, found in lines.items() for number in range(1, len(found) + 1)
    )
    assert [row["row_id"] for row in prepared.dropped] == [row["row_id"] for row in dropped]
    assert prepared.manifest["counts"]["kept"] == len(kept)


GARBAGE = st.one_of(
    st.binary(max_size=40).map(lambda raw: raw.replace(b"\n", b" ")),
    st.builds(lambda q, a: json.dumps(chat(q, a)).encode(), st.text(max_size=10), st.text(max_size=10)),
    st.builds(
        lambda roles: json.dumps({"messages": [{"role": role, "content": role} for role in roles]}).encode(),
        st.lists(st.sampled_from(["system", "user", "assistant", "tool", "narrator"]), max_size=5),
    ),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["messages", "role", "content", "weight", "tools", "x"]), inner, max_size=4
            )
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode()),
)


@settings(max_examples=5)
@given(st.lists(GARBAGE, max_size=12), st.integers(20, 400))
def test_garbage_in_is_kept_or_dropped_never_lost(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], size: int
) -> None:
    folder = tmp_path_factory.mktemp("garbage")
    path = folder / "rows.jsonl"
    good = json.dumps(chat("a good question", "a good answer")).encode()
    path.write_bytes(b"\n".join([good, *lines]))
    rows = [good, *(line for line in lines if line.strip(b" \t\r\n"))]
    one = phi3data.prepare(path, {"source": {"format": "chat"}}, folder / "one")
    assert_balanced(one, len(rows))
    for row in one.dropped:
        if row["step"] == "read" and "raw" in row:
            assert row["raw"].encode() in rows
    other = phi3data.prepare(path, {"source": {"format": "chat"}}, folder / "other", shard_bytes=size)
    assert digests(one.folder) == digests(other.folder)
    shutil.rmtree(folder)


def messy_rows(count: int, seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    rows = []
    for number in range(count):
        question = rng.choice(["How do I", "Can I", "怎么", "Wie kann ich"]) + f" do thing {rng.randrange(count)}?"
        answer = rng.choice(["Like this.", "  trailing  ", "", "nan", "zero\u200bwidth", "So:\r\n  1. this"]) + str(
            number % 50
        )
        row = {"question": question, "answer": rng.choice([answer, "", "N/A"]) if number % 9 == 0 else answer}
        row["label"] = rng.choice(["billing", "shipping", "returns"])
        rows.append(row)
    return rows


def write_as(rows: list[dict[str, Any]], path: Path) -> Path:
    """Write question/answer rows in the container and format that the name says."""
    kind = path.name.split(".", 1)[1]
    plain = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode()
    pairs = [(row["question"], row["answer"]) for row in rows]
    shapes: dict[str, Any] = {
        "chat.jsonl": [chat(*pair) for pair in pairs],
        "sharegpt.json": [
            {"conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}]} for q, a in pairs
        ],
        "alpaca.json": [{"instruction": q, "input": "", "output": a} for q, a in pairs],
        "prompt.jsonl": [{"prompt": q, "completion": a} for q, a in pairs],
        "preference.jsonl": [{"prompt": q, "chosen": a, "rejected": "no"} for q, a in pairs],
        "wrapped.json": {"version": 1, "data": rows},
    }
    writers: Any = {
        "gz": gzip.compress,
        "bz2": bz2.compress,
        "xz": lzma.compress,
        "zst": zstandard.ZstdCompressor().compress,
    }
    if kind in shapes:
        value = shapes[kind]
        text = json.dumps(value, ensure_ascii=False, indent=1) if kind.endswith("json") else ""
        path.write_text(text or "".join(json.dumps(row) + "\n" for row in value), "utf-8")
    elif kind.endswith(("csv", "tsv")):
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, ["question", "answer", "label"], delimiter="\t" if kind == "tsv" else ",")
        writer.writeheader()
        writer.writerows(rows)
        path.write_bytes(out.getvalue().encode("utf-16" if "utf16" in kind else "utf-8"))
    elif kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif kind == "arrow":
        table = pa.Table.from_pylist(rows)
        with pa.OSFile(str(path), "wb") as file, pa.ipc.new_file(file, table.schema) as out_file:
            out_file.write_table(table)
    elif kind == "xlsx":
        from openpyxl import Workbook

        book = Workbook()
        assert book.active is not None
        book.active.append(["question", "answer", "label"])
        for row in rows:
            book.active.append([row["question"], row["answer"].replace("\r", ""), row["label"]])
        book.save(path)
    else:
        path.write_bytes(writers[kind.rsplit(".", 1)[1]](plain))
    return path


KINDS = [
    "chat.jsonl", "sharegpt.json", "alpaca.json", "prompt.jsonl", "preference.jsonl", "wrapped.json", "csv", "tsv",
    "utf16.csv", "parquet", "arrow", "xlsx", "jsonl.gz", "jsonl.zst", "jsonl.bz2", "jsonl.xz",
]  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_every_container_and_format_is_detected_and_accounted_for(tmp_path: Path, kind: str) -> None:
    rows = messy_rows(120, seed=1)
    path = write_as(rows, tmp_path / f"rows.{kind}")
    one = phi3data.prepare(path, output=tmp_path / "one")
    assert_balanced(one, len(rows))
    assert one.profile.rows_kept > 50
    questions = {row["question"] for row in rows}
    kept = [row["messages"][0]["content"] for split in (one.train, one.validation) for row in split]
    assert set(kept) <= questions
    other = phi3data.prepare(path, output=tmp_path / "other", shard_bytes=700)
    assert digests(one.folder) == digests(other.folder)


@pytest.mark.slow
def test_outputs_are_the_same_bytes_with_1_2_and_5_workers(tmp_path: Path) -> None:
    rows = messy_rows(400, seed=2)
    paths = [
        write_as(rows, tmp_path / f"rows{n}.{kind}") for n, kind in enumerate(("chat.jsonl", "csv", "alpaca.json"))
    ]
    found = []
    for workers in (1, 2, 5):
        prepared = phi3data.prepare(paths, output=tmp_path / f"w{workers}", workers=workers, shard_bytes=5000)
        assert_balanced(prepared, 1200)
        found.append(digests(prepared.folder))
    assert found[0] == found[1] == found[2]
    assert found[0].keys() >= OUTPUTS


def test_objects_in_memory_give_the_same_rows(tmp_path: Path) -> None:
    import pandas as pd
    from datasets import Dataset

    rows = messy_rows(60, seed=3)
    Dataset.from_list(rows).save_to_disk(tmp_path / "saved")
    sources: list[Any] = [
        rows,
        (row for row in rows),
        pd.DataFrame(rows),
        pa.Table.from_pylist(rows),
        Dataset.from_list(rows),
        tmp_path / "saved",
    ]
    found = [phi3data.prepare(source) for source in sources]
    for prepared in found:
        assert_balanced(prepared, 60)
    trains = [prepared.train.to_pylist() for prepared in found]
    assert all(train == trains[0] for train in trains)
    table = found[0].train
    assert pa.table(table).num_rows == len(table) == len(table.to_pandas()) == len(table.to_datasets())
    assert table.to_pandas()["messages"][0][0]["role"] == "user"
    saved = found[0].save(tmp_path / "kept")
    assert digests(saved) == digests(found[0].folder)


def test_cells_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "codes.csv"
    path.write_text(
        "question,answer\n"
        + "".join(f"code {n}?,{cell}\n" for n, cell in enumerate(["007", "NA", "2024-01-01", "true", "1e5"]))
    )
    prepared = phi3data.prepare(path, {"split": {"enabled": False}})
    assert [row["messages"][1]["content"] for row in prepared.train] == ["007", "NA", "2024-01-01", "true", "1e5"]
    assert prepared.train.table["messages"][2][1]["content"].as_py() == "2024-01-01"


def test_line_separators_are_data_and_written_so_that_no_reader_breaks_the_row(jsonl: Any) -> None:
    path = jsonl([chat(f"one\u2028two\u0085three {n}", "yes") for n in range(3)])
    prepared = phi3data.prepare(path, {"clean": {"enabled": False}, "split": {"enabled": False}})
    assert prepared.profile.rows_in == 3
    assert [row["messages"][0]["content"] for row in prepared.train] == [
        f"one\u2028two\u0085three {n}" for n in range(3)
    ]
    text = (prepared.folder / "train.jsonl").read_text("utf-8")
    assert len(text.splitlines()) == 3


def test_sources_of_several_formats_are_one_data_set(tmp_path: Path, jsonl: Any) -> None:
    first = jsonl([chat("Same question?", "Same answer.")] * 2, "first.jsonl")
    second = tmp_path / "second.csv"
    second.write_text("question,answer\n same  QUESTION?,same answer.\nother?,yes\n")
    prepared = phi3data.prepare([first, second])
    ledger = prepared.ledger.to_pylist()
    assert [row["action"] for row in ledger] == ["kept", "dropped", "dropped", "kept"]
    evidence = [json.loads(row["evidence"]) for row in ledger if row["reason"] == "D802"]
    assert evidence == [{"kept": "1:1", "kind": "exact"}, {"kept": "1:1", "kind": "normalised"}]


def test_longest_keeps_the_longest_of_equal_rows(jsonl: Any) -> None:
    path = jsonl([chat("same question", "yes"), chat("same   question ", "yes"), chat("Same question", "yes")])
    prepared = phi3data.prepare(path, {"dedup": {"keep": "longest"}, "clean": {"enabled": False}})
    assert [row["action"] for row in prepared.ledger.to_pylist()] == ["dropped", "kept", "dropped"]


def test_labels_are_kept_and_the_split_is_stratified(jsonl: Any) -> None:
    rows = [
        chat(f"question number {n}", f"answer {n}", category="rare" if n % 10 == 0 else "common") for n in range(400)
    ]
    prepared = phi3data.prepare(jsonl(rows), {"split": {"validation": 0.25}})
    labels = {label.label: label for label in prepared.profile.labels}
    assert (labels["rare"].before, labels["rare"].validation) == (40, 10)
    assert (labels["common"].before, labels["common"].validation) == (360, 90)
    assert prepared.profile.label_column == "category"
    assert all(row.keys() == {"messages"} for row in prepared.train)
    trl = phi3data.prepare(jsonl(rows), {"target": "trl"})
    assert {row["label"] for row in trl.train} == {"rare", "common"}


@pytest.mark.parametrize("group_by", [None, "customer"])
def test_one_prompt_or_one_group_is_never_in_two_splits(jsonl: Any, group_by: str | None) -> None:
    rng = random.Random(5)
    rows = [
        chat(f"Question number {rng.randrange(80)} of them?", f"answer {n}", customer=f"c{rng.randrange(120)}")
        for n in range(300)
    ]
    prepared = phi3data.prepare(
        jsonl(rows),
        {"source": {"group_by": group_by}, "split": {"validation": 0.2, "test": 0.1}}
        if group_by
        else {"split": {"validation": 0.2, "test": 0.1}},
    )
    place: dict[Any, set[str]] = {}
    for row, entry in zip(rows, prepared.ledger.to_pylist(), strict=True):
        place.setdefault(row["messages"][0]["content"], set()).add(entry["output"])
        if group_by:
            place.setdefault(row["customer"], set()).add(entry["output"])
    assert all(len(outputs) == 1 for outputs in place.values())
    if group_by is None:
        assert abs(prepared.profile.outputs["validation.jsonl"] - 60) <= 3
        assert abs(prepared.profile.outputs["test.jsonl"] - 30) <= 3


@pytest.mark.parametrize("kind", ["many labels", "large groups"])
def test_the_split_hits_its_fractions_with_small_strata_and_large_groups(jsonl: Any, kind: str) -> None:
    if kind == "many labels":
        rows = [chat(f"question {n} of many", f"answer {n}", label=f"t{n}") for n in range(200)]
    else:
        rows = [chat(f"question {n // 10} of many", f"answer {n}", label=f"t{n // 50}") for n in range(1000)]
    prepared = phi3data.prepare(jsonl(rows), {"split": {"validation": 0.1, "test": 0.1}})
    tenth = len(rows) // 10
    assert prepared.profile.outputs == {"train.jsonl": 8 * tenth, "validation.jsonl": tenth, "test.jsonl": tenth}
    other = phi3data.prepare(jsonl(rows), {"split": {"validation": 0.1, "test": 0.1, "seed": 1}})
    labels = [
        {r["label"] for r in p.ledger.to_pylist() if r["output"] == "validation.jsonl"} for p in (prepared, other)
    ]
    assert labels[0] != labels[1]


def test_labels_and_groups_are_read_wherever_they_begin_and_whatever_they_are(jsonl: Any) -> None:
    rows = [chat(f"question {n} of many", f"answer {n}") for n in range(300)]
    for n in range(250, 300):
        rows[n] |= {"label": "late", "g": ["doc", n % 2]}
    prepared = phi3data.prepare(jsonl(rows), {"target": "trl", "source": {"group_by": None}})
    assert sum("label" in row for split in (prepared.train, prepared.validation) for row in split) == 50
    grouped = phi3data.prepare(jsonl(rows[250:]), {"source": {"group_by": "g"}, "split": {"validation": 0.5}})
    places = {(n % 2, entry["output"]) for n, entry in enumerate(grouped.ledger.to_pylist())}
    assert len(places) == 2


def test_a_column_with_the_name_of_a_renamed_one_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "qa.csv"
    path.write_text("Frage,question,answer\nWas?,id1,Das\n")
    prepared = phi3data.prepare(path, {"source": {"columns": {"question": "Frage"}}})
    assert prepared.train.to_pylist()[0]["messages"][0]["content"] == "Was?"


def test_a_table_whose_lines_end_in_cr_is_read(tmp_path: Path) -> None:
    path = tmp_path / "mac.csv"
    path.write_bytes(b"question,answer\rWie?,So.\rWo?,Da.\r")
    prepared = phi3data.prepare(path, {"split": {"enabled": False}})
    assert [row["messages"][1]["content"] for row in prepared.train] == ["So.", "Da."]
    assert prepared.profile.sources[0].notes == ["lines end in CR (F106)"]


def test_a_system_prompt_is_added_where_there_is_none(jsonl: Any) -> None:
    rows = [chat("one question", "a"), chat("two questions", "b"), chat("three questions", "c")]
    rows[1]["messages"].insert(0, {"role": "system", "content": "own"})
    rows[2]["messages"].insert(0, {"role": "system", "content": ""})
    prepared = phi3data.prepare(jsonl(rows), {"source": {"system": "given"}, "split": {"enabled": False}})
    assert [row["messages"][0]["content"] for row in prepared.train] == ["given", "own", "given"]


def test_columns_of_one_name_lose_no_cell(tmp_path: Path) -> None:
    import pandas as pd

    frame = pd.DataFrame([["q", "a", "second"]], columns=["question", "answer", "answer"])
    frame.to_excel(tmp_path / "rows.xlsx", index=False)
    for source in (frame, tmp_path / "rows.xlsx"):
        prepared = phi3data.prepare(source)
        assert prepared.train.to_pylist()[0]["messages"][1]["content"] == "a"


def test_rows_in_memory_that_json_cannot_hold_cost_themselves(jsonl: Any) -> None:
    rows = [chat("q", "a"), chat("half \ud800", "a"), chat("other", "b")]
    prepared = phi3data.prepare(rows)
    assert [row["reason"] for row in prepared.dropped] == ["J208"]
    assert_balanced(prepared, 3)


def test_findings_that_do_not_drop_a_row_are_told(jsonl: Any) -> None:
    rows = [chat(f"question {n}", f"answer {n}") for n in range(60)]
    rows[0]["messages"].insert(0, {"role": "assistant", "content": "Welcome!"})
    prepared = phi3data.prepare(jsonl(rows))
    assert prepared.profile.verdict == "look"
    assert any("R404" in warning for warning in prepared.profile.warnings)
    assert phi3data.profile(jsonl(rows)).verdict == "look"


def test_the_seed_moves_rows_and_their_order_does_not(jsonl: Any) -> None:
    rows = [chat(f"question number {n}", f"answer {n}") for n in range(200)]
    shuffled = random.Random(1).sample(rows, len(rows))

    def validation(items: list[Any], seed: int) -> set[str]:
        prepared = phi3data.prepare(jsonl(items), {"split": {"seed": seed}})
        return {row["messages"][0]["content"] for row in prepared.validation}

    assert validation(rows, 0) == validation(shuffled, 0)
    assert validation(rows, 0) != validation(rows, 1)
    assert len(validation(rows, 0)) == 20


def test_rows_over_the_limit_are_dropped_with_their_count(jsonl: Any, shared: Path) -> None:
    rows = [chat("short?", "yes"), chat("long?", "word " * 5000)]
    for tokenizer, words in ((None, "an estimated "), (str(shared / "tokenizers" / "phi-3-mini"), "")):
        prepared = phi3data.prepare(jsonl(rows), {"length": {"tokenizer": tokenizer}} if tokenizer else None)
        dropped = prepared.dropped
        assert [row["reason"] for row in dropped] == ["L701"]
        assert dropped[0]["evidence"]["message"].startswith(f"{words}5,0")
        assert prepared.profile.tokens.estimated == (tokenizer is None)
        assert prepared.manifest["tokenizer"]["estimated"] == (tokenizer is None)
    kept = phi3data.prepare(jsonl(rows), {"length": {"over": "keep"}})
    assert kept.profile.rows_kept == 2
    assert kept.profile.tokens.over_limit == 1


def test_preference_rows_keep_the_pair_in_the_ledger(jsonl: Any) -> None:
    path = jsonl([{"prompt": "q?", "chosen": "good", "rejected": "bad"}])
    prepared = phi3data.prepare(path, {"split": {"enabled": False}})
    assert prepared.train.to_pylist()[0]["messages"][1]["content"] == "good"
    assert json.loads(prepared.ledger.to_pylist()[0]["evidence"])["rejected"] == "bad"


def test_single_steps_do_one_thing(jsonl: Any) -> None:
    path = jsonl([chat("question", "an\u200bswer"), chat("question", "an\u200bswer"), chat("other question", "")])
    assert [row["messages"][1]["content"] for row in phi3data.convert(path).train] == ["an\u200bswer"] * 2 + [""]
    assert [row["messages"][1]["content"] for row in phi3data.clean(path).train] == ["answer"] * 2 + [""]
    assert phi3data.missing(path).profile.rows_kept == 2
    assert phi3data.dedup(path).profile.rows_kept == 2
    assert phi3data.split(path, {"split": {"validation": 0.4}}).profile.outputs == {
        "train.jsonl": 2,
        "validation.jsonl": 1,
    }
    assert phi3data.profile(path).rows_kept == 3


def test_splits_by_time_take_the_latest_rows_and_a_column_without_times_is_refused(tmp_path: Path) -> None:
    rows = [{**chat(f"question number {n}", f"answer number {n}"), "day": f"2024-03-{n + 1:02}"} for n in range(30)]
    prepared = phi3data.prepare(rows[::-1], {"split": {"time": "day", "validation": 0.1, "test": 4}})
    asked = [row["messages"][0]["content"] for row in prepared.validation]
    assert sorted(asked) == sorted(f"question number {n}" for n in (23, 24, 25))
    assert len(list(prepared.test)) == 4
    with pytest.raises(phi3data.UsageError, match=r"split\.time: no row has a number or an? ISO"):
        phi3data.prepare(rows, {"split": {"time": "month"}})


def test_only_what_is_named_is_waited_for(jsonl: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    path = jsonl([chat("one", "a"), chat("one", "a")])
    named = {"train.jsonl": tmp_path / "new" / "rows.jsonl", "ledger.parquet": tmp_path / "new" / "ledger.parquet"}
    told = api.files(path, api.only(("dedup",)), named)
    assert (told.rows_in, told.rows_kept, told.rows_dropped, told.unread) == (2, 1, 1, {})
    assert sorted(item.name for item in (tmp_path / "new").iterdir()) == ["ledger.parquet", "rows.jsonl"]
    assert len(synced) == len(named)
    phi3data.dedup(path, output=tmp_path / "all")
    assert len(synced) > len(named) + 10


def test_a_step_counts_what_the_report_of_all_counts(tmp_path: Path) -> None:
    rows = [chat("What\u200b is it?", f"It is{' ' * (n % 3)}number {n // 2}.") for n in range(20)]
    rows += [chat("And this?", ""), chat("nan", "An answer.")]
    path, against = tmp_path / "rows.jsonl", tmp_path / "against.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + "{\n")
    against.write_text(json.dumps(rows[0]) + "\n" + json.dumps(chat("Other\u200b?", "Yes.")) + "\n")
    for other in (None, [against]):
        profile = phi3data.dedup(path, against=other).profile if other else phi3data.prepare(path).profile
        recipe: Any = api.only(("dedup",)) if other else {}
        told = api.files(path, recipe, {"train.jsonl": tmp_path / "out.jsonl"}, against=other)
        counts = ("rows_in", "rows_kept", "rows_changed", "rows_dropped", "rows_added")
        assert [getattr(told, name) for name in counts] == [getattr(profile, name) for name in counts]
        assert told.dropped == profile.dropped
        assert told.rows_dropped
        assert bool(told.rows_changed) == (other is None)
