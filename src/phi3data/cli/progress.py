"""The progress bar: on a terminal only, on stderr, and gone when the work is done."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from types import TracebackType

    from rich.progress import Progress, TaskID


class Bar:
    """Shows stage, share done, rows per second and time left. Silent where stderr is no terminal, in CI and hooks."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._rows = 0

    def __enter__(self) -> Self:
        if sys.stderr.isatty() and not (os.environ.get("CI") or os.environ.get("PRE_COMMIT")):
            from rich.console import Console
            from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

            self._progress = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress:
            self._progress.stop()

    def stage(self, name: str, total: int) -> None:
        """Begin a stage with a fresh bar."""
        if self._progress:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._rows = 0
            self._task = self._progress.add_task(name, total=total, rate="")

    def advance(self, amount: int, rows: int) -> None:
        """Move the bar by a finished part."""
        if self._progress and self._task is not None:
            self._rows += rows
            elapsed = self._progress.tasks[-1].elapsed or 0
            rate = f"{self._rows / elapsed:,.0f} rows/s" if elapsed > 0.2 and self._rows else ""
            self._progress.update(self._task, advance=amount, rate=rate)
