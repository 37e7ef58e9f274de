"""Ends of a run that nobody planned: a signal, a full disk, a full memory. Each says what to do to go on."""

from __future__ import annotations

import errno
import signal
import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

import torch

from phi3data.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

    from phi3train.folder import RunFolder
    from phi3train.plan.plan import Plan

_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
    """End the run well on SIGTERM and SIGINT; a second SIGINT ends it at once."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (as signal calls it)
        sys.stderr.write(f"{signal.Signals(number).name}: saving after this step, then --resume auto goes on\n")
        signal.signal(signal.SIGINT, signal.default_int_handler)
        interrupt()

    with handling(stop):
        yield


@contextmanager
def terminable() -> Iterator[None]:
    """Let SIGTERM end what is under way as Ctrl-C does, so that what is half done is taken away."""

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (as signal calls it)
        raise KeyboardInterrupt

    with handling(stop):
        yield


@contextmanager
def handling(stop: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Let `stop` take SIGTERM and SIGINT, as signal calls it; in another thread than the main one nothing can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def explained(plan: Plan, folder: RunFolder) -> Iterator[None]:
    """Raise `OutputError` that says what to do where memory or disk is full; finished checkpoints are kept."""
    try:
        yield
    except (OSError, RuntimeError, MemoryError) as error:
        if disk_full(error):
            raise OutputError(
                f"{folder.path}: the disk is full: make room, then the run goes on with phi3train run --resume auto "
                f"(newest checkpoint in {folder.checkpoints})"
            ) from None
        if _out_of_memory(error):
            raise OutputError(_smaller(plan, folder)) from None
        raise


def disk_full(error: BaseException) -> bool:
    """Whether an error says that the disk is full."""
    # PyTorch's writer of files raises RuntimeError with the system's text in its own.
    return getattr(error, "errno", None) in _FULL or "No space left" in str(error)


def _out_of_memory(error: BaseException) -> bool:
    # On a CPU, PyTorch's allocator raises RuntimeError.
    return isinstance(error, (torch.OutOfMemoryError, MemoryError)) or "DefaultCPUAllocator" in str(error)


def _smaller(plan: Plan, folder: RunFolder) -> str:
    said = (
        f"{folder.path}: out of memory with micro-batches of {plan.micro_batch} rows (planned: "
        f"{plan.memory.total / 2**30:.1f} GiB): "
    )
    anew = "start anew with a smaller train.micro_batch, or with shorter rows (packing.length, truncation.max_tokens)"
    if plan.checkpointing:
        return said + anew
    again = "go on with --resume auto --set train.checkpointing=true, which is the same in less memory"
    return f"{said}{again}, or {anew}"
