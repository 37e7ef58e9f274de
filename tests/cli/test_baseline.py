"""phi3data baseline: old findings are written down, taken out when they are mended, and never taken in unasked."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from tests.conftest import chat

from phi3data.cli import group, run
from phi3data.cli.baseline import baseline_command

if TYPE_CHECKING:
    from collections.abc import Callable

ALONE = {"messages": [{"role": "user", "content": "alone"}]}  # R401 and R408
EMPTY = chat("a question", "")  # C501


class Ran(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def baseline(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Run the command in a project of its own."""
    (tmp_path / ".git").mkdir()
    monkeypatch.chdir(tmp_path)

    def called(*args: str) -> Ran:
        code = run(baseline_command, list(args))
        return Ran(code, *capsys.readouterr())

    return called


def held(path: str = "phi3data-baseline.json") -> dict[str, int]:
    counts: dict[str, int] = {}
    for entry in json.loads(Path(path).read_text())["findings"]:
        counts[entry["code"]] = counts.get(entry["code"], 0) + entry["count"]
    return counts


def test_write_prune_show(baseline: Callable[..., Ran], jsonl: Any, tmp_path: Path) -> None:
    file = tmp_path / "phi3data-baseline.json"
    jsonl([chat("q", "a"), ALONE, ALONE, EMPTY])
    assert baseline("write", "rows.jsonl") == (0, f"{file}: 5 findings\n", "")
    assert held() == {"C501": 1, "R401": 2, "R408": 2}

    shown = baseline("show")
    assert shown.code == 0
    lines = [re.sub(" +", " ", line).strip() for line in shown.out.splitlines()]
    assert lines == [
        "1 C501 empty-content message without text",
        "2 R401 no-assistant no assistant message",
        "2 R408 single-message a single message",
        f"{file}: 5 findings",
    ]

    jsonl([EMPTY, EMPTY, ALONE], "moved.jsonl")  # one mended, one new, in another file and order
    assert baseline("prune", "moved.jsonl") == (0, f"{file}: 2 findings taken out, 3 left\n", "")
    assert held() == {"C501": 1, "R401": 1, "R408": 1}
    before = file.stat().st_mtime_ns
    assert baseline("prune", "moved.jsonl").out == f"{file}: 0 findings taken out, 3 left\n"
    assert file.stat().st_mtime_ns == before


def test_a_baseline_that_exists_is_not_replaced_unasked(
    baseline: Callable[..., Ran], jsonl: Any, tmp_path: Path
) -> None:
    jsonl([ALONE])
    baseline("write", "rows.jsonl")
    before = Path("phi3data-baseline.json").read_bytes()
    jsonl([ALONE, EMPTY])
    refused = baseline("write", "rows.jsonl")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        f"error: {tmp_path / 'phi3data-baseline.json'}: exists; phi3data baseline prune takes out what is mended, "
        "--overwrite takes in what is new\n"
    )
    assert Path("phi3data-baseline.json").read_bytes() == before
    assert baseline("write", "rows.jsonl", "--overwrite").code == 0
    assert held() == {"C501": 1, "R401": 1, "R408": 1}


def test_what_the_configuration_leaves_out_is_not_written(baseline: Callable[..., Ran], jsonl: Any) -> None:
    Path("phi3data.toml").write_text(
        'ignore = ["R408"]\nexclude = ["old.jsonl"]\nbaseline = "known/sins.json"\n'
        'per-file-ignores = {"draft*" = ["C501"]}\n'
        '[[allow]]\ncode = "R401"\npath = "asked.jsonl"\nreason = "questions only"\n'
    )
    Path("data").mkdir()
    for name in ("rows", "draft", "asked", "old"):
        jsonl([chat("q", "a"), ALONE, EMPTY], f"data/{name}.jsonl")
    assert baseline("write", "data").code == 0
    assert held("known/sins.json") == {"C501": 2, "R401": 2}
    baseline("write", "data/old.jsonl", "--baseline", "old.json")
    assert held("old.json") == {"C501": 1, "R401": 1}, "a file that is named is looked at"


def test_one_file_may_be_named_instead(baseline: Callable[..., Ran], jsonl: Any) -> None:
    jsonl([ALONE])
    assert baseline("write", "rows.jsonl", "--baseline", "here.json").out == "here.json: 2 findings\n"
    assert not Path("phi3data-baseline.json").exists()
    assert baseline("show", "--baseline", "here.json").out.endswith("here.json: 2 findings\n")


@pytest.mark.parametrize("args", [("show",), ("prune", "rows.jsonl")])
def test_without_a_baseline(args: tuple[str, ...], baseline: Callable[..., Ran], jsonl: Any, tmp_path: Path) -> None:
    jsonl([ALONE])
    file = tmp_path / "phi3data-baseline.json"
    missing = f"error: {file}: there is no baseline; phi3data baseline write makes it\n"
    assert baseline(*args) == (2, "", missing)
    file.write_text("{")
    corrupt = baseline(*args)
    assert (corrupt.code, corrupt.err.count("\n")) == (2, 1)
    assert "no baseline: Input data was truncated" in corrupt.err
    assert file.read_text() == "{"


def test_what_cannot_be_read_is_no_baseline(baseline: Callable[..., Ran], jsonl: Any) -> None:
    assert baseline("write", "absent.jsonl").code == 2
    assert not Path("phi3data-baseline.json").exists()
    jsonl([chat("q", "a")])
    assert baseline("write", "rows.jsonl").out.endswith("phi3data-baseline.json: 0 findings\n")
    assert baseline("show").out.endswith("phi3data-baseline.json: 0 findings\n")


def test_check_speaks_of_what_is_new(baseline: Callable[..., Ran], jsonl: Any) -> None:
    jsonl([chat("q", "a"), ALONE, EMPTY])
    baseline("write", "rows.jsonl")
    asked = ["check", "rows.jsonl", "--baseline", "phi3data-baseline.json"]
    assert run(group, asked) == 0
    jsonl([EMPTY, ALONE, chat("q", "a"), ALONE])
    assert run(group, asked) == 1
    assert run(group, ["check", "rows.jsonl"]) == 1


def test_a_wrong_configuration_is_never_an_old_finding(baseline: Callable[..., Ran], jsonl: Any) -> None:
    Path("phi3data.toml").write_text('ignore = ["Q7"]\n')
    jsonl([ALONE])
    assert baseline("write", "rows.jsonl").code == 0
    assert held() == {"R401": 1, "R408": 1}


def test_the_whole_project(baseline: Callable[..., Ran], jsonl: Any) -> None:
    nothing = baseline("write")
    assert (nothing.code, nothing.err.count("\n")) == (2, 1)
    assert "no PATHS" in nothing.err
    Path("phi3data.toml").write_text('splits = {train = ["/train.jsonl"], validation = ["/dev.jsonl"]}\n')
    jsonl([chat("What is 2 + 2?", "4.")], "train.jsonl")
    jsonl([chat("What is 2 + 2?", "4.")], "dev.jsonl")
    jsonl([ALONE], "aside.jsonl")
    assert baseline("write", "--project").code == 0
    assert "D805" in held()
    assert "R401" not in held()


def test_what_concerns_a_whole_file_is_known_by_its_path(baseline: Callable[..., Ran], jsonl: Any) -> None:
    first, second = jsonl([chat("q", "a")], "first.jsonl"), jsonl([chat("p", "b")], "second.jsonl")
    first.write_bytes(b"\xef\xbb\xbf" + first.read_bytes())
    baseline("write", "first.jsonl", "second.jsonl")
    asked = ["check", ".", "--baseline", "phi3data-baseline.json"]
    assert run(group, asked) == 0
    first.write_bytes(first.read_bytes()[3:])
    second.write_bytes(b"\xef\xbb\xbf" + second.read_bytes())
    assert run(group, asked) == 1, "another file has it now"
    second.write_bytes(second.read_bytes()[3:])
    first.write_bytes(b"\xef\xbb\xbf" + first.read_bytes())
    assert run(group, ["check", str(first), *asked[2:]]) == 0, "however the path is spelled"
