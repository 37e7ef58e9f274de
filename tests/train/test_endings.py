"""Ends that nobody planned: what is said, and that the run goes on."""

from __future__ import annotations

import errno
import json
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
import torch

from phi3data.errors import OutputError
from phi3train.devices import here
from phi3train.endings import explained, handling, interruptible, terminable
from phi3train.folder import RunFolder
from phi3train.job import make
from phi3train.run import run
from phi3train.trainer import ReadyTrainer
from tests.train.tiny import config

if TYPE_CHECKING:
    from pathlib import Path

    from phi3train.config import Config


def _config(model: Path, chats: Path, output: Path, **values: Any) -> Config:
    defaults = {"train__max_steps": 3, "train__save_every": 1, "train__batch_tokens": 100, "packing__length": 64}
    return config(model, chats, output, **(defaults | {"samples__count": 0} | values))


def test_signals_are_taken_in_the_main_thread_and_left_alone_in_others() -> None:
    def under_way() -> list[Any]:
        taken = []
        for each in (interruptible(lambda: None), terminable(), handling(lambda *_: None)):
            with each:
                taken.append(signal.getsignal(signal.SIGTERM))
        return taken

    before = signal.getsignal(signal.SIGTERM)
    assert before not in under_way()
    assert signal.getsignal(signal.SIGTERM) == before
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(under_way).result() == [before] * 3
    with pytest.raises(KeyboardInterrupt), terminable():
        signal.raise_signal(signal.SIGTERM)


def test_out_of_memory_says_what_to_do_and_that_works(
    model: Path, chats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = _config(model, chats, tmp_path / "run")
    step = ReadyTrainer.training_step

    def training_step(self: ReadyTrainer, *args: Any, **kwargs: Any) -> Any:
        if self.state.global_step == 2:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return step(self, *args, **kwargs)

    monkeypatch.setattr(ReadyTrainer, "training_step", training_step)
    with pytest.raises(OutputError) as error:
        run(made)
    plan = json.loads((tmp_path / "run" / "plan.json").read_text("utf-8"))["predicted"]
    parts = ("weights", "copies", "gradients", "optimizer", "activations", "logits", "overhead")
    need = sum(plan["memory"][part] for part in parts) / 2**30
    assert str(error.value) == (
        f"{tmp_path / 'run'}: out of memory with micro-batches of 1 rows (planned: {need:.1f} GiB): go on with "
        "--resume auto --set train.checkpointing=true, which is the same in less memory, or start anew with a smaller "
        "train.micro_batch, or with shorter rows (packing.length, truncation.max_tokens)"
    )
    assert RunFolder(tmp_path / "run").state()["error"] == str(error.value)
    monkeypatch.undo()
    again = _config(model, chats, tmp_path / "run", train__checkpointing=True)
    ran = run(again, resume=True)
    assert (ran.state, ran.progress.step) == ("done", 3)
    after = json.loads((tmp_path / "run" / "plan.json").read_text("utf-8"))["predicted"]
    assert (plan["checkpointing"], after["checkpointing"]) == (False, True)
    assert plan["micro_batch"] == after["micro_batch"]


@pytest.mark.parametrize(
    "error", [MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")]
)
def test_a_cpu_that_is_out_of_memory_says_so_too(model: Path, chats: Path, tmp_path: Path, error: Exception) -> None:
    plan = make(_config(model, chats, tmp_path, train__checkpointing=True), here()[1], "fp32").plan
    said = r"out of memory .* GiB\): start anew with a smaller train\.micro_batch"
    with pytest.raises(OutputError, match=said), explained(plan, RunFolder(tmp_path)):
        raise error
    with pytest.raises(RuntimeError, match="something else"), explained(plan, RunFolder(tmp_path)):
        raise RuntimeError("something else")


def test_a_disk_that_is_full_to_the_last_byte(
    model: Path, chats: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not even run.json can be written: the reason is told all the same, and the run goes on."""
    made = _config(model, chats, tmp_path / "run")
    write, complete = RunFolder.write_text, RunFolder.complete
    filled: list[bool] = []

    def full(*_: Any) -> None:
        if filled:
            raise OSError(errno.ENOSPC, "No space left on device")

    def write_text(self: RunFolder, name: str, text: str) -> None:
        full()
        write(self, name, text)

    def fill(self: RunFolder, progress: Any, keep: int) -> None:
        complete(self, progress, keep)
        if progress.step == 2:
            filled.append(True)
            full()

    monkeypatch.setattr(RunFolder, "write_text", write_text)
    monkeypatch.setattr(RunFolder, "complete", fill)
    with pytest.raises(OutputError, match="the disk is full: make room, then the run goes on"):
        run(made)
    monkeypatch.undo()
    assert RunFolder(tmp_path / "run").state()["state"] == "running"
    ran = run(made, resume=True)
    assert (ran.state, ran.progress.step) == ("done", 3)
