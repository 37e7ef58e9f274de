"""The bytes of a file: each rule, at each place where a block may end, in bounded memory."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from phi3data import targets
from phi3data.rules import file
from phi3data.rules.base import GOOD
from phi3data.rules.placed import Placed
from phi3data.rules.typed import FastPath

FOUNDRY = targets.target("foundry")
ROW = GOOD.encode()
BOM = b"\xef\xbb\xbf"


def scan(data: bytes, size: int = 100) -> list[Placed]:
    """Look at a file in blocks of `size` lines, and at each of its lines, as lint does."""
    lines = data.split(b"\n")
    unfinished = lines.pop()
    lines += [unfinished] if unfinished else []
    ends = file.LineEnds()
    for at in range(0, len(lines), size):
        part = file.LineEnds()
        part.add(lines[at : at + size], at + 1, ended=at + size < len(lines) or not unfinished)
        ends.merge(part)
    beside = [(file.beside_rows(line, number), number) for number, line in enumerate(lines, 1)]
    inside = [(file.separator(line), number) for number, line in enumerate(lines, 1)]
    found = [Placed(finding, number) for finding, number in beside + inside if finding]
    return [*found, *ends.findings()]


def scanned(data: bytes, size: int = 100) -> list[tuple[str, int | None]]:
    return [(placed.finding.code, placed.line) for placed in scan(data, size)]


def head(data: bytes, target: str = "foundry", size: int | None = None) -> list[str]:
    found = file.check_head(data[:4096], len(data) if size is None else size, targets.target(target))
    return [placed.finding.code for placed in found]


def test_a_file_that_is_as_it_should_be() -> None:
    assert scanned(ROW + b"\n" + ROW + b"\n") == []
    assert head(ROW + b"\n") == []
    assert scanned(b"") == []


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.jsonl"

    def said() -> str:
        finding = file.unreadable(path)
        assert finding is not None
        assert finding.code == "F101"
        return finding.message

    assert said() == "there is no such file"
    path.touch()
    assert said() == "the file is empty"
    path.write_bytes(BOM + b"\n \r\n\t\n")
    assert said() == "holds no rows: nothing but blank lines"
    path.write_bytes(b"\n" * 2**21 + ROW)
    assert file.unreadable(path) is None
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may read everything
    assert said() == "may not be read: change its permissions"
    monkeypatch.undo()
    path.unlink()
    path.mkdir()
    assert said() == "is a directory, not a file"
    os.mkfifo(tmp_path / "pipe")
    path = tmp_path / "pipe"
    assert said() == "is no regular file"


@pytest.mark.parametrize(
    ("target", "with_mark", "without"),
    [("foundry", ["F103"], []), ("openai", ["F103"], []), ("azure-openai", [], []), ("trl", [], [])],
)
def test_a_byte_order_mark_is_a_matter_of_the_target(target: str, with_mark: list[str], without: list[str]) -> None:
    assert head(BOM + ROW, target) == with_mark
    assert head(ROW, target) == without


def test_a_target_may_want_a_byte_order_mark() -> None:
    import msgspec

    wanting = msgspec.structs.replace(FOUNDRY, bom="wanted")
    assert [placed.finding.code for placed in file.check_head(ROW, len(ROW), wanting)] == ["F103"]
    assert list(file.check_head(BOM + ROW, len(ROW), wanting)) == []


def test_the_size_limit_is_a_matter_of_the_target() -> None:
    assert head(ROW, size=512_000_000) == []
    assert head(ROW, size=512_000_001) == ["F105"]
    assert head(ROW, "trl", size=10**12) == []
    (placed,) = file.check_head(ROW, 600_000_000, FOUNDRY)
    assert placed.finding.message == "600.0 MB, Microsoft Foundry takes 512 MB: split the file or use fewer rows"


@pytest.mark.parametrize(
    ("data", "codes"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n", ["F108"]),
        (BOM + b"\n <!DOCTYPE html><html>", ["F103", "F108"]),
        (b"<?xml version='1.0'?><Error><Code>AuthenticationFailed</Code>", ["F108"]),
        (b"<HTML>", ["F108"]),
        (b"[\n  " + ROW + b"\n]\n", ["J202"]),
        (b"[" + ROW + b"," + ROW + b"]", ["J202"]),
        (b"[" + ROW + b"]\n", ["J202"]),
        (b"[" + ROW + b"]\n" + ROW + b"\n", []),  # J211: a row that is no object
        (json.dumps(json.loads(GOOD), indent=1).encode(), ["J202"]),
        (b'{"messages": [\n', ["J202"]),
        (b'["a"]\n["b"]\n', []),
        (b"{'messages': []}\n", []),
    ],
)
def test_what_a_file_is_by_its_head(data: bytes, codes: list[str]) -> None:
    assert head(data) == codes


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (ROW + b"\n" + BOM + ROW + b"\n", [("F104", 2)]),
        (BOM + ROW + b"\n" + ROW + b"\n", []),  # F103, from the head
        (ROW + b"\n\n" + ROW + b"\n", [("J203", 2)]),
        (b"\n \t\n" + ROW + b"\n\n", [("J203", 1), ("J203", 2), ("J203", 4)]),
        (ROW + b"\r\n\r\n" + ROW + b"\r\n", [("J203", 2), ("F106", 1)]),
        (ROW + b"\n" + ROW + b"\r\n", [("F106", 2)]),
        (ROW + b"\r" + ROW + b"\n", [("F106", 1)]),
        (ROW + b"\n" + ROW, [("F106", 2)]),
        (ROW + b"\n" + ROW.replace(b"Hi", b"a\xe2\x80\xa8b\xe2\x80\xa9c") + b"\n", [("F107", 2)]),
        (ROW.replace(b"Hi", b"\xc2\x85") + b"\n", [("F107", 1)]),
        (ROW.replace(b"Hi", "“quoted” – …".encode()) + b"\n", []),
        (ROW.replace(b"Hi", b"<<<<<<< HEAD\\n=======") + b"\n", []),
        (
            b"<<<<<<< HEAD\n" + ROW + b"\n=======\n" + ROW + b"\n>>>>>>> branch\n",
            [("F108", 1), ("F108", 3), ("F108", 5)],
        ),
    ],
)
def test_what_lies_between_and_inside_rows(data: bytes, found: list[tuple[str, int]]) -> None:
    assert scanned(data) == found
    for size in (1, 2, 3):
        assert scanned(data, size) == found, size


@given(st.sampled_from([b"", b" ", BOM, b"<<<<<<< ", b"=======", b">>>>>>> x"]), st.sampled_from([b"", b" ", b"\r"]))
def test_a_line_beside_rows_is_never_accepted_as_one(start: bytes, end: bytes) -> None:
    for row in (b"", ROW):
        if file.beside_rows(start + row + end, 2):
            assert FastPath(FOUNDRY)(start + row + end) is None


def test_what_is_said_of_lines_and_columns() -> None:
    data = ROW.replace(b"Hi", "é\u2028é\u2028".encode()) + b"\r\n" + ROW + b"\r\n"
    said = {placed.finding.code: (placed.finding.message, placed.finding.column) for placed in scan(data)}
    column = GOOD.index("Hi") + 2
    more = "a raw U+2028, and 1 more: readers that split lines as Unicode does break the row, write \\u2028"
    assert said["F107"] == (more, column)
    assert said["F106"] == ("every line ends in CR LF, expected LF", None)


@example([b"\xe2\x80\xa8\n", b"\n"], 1)
@example([b"x", b"\r", b"\n", b"\xc2\x85"], 1)
@given(
    st.lists(
        st.sampled_from(
            [
                ROW,
                b"\n",
                b"\r\n",
                b"\r",
                b" ",
                BOM,
                b"\xe2\x80\xa8",
                b"\xc2\x85",
                b"=======",
                b"<<<<<<< a",
                b">>>>>>> b",
                b"\t",
            ]
        ),
        max_size=12,
    ),
    st.integers(1, 4),
)
def test_findings_do_not_depend_on_where_blocks_end(parts: list[bytes], size: int) -> None:
    data = b"".join(parts)
    assert scan(data, size) == scan(data)


@given(st.text(st.sampled_from('ab\u2028\u2029\x85é你😀\n"\\'), max_size=30), st.booleans())
def test_a_separator_is_found_where_one_stands_raw(text: str, escaped: bool) -> None:
    raw = json.dumps(text, ensure_ascii=escaped).encode()
    found = file.separator(raw)
    there = any(mark in text for mark in "\u2028\u2029\x85")
    assert (found is not None) == (there and not escaped)
    if found:
        assert found.column is not None
        assert raw.decode()[found.column - 1] in "\u2028\u2029\x85"
