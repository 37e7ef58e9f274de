"""Decisions in ranges of rows, without room, and splits that shards write into one file."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import chat
from tests.engine.test_prepare import digests

import phi3data
from phi3data.engine import database, decisions, local

RECIPE = {
    "split": {"validation": 0.2, "test": 0.1},
    "balance": {"by": "source", "floor": 90, "cap": 120},
    "dedup": {"match": "near"},
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    import json

    folder = tmp_path_factory.mktemp("rows")
    rng = random.Random(3)
    names = []
    for number, count in enumerate((400, 120, 1)):
        names.append(folder / f"{number}.jsonl")
        said = [
            chat(f"Question {rng.randrange(300)} of many, please?", f"The answer {n % 9} is as long as this. " * 3)
            for n in range(count)
        ]
        names[-1].write_text("".join(json.dumps(row) + "\n" for row in said))
    return names


def test_decisions_do_not_depend_on_how_many_are_made_at_a_time(
    rows: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = phi3data.prepare(rows, RECIPE, tmp_path / "whole", shard_bytes=4_000)
    assert whole.profile.rows_in == 521
    assert {"dedup", "balance"} <= {entry["step"] for entry in whole.dropped}
    monkeypatch.setattr(decisions, "_RANGE", 50)
    monkeypatch.setattr(decisions, "_BATCH", 7)
    parts = phi3data.prepare(rows, RECIPE, tmp_path / "parts", shard_bytes=4_000)
    assert digests(parts.folder) == digests(whole.folder)


def test_no_room_for_decisions_is_one_sentence_and_the_work_is_kept(
    rows: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(database, "_MEMORY", "1MB")
        with pytest.raises(phi3data.OutputError, match=r"no room .* beside 1MB of memory .*: make room on this disk"):
            phi3data.prepare(rows, RECIPE, tmp_path / "out")
    examined: list[int] = []
    monkeypatch.setattr(local, "examine", lambda shard, *_: examined.append(shard.index))
    assert phi3data.prepare(rows, RECIPE, tmp_path / "out").profile.rows_in == 521
    assert not examined


def test_cut_between_two_names_the_same_run_publishes_everything(
    rows: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = digests(phi3data.prepare(rows, RECIPE, tmp_path / "whole").folder)
    replace = Path.replace

    def cut(self: Path, target: Any) -> Path:
        if self.parent.name == "final" and self.name == "test.jsonl":
            raise KeyboardInterrupt
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", cut)
        with pytest.raises(KeyboardInterrupt):
            phi3data.prepare(rows, RECIPE, tmp_path / "out")
    assert (tmp_path / "out" / "train.jsonl").exists()
    assert not (tmp_path / "out" / "manifest.json").exists()
    assert digests(phi3data.prepare(rows, RECIPE, tmp_path / "out").folder) == expected


def test_a_file_system_without_second_names_gets_a_copy(
    rows: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = digests(phi3data.prepare(rows, RECIPE, tmp_path / "whole").folder)

    def refuse(self: Path, target: Any) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    assert digests(phi3data.prepare(rows, RECIPE, tmp_path / "out").folder) == expected
