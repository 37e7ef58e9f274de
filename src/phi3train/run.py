"""A run from configuration to run folder: check, plan, self-test, train, and an end that can be gone on from."""

from __future__ import annotations

import errno
import platform
import shutil
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import torch

from phi3data.errors import OutputError, Phi3kitError
from phi3data.report.inspection import html
from phi3data.tokens.encode import encoder
from phi3data.version import VERSION
from phi3train.devices import here, precision
from phi3train.folder import Progress, RunFolder
from phi3train.generation import prompts, stops
from phi3train.guards import packing_self_test, refuse_unmatched
from phi3train.job import Job, make, refuse_unfit
from phi3train.loading import load_model, load_tokenizer
from phi3train.offline import go_offline
from phi3train.preview import preview
from phi3train.recording import Recorder
from phi3train.settings import load, to_toml
from phi3train.trainer import ReadyTrainer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from phi3train.config import Config
    from phi3train.data.prepared import Split

State = Literal["running", "done", "interrupted", "failed"]
_PREVIEWED = 3  # conversations in preview.html
_LIBRARIES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets")


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended."""

    state: State
    progress: Progress


def run(config: Config, *, resume: bool = False, given: str | None = None) -> Ran:
    """Train as configured, in the folder `config.output`.

    With `resume` the run in that folder goes on from its newest complete checkpoint, and starts where there is none;
    micro-batch and recomputation stay as they were planned, on another machine too. `given` is the text of the
    configuration as it was written, for the folder.
    SIGTERM and SIGINT end the run after the step that it is in, with a checkpoint.

    Raises `OutputError` for a folder that holds a run and is not to be resumed, or another run, and for a full disk;
    `InputError` and `UsageError` for data or model that cannot be trained; `NotFiniteError` and `LeakError` as the
    guards do.
    """
    go_offline()
    folder = RunFolder(Path(config.output))
    _refuse_other(folder, config, resume=resume)
    if resume and folder.exists and folder.state()["state"] == "done":
        latest = folder.latest()
        return Ran(state="done", progress=latest[1] if latest else Progress())
    device, facts = here()
    job = make(_as_planned(config, folder) if resume else config, facts, precision(config, device))
    refuse_unfit(job)
    account = {split: data.account() for split, data in job.data.items()}
    if resume and folder.exists:
        _refuse_other_data(folder, account)
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write_text("config.toml", to_toml(config))
    if given is not None:
        folder.write_text("config.given.toml", given)
    folder.write("data.json", account)
    folder.write("plan.json", {"predicted": job.plan})
    folder.write_text("preview.html", html.render(preview(job, _PREVIEWED)))
    return _train(job, folder, device, folder.latest() if resume else None)


def _train(job: Job, folder: RunFolder, device: str, start: tuple[Path, Progress] | None) -> Ran:
    checkpoint, progress = start or (None, Progress())
    folder.go_back(progress)
    about = _about(job, device)
    folder.write("run.json", {"state": "running", **about, **_totals(progress)})
    tokenizer = load_tokenizer(job.model)
    reader = encoder(job.model.tokenizer, job.model.profile)
    ends = stops(job.model, reader)
    asked = prompts(job.data["validation"].rows, job.config.samples.count, ends) if "validation" in job.data else []
    recorder = Recorder(job, folder, progress, tokenizer, asked, ends)
    ended: State = "failed"
    said = ""
    try:
        model = load_model(job.config, job.model, job.plan.precision, device)
        if job.config.method.kind != "full":
            refuse_unmatched(model, job.config.method.targets)
        model.generation_config.eos_token_id = ends
        trainer = ReadyTrainer(job, model, tokenizer, folder, recorder, device)
        packing_self_test(recorder.model, trainer.data_collator, job.train, job.plan.precision)
        with _signals(recorder.interrupt), _explained(job, folder):
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        if "validation" not in job.data:
            recorder.save_best()
        ended = "interrupted" if recorder.interrupted and progress.step < job.plan.steps.total else "done"
    except Phi3kitError as error:
        said = str(error)
        raise
    finally:
        folder.write("run.json", {"state": ended, **about, **_totals(progress), "error": said or None})
    folder.write("plan.json", {"predicted": job.plan, "measured": _measured(job, progress, device)})
    return Ran(state=ended, progress=progress)


def _refuse_other(folder: RunFolder, config: Config, *, resume: bool) -> None:
    """Raise `OutputError` for a folder that this run must not write to."""
    if not folder.exists:
        if folder.path.is_dir() and any(folder.path.iterdir()):
            raise OutputError(f"{folder.path}: is no run folder and not empty: choose another output")
        return
    if not resume:
        raise OutputError(
            f"{folder.path}: holds a run ({folder.state()['state']}): go on with --resume auto, or choose another "
            "output (--set output=…)"
        )
    held = load(folder.path / "config.toml")
    if held != config:
        old, new = (to_toml(each).splitlines() for each in (held, config))
        changed = [line for line in new if line not in old] or [f"no {line}" for line in old if line not in new]
        raise OutputError(
            f"{folder.path}: holds a run of another configuration (this one has: {'; '.join(changed[:3])}): choose "
            "another output, or take back the change"
        )


def _as_planned(config: Config, folder: RunFolder) -> Config:
    """Return the configuration with what a run before has planned: the order of the rows follows from it."""
    path = folder.path / "plan.json"
    if not path.is_file():
        return config
    held = msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, Any]])["predicted"]
    train = msgspec.structs.replace(config.train, micro_batch=held["micro_batch"], checkpointing=held["checkpointing"])
    return msgspec.structs.replace(config, train=train)


def _refuse_other_data(folder: RunFolder, account: Mapping[Split, dict[str, Any]]) -> None:
    held = msgspec.json.decode((folder.path / "data.json").read_bytes(), type=dict[str, Any])
    for split, each in account.items():
        if held.get(split, {}).get("sha256") != each["sha256"]:
            raise OutputError(f"{each['path']}: changed since the run in {folder.path} began: choose another output")


@contextmanager
def _signals(interrupt: Callable[[], None]) -> Iterator[None]:
    """End the run well on SIGTERM and SIGINT; a second SIGINT ends it at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: object) -> None:  # noqa: ARG001 (as signal calls it)
        sys.stderr.write(f"{signal.Signals(number).name}: saving after this step, then --resume auto goes on\n")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        interrupt()

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _explained(job: Job, folder: RunFolder) -> Iterator[None]:
    """Say what to do where memory or disk is full; finished checkpoints are kept."""
    again = f"the run goes on with phi3train run --resume auto (newest checkpoint in {folder.checkpoints})"
    try:
        yield
    except torch.OutOfMemoryError:
        need = job.plan
        raise OutputError(
            f"out of GPU memory with micro-batches of {need.micro_batch} rows (planned: "
            f"{need.memory.total / 2**30:.1f} GiB): start anew with a smaller train.micro_batch or "
            "train.checkpointing = true"
        ) from None
    except (OSError, RuntimeError) as error:
        # PyTorch's writer of files raises RuntimeError with the number of the system's error in its text.
        if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error):
            raise OutputError(f"{folder.path}: the disk is full: make room, then {again}") from None
        raise


def _about(job: Job, device: str) -> dict[str, Any]:
    from importlib.metadata import version

    name = torch.cuda.get_device_name(0) if device == "cuda" else platform.processor() or platform.machine()
    return {
        "phi3kit": VERSION,
        "libraries": {library: version(library) for library in _LIBRARIES},
        "python": platform.python_version(),
        "device": {"kind": device, "name": name},
        "model": {"name": job.model.profile.name, "folder": str(job.model.folder)},
        "tokenizer": {"sha256": job.model.tokenizer.sha256, "template": job.model.tokenizer.template},
        "git": _commit(),
        "seed": job.config.seed,
        "steps": job.plan.steps.total,
    }


def _commit() -> str | None:
    """Return the commit that the working directory is at, None outside of a repository."""
    git = shutil.which("git")
    if git is None:
        return None
    asked = subprocess.run([git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)  # noqa: S603
    return asked.stdout.strip() or None


def _totals(progress: Progress) -> dict[str, Any]:
    return {
        "step": progress.step,
        "tokens": progress.tokens,
        "supervised_tokens": progress.supervised,
        "conversations": progress.conversations,
        "seconds": round(progress.seconds, 3),
        "best_loss": progress.best,
        "best_step": progress.best_step,
    }


def _measured(job: Job, progress: Progress, device: str) -> dict[str, Any]:
    rate = progress.tokens / max(progress.seconds, 1e-9)
    _, facts = here()
    return {
        "seconds": round(progress.seconds, 3),
        "tokens_per_second": round(rate, 1),
        "mfu": round(rate * job.plan.operations / facts.peak, 4) if device == "cuda" else None,
        "memory": torch.cuda.max_memory_allocated() if device == "cuda" else None,
    }
