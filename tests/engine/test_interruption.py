"""Killed, out of disk, interrupted: nothing is lost, nothing is half written, nothing is done twice."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.conftest import chat
from tests.engine.test_prepare import assert_balanced, digests

import phi3data
from phi3data.engine import local
from phi3data.engine.examine import examine
from phi3data.engine.work import OUTPUTS, WORK
from phi3data.sources.source import Shard

SHARD = 12_000
SCRIPT = """
import sys, phi3data
if __name__ == "__main__":
    phi3data.prepare(sys.argv[1], output=sys.argv[2], workers=2, shard_bytes=int(sys.argv[3]))
"""


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import json

    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    rng = random.Random(1)
    with path.open("w") as file:
        for n in range(1500):
            row = chat(f"Question {rng.randrange(5000)}, please?", f"Answer {n % 7} " * rng.randrange(1, 30))
            file.write((json.dumps(row) if n % 50 else "broken {") + "\n")
    return path


def start(rows: Path, out: Path) -> subprocess.Popen[bytes]:
    script = out.parent / "script.py"
    script.write_text(SCRIPT)
    return subprocess.Popen([sys.executable, str(script), str(rows), str(out), str(SHARD)])


@pytest.mark.slow
def test_killed_at_five_moments_and_run_again_gives_the_same_bytes(
    rows: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began = time.monotonic()
    assert start(rows, tmp_path / "whole").wait() == 0
    took = time.monotonic() - began
    expected = digests(tmp_path / "whole")
    examined: list[int] = []

    def spy(shard: Shard, *rest: Any) -> Any:
        examined.append(shard.index)
        return examine(shard, *rest)

    monkeypatch.setattr(local, "examine", spy)
    shards = -(-rows.stat().st_size // SHARD)
    rng = random.Random(2)
    spared = 0
    for moment in range(5):
        out = tmp_path / f"out{moment}"
        process = start(rows, out)
        time.sleep(took * (0.3 + 0.14 * moment + 0.05 * rng.random()))
        children = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
        process.kill()
        process.wait()
        psutil.wait_procs(children, timeout=20)
        assert not [child for child in children if child.is_running()], "workers outlived their parent"
        for name in OUTPUTS:
            if (out / name).exists():
                assert digests(out)[name] == expected[name], f"{name} is half written"
        done = len(list(out.glob(f"{WORK}/*/examine/*.json")))
        examined.clear()
        left = [path for path in out.glob(f"{WORK}/*/examine") if path.parent.name != "done"]
        if left or not (out / "manifest.json").exists():
            phi3data.prepare(rows, output=out, shard_bytes=SHARD)
            assert len(examined) == shards - done, "work was done twice"
            spared += done
            assert not (out / WORK).exists()
        assert {name: digest for name, digest in digests(out).items() if name in OUTPUTS} == expected
    assert spared > shards // 2, "no run was interrupted in the middle: the moments are badly chosen"


def test_two_runs_do_not_share_a_folder(rows: Path, tmp_path: Path) -> None:
    class Second(local.Silent):
        def stage(self, name: str, total: int) -> None:
            if name == "Writing":
                with pytest.raises(phi3data.OutputError, match="another run is writing to this folder"):
                    phi3data.prepare(rows, {"split": {"seed": 3}}, tmp_path / "out", overwrite=True)

    prepared = phi3data.prepare(rows, output=tmp_path / "out", progress=Second())
    assert_balanced(prepared, 1500)


def test_another_recipe_does_not_go_on_with_the_work_of_this_one(rows: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    class Stop(local.Silent):
        def stage(self, name: str, total: int) -> None:
            if name == "Writing":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        phi3data.prepare(rows, output=out, shard_bytes=SHARD, progress=Stop())
    assert list(out.glob(f"{WORK}/*/examine/*.json"))
    assert not [name for name in OUTPUTS if (out / name).exists()]
    changed = phi3data.prepare(rows, {"split": {"seed": 5}}, out, shard_bytes=SHARD)
    assert_balanced(changed, 1500)
    assert digests(out) == digests(phi3data.prepare(rows, {"split": {"seed": 5}}, tmp_path / "fresh").folder)


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(disk)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("no right to mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=False)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_full_disk_is_one_sentence_and_the_work_goes_on_when_there_is_room(
    rows: Path, tmp_path: Path, small_disk: Path, workers: int
) -> None:
    out = small_disk / "out"
    with pytest.raises(phi3data.OutputError, match=r"the disk is full .* run the same command again"):
        phi3data.prepare(rows, output=out, shard_bytes=SHARD, workers=workers)
    assert not [name for name in OUTPUTS if (out / name).exists()]
    subprocess.run(["mount", "-o", "remount,size=20m", str(small_disk)], check=True)
    again = phi3data.prepare(rows, output=out, shard_bytes=SHARD)
    assert_balanced(again, 1500)


def test_a_killed_worker_is_one_sentence(rows: Path, tmp_path: Path) -> None:
    class Killer(local.Silent):
        def advance(self, amount: int, rows: int) -> None:
            for child in psutil.Process().children(recursive=True):
                with contextlib.suppress(psutil.Error):  # gone already, or waiting to be buried
                    if "spawn_main" in " ".join(child.cmdline()):
                        child.send_signal(signal.SIGKILL)

    with pytest.raises(phi3data.WorkerError, match="a worker process was killed"):
        phi3data.prepare(rows, output=tmp_path / "out", workers=2, shard_bytes=SHARD, progress=Killer())
    again = phi3data.prepare(rows, output=tmp_path / "out", shard_bytes=SHARD)
    assert_balanced(again, 1500)
