"""A run from configuration to run folder: check, plan, self-test, train, and an end that can be gone on from."""

from __future__ import annotations

import platform
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec
import torch

from phi3data.errors import Phi3kitError, UsageError
from phi3data.report.inspection import html
from phi3data.tokens.encode import encoder
from phi3data.version import VERSION
from phi3train import processes, report
from phi3train.classification.trainer import ClassTrainer
from phi3train.config import under_head
from phi3train.devices import here, precision
from phi3train.endings import explained, interruptible
from phi3train.folder import Progress, RunFolder
from phi3train.generation import prompts, stops
from phi3train.guards import packing_self_test, refuse_unmatched
from phi3train.job import Job, make, refuse_unfit
from phi3train.loading import load_model, load_tokenizer
from phi3train.models import refuse_changed, weights_of
from phi3train.offline import go_offline
from phi3train.preview import preview
from phi3train.recording import Recorder
from phi3train.resuming import as_planned, refuse_other, refuse_other_data
from phi3train.settings import to_toml
from phi3train.trainer import Follower, ReadyTrainer

if TYPE_CHECKING:
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
    processes.join()
    folder = RunFolder(Path(config.output), writes=processes.first())
    refuse_other(folder, config, resume=resume)
    if resume and folder.exists and folder.state()["state"] == "done":
        latest = folder.latest()
        return Ran(state="done", progress=latest[1] if latest else Progress())
    device, facts = here()
    planned = as_planned(config, folder, facts.processes) if resume else config
    job = make(planned, facts, precision(config, device))
    refuse_unfit(job)
    if resume and folder.exists:
        refuse_changed(job.model, folder.state())
    if job.classes and facts.processes > 1:
        raise UsageError("method.kind: classify trains in one process: leave --launch away")
    account = {split: data.account() for split, data in job.data.items()}
    if resume and folder.exists:
        refuse_other_data(folder, account)
    start = folder.latest() if resume else None
    processes.wait()  # all have looked before the first one writes
    with explained(job.plan, folder):
        _describe(job, config, folder, account, given)
        try:
            return _train(job, folder, device, start)
        finally:
            if processes.first():
                _report(folder)


def _describe(job: Job, config: Config, folder: RunFolder, account: dict[Split, Any], given: str | None) -> None:
    """Write down what is about to be trained."""
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write_text("config.toml", to_toml(config))
    if given is not None:
        folder.write_text("config.given.toml", given)
    folder.write("data.json", account)
    folder.write("plan.json", {"predicted": job.plan})
    shown = preview(job, _PREVIEWED)
    folder.write("preview.json", shown)
    folder.write_text("preview.html", html.render(shown))


def _report(folder: RunFolder) -> None:
    """Write the report; where that fails the run is as it is, and its own error is the one to be told."""
    try:
        report.write(folder.path)
    except (OSError, Phi3kitError) as error:
        sys.stderr.write(f"no report was written: {error}; phi3train report {folder.path} tries again\n")


def _train(job: Job, folder: RunFolder, device: str, start: tuple[Path, Progress] | None) -> Ran:
    checkpoint, progress = start or (None, Progress())
    folder.go_back(progress)
    about = _about(job, device)
    folder.write("run.json", {"state": "running", **about, **_totals(progress)})
    tokenizer = load_tokenizer(job.model)
    reader = encoder(job.model.tokenizer, job.model.profile)
    ends = stops(job.model, reader)
    held = job.data["validation"].rows if "validation" in job.data and not job.classes else []
    asked = prompts(held, job.config.samples.count, ends) if held else []
    keeper = Recorder if processes.first() else Follower
    recorder = keeper(job, folder, progress, tokenizer, asked, ends)
    try:
        with explained(job.plan, folder):
            trainer = _trainer(job, tokenizer, folder, recorder, device, ends)
            with interruptible(recorder.interrupt):
                trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
            if "validation" not in job.data:
                recorder.save_best()
    except BaseException as error:
        said = str(error) if isinstance(error, Phi3kitError) else None
        with suppress(
            OSError
        ):  # on a full disk run.json stays as it was, and the error under way is the one to be told
            folder.write("run.json", {"state": "failed", **about, **_totals(progress), "error": said})
        raise
    ended: State = "interrupted" if recorder.interrupted and progress.step < job.plan.steps.total else "done"
    folder.write("run.json", {"state": ended, **about, **_totals(progress), "error": None})
    folder.write("plan.json", {"predicted": job.plan, "measured": _measured(job, progress, device)})
    return Ran(state=ended, progress=progress)


def _trainer(job: Job, tokenizer: Any, folder: RunFolder, recorder: Recorder, device: str, ends: list[int]) -> Any:
    """Return the trainer of a job; what would spoil the run in silence is refused."""
    model = load_model(job.config, job.model, job.plan.precision, device, job.classes)
    if under_head(job.config).method.kind != "full":
        refuse_unmatched(model, job.config.method.targets)
    if not job.classes:
        model.generation_config.eos_token_id = ends
    kind = ClassTrainer if job.classes else ReadyTrainer
    made = kind(job, model, tokenizer, folder, recorder, device)
    packing_self_test(recorder.model, made.data_collator, job.train, job.plan.precision)
    return made


def _about(job: Job, device: str) -> dict[str, Any]:
    from importlib.metadata import version

    name = torch.cuda.get_device_name(0) if device == "cuda" else platform.processor() or platform.machine()
    return {
        "phi3kit": VERSION,
        "libraries": {library: version(library) for library in _LIBRARIES},
        "python": platform.python_version(),
        "device": {"kind": device, "name": name},
        "model": {
            "name": job.model.profile.name,
            "folder": str(job.model.folder),
            "sha256": weights_of(job.model) if job.config.model.weights == "pretrained" else None,
        },
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
        "mfu": round(rate * job.plan.operations / (facts.peak * facts.processes), 4) if device == "cuda" else None,
        "memory": torch.cuda.max_memory_allocated() if device == "cuda" else None,
    }
