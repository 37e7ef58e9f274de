"""The run folder: what a run leaves behind, and what it goes on from.

run.json         state, totals, versions, seed, device
config.toml      the configuration as resolved; config.given.toml as it was written
data.json        per split: file, sha256, counts, what was left out and why
plan.json        predicted, and measured
preview.html     the first conversations as they are trained on; preview.json holds the same
metrics.jsonl    one line a step, one an evaluation
samples.jsonl    answers at each evaluation
checkpoints/     checkpoint-N: everything that a run goes on from, the newest ones
best/            the best model by the validation rows; the last one without them
logs/            TensorBoard
eval.json        what phi3train eval measured; confusion.json, of a classification head, true against predicted classes
report.html      all of it for people; REPORT.md is the short form
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.errors import OutputError
from phi3data.sources.files import whole

if TYPE_CHECKING:
    from pathlib import Path

MARKER = "phi3train.json"  # in a checkpoint, written last: a checkpoint without it is half a one


class Progress(msgspec.Struct, kw_only=True):
    """What a run counts itself, kept in each checkpoint. `metrics` and `samples` are bytes of the two files."""

    step: int = 0
    tokens: int = 0
    supervised: int = 0
    conversations: int = 0
    seconds: float = 0.0
    best: float | None = None  # nats per token
    best_step: int | None = None
    waited: int = 0  # evaluations since the best one
    recent: list[float] = []  # losses of the last steps, to know a spike by
    metrics: int = 0
    samples: int = 0


class RunFolder:
    """One run on the disk. One that is not to be written to only reads: of several processes, the first one writes."""

    def __init__(self, path: Path, *, writes: bool = True) -> None:
        self.path, self._writes = path, writes
        self.checkpoints, self.best = path / "checkpoints", path / "best"
        self.metrics, self.samples = path / "metrics.jsonl", path / "samples.jsonl"

    @property
    def exists(self) -> bool:
        """Whether there is a run in it."""
        return (self.path / "run.json").is_file()

    def state(self) -> dict[str, Any]:
        """Return run.json. Raises `OutputError` where it is not one."""
        try:
            return msgspec.json.decode((self.path / "run.json").read_bytes(), type=dict[str, Any])
        except FileNotFoundError:
            raise OutputError(f"{self.path}: {self._instead()}") from None
        except (OSError, msgspec.DecodeError) as error:
            raise OutputError(f"{self.path}: is no run folder: run.json cannot be read: {error}") from None

    def _instead(self) -> str:
        """Return what is there instead of a run, and what to do."""
        if not self.path.exists():
            return "is no run folder: there is no such folder: give the output of phi3train run"
        if (self.path / "train.jsonl").is_file():
            return "is no run folder but prepared data: phi3train init --data trains on it first"
        if (self.path / "manifest.json").is_file():
            return "is no run folder but a bundle: give the run that it was made of"
        return "is no run folder: it has no run.json: give the output of phi3train run"

    def write(self, name: str, value: Any) -> None:
        """Write a JSON file of the folder, whole or not at all."""
        self.write_text(name, msgspec.json.format(msgspec.json.encode(value), indent=2).decode() + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write a text file of the folder, whole or not at all."""
        if not self._writes:
            return
        with whole(self.path / name) as file:
            file.write(text.encode())

    def append(self, path: Path, value: Any) -> int:
        """Append a line of JSON to metrics or samples and return the size of the file."""
        if not self._writes:
            return 0
        with path.open("ab") as file:
            file.write(msgspec.json.encode(value) + b"\n")
            return file.tell()

    def latest(self) -> tuple[Path, Progress] | None:
        """Return the newest complete checkpoint and what was counted until then, None if there is none."""
        found = [each for each in self.checkpoints.glob("checkpoint-*") if (each / MARKER).is_file()]
        if not found:
            return None
        newest = max(found, key=_step)
        return newest, msgspec.json.decode((newest / MARKER).read_bytes(), type=Progress)

    def complete(self, progress: Progress, keep: int) -> None:
        """Mark the checkpoint of a step as complete, and remove older ones but `keep`."""
        if not self._writes:
            return
        with whole(self.checkpoints / f"checkpoint-{progress.step}" / MARKER) as file:
            file.write(msgspec.json.encode(progress))
        for old in sorted(self.checkpoints.glob("checkpoint-*"), key=_step)[:-keep]:
            shutil.rmtree(old)

    def go_back(self, progress: Progress) -> None:
        """Take from metrics and samples what was written after a checkpoint, and half checkpoints away."""
        if not self._writes:
            return
        for path, size in ((self.metrics, progress.metrics), (self.samples, progress.samples)):
            if path.exists():
                with path.open("r+b") as file:
                    file.truncate(size)
        for checkpoint in self.checkpoints.glob("checkpoint-*"):
            if not (checkpoint / MARKER).is_file():
                shutil.rmtree(checkpoint)


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])
