"""Places in files: whatever the layout, the line and columns are those of an editor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from phi3data.findings import Finding
from phi3data.sources.inputs import find
from phi3data.sources.open import open_source, read_all
from phi3data.sources.places import FilePlace, Places
from phi3data.sources.reader import SourceConfig
from phi3data.sources.source import BLANK, Raw

ROWS = [
    {"messages": [{"role": "user", "content": f"Grüße {number} 👋\n"}, {"role": "assistant", "content": "é" * number}]}
    for number in range(40)
]


def raws(path: Path, tmp_path: Path) -> tuple[Places, list[Raw]]:
    (item,) = find(path)
    source = open_source(item, 0, SourceConfig(format="chat"), tmp_path)
    return Places(source), [raw for raw in read_all(source) if raw.value is not BLANK]


def text_at(path: Path, place: FilePlace) -> str:
    """Return what an editor has there."""
    assert place.column is not None
    line = path.read_text("utf-8-sig").split("\n")[place.line - 1]
    return line[place.column - 1 : None if place.end_column is None else place.end_column - 1]


LAYOUTS: dict[str, Any] = {
    "lines.jsonl": "".join(json.dumps(row) + "\n" for row in ROWS),
    "blank.jsonl": "\ufeff" + "\n\n".join(json.dumps(row, ensure_ascii=False) for row in ROWS),
    "one-line.json": json.dumps(ROWS, ensure_ascii=False),
    "pretty.json": json.dumps(ROWS, ensure_ascii=False, indent=2),
    "wrapped.json": "\ufeff" + json.dumps({"note": "ü", "data": ROWS}, ensure_ascii=False, indent="\t"),
    "two-a-line.json": "[\n" + ",\n".join(
        f"  {json.dumps(a, ensure_ascii=False)}, {json.dumps(b)}" for a, b in zip(ROWS[::2], ROWS[1::2], strict=True)
    ) + "\n]",
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout(name: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_text(LAYOUTS[name], "utf-8", newline="")
    opened, rows = raws(path, tmp_path)
    assert len(rows) == len(ROWS)
    with opened as places:
        for number, raw in enumerate(rows):
            content = text_at(path, places.of(raw, "/messages/0/content"))
            assert json.loads(content) == ROWS[number]["messages"][0]["content"]
            assert text_at(path, places.of(raw, "/messages/0/content", character=3)) in {"ü", "\\u00fc"}
            at = 8 + len(str(number))
            hand = text_at(path, places.of(raw, "/messages/0/content", character=at, length=2))
            assert hand in {"👋\\n", "\\ud83d\\udc4b\\n"}
            assert text_at(path, places.of(raw, "/messages/0/name")).startswith("{")
            assert text_at(path, places.of(raw, "")).startswith("{")
            # A parser stops at the first quote of "messages", wherever the row's own white space puts it.
            raw_text = path.read_bytes()[raw.offset :].decode()
            assert text_at(path, places.of(raw, "", column=raw_text.index('"') + 1)) == '"'
        # Also when they are asked for in another order.
        assert text_at(path, places.of(rows[2], "/messages/0/role")) == '"user"'


def test_what_a_parser_says_of_a_line_with_a_mark_inside(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps(ROWS[0]) + '\n\ufeff{"a": True}\n', "utf-8")
    opened, rows = raws(path, tmp_path)
    found = rows[1].value
    assert isinstance(found, Finding)
    with opened as places:
        place = places.of(rows[1], found.pointer, column=found.column)
        assert place == FilePlace(2, 8, 9)
        assert text_at(path, place) == "T"


def test_texts_put_together_from_parts_are_placed_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"messages":[{"role":"user","content":[{"type":"text","text":"Hi"}]}]}\n')
    opened, (raw,) = raws(path, tmp_path)
    with opened as places:
        place = places.of(raw, "/messages/0/content", character=2)
    assert text_at(path, place) == '[{"type":"text","text":"Hi"}]'


def test_tables_and_rows_that_are_too_long_have_no_columns(tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    table.write_text('question,answer\na,b\n"c\n",d\n')
    (item,) = find(table)
    source = open_source(item, 0, SourceConfig(), tmp_path)
    with Places(source) as places:
        assert places.of(Raw(9, 4, 1, 0, None), "/messages") == FilePlace(1, None, None)
        assert places.of(Raw(9, 4, 1, 1, None), "", column=3) == FilePlace(2, 3, 4)
    long = tmp_path / "rows.jsonl"
    long.write_text(json.dumps(ROWS[0]))
    opened, (raw,) = raws(long, tmp_path)
    raw.length = 2**24 + 1
    with opened as places:
        assert places.of(raw, "/messages") == FilePlace(1, None, None)
