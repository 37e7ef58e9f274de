"""The work folder of a run: who may use the output folder, what is done already, and how the result is published.

    OUT/.phi3data-work/<examined>/
        sources/        copies of inputs that cannot be read in place
        examine/        per shard: rows, facts, summary (the summary is written last and says that the shard is done)
        <decided>/
            compare/    pairs of similar rows
            decide/     decisions
            spill/      what deciding does not hold in memory
            write/      the splits, which every shard writes its part of; per shard: pieces of the other outputs
            final/      the outputs, complete, before they take their final names

Everything but the splits under `write/`, which are filled shard by shard, is written under another name first and then
renamed, so that a file that exists is whole. The one fingerprint covers inputs, version, tokenizer and what examining
reads of the recipe, the other one the whole recipe: the same command goes on where it stopped, one that only decides
otherwise goes on with what was examined, any other one starts anew. What was examined can be kept for that when the
work is done.
"""

from __future__ import annotations

import errno
import shutil
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING

from phi3data.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WORK = ".phi3data-work"
# Everything that a run can leave in the output folder; the manifest comes last and says that the folder is complete.
OUTPUTS = (
    "train.jsonl",
    "validation.jsonl",
    "test.jsonl",
    "dropped.jsonl",
    "duplicates.parquet",
    "ledger.parquet",
    "report.json",
    "report.html",
    "DATASET_CARD.md",
    "manifest.json",
)
_EXAMINED = frozenset({"sources", "references", "examine"})  # folders that another decision can go on with
# What every run makes.
ALWAYS = frozenset(OUTPUTS) - {"validation.jsonl", "test.jsonl", "duplicates.parquet"}


class Work:
    """The work folder of one run. One run at a time: it is locked from `start` to `release`.

    `examined` and `decided` are the fingerprints; with `keep` what was examined outlives the run.
    """

    def __init__(self, output: Path, examined: str, decided: str, *, keep: bool = False) -> None:
        self.output = output
        self.root = output / WORK / examined
        self._decided = self.root / decided
        self._keep = keep
        self._lock: IO[bytes] | None = None
        self._made: list[Path] = []  # folders that this run made, innermost first

    def folder(self, name: str) -> Path:
        """Return a sub-folder, made if it is not there."""
        path = (self.root if name in _EXAMINED else self._decided) / name
        path.mkdir(parents=True, exist_ok=True)
        return path

    def start(self, *, overwrite: bool) -> None:
        """Claim the output folder; work that this run can go on with is left, any other is removed.

        Raises `OutputError` when another run is at work there, or when the folder holds something that this run would
        replace and `overwrite` is not set.
        """
        if self.output.exists() and not self.output.is_dir():
            raise OutputError(f"{self.output}: is a file: give a directory for the output")
        if not overwrite and not self._decided.is_dir():
            held = (
                sorted(item.name for item in self.output.iterdir() if item.name != WORK) if self.output.is_dir() else []
            )
            if held:
                raise OutputError(
                    f"{self.output}: exists and holds {', '.join(held[:3])}{' …' if len(held) > 3 else ''}: "
                    "choose another folder, or replace the outputs with --overwrite (overwrite=True)"
                )
        shutil.rmtree(self.root.with_name("done"), ignore_errors=True)
        self._made = [path for path in (self.output, *self.output.parents) if not path.exists()]
        self.root.parent.mkdir(parents=True, exist_ok=True)
        self._claim()
        self._decided.mkdir(parents=True, exist_ok=True)
        for folder, mine in ((self.root.parent, {self.root.name}), (self.root, {self._decided.name, *_EXAMINED})):
            for other in folder.iterdir():
                if other.is_dir() and other.name not in mine:
                    shutil.rmtree(other, ignore_errors=True)

    def _claim(self) -> None:
        self._lock = (self.root.parent / "lock").open("wb")
        try:
            import fcntl
        except ImportError:  # not on this system: the folder is not locked
            return
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self.release()
            raise OutputError(
                f"{self.output}: another run is writing to this folder: wait, or choose another"
            ) from None

    def release(self) -> None:
        """Let another run claim the folder."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def publish(self) -> None:
        """Give the files of `final/` their names in the output folder, the manifest last, and remove the work.

        Outputs of an earlier run that this one does not make go away. A run that was interrupted here makes `final/`
        again from the pieces and publishes it again.
        """
        final = self.folder("final")
        made = [name for name in OUTPUTS if (final / name).exists()]
        missing = sorted(ALWAYS.difference(made))
        if missing:
            raise OutputError(f"{self.output}: {', '.join(missing)} went away while the run was at work: run it again")
        (self.output / "manifest.json").unlink(missing_ok=True)
        for name in OUTPUTS:
            if name in made:
                (final / name).replace(self.output / name)
            else:
                (self.output / name).unlink(missing_ok=True)
        self.discard()

    def discard(self) -> None:
        """Remove the work, but for what is to be kept, and the folders that were made for it and hold nothing else."""
        if self._keep:
            shutil.rmtree(self._decided, ignore_errors=True)
            self.release()
            return
        done = self.root.with_name("done")  # under this name nothing of it is taken for work to go on with
        shutil.rmtree(done, ignore_errors=True)
        if self.root.exists():
            self.root.replace(done)
        self.release()
        shutil.rmtree(self.root.parent, ignore_errors=True)
        for path in self._made:
            if path.is_dir() and not any(path.iterdir()):
                path.rmdir()


@contextmanager
def disk_errors(where: Path) -> Iterator[None]:
    """Turn the operating system's complaints about writing into one sentence that says what to do."""
    try:
        yield
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            free = shutil.disk_usage(existing(where)).free
            raise OutputError(
                f"{where}: the disk is full ({free / 2**20:,.0f} MiB free): make room and run the same command again; "
                f"finished work is kept in {where / WORK}"
            ) from None
        raise OutputError(f"{error.filename or where}: {error.strerror or error}") from None


def existing(path: Path) -> Path:
    """Return the nearest folder above `path` that exists."""
    return path if path.is_dir() else existing(path.absolute().parent)
