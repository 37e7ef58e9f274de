"""The three layouts: every row is found once, at its place, wherever the shards are cut."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data.findings import Finding
from phi3data.sources import array, delimited, lines
from phi3data.sources import source as source_module
from phi3data.sources.source import BLANK, Raw, Shard, Source

if TYPE_CHECKING:
    from pathlib import Path

TEXT = st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=20)
ROW = st.dictionaries(TEXT, TEXT | st.integers() | st.none() | st.lists(TEXT, max_size=2), max_size=3)
LAYOUTS: dict[str, Any] = {"lines": lines, "array": array, "delimited": delimited}


def source(path: Path, layout: Any, **facts: Any) -> Source:
    return Source(
        index=0, name=str(path), path=str(path), size=path.stat().st_size, container="x", layout=layout, **facts
    )


def rows_of(item: Source, size: int) -> list[tuple[Raw, int, int]]:
    """Read all shards; return each row with its absolute line and record."""
    layout = LAYOUTS[item.layout]
    out, line, record = [], 0, 0
    for number, cut in enumerate(layout.shards(item, size)):
        shard = Shard(number, 0, *cut)
        if shard.line >= 0:
            line, record = shard.line, shard.record
        last = None
        for raw in layout.read(item, shard):
            out.append((raw, line + raw.line, record + raw.record))
            last = raw
        if last is not None:
            line, record = line + last.line + 1, record + last.record + 1
    return out


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("layouts")


@given(st.lists(ROW | st.none(), max_size=12), st.integers(1, 80), st.booleans())
def test_lines_are_found_once_wherever_shards_are_cut(
    folder: Path, rows: list[dict[str, Any] | None], size: int, end: bool
) -> None:
    path = folder / "rows.jsonl"
    text = [b"" if row is None else json.dumps(row, ensure_ascii=False).encode() for row in rows]
    path.write_bytes(b"\n".join(text) + (b"\n" if end and rows else b""))
    found = rows_of(source(path, "lines"), size)
    content = [(raw, line) for raw, line, _ in found if raw.value is not BLANK]
    assert [raw.value for raw, _ in content] == [row for row in rows if row is not None]
    assert [line for _, line in content] == [n for n, row in enumerate(rows) if row is not None]
    whole = path.read_bytes()
    assert [whole[raw.offset : raw.offset + raw.length] for raw, _ in content] == [item for item in text if item]


@given(
    st.lists(ROW, max_size=10),
    st.integers(1, 120),
    st.sampled_from([None, 0, 2]),
    st.sampled_from(["array", "object", "beside"]),
    st.integers(1, 40),
)
def test_array_records_are_found_once_wherever_chunks_and_shards_are_cut(
    folder: Path, rows: list[dict[str, Any]], size: int, indent: int | None, shape: str, chunk: int
) -> None:
    path = folder / "rows.json"
    if shape == "array":
        text = json.dumps(rows, ensure_ascii=False, indent=indent)
    elif shape == "object":
        rows = rows or [{"a": "b"}]
        text = json.dumps(
            {"version": [1, {"x": "]"}], "data": rows, "end": {"a": 1}}, ensure_ascii=False, indent=indent
        )
    else:
        text = "\n".join(json.dumps(row, ensure_ascii=False, indent=indent) for row in rows)
    path.write_text(text, "utf-8", newline="")
    depth = {"array": 1, "object": 2, "beside": 0}[shape]
    before = array._CHUNK
    array._CHUNK = chunk
    try:
        found = rows_of(source(path, "array", depth=depth), size)
    finally:
        array._CHUNK = before
    assert [raw.value for raw, _, _ in found] == rows
    whole = path.read_bytes()
    for raw, line, _ in found:
        assert whole.count(b"\n", 0, raw.offset) == line
        assert json.loads(whole[raw.offset : raw.offset + raw.length]) == raw.value


@given(st.lists(ROW, min_size=1, max_size=5))
def test_the_depth_of_records_is_told_from_the_head(rows: list[dict[str, Any]]) -> None:
    assert array.depth_of_records(json.dumps(rows).encode()) == 1
    assert array.depth_of_records(json.dumps({"v": 1, "data": rows}).encode()) == 2
    assert array.depth_of_records(json.dumps({"messages": rows}).encode()) == 0
    assert array.depth_of_records(json.dumps({"a": {"data": rows}}).encode()) == 0


def test_elements_that_are_no_objects_are_rows_too(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[{"a": 1}, 42, "text, with a comma", {"b": NaN}, null]')
    values = [raw.value for raw, _, _ in rows_of(source(path, "array", depth=1), 1000)]
    assert values[:3] == [{"a": 1}, 42, "text, with a comma"]
    assert isinstance(values[3], Finding)
    assert values[4:] == [None]
    path.write_text('{"tags": ["x", "y"], "data": [{"a": 1}, 42, "text", null], "n": 3}')
    values = [raw.value for raw, _, _ in rows_of(source(path, "array", depth=2), 1000)]
    assert values == [{"a": 1}, 42, "text", None]
    path.write_text('[{"a": 1}]\n{"b": 2}\n')
    assert [raw.value for raw, _, _ in rows_of(source(path, "array", depth=1), 1000)] == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize("wrapped", [False, True])
@pytest.mark.parametrize("stray", ["}", "]"])
def test_a_bracket_too_many_costs_itself_wherever_shards_are_cut(tmp_path: Path, wrapped: bool, stray: str) -> None:
    rows = [{"a": n} for n in range(6)]
    lines = [json.dumps(row) for row in rows]
    lines[2] += stray
    text = "[\n" + ",\n".join(lines) + "\n]"
    path = tmp_path / "rows.json"
    path.write_text('{"data": ' + text + ', "n": 3}' if wrapped else text)
    depth = array.depth_of_records(path.read_bytes())
    assert depth == 1 + wrapped
    for size in (10**6, 30, 1):
        values = [raw.value for raw, _, _ in rows_of(source(path, "array", depth=depth), size)]
        assert [value for value in values if isinstance(value, dict)] == rows
        assert len(values) == 7


def test_a_damaged_csv_record_is_cut_alike_wherever_shards_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text(
        'q,a\n"q1","multi\nline"\n"q2","multi\nline[""\n"q3",multi\n"q4","four is here"\n"q5","five is here"\n'
    )
    item = source(path, "delimited", columns=("q", "a"), start=4)
    found = [[(raw.offset, raw.length, record) for raw, _, record in rows_of(item, size)] for size in (10**6, 1)]
    assert found[0] == found[1]


def test_a_quote_too_many_in_a_printed_array_costs_one_record(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    rows: list[Any] = [{"a": "one"}, {"a": "5 inch"}, {"a": "three"}, {"a": "four"}]
    path.write_text(json.dumps(rows, indent=2).replace("5 inch", '5" wide'))
    values = [raw.value for raw, _, _ in rows_of(source(path, "array", depth=1), 1000)]
    assert [value if isinstance(value, dict) else value.code for value in values] == [rows[0], "J201", *rows[2:]]


def test_a_record_that_never_ends_is_one_finding(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text('[{"a": 1}, {"b": "stops')
    values = [raw.value for raw, _, _ in rows_of(source(path, "array", depth=1), 1000)]
    assert values[0] == {"a": 1}
    assert isinstance(values[1], Finding)
    assert values[1].code == "J205"


CELL = st.text(alphabet=st.sampled_from('ab,;"\n\té中 '), max_size=8)


@given(st.lists(st.lists(CELL, min_size=3, max_size=3), max_size=10), st.integers(1, 60), st.sampled_from(",;\t"))
def test_csv_records_are_found_once_wherever_shards_are_cut(
    folder: Path, rows: list[list[str]], size: int, delimiter: str
) -> None:
    path = folder / "rows.csv"
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerows([["one", "two", "three"], *rows])
    path.write_text(out.getvalue(), "utf-8", newline="")
    found_delimiter, columns, start = delimited.header(out.getvalue().encode(), None)
    assert (found_delimiter, columns) == (delimiter, ("one", "two", "three"))
    found = rows_of(source(path, "delimited", delimiter=delimiter, columns=columns, start=start), size)
    assert [raw.value for raw, _, _ in found] == [dict(zip(columns, row, strict=True)) for row in rows]
    assert [record for _, _, record in found] == list(range(len(rows)))


def test_a_stray_quote_costs_one_record(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('q,a\none,1\n"two,2\nthree,3\nfour,4\nfive,5\n')
    item = source(path, "delimited", columns=("q", "a"), start=4)
    values = [raw.value for raw, _, _ in rows_of(item, 1000)]
    assert [value if isinstance(value, dict) else value.code for value in values] == [
        {"q": "one", "a": "1"},
        "C512",
        {"q": "three", "a": "3"},
        {"q": "four", "a": "4"},
        {"q": "five", "a": "5"},
    ]
    path.write_text('q,a\n"First line,\nsecond line" oops,1\nWho?,D\n')
    values = [raw.value for raw, _, _ in rows_of(source(path, "delimited", columns=("q", "a"), start=4), 1000)]
    assert [value if isinstance(value, dict) else value.code for value in values] == ["C512", {"q": "Who?", "a": "D"}]


def test_the_header_is_found_under_what_excel_writes_above_it() -> None:
    assert delimited.header(b"sep=;\n\nq;a\n1;2\n", None) == (";", ("q", "a"), 11)
    assert delimited.header("q,a\u2028b\n1,2\n".encode(), None)[1] == ("q", "a\u2028b")
    with pytest.raises(UnicodeDecodeError):
        delimited.header("q,größe\n".encode("cp1252"), None)


def test_columns_without_a_name_or_with_one_name_keep_their_cells() -> None:
    assert delimited.header(b"a,,a\n1,2,3\n", None)[1] == ("a", "column 2", "a (3)")


@pytest.mark.parametrize("layout", ["lines", "array", "delimited"])
def test_a_record_over_the_limit_is_a_finding_and_costs_no_neighbour(
    tmp_path: Path, layout: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (lines, array, delimited, source_module):
        monkeypatch.setattr(module, "MAX_RECORD", 1000)
    path = tmp_path / "rows"
    long = "x" * 300_000
    if layout == "delimited":
        path.write_text(f"q,a\none,1\ntwo,{long}\nthree,3\n")
        item = source(path, "delimited", columns=("q", "a"), start=4)
    else:
        rows = [json.dumps({"q": "one"}), json.dumps({"q": long}), json.dumps({"q": "three"})]
        path.write_text("\n".join(rows) if layout == "lines" else "[" + ",\n".join(rows) + "]")
        item = source(path, layout, depth=1)
    for size in (10, 500, 10**6):
        found = rows_of(item, size)
        assert [raw.value["q"] if isinstance(raw.value, dict) else raw.value.code for raw, _, _ in found] == [
            "one",
            "J212",
            "three",
        ]
        assert found[1][0].length > 300_000
        assert [record for _, _, record in found] == [0, 1, 2]


@given(
    st.lists(st.binary(max_size=60).map(lambda data: data.replace(b"\n", b" ")), max_size=12),
    st.booleans(),
    st.integers(1, 40),
    st.integers(1, 200),
    st.booleans(),
)
def test_pieces_are_the_lines_of_their_shards(
    tmp_path_factory: pytest.TempPathFactory, found: list[bytes], ended: bool, piece: int, size: int, lent: bool
) -> None:
    path = tmp_path_factory.mktemp("pieces") / "rows.jsonl"
    path.write_bytes(b"\n".join(found) + b"\n" * ended)
    item = source(path, "lines")
    data, starts = b"", []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lines, "_PIECE", piece)
        patch.setattr(lines, "MAX_RECORD", 45)
        for number, cut in enumerate(lines.shards(item, size)):
            for one in (lines.lent if lent else lines.pieces)(item, Shard(number, 0, *cut)):
                starts.append((one.start, len(data)))
                data += b"x" * one.too_long + b"\n" if one.too_long else bytes(one.data)
    expected = [line if len(line) <= 45 else b"x" * len(line) for line in path.read_bytes().split(b"\n")]
    assert data.split(b"\n")[:-1] == (expected if expected[-1] else expected[:-1])
    assert all(start == place for start, place in starts)
