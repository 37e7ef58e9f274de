"""What is found does not depend on how a file is cut, nor on the number of processes; and nothing crashes."""

from __future__ import annotations

import json
import multiprocessing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.conftest import chat
from tests.journeys.test_bad_rows import GOOD_LINES, ROWS

import phi3data
from phi3data.cli import group
from phi3data.cli import run as command
from phi3data.lint import run
from phi3data.sources.open import plan

if TYPE_CHECKING:
    from collections.abc import Callable

LINES = st.sampled_from([line for kind, (line, _) in ROWS.items() if kind != "100,000 deep"] + GOOD_LINES)
ANYTHING = st.binary(max_size=60).map(lambda data: data.replace(b"\n", b" "))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Return a line with a piece of it cut out, doubled or replaced."""
    line = draw(LINES)
    start = draw(st.integers(0, len(line)))
    end = draw(st.integers(start, min(len(line), start + 12)))
    return line[:start] + draw(st.sampled_from([b"", line[start:end] * 2, b'"', b"\\", b"\xff", b"null"])) + line[end:]


def found(path: Path, **options: Any) -> tuple[int, list[Any]]:
    result = phi3data.check(path, project=True, **options)
    return result.rows, result.findings


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    lines=st.lists(LINES | mutated() | ANYTHING, min_size=1, max_size=25),
    end=st.sampled_from([b"\n", b"", b"\r\n"]),
    size=st.integers(50, 2000),
)
def test_the_parts_of_a_file_do_not_show(
    lines: list[bytes], end: bytes, size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes((b"\r\n" if end == b"\r\n" else b"\n").join(lines) + end)
    try:
        whole = found(path)
    except phi3data.InputError:
        return  # a file that is a table, or no data at all
    with monkeypatch.context() as patch:
        patch.setattr(run, "cut", partial(plan, size=size))
        assert found(path) == whole


def test_two_processes_find_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "train.jsonl"
    rows = [*(line for line, _ in ROWS.values()), *GOOD_LINES] * 3
    path.write_bytes(b"\n".join(rows))
    monkeypatch.setattr(run, "cut", partial(plan, size=100_000))
    whole = found(path)
    assert len({item.line for item in whole[1]}) > 200
    assert found(path, workers=2) == whole
    assert not multiprocessing.active_children()
    (tmp_path / "array.json").write_text(json.dumps([json.loads(line) for line in GOOD_LINES * 40], indent=1))
    assert found(tmp_path / "array.json", workers=2) == found(tmp_path / "array.json")


def test_a_column_is_fixable_where_its_rows_are(jsonl: Callable[..., Path], tmp_path: Path) -> None:
    rows = [chat(f"Hi {number}", "Hello!", topic="x", system=[1]) for number in range(3)]
    path = jsonl([*rows, {"instruction": "Say hi", "output": "Hi!"}])
    fixes = {(found.code, found.pointer): found.fix for found in phi3data.check(path).findings if found.code[0] == "S"}
    # A system prompt that is no text cannot be made a message. S303 goes with what S302 mends.
    wanted = {("S302", ""): "safe", ("S303", ""): None, ("S304", "/topic"): "safe", ("S304", "/system"): None}
    assert fixes == wanted
    assert command(group, ["fix", str(path)]) == 0
    left = {found.pointer for found in phi3data.check(path).findings if found.code in ("S302", "S303", "S304")}
    assert left == {"/system"}
    (tmp_path / "array.json").write_text(json.dumps(rows), "utf-8")  # is written as lines first
    assert {found.fix for found in phi3data.check(tmp_path / "array.json").findings if found.code == "S304"} == {None}
