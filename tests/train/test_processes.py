"""Two processes are as good as one: the same losses, one run folder, and a run that goes on."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import textwrap
import time
from importlib import import_module
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phi3data.errors import OutputError, UsageError
from phi3train import processes
from phi3train.data.order import MicroBatches
from phi3train.folder import RunFolder
from phi3train.launch import configuration, launch
from phi3train.run import run
from tests.train.tiny import config

if TYPE_CHECKING:
    from collections.abc import Callable

    from phi3train.config import Config

_CLOCK = ("seconds", "tokens_per_second")
_APART = ("entropy", "mean_token_accuracy", "epoch")  # by micro-batches of a process, of which the last may be blank


def _lines(path: Path) -> list[dict[str, Any]]:
    read = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    return [{key: value for key, value in line.items() if key not in (*_CLOCK, *_APART)} for line in read]


def _together(work: Callable[[], object], number: int = 2) -> list[int]:
    """Do a work in processes that know of each other, as a launcher starts them; return their exit codes.

    They are forks of this one, which has loaded the libraries already.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])

    def member(rank: int) -> None:
        state = import_module("accelerate.state")
        state.AcceleratorState._reset_state(reset_partial_state=True)
        os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(number)}
        os.environ |= {"LOCAL_WORLD_SIZE": str(number), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        work()
        processes.leave()

    forked = [multiprocessing.get_context("fork").Process(target=member, args=(rank,)) for rank in range(number)]
    for each in forked:
        each.start()
    for each in forked:
        each.join(120)
        each.kill()
    return [each.exitcode or 0 for each in forked]


def _config(model: Path, chats: Path, output: Path, **values: Any) -> Config:
    defaults = {
        "data__validation": str(chats),
        "method__kind": "full",
        "train__learning_rate": 3e-3,
        "train__batch_size": 16,
        "train__micro_batch": 8,
        "train__max_steps": 5,
        "train__save_every": 2,
        "packing__enabled": False,
        "evaluation__every": 3,
        "samples__count": 1,
        "samples__max_tokens": 3,
    }
    return config(model, chats, output, **(defaults | values))


@pytest.mark.slow
def test_two_processes_train_as_one(model: Path, chats: Path, tmp_path: Path) -> None:
    """Over the end of an epoch too, whose fifth micro-batch leaves one process without; and gone on with half way."""
    one, two = (_config(model, chats, tmp_path / name) for name in ("one", "two"))
    run(one)
    assert _together(lambda: run(two)) == [0, 0]
    alone, shared = (_lines(tmp_path / name / "metrics.jsonl") for name in ("one", "two"))
    assert sum("loss" in line for line in shared) == 5
    for left, right in zip_longest(alone, shared):
        assert left == pytest.approx(right, rel=1e-3)
    states = [RunFolder(tmp_path / name).state() for name in ("one", "two")]
    for key in ("step", "tokens", "supervised_tokens", "conversations", "state"):
        assert states[0][key] == states[1][key]
    # One folder, of which a middle checkpoint is gone on from, to the same end.
    first = RunFolder(tmp_path / "two")
    checkpoint, _ = first.latest() or pytest.fail("it has saved")
    assert {each.name for each in checkpoint.glob("rng_state*")} == {"rng_state_0.pth", "rng_state_1.pth"}
    (checkpoint / "phi3train.json").unlink()
    first.write("run.json", {"state": "interrupted"})
    assert _together(lambda: run(two, resume=True)) == [0, 0]
    assert _lines(tmp_path / "two" / "metrics.jsonl") == shared
    first.write("run.json", {"state": "interrupted"})
    with pytest.raises(OutputError, match="holds a run of 2 processes, this one has 1: go on with as many"):
        run(two, resume=True)


@pytest.mark.slow
def test_a_signal_to_one_process_ends_the_run_in_all(model: Path, chats: Path, tmp_path: Path) -> None:
    made = _config(model, chats, tmp_path / "run", train__max_steps=500, evaluation__every=500, samples__count=0)
    metrics = tmp_path / "run" / "metrics.jsonl"

    def work() -> None:
        if processes.first():
            assert run(made).state == "interrupted"
            return
        import threading

        def end() -> None:
            while not metrics.exists() or len(metrics.read_bytes().splitlines()) < 3:
                time.sleep(0.01)
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Thread(target=end, daemon=True).start()
        assert run(made).state == "interrupted"

    assert _together(work) == [0, 0]
    folder = RunFolder(tmp_path / "run")
    _, progress = folder.latest() or pytest.fail("it has saved")
    assert folder.state()["state"] == "interrupted"
    assert 3 <= progress.step == folder.state()["step"] < 500


@given(st.lists(st.booleans(), min_size=1, max_size=40), st.integers(1, 4), st.integers(1, 4), st.integers(1, 3))
@settings(max_examples=20)
def test_the_shares_of_an_epoch_are_the_epoch(buckets: list[bool], size: int, count: int, accumulation: int) -> None:
    shares = [MicroBatches(buckets, size, 3, count, number) for number in range(count)]
    for each in shares:
        each.set_epoch(2)
    dealt = [list(each) for each in shares]
    assert {len(share) for share in dealt} == {len(shares[0])}
    whole = [batch for turn in zip(*dealt, strict=True) for batch in turn]
    blanks = [batch for batch in whole if batch == [len(buckets)]]
    assert len(blanks) < count
    assert whole == MicroBatches(buckets, size, 3).epoch(2) + blanks
    # A step has the rows that its turns deal.
    steps = -(-len(shares[0]) // accumulation)
    named = [row for step in range(steps) for row in shares[0].step(2 * steps + step, accumulation)]
    assert named == [row for batch in whole if batch not in blanks for row in batch]


def test_a_launch_writes_its_configuration_and_tells_who_failed(
    model: Path, chats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The real launcher, with something light in place of phi3train."""
    package = tmp_path / "stand_in" / "phi3train"
    package.mkdir(parents=True)
    code = """
        import os, sys
        with open(sys.argv[1] + os.environ["RANK"], "w") as file:
            file.write(" ".join([*sys.argv[2:], os.environ["WORLD_SIZE"]]))
        sys.exit(int(sys.argv[2]) if os.environ["RANK"] == "1" else 0)
    """
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(textwrap.dedent(code), "utf-8")
    monkeypatch.setenv("PYTHONPATH", str(package.parent))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    made = _config(model, chats, tmp_path / "run")
    said = str(tmp_path / "said")
    assert launch(made, 2, [said, "0", "--resume", "auto"], shard=False, resume=False) == 0
    assert [Path(f"{said}{rank}").read_text("utf-8") for rank in range(2)] == ["0 --resume auto 2"] * 2
    assert json.loads((tmp_path / "run" / "accelerate.json").read_text("utf-8")) == configuration(2, shard=False)
    assert launch(made, 2, [said, "3"], shard=False, resume=False) == 3
    log = tmp_path / "run" / "processes" / "1.log"
    assert capsys.readouterr().err == (
        f"process 1 ended with exit code 3: see {log}; --resume auto goes on from the last checkpoint\n"
    )


def test_a_launch_that_cannot_be_is_refused(
    model: Path, chats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("torch.cuda.device_count", lambda: 0)
    made = _config(model, chats, tmp_path / "run")
    with pytest.raises(UsageError, match="--shard: sharded weights"):
        launch(made, 2, [], shard=True, resume=False)
    for asked, number in ((None, 0), (1, 1)):
        with pytest.raises(UsageError, match=rf"this would be {number} \(PyTorch sees 0 GPUs\): leave it away"):
            launch(made, asked, [], shard=False, resume=False)
    assert not (tmp_path / "run").exists()
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "letters.txt").write_text("Dear …", "utf-8")
    with pytest.raises(OutputError, match="is no run folder and not empty"):
        launch(made, 2, [], shard=False, resume=False)


def test_sharded_weights_are_saved_whole() -> None:
    made = configuration(4, shard=True)
    assert made["distributed_type"] == "FSDP"
    assert made["fsdp_config"]["fsdp_state_dict_type"] == "FULL_STATE_DICT"
    modeling = import_module("transformers.models.phi3.modeling_phi3")
    assert hasattr(modeling, made["fsdp_config"]["fsdp_transformer_layer_cls_to_wrap"])
