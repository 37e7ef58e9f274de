"""Rows by their places, from every layout; nothing is read beyond the row, and what is not there is said."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import chat

import phi3data
from phi3data.inspection import rows as reading
from phi3data.inspection.place import Place, parse
from phi3data.inspection.rows import Row, read_rows
from phi3data.sources.open import read_all
from phi3data.sources.reader import SourceConfig
from phi3data.sources.records import records


def read(place: str | Path, *, by_record: bool = False, **config: Any) -> Row:
    (row,) = read_rows([parse(str(place))], SourceConfig(**config), by_record=by_record)
    return row


def question(row: Row) -> str | None:
    return row.conversations[0].messages[0].content


ROWS = [chat(f"question {number}", f"answer {number}") for number in range(1, 31)]
PAIRS = [{"question": f"question {number}", "answer": f"answer {number}"} for number in range(1, 31)]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from openpyxl import Workbook

    lines = "".join(json.dumps(row) + "\n" for row in ROWS)
    (tmp_path / "rows.jsonl").write_text(lines)
    (tmp_path / "rows.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "utf16.jsonl").write_text(lines, "utf-16")
    (tmp_path / "rows.json").write_text(json.dumps(ROWS, indent=2))
    (tmp_path / "dense.json").write_text(json.dumps(ROWS))
    cells = "".join(f'"{pair["question"]}","{pair["answer"]}\nmore"\n' for pair in PAIRS)
    (tmp_path / "rows.csv").write_text("question,answer\n" + cells)
    pq.write_table(pa.Table.from_pylist(PAIRS), tmp_path / "rows.parquet")
    book = Workbook()
    for row in [["question", "answer"], *([pair["question"], pair["answer"]] for pair in PAIRS)]:
        book.worksheets[0].append(row)
    book.save(tmp_path / "rows.xlsx")
    return tmp_path


FILES = [
    "rows.jsonl",
    "rows.jsonl.gz",
    "utf16.jsonl",
    "rows.json",
    "dense.json",
    "rows.csv",
    "rows.parquet",
    "rows.xlsx",
]


@pytest.mark.parametrize("name", FILES)
def test_rows_count_from_one_in_every_layout(folder: Path, name: str) -> None:
    for number in (1, 7, 30):
        row = read(folder / f"{name}:{number}", by_record=True)
        assert row.number == number
        assert question(row) == f"question {number}"
    assert question(read(folder / name)) == "question 1"
    noun = "lines" if "jsonl" in name else "rows"
    with pytest.raises(phi3data.InputError, match=rf"has 30 {noun}, there is no {noun[:-1]} 31"):
        read(folder / f"{name}:31", by_record=True)


def test_any_line_of_a_row_of_a_pretty_printed_array_means_the_row(folder: Path) -> None:
    lines = (folder / "rows.json").read_text().splitlines()
    for at in [number for number, line in enumerate(lines, start=1) if '"question 4"' in line]:
        assert question(read(folder / f"rows.json:{at}")) == "question 4"
    starts = [number for number, line in enumerate(lines, start=1) if line == "  {"]
    row = read(folder / f"rows.json:{starts[4]}")
    assert (row.number, row.line) == (5, starts[4])
    assert question(read(folder / f"rows.json:{starts[29] + 3}")) == "question 30"
    assert row.place == f"{folder}/rows.json:{starts[4]}"
    assert question(read(folder / "rows.json:1")) == "question 1"
    with pytest.raises(phi3data.InputError, match="there is no line 9,999; with --record the number is that of a row"):
        read(folder / "rows.json:9999")
    assert question(read(folder / "rows.jsonl:4")) == "question 4"


def test_a_line_that_holds_several_rows_says_so(folder: Path) -> None:
    row = read(folder / "dense.json:1")
    assert question(row) == "question 1"
    assert row.several
    assert not read(folder / "dense.json").several
    assert not read(folder / "dense.json:3", by_record=True).several
    (folder / "mixed.json").write_text(
        "[\n" + ",\n".join(json.dumps(ROWS[n : n + 1 + n % 2])[1:-1] for n in range(9)) + "]"
    )
    for line in range(2, 11):
        assert read(folder / f"mixed.json:{line}").several == (line % 2 == 1), line
    assert [row.several for row in read_rows(
        [parse(f"{folder}/mixed.json:{line}") for line in (2, 3, 10, 9)], SourceConfig()
    )] == [False, True, False, True]  # fmt: skip
    for name in ("rows.jsonl:1", "rows.csv:2", "rows.json:2", "rows.json:10"):
        assert not read(folder / name).several


def test_several_places_come_in_the_order_given(folder: Path) -> None:
    places = [parse(f"{folder}/{name}") for name in ("rows.csv:9", "rows.jsonl:3", "rows.csv", "rows.csv:9")]
    assert [question(row) for row in read_rows(places, SourceConfig())] == [
        f"question {number}" for number in (9, 3, 1, 9)
    ]


def test_blank_lines_count_and_hold_no_row(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("\n" + json.dumps(ROWS[0]) + "\n\n" + json.dumps(ROWS[1]) + "\n")
    assert read(path).number == 2
    assert question(read(f"{path}:4")) == "question 2"
    with pytest.raises(phi3data.InputError, match=r"rows\.jsonl:3: the line is blank"):
        read(f"{path}:3")


def test_reading_stops_at_the_row(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []

    def counting(source: Any) -> Any:
        for raw in read_all(source):
            seen.append(raw.record)
            yield raw

    monkeypatch.setattr(reading, "read_all", counting)
    read(folder / "rows.jsonl:5")
    assert seen == [0, 1, 2, 3, 4]


def test_binary_files_are_not_copied_beyond_the_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [{"question": f"question {number}", "answer": "a"} for number in range(1, 1001)]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "rows.parquet")
    taken: list[int] = []

    def counting(item: Any) -> Any:
        for row in records(item):
            taken.append(1)
            yield row

    monkeypatch.setattr(reading, "records", counting)
    assert question(read(tmp_path / "rows.parquet:300")) == "question 300"
    assert len(taken) == 300
    with pytest.raises(phi3data.InputError, match="has 1,000 rows"):
        read(tmp_path / "rows.parquet:1001")


def test_a_row_that_cannot_be_converted_has_its_raw_text(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    long = '{"messages": [{"role": "user", "content": "' + "é" * 500 + '", oops}]}'
    path.write_text(f'{json.dumps(ROWS[0])}\n{long}\n{{"messages": []}}\n', "utf-8")
    row = read(f"{path}:2")
    assert row.finding is not None
    assert row.finding.column is not None
    assert row.finding.code == "J201"
    assert row.excerpt[row.finding.column - 1 - row.cut :].startswith("oops")
    assert len(row.excerpt) <= 600
    assert read(f"{path}:3").excerpt == '{"messages": []}'


def test_options_of_reading_apply(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes("Frage;Antwort;Thema\nÄh?;Ja;x\nWas?;Öl;y\n".encode("cp1252"))
    row = read(
        f"{path}:2", encoding="cp1252", columns={"question": "Frage", "answer": "Antwort"}, label_column="Thema",
        system="Sei nett.",
    )  # fmt: skip
    assert [message.content for message in row.conversations[0].messages] == ["Sei nett.", "Was?", "Öl"]
    assert row.conversations[0].label == "y"


def test_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a.jsonl", "b:7", "c:d.jsonl"):
        Path(name).touch()
    assert parse("a.jsonl:5") == Place("a.jsonl", 5)
    assert parse("a.jsonl:5:12") == parse("a.jsonl:5:12:") == parse("a.jsonl:5:") == Place("a.jsonl", 5)
    assert parse("a.jsonl") == parse("a.jsonl:") == Place("a.jsonl")
    assert parse("b:7") == Place("b:7")
    assert parse("b:7:3") == Place("b:7", 3)
    assert parse("c:d.jsonl:2") == Place("c:d.jsonl", 2)
    assert parse("-:3") == Place("-", 3)
    assert parse("gone.jsonl:4") == Place("gone.jsonl", 4)
    assert parse("gone.jsonl:4:9") == Place("gone.jsonl", 4)
    for wrong, said in (("a.jsonl:0", "counted from 1"), ("a.jsonl:x", "found 'x'"), ("a.jsonl:-1", "found '-1'")):
        with pytest.raises(phi3data.UsageError, match=said):
            parse(wrong)
