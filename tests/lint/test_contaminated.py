"""D810 in check: rows that say what a benchmark asks, from the command line, the configuration and Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

import phi3data
from phi3data.cli import group
from phi3data.lint import run
from phi3data.settings import find

pytest.importorskip("numba")

ASKED = (
    "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May. "
    "How many clips did Natalia sell altogether in April and May?"
)
FOUND = "the question has 100% of the 13-grams of {}:1"


def chat(question: str) -> str:
    turns = [("user", question), ("assistant", "Rinse it first, then dry it.")]
    return json.dumps({"messages": [{"role": role, "content": text} for role, text in turns]})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("contaminated")
    (folder / ".git").mkdir()
    (folder / "bench").mkdir()
    (folder / "bench" / "asked.json").write_text(json.dumps([{"question": ASKED, "answer": "72"}]), "utf-8")
    rows = [f"How do I descale machine {number} with lemon juice?" for number in range(12)]
    rows[4] = ASKED
    (folder / "train.jsonl").write_text("".join(f"{chat(row)}\n" for row in rows), "utf-8")
    (folder / "phi3data.toml").write_text('against = ["bench/*.json"]\nexclude = ["bench/"]\n', "utf-8")
    return folder


def told(result: phi3data.CheckResult) -> list[tuple[str, int, int | None, str]]:
    return [(each.message, each.line, each.record, each.fix or "") for each in result.findings if each.code == "D810"]


def test_a_row_that_says_what_a_benchmark_asks(folder: Path) -> None:
    bench = folder / "bench" / "asked.json"
    result = phi3data.check(folder / "train.jsonl", against=bench)
    assert told(result) == [(FOUND.format(bench), 5, 5, "unsafe")]
    (found,) = [each for each in result.findings if each.code == "D810"]
    assert (found.severity, found.pointer, found.column) == ("error", "", None)
    assert told(phi3data.check(folder / "train.jsonl", against=bench, ignore="D8")) == []
    assert told(phi3data.check(folder / "train.jsonl", against=bench, workers=2)) == told(result)


def test_the_benchmark_itself_may_lie_among_the_data(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "held-out.jsonl").write_text(f"{chat(ASKED)}\n", "utf-8")
    (tmp_path / "train.jsonl").write_bytes((folder / "train.jsonl").read_bytes())
    result = phi3data.check(tmp_path, against=[tmp_path / "held-out.jsonl"])
    assert [Path(each.path).name for each in result.findings if each.code == "D810"] == ["train.jsonl"]


def test_the_configured_benchmarks_are_for_the_whole_project(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    runner = CliRunner()

    def codes(*arguments: str) -> list[str]:
        ran = runner.invoke(group, ["check", "train.jsonl", "--output", "jsonl", *arguments], standalone_mode=False)
        return [found["code"] for line in ran.output.splitlines() if (found := json.loads(line))["code"] == "D810"]

    assert codes() == []
    assert codes("--project") == ["D810"]
    assert codes("--against", "bench/asked.json") == ["D810"]
    settings = find(folder)
    assert settings.against_files() == [folder / "bench" / "asked.json"]
    (folder / "bench" / "asked.json").rename(folder / "bench" / "gone.txt")
    with pytest.raises(phi3data.UsageError, match=r"against: no file matches bench/\*\.json"):
        settings.against_files()
    (folder / "bench" / "gone.txt").rename(folder / "bench" / "asked.json")


def test_what_is_not_installed_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "can_compare", lambda: False)
    result = phi3data.check(folder / "train.jsonl", against=folder / "bench" / "asked.json")
    assert told(result) == []
    assert [(each.code, each.reason) for each in result.skipped] == [
        ("D810", "texts are compared by more than the plain install: pip install 'phi3kit[data]'")
    ]


def test_a_benchmark_that_is_not_there(folder: Path) -> None:
    with pytest.raises(phi3data.InputError, match=r"nowhere\.json: no such file"):
        phi3data.check(folder / "train.jsonl", against=folder / "nowhere.json")
