"""The processes that share a run: which of them this is, and the little that they tell each other.

Whoever starts them (`accelerate launch`, torchrun) says so in the environment. A run alone is one process, and nothing
here costs it anything.
"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def count() -> int:
    """Return how many processes share the run."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def number() -> int:
    """Return which of them this is, from 0."""
    return int(os.environ.get("RANK", "0")) if count() > 1 else 0


def first() -> bool:
    """Whether this is the one that writes into the run folder and speaks to the user."""
    return number() == 0


def keep_to_file(folder: Path) -> None:
    """Send what this process says from now on, and its libraries with it, to its file in the run folder."""
    path = folder / "processes" / f"{number()}.log"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
            os.dup2(file.fileno(), stream.fileno())


def join() -> None:
    """Meet the others, and take this process's own GPU where there are any."""
    if count() == 1:
        return
    import torch
    from accelerate import PartialState  # type: ignore[import-untyped] # accelerate has no types

    PartialState(cpu=not torch.cuda.is_available())


def leave() -> None:
    """Part from the others; the process ends after this."""
    if count() == 1:
        return
    import torch.distributed

    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def wait() -> None:
    """Wait until all have come this far."""
    total([0.0])


def total(values: Sequence[float]) -> list[float]:
    """Return the sums of what each process has, in float64; all must ask at the same place."""
    if count() == 1:
        return list(values)
    import torch
    import torch.distributed

    device = "cuda" if torch.cuda.is_available() else "cpu"
    summed = torch.tensor(values, dtype=torch.float64, device=device)
    torch.distributed.all_reduce(summed)
    return [float(each) for each in summed.tolist()]


def any_of(fact: bool) -> bool:
    """Whether it is a fact for any process; all must ask at the same place."""
    return total([float(fact)])[0] > 0
