"""The sample data is what its generator makes, its key is right, and its clean rows are unique."""

import csv
import importlib.util
import io
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
SAMPLE = ROOT / "sample_data"
SCRIPT = ROOT / "scripts" / "make_sample_data.py"
FILES = ("agent_chats.jsonl", "faq.csv", "howto.alpaca.json", "support_chats.sharegpt.json")

# How many defects of each kind are planted: a change of the generator that loses one shows here.
PLANTED = {
    **dict.fromkeys(("F102", "J204", "J205", "J208", "J209", "R409", "R410", "C515", "C517", "T607", "L701"), 1),
    **dict.fromkeys(("D809", "G901", "G902", "G903", "G904", "G908"), 1),
    **dict.fromkeys(("J203", "J206", "J207", "J210", "J211", "S303", "S305", "S310", "G905", "P002"), 2),
    **dict.fromkeys(("R401", "R402", "R404", "R406", "R408", "R411", "T602", "T604"), 2),
    **dict.fromkeys(("J201", "S306", "S307", "R403", "R405", "C504", "C509", "C510", "C514", "T601"), 3),
    **dict.fromkeys(("S301", "C505", "C506", "C511", "C516", "T603"), 4),
    "S308": 5,
    "C508": 5,
    "P001": 5,
    "C503": 6,
    "C501": 7,
    "C512": 7,
    "C502": 8,
    "D804": 10,
    "C513": 13,
    "D802": 16,
}


def load_script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_sample_data", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def key() -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads((SAMPLE / "key.json").read_text(encoding="utf-8"))
    return entries


def records(file: str) -> list[Any]:
    """Return the file's records as parsed, or as bytes where a line is no JSON."""
    data = (SAMPLE / file).read_bytes()
    if file.endswith(".csv"):
        return list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    if file.endswith(".json"):
        return list(json.loads(data))
    return [parsed(line) for line in data.split(b"\n")]


def parsed(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return line


def clean_records(file: str) -> list[dict[str, Any]]:
    damaged = {entry["record"] for entry in key() if entry["file"] == file}
    return [record for number, record in enumerate(records(file), 1) if number not in damaged]


def turns(row: dict[str, Any]) -> list[tuple[str, str]]:
    """Return (role, text) of a clean row, whatever its format."""
    if "messages" in row:
        return [(message["role"], message["content"] or "") for message in row["messages"]]
    if "conversations" in row:
        roles = {"human": "user", "gpt": "assistant"}
        return [(roles[turn["from"]], turn["value"]) for turn in row["conversations"]]
    if "output" in row:
        context = "" if row["input"] == "<noinput>" else row["input"]
        return [("user", f"{row['instruction']} {context}"), ("assistant", row["output"])]
    return [("user", row["question"]), ("assistant", row["answer"])]


def normalised(text: str) -> str:
    return " ".join(text.casefold().split())


def at(row: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        row = row[int(step)] if isinstance(row, list) else row[step]
    return row


def test_generator_gives_the_committed_bytes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, SCRIPT, "--out", tmp_path], check=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*FILES, "key.json"])
    for name in [*FILES, "key.json"]:
        assert (tmp_path / name).read_bytes() == (SAMPLE / name).read_bytes(), f"{name} is not what the script makes"


def test_another_seed_gives_other_rows(tmp_path: Path) -> None:
    load_script().make(tmp_path, 8)
    for name in FILES:
        assert (tmp_path / name).read_bytes() != (SAMPLE / name).read_bytes()


def test_files_stay_small() -> None:
    sizes = {path.name: path.stat().st_size for path in SAMPLE.iterdir()}
    assert max(sizes.values()) < 700_000
    assert sum(sizes.values()) < 1_300_000


def test_every_kind_of_defect_is_there() -> None:
    counts = Counter(entry["code"] for entry in key())
    assert counts == PLANTED
    assert len(counts) >= 38


def test_key_points_to_records_and_lines_that_exist() -> None:
    known = {file: records(file) for file in FILES}
    for entry in key():
        assert 1 <= entry["record"] <= len(known[entry["file"]]), entry
        if entry["file"].endswith(".json"):
            lines = (SAMPLE / entry["file"]).read_text(encoding="utf-8").split("\n")
            starts = [number for number, line in enumerate(lines, 1) if line == "  {"]
            assert entry["line"] == starts[entry["record"] - 1], entry
        else:
            assert entry["line"] == entry["record"], entry


def test_pointers_lead_somewhere() -> None:
    known = {file: records(file) for file in FILES}
    pointed = 0
    for entry in key():
        record = known[entry["file"]][entry["record"] - 1]
        if entry["pointer"] and isinstance(record, dict):
            at(record, entry["pointer"])
            pointed += 1
    assert pointed > 100


def test_expectations_are_those_of_prepare() -> None:
    assert {entry["expect"] for entry in key()} == {"dropped", "changed", "kept", "ignored"}
    for entry in key():
        if entry["code"] == "J203":
            assert entry["expect"] == "ignored"
        elif entry["code"][0] in "JF" or entry["code"] in ("C502", "D802", "R401", "R402", "R406", "R408", "R409"):
            assert entry["expect"] == "dropped", entry
        elif entry["code"] in ("T603", "T607", "P001"):
            assert entry["expect"] == "kept", entry
        elif entry["code"][0] in "TGP":
            assert entry["expect"] == "dropped", entry
        elif entry["code"] in ("C505", "C506", "C513", "C516", "R403", "R405"):
            assert entry["expect"] == "changed", entry


def test_only_planted_lines_are_unreadable() -> None:
    lines = (SAMPLE / "agent_chats.jsonl").read_bytes().split(b"\n")
    unreadable = {number for number, line in enumerate(lines, 1) if isinstance(parsed(line), bytes)}
    codes = ("F102", "J201", "J203", "J204", "J205", "J209", "J210")
    assert unreadable == {
        entry["line"] for entry in key() if entry["code"] in codes and entry["file"] == "agent_chats.jsonl"
    }


def test_only_planted_lines_are_not_utf8() -> None:
    foreign = []
    for number, line in enumerate((SAMPLE / "agent_chats.jsonl").read_bytes().split(b"\n"), 1):
        try:
            line.decode()
        except UnicodeDecodeError:
            foreign.append(number)
    assert foreign == [entry["line"] for entry in key() if entry["code"] == "F102"]


def test_repeated_rows_come_after_their_originals() -> None:
    known = {file: records(file) for file in FILES}
    for entry in key():
        if entry["code"] != "D802":
            continue
        file, _, number = entry["note"].rsplit(" ", 3)[-3:]
        assert (file, int(number)) < (entry["file"], entry["record"]), entry
        twin, repeated = known[file][int(number) - 1], known[entry["file"]][entry["record"] - 1]
        assert [normalised(text) for _, text in turns(twin)] == [normalised(text) for _, text in turns(repeated)]


def test_clean_rows_are_unique() -> None:
    whole: Counter[str] = Counter()
    prompts: Counter[str] = Counter()
    for file in FILES:
        for row in clean_records(file):
            said = turns(row)
            whole[normalised(" ".join(text for _, text in said))] += 1
            prompts[normalised(next(text for role, text in said if role == "user"))] += 1
    assert sum(whole.values()) > 1_600
    assert [text for text, count in whole.items() if count > 1] == []
    assert [text for text, count in prompts.items() if count > 1] == []


@pytest.mark.parametrize("file", FILES)
def test_clean_rows_hold_nothing_suspicious(file: str) -> None:
    marks = ("{", "}", "<|", "<s>", "[", "\ufffd", "\u200b", "  ", "@", "&amp;", "<p>")
    for row in clean_records(file):
        for role, text in turns(row):
            if role == "tool":
                continue
            assert not [mark for mark in marks if mark in text], text
            assert text == text.strip() or "output" in row, text


def test_codes_that_look_like_numbers_stay_text() -> None:
    assert {row["article"] for row in clean_records("faq.csv")} == {"", "007", "0421", "NA", "1E5", "03-12"}
    assert "007" in {row["answer"] for row in clean_records("faq.csv")}


def test_labels_and_languages_are_unevenly_spread() -> None:
    rows = clean_records("faq.csv")
    topics = Counter(row["category"] for row in rows)
    assert len(topics) == 8
    assert topics["fault"] > 5 * topics["app"] > 0
    assert set(Counter(row["language"] for row in rows)) == {"en", "de", "zh", "ja", "bg"}


def test_readme_counts_the_rows() -> None:
    readme = (SAMPLE / "README.md").read_text(encoding="utf-8")
    for file in FILES:
        count = len(records(file))
        assert f"| `{file}` | {count} |" in readme, f"{file} has {count} records"
