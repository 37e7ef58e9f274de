"""A file that is fixed: its bytes, its container, its permissions, and what is left when something goes wrong."""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import os
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from tests.fixes.examples import ANSWER, GOOD_LINE, TOOL, USER, answer, line, user
from tests.fixes.linting import linter

from phi3data import targets
from phi3data.errors import InputError
from phi3data.findings import Finding
from phi3data.fixes import FILE_FIXES, FIXES
from phi3data.fixes import file as fixes_file
from phi3data.fixes.diff import unified
from phi3data.fixes.file import FixPlan, LineFix, fix_file, ledger
from phi3data.sources.inputs import find

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


CODES = frozenset(FIXES) | frozenset(FILE_FIXES)
DIRTY, CLEAN = answer("Ring\x07!"), answer("Ring!")
BOM = b"\xef\xbb\xbf"


def fix(
    path: Path,
    *,
    unsafe: bool = False,
    codes: frozenset[str] = CODES,
    target: str = "foundry",
    write: bool = True,
    lint: Callable[[bytes], list[Finding]] | None = None,
) -> list[LineFix]:
    (item,) = find(path, empty=True)
    plan = FixPlan(codes, unsafe, targets.target(target))
    return list(fix_file(item, lint or linter(target=target), plan, write=write))


def file(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


@pytest.fixture
def rows(tmp_path: Path) -> Path:
    return file(tmp_path / "rows.jsonl", b"\n".join([GOOD_LINE, DIRTY, b"", b"{broken", GOOD_LINE, b""]))


def test_only_lines_that_are_fixed_change(rows: Path) -> None:
    done = fix(rows)
    assert rows.read_bytes() == b"\n".join([GOOD_LINE, CLEAN, b"{broken", GOOD_LINE, b""])
    assert [(each.line, [change.code for change in each.done]) for each in done] == [(2, ["C505"]), (3, ["J203"])]
    assert list(rows.parent.iterdir()) == [rows]


def test_a_clean_file_is_not_touched(tmp_path: Path) -> None:
    path = file(tmp_path / "rows.jsonl", GOOD_LINE + b"\n")
    os.utime(path, (1, 1))
    before = path.stat()
    assert fix(path, unsafe=True) == []
    after = path.stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_permissions_stay_and_a_link_stays_a_link(rows: Path, tmp_path: Path) -> None:
    rows.chmod(0o640)
    link = tmp_path / "link.jsonl"
    link.symlink_to(rows)
    assert fix(link)
    assert link.is_symlink()
    assert rows.stat().st_mode & 0o777 == 0o640
    assert CLEAN in rows.read_bytes()


def test_an_error_in_the_middle_leaves_the_old_file(rows: Path) -> None:
    before = rows.read_bytes()

    def failing(raw: bytes) -> list[Finding]:
        if raw == b"{broken":
            raise ZeroDivisionError
        return linter()(raw)

    with pytest.raises(ZeroDivisionError):
        fix(rows, lint=failing)
    assert rows.read_bytes() == before
    assert list(rows.parent.iterdir()) == [rows]


def test_who_stops_listening_leaves_the_old_file(rows: Path) -> None:
    before = rows.read_bytes()
    (item,) = find(rows)
    running = fix_file(item, linter(), FixPlan(CODES, False, targets.target("foundry")))
    next(running)
    running.close()  # type: ignore[attr-defined]
    assert rows.read_bytes() == before
    assert list(rows.parent.iterdir()) == [rows]


def test_without_writing_nothing_is_written(rows: Path) -> None:
    before = rows.read_bytes()
    assert [each.line for each in fix(rows, write=False)] == [2, 3]
    assert rows.read_bytes() == before


def _zstd(data: bytes) -> bytes:
    zstandard = pytest.importorskip("zstandard")
    packed: bytes = zstandard.ZstdCompressor().compress(data)
    return packed


def _unzstd(data: bytes) -> bytes:
    zstandard = pytest.importorskip("zstandard")
    plain: bytes = zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return plain


@pytest.mark.parametrize(
    ("ending", "pack", "unpack"),
    [
        (".gz", gzip.compress, gzip.decompress),
        (".bz2", bz2.compress, bz2.decompress),
        (".xz", lzma.compress, lzma.decompress),
        (".zst", _zstd, _unzstd),
    ],
)
def test_a_compressed_file_stays_one(tmp_path: Path, ending: str, pack: Any, unpack: Any) -> None:
    path = file(tmp_path / f"rows.jsonl{ending}", pack(DIRTY + b"\n" + GOOD_LINE + b"\n"))
    assert len(fix(path)) == 1
    first = path.read_bytes()
    assert unpack(first) == CLEAN + b"\n" + GOOD_LINE + b"\n"
    assert fix(path) == []
    assert path.read_bytes() == first


@pytest.mark.parametrize(
    ("code", "before", "after", "target", "unsafe"),
    [
        ("F103", BOM + GOOD_LINE + b"\n", GOOD_LINE + b"\n", "foundry", False),
        ("F106", GOOD_LINE + b"\r\n" + GOOD_LINE, GOOD_LINE + b"\n" + GOOD_LINE + b"\n", "foundry", False),
        ("F106", b'{"a":\r1}\n', b'{"a":1}\n', "foundry", False),
        ("J202", b"[" + GOOD_LINE + b",\n" + GOOD_LINE + b"]", (GOOD_LINE + b"\n") * 2, "foundry", False),
        ("J202", json.dumps([{"a": 1.5}], indent=1).encode(), b'{"a": 1.5}\n', "foundry", False),
        ("F102", (GOOD_LINE.decode() + "\n").encode("utf-16"), GOOD_LINE + b"\n", "foundry", True),
        (
            "S313",
            line(USER, ANSWER, tools=[TOOL]) + b"\n" + line(USER, ANSWER) + b"\n",
            (line(USER, ANSWER) + b"\n") * 2,
            "foundry",
            True,
        ),
    ],
)  # fmt: skip
def test_what_concerns_the_file(
    tmp_path: Path, code: str, before: bytes, after: bytes, target: str, unsafe: bool
) -> None:
    path = file(tmp_path / "rows.jsonl", before)
    if unsafe:
        assert fix(path, target=target, codes=frozenset({code})) == []
        assert path.read_bytes() == before
    (done,) = fix(path, target=target, codes=frozenset({code}), unsafe=unsafe)
    assert path.read_bytes() == after
    assert (done.line, done.done[0].code) == (None, code)
    assert fix(path, target=target, codes=frozenset({code}), unsafe=True) == []


def test_line_ends_are_counted(tmp_path: Path) -> None:
    path = file(tmp_path / "rows.jsonl", GOOD_LINE + b"\r\n" + b'{"a":\r1}\n' + GOOD_LINE)
    (done,) = fix(path, codes=frozenset({"F106"}))
    assert done.done[0].before == "1 line ended in CR LF, 1 line held CR, 1 line had no line end"


def test_line_ends_that_are_not_to_be_fixed_stay(tmp_path: Path) -> None:
    path = file(tmp_path / "rows.jsonl", BOM + DIRTY + b"\r\n" + GOOD_LINE)
    fix(path, codes=frozenset({"C505"}))
    assert path.read_bytes() == BOM + CLEAN + b"\r\n" + GOOD_LINE


def test_a_key_that_rows_need_stays(tmp_path: Path) -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "time", "arguments": "{}"}}
    calling = line(USER, {"role": "assistant", "content": "", "tool_calls": [call]}, tools=[TOOL])
    path = file(tmp_path / "rows.jsonl", calling + b"\n" + GOOD_LINE + b"\n")
    assert fix(path, codes=frozenset({"S313"}), unsafe=True) == []


def test_rows_that_are_made_readable_count_for_partial_keys(tmp_path: Path) -> None:
    tools = line(USER, ANSWER, tools=[TOOL])
    path = file(tmp_path / "rows.jsonl", tools + tools + b"\n" + GOOD_LINE + b"\n")
    fix(path, unsafe=True)
    assert path.read_bytes() == (line(USER, ANSWER) + b"\n") * 2 + GOOD_LINE + b"\n"
    assert fix(path, unsafe=True) == []


@pytest.mark.parametrize("data", [b"", b"\n \n", b"version https://git-lfs.github.com/spec/v1\n", b"<html>no</html>"])
def test_there_is_nothing_to_fix_in_what_is_no_data(tmp_path: Path, data: bytes) -> None:
    path = file(tmp_path / "rows.jsonl", data)
    assert fix(path, unsafe=True) == []
    assert path.read_bytes() == data


def test_an_array_with_a_broken_row_stays_as_it_is(tmp_path: Path) -> None:
    data = b"[" + GOOD_LINE + b",\n{'a': 1}]"
    path = file(tmp_path / "rows.jsonl", data)
    assert fix(path) == []
    assert path.read_bytes() == data


def test_a_line_that_is_too_long_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fixes_file, "MAX_RECORD", 200)
    long = user("\x07" + "a " * 300)
    data = b"\n".join([DIRTY, long + b" " * 500, DIRTY, b""])
    path = file(tmp_path / "rows.jsonl", data)
    assert [each.line for each in fix(path)] == [1, 3]
    assert path.read_bytes() == data.replace(DIRTY, CLEAN)


def test_other_containers_are_refused(tmp_path: Path) -> None:
    path = file(tmp_path / "rows.json", b"[" + GOOD_LINE + b"]")
    with pytest.raises(InputError, match=r"rows\.json: fix writes \.jsonl files only: run phi3data convert"):
        fix(path)


def test_the_diff_shows_what_changes_and_nothing_else(tmp_path: Path) -> None:
    long = "A sentence that goes on. " * 100
    path = file(
        tmp_path / "rows.jsonl", b"\n".join([b"", answer(f"{long}\u200b{long}"), answer("Scho\u0308n.\n"), b""])
    )
    assert list(unified("rows.jsonl", fix(path, write=False))) == [
        "--- rows.jsonl",
        "+++ rows.jsonl (fixed)",
        "@@ -1 +1 @@ J203",
        "@@ -2 +1 @@ C506 /messages/1/content",
        "-…tence that goes on. ⟨U+200B⟩A sentence that goes…",
        "+…tence that goes on. A sentence that goes…",
        "@@ -3 +2 @@ C516 /messages/1/content",
        "-Scho⟨U+0308⟩n.⏎",
        "+Schön.⏎",
    ]
    assert list(unified("rows.jsonl", [])) == []


def test_the_ledger_has_a_line_a_change(rows: Path) -> None:
    first, second = fix(rows)
    assert [json.loads(each) for each in ledger("rows.jsonl", first)] == [
        {
            "path": "rows.jsonl",
            "line": 2,
            "code": "C505",
            "pointer": "/messages/1/content",
            "before": "Ring\x07!",
            "after": "Ring!",
        }
    ]
    assert json.loads(next(ledger("rows.jsonl", second)))["line"] == 3


def columns(*rows: dict[str, Any]) -> bytes:
    return b"".join(line(USER, ANSWER, **row) + b"\n" for row in rows)


def test_a_column_of_numbers_is_written_as_numbers(tmp_path: Path) -> None:
    spelled: list[dict[str, Any]] = [
        {"n": "7", "id": "007", "at": "2024-05-17"},
        {"n": None},
        {"n": "-1.5", "id": "8", "at": "2024-05-18"},
    ]
    path = file(tmp_path / "rows.jsonl", columns(*spelled) + b"{broken\n")
    (done,) = fix(path, target="trl", codes=frozenset({"S312"}))
    assert (done.line, done.done[0].pointer, done.done[0].after) == (None, "/n", "as numbers")
    numbers = [spelled[0] | {"n": 7}, spelled[1], spelled[2] | {"n": -1.5}]
    assert path.read_bytes() == columns(*numbers) + b"{broken\n"
    assert fix(path, target="trl", codes=frozenset({"S312"})) == []


@pytest.mark.parametrize(
    "values", [("7",), ("1.50", "2"), ("7", "seven"), ("seven", "7", "8"), ("7", 8), ("1e400", "2"), ("7", True)]
)
def test_a_column_of_other_things_stays(values: tuple[Any, ...], tmp_path: Path) -> None:
    path = file(tmp_path / "rows.jsonl", columns(*({"n": value} for value in values)))
    assert fix(path, target="trl", codes=frozenset({"S312"})) == []


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_rows_in_blocks_are_shuffled_the_same_way_each_time(suffix: str, tmp_path: Path) -> None:
    rows = [user(f"question {number}") for number in range(40)]
    data = BOM + b"\n".join([*rows[:20], DIRTY, *rows[20:]])
    path = file(tmp_path / f"rows.jsonl{suffix}", gzip.compress(data) if suffix else data)
    (item,) = find(path)
    order = Finding("D807", "2 blocks of rows by label")
    plan = FixPlan(frozenset({"D807", "C505"}), False, targets.target("trl"), order=order)
    dirty, done = fix_file(item, linter(target="trl"), plan)
    assert dirty.line == 21
    assert (done.line, done.done[0].before, done.done[0].after) == (None, order.message, "in random order")
    written = gzip.decompress(path.read_bytes()) if suffix else path.read_bytes()
    lines = written.removeprefix(BOM).split(b"\n")
    assert written.startswith(BOM)
    assert sorted(lines) == sorted([*rows, CLEAN, b""])
    assert [lines.index(row) for row in rows[:4]] == [32, 27, 11, 4]
    assert list(fix_file(item, linter(target="trl"), msgspec.structs.replace(plan, codes=frozenset({"C505"})))) == []
