"""The report for people: places, excerpts and carets, caps that are said, nothing that a terminal obeys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data.lint import Located
from phi3data.lint.located import Skipped
from phi3data.report.lint.excerpt import Excerpts, Lines, excerpt
from phi3data.report.lint.results import Options, Results
from phi3data.report.lint.text import report
from phi3data.text.visible import cells

BASE = Located(
    code="R405",
    name="consecutive-role",
    severity="error",
    message="messages 1 and 2 are both the user's",
    path="a.jsonl",
    line=2,
    column=6,
    end_column=9,
    pointer="/messages/1/role",
    fingerprint="f" * 64,
    fix=None,
)


def located(**changes: Any) -> Located:
    return msgspec.structs.replace(BASE, **changes)


def shown(findings: list[Located], rows: int = 10, raw: bytes | None = None, **options: Any) -> str:
    paths = tuple(dict.fromkeys(found.path for found in findings)) or ("a.jsonl",)
    raw_of = None if raw is None else lambda path, line: raw
    return click.unstyle("".join(report(Results(findings, rows, paths), Options(raw_of=raw_of, **options))))


def test_a_finding_with_its_line_and_caret() -> None:
    assert shown([BASE], raw='{"é":"你好","b":1}'.encode()) == (
        "a.jsonl:2:6: R405 messages 1 and 2 are both the user's /messages/1/role\n"
        '    {"é":"你好","b":1}\n'
        "         ^~~~~\n"
        "\n"
        "code  rows  of rows  fixable  name\n"
        "R405     1    10.0%        –  consecutive-role\n"
        "1 finding in 10 rows of 1 file\n"
    )


def test_without_columns_and_lines_the_place_is_the_line() -> None:
    found = located(column=None, end_column=None, pointer="")
    assert shown([found]) == (
        "a.jsonl:2:1: R405 messages 1 and 2 are both the user's\n"
        "\n"
        "code  rows  of rows  fixable  name\n"
        "R405     1    10.0%        –  consecutive-role\n"
        "1 finding in 10 rows of 1 file\n"
    )


def test_without_columns_the_pointer_finds_the_caret() -> None:
    raw = b'{"messages":[{"role":"user"},{"role":"user"}]}'
    lines = shown([located(column=None, end_column=None)], raw=raw).splitlines()
    assert lines[0].startswith("a.jsonl:2:1: R405")
    assert lines[1] == "    " + raw.decode()
    assert lines[2] == "    " + " " * raw.decode().rindex('"user"') + "^~~~~~"
    # A line inside a pretty-printed row is no value: it is shown without a caret.
    lines = shown([located(column=None, end_column=None)], raw=b'  "role": "user",').splitlines()
    assert lines[1:3] == ['      "role": "user",', ""]


def test_findings_of_one_place_share_the_excerpt_and_are_sorted_by_place() -> None:
    findings = [
        located(path="b.jsonl", line=1),
        located(line=7),
        located(line=3, column=9, end_column=10),
        located(line=3, code="R401", name="no-assistant"),
        located(line=3),
    ]
    lines = shown(findings, raw=b'{"messages":[]}').splitlines()
    assert [line.partition(" ")[0] for line in lines if ".jsonl" in line] == [
        "b.jsonl:1:6:",
        "a.jsonl:3:6:",
        "a.jsonl:3:6:",
        "a.jsonl:3:9:",
        "a.jsonl:7:6:",
    ]
    assert sum('{"messages":[]}' in line for line in lines) == 4
    # Places without columns differ by their pointers.
    findings = [located(column=None, end_column=None, pointer=pointer) for pointer in ("/a", "/b")]
    carets = [line for line in shown(findings, raw=b'{"a":1,"b":2}').splitlines() if line.strip() == "^"]
    assert carets == ["         ^", "               ^"]


def test_a_cap_is_said() -> None:
    findings = [located(line=line) for line in range(1, 9114)] + [located(code="R401", name="no-assistant")]
    text = shown(findings, rows=20_000)
    assert text.count("R405 messages") == 20
    assert "showing 20 of 9,113 R405 (--max-per-rule N shows more)\n" in text
    assert "of 1 R401" not in text
    assert text.endswith("9,114 findings in 20,000 rows of 1 file\n")
    assert shown(findings, max_per_rule=3).count("R405 messages") == 3
    assert "showing" not in shown(findings, max_per_rule=9113)
    none = shown(findings, max_per_rule=0)
    assert none.split()[:2] == ["code", "rows"]
    assert "showing 0 of 1 R401" in none


def test_the_table_counts_rows_and_fixes() -> None:
    findings = [
        located(line=1, fix="safe"),
        located(line=1, column=20, fix="unsafe"),
        located(line=2),
        located(line=2, path="b.jsonl"),
        located(code="trailing-space", name="trailing-space", severity="info"),
    ]
    table = shown(findings, rows=3000).split("\n\n")[-1]
    assert table == (
        "code            rows  of rows  fixable  name\n"
        "R405               3     0.1%        2  consecutive-role\n"
        "trailing-space     1    <0.1%        –  trailing-space\n"
        "5 findings in 3,000 rows of 2 files\n"
    )


def test_rows_are_counted_where_several_stand_on_a_line() -> None:
    results = Results([located(record=1), located(column=90, record=2)], 4, ("a.json",))
    assert "R405     2    50.0%" in click.unstyle("".join(report(results, Options())))


def test_a_clean_run_is_one_line_and_skipped_rules_are_said() -> None:
    assert shown([], rows=1) == "no findings in 1 row of 1 file\n"
    results = Results([], 0, (), (Skipped("L701", "no tokenizer"),))
    text = click.unstyle("".join(report(results, Options())))
    assert text == "L701 did not run: no tokenizer\nno findings in 0 rows of 0 files\n"


def test_colours_are_for_the_severity() -> None:
    text = "".join(report(Results([BASE, located(severity="warning", line=9)], 1, ("a.jsonl",)), Options()))
    assert click.style("R405", fg="red", bold=True) in text
    assert click.style("R405", fg="yellow", bold=True) in text


@given(st.text(max_size=30), st.text(max_size=30), st.binary(max_size=80), st.integers(1, 90), st.integers(0, 90))
def test_nothing_that_a_terminal_obeys_is_left(message: str, path: str, raw: bytes, column: int, more: int) -> None:
    found = located(message=message, path=path, pointer=f"/{message}", column=column, end_column=column + more)
    text = shown([found], raw=raw)
    assert not set(text) & {chr(code) for code in (*range(10), *range(11, 32), *range(0x7F, 0xA0))}


# Excerpts.


@pytest.mark.parametrize(
    ("text", "column", "end_column", "line", "caret"),
    [
        ("abc", 1, 2, "abc", "^"),
        ("abc", 3, None, "abc", "  ^"),
        ("abc", 4, None, "abc", "   ^"),
        ("abc", 99, 120, "abc", "   ^"),
        ("", 1, None, "", "^"),
        ("你a好b", 3, 5, "你a好b", "   ^~~"),
        ("e\u0301x", 3, None, "e\u0301x", " ^"),
        ("a\x1b[31mb", 2, 3, "a⟨U+001B⟩[31mb", " ^~~~~~~~"),
        ("\tab", 2, 3, "⇥ab", " ^"),
        ("a" * 100, 51, 53, "…" + "a" * 40 + "aa" + "a" * 40 + "…", " " * 41 + "^~"),
        ("a" * 100, 41, 42, "a" * 81 + "…", " " * 40 + "^"),
        ("a" * 100, 61, 62, "…" + "a" * 80, " " * 41 + "^"),
        ("a" * 200, 1, 201, "a" * 40 + "…", "^" + "~" * 39),
        ("a" * 60, 1, 41, "a" * 60, "^" + "~" * 39),
    ],
)
def test_an_excerpt_is_40_characters_around_the_place(
    text: str, column: int, end_column: int | None, line: str, caret: str
) -> None:
    assert excerpt(text, column, end_column) == (line, caret)


@given(st.text(max_size=200), st.integers(1, 200), st.none() | st.integers(1, 250))
def test_the_caret_stands_under_the_place(text: str, column: int, end_column: int | None) -> None:
    line, caret = excerpt(text, column, end_column)
    assert set(caret) <= set(" ^~")
    assert caret.count("^") == 1
    assert cells(line) + 1 >= len(caret) or not text


def test_a_line_is_read_once_for_findings_that_follow_one_another() -> None:
    read: list[tuple[str, int]] = []

    def raw_of(path: str, line: int) -> bytes | None:
        read.append((path, line))
        return None if line == 3 else b"abc\r"

    excerpts = Excerpts(raw_of)
    assert excerpts.of(located(column=3, end_column=None)) == ("abc", "  ^")
    assert excerpts.of(located(column=1, end_column=None)) == ("abc", "^")
    assert excerpts.of(located(line=3)) is None
    assert read == [("a.jsonl", 2), ("a.jsonl", 3)]
    assert Excerpts(None).of(BASE) is None


def test_secrets_do_not_end_in_a_log() -> None:
    raw = b'{"a":"key sk-12345678 and sk-87654321","b":"x"}'
    # A finding tells the first secret of a text only: all of the text is hidden.
    secret = located(code="P002", name="secret", message="a key 'sk-1...'", column=11, end_column=22, pointer="/a")
    other = located(code="C505", name="control-char", column=23, end_column=25, pointer="/a")
    hidden = f'{{"a":{"█" * 33},"b":"x"}}'
    for findings in ([other, secret], [secret, other], [other] * 5 + [secret]):
        text = shown(findings, raw=raw, max_per_rule=3)
        assert hidden in text
        assert "sk-12" not in text
        assert "4321" not in text
    without = msgspec.structs.replace(secret, column=None, end_column=None)
    assert hidden in shown([other, without], raw=raw)
    # Where the text is not found in the line, as in one line of a pretty-printed row, the whole line is hidden.
    for line in (raw, b'  "content": "key sk-12345678",', b'[{"a":"sk-12345678"}]', b"sk-12345678"):
        text = shown([other, msgspec.structs.replace(secret, pointer="/c")], raw=line)
        assert "█" * min(len(line), 40) in text
        assert "1234" not in text
    assert "sk-12345678" in shown([msgspec.structs.replace(secret, line=3), other], raw=raw)


# Lines that are read again.


def test_any_line_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    wanted = [f'{{"row": {number}, "text": "{"ü" * (number * 37 % 900)}"}}' for number in range(6000)]
    path.write_text("\n".join(wanted), "utf-8")
    assert path.stat().st_size > 4 * 2**20, "it should take several pieces"
    lines = Lines({"rows.jsonl": path})
    for number in (*range(0, 6000, 397), 5999, 0, 3, 2999, 1, 5998):
        assert lines("rows.jsonl", number + 1) == wanted[number].encode(), number
    assert lines("rows.jsonl", 6001) is None
    assert lines("rows.jsonl", 0) is None
    assert lines("other.jsonl", 1) is None
    path.unlink()
    assert lines("rows.jsonl", 1) is None


def test_ends_marks_and_lines_that_are_too_long(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes("\ufeffa\r\n\nb\n".encode() + b"x" * (2**24 + 1) + b"\nc")
    lines = Lines({"x": path})
    assert [lines("x", number) for number in (5, 4, 3, 2, 1, 6)] == [b"c", None, b"b", b"", b"a\r", None]


def test_the_lines_of_a_run_are_those_of_its_sources(tmp_path: Path) -> None:
    from phi3data.sources.inputs import find
    from phi3data.sources.open import open_source
    from phi3data.sources.reader import SourceConfig

    rows = [{"messages": [{"role": "user", "content": "ü"}]}] * 2
    sources = [open_source(item, 0, SourceConfig(), tmp_path) for item in find(rows)]
    lines = Lines.of(sources)
    line = lines("<rows>", 2)
    assert line is not None
    assert msgspec.json.decode(line) == rows[1]
    csv = tmp_path / "rows.csv"
    csv.write_text("question,answer\na,b\n")
    assert Lines.of([open_source(item, 0, SourceConfig(), tmp_path) for item in find(csv)])(str(csv), 2) is None


@given(st.text(min_size=1, max_size=200), st.data())
def test_an_excerpt_keeps_to_its_room_and_points_at_the_place(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(1, len(text)))
    end = data.draw(st.integers(start + 1, len(text) + 1))
    room = data.draw(st.integers(24, 120))
    line, caret = excerpt(text, start, end, room=room)
    assert cells(line) <= room
    assert 1 <= cells(caret) <= room
    plain = "".join(character if character.isascii() and character.isprintable() else "x" for character in text)
    line, caret = excerpt(plain, start, end, room=room)
    assert len(line) <= room
    assert line[caret.index("^")] == plain[start - 1]
