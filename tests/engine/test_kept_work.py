"""A saved result takes another threshold, split or balance without examining its rows again, to the same bytes."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from bench.make_duplicates import planted, write
from tests.engine.test_prepare import digests

import phi3data
from phi3data.cli import group, run
from phi3data.engine import local
from phi3data.engine.examine import examine
from phi3data.engine.work import OUTPUTS, WORK
from phi3data.errors import OutputError, UsageError

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(planted(150, seed=2), tmp_path_factory.mktemp("rows") / "rows.jsonl")


@pytest.fixture(scope="module")
def kept(rows: Path) -> Path:
    """A finished result with what was examined."""
    out = rows.parent / "out"
    phi3data.prepare(rows, output=out, keep_work=True)
    return out


@pytest.fixture
def out(kept: Path, tmp_path: Path) -> Path:
    return shutil.copytree(kept, tmp_path / "out")


@pytest.fixture
def examined(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The shards that are examined from now on."""
    seen: list[int] = []

    def spy(shard: Any, *rest: Any) -> Any:
        seen.append(shard.index)
        return examine(shard, *rest)

    monkeypatch.setattr(local, "examine", spy)
    return seen


def results(folder: Path) -> dict[str, str]:
    return {name: digest for name, digest in digests(folder).items() if name in OUTPUTS}


def test_another_threshold_is_decided_and_written_and_not_examined(
    rows: Path, kept: Path, out: Path, examined: list[int], tmp_path: Path
) -> None:
    settings = ["--set", "dedup.threshold=0.95", "--set", "split.validation=0.2"]
    command = ["prepare", str(rows), "-j", "1", "-o", str(out), "--overwrite", "--keep-work"]
    assert run(group, [*command, *settings]) == 0
    assert examined == []
    recipe = {"dedup": {"threshold": 0.95}, "split": {"validation": 0.2}}
    fresh = phi3data.prepare(rows, recipe, tmp_path / "fresh")
    assert examined == [0]
    assert results(out) == results(fresh.folder) != results(kept)
    assert fresh.profile.rows_kept > json.loads((kept / "report.json").read_bytes())["rows_kept"]
    with pytest.raises(OutputError, match="exists and holds"):
        phi3data.prepare(rows, output=out)
    phi3data.prepare(rows, output=out, overwrite=True)  # back again, and nothing is kept
    assert examined == [0]
    assert results(out) == results(kept)
    assert not (out / WORK).exists()


def test_what_was_examined_otherwise_is_not_used(rows: Path, out: Path, examined: list[int]) -> None:
    phi3data.prepare(rows, {"dedup": {"scope": "answer"}}, out, overwrite=True, keep_work=True)
    assert examined == [0]
    assert len([*out.glob(f"{WORK}/*/examine")]) == 1, "work that nothing can go on with was left"


def test_a_mistake_does_not_cost_what_was_examined(rows: Path, out: Path, examined: list[int]) -> None:
    recipe: dict[str, Any] = {"balance": {"cap": 300, "shares": {"x": 0.5}}}
    with pytest.raises(UsageError, match="no row has the label 'x'"):
        phi3data.prepare(rows, recipe, out, overwrite=True, keep_work=True)
    assert examined == [0]
    recipe["balance"]["shares"] = {}
    phi3data.prepare(rows, recipe, out, overwrite=True, keep_work=True)
    assert examined == [0]
