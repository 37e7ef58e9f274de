"""The device that a run has: a GPU where PyTorch sees one, else the CPU; and the arithmetic that suits it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from phi3data.errors import UsageError
from phi3train.plan.plan import Device
from phi3train.processes import count

if TYPE_CHECKING:
    from phi3train.config import Config
    from phi3train.plan.memory import Precision

_CPU_PEAK = 1e11  # operations per second: an order of magnitude, to be replaced by what a run measures


def here() -> tuple[str, Device]:
    """Return this process's device, "cuda" or "cpu", and what a plan needs to know of it."""
    import torch

    from phi3train.attention import available

    processes = count()
    if torch.cuda.is_available():
        memory = float(torch.cuda.get_device_properties(torch.cuda.current_device()).total_memory)
        return "cuda", Device(memory=memory, varlen=available(), processes=processes)
    memory = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")) / processes
    return "cpu", Device(memory=memory, peak=_CPU_PEAK, processes=processes)


def precision(config: Config, device: str) -> Precision:
    """Return the arithmetic of a run: as configured, else bf16 on a GPU and fp32 on a CPU, where bf16 is slow.

    Raises `UsageError` for QLoRA without a GPU.
    """
    if config.method.kind == "qlora" and device == "cpu":
        raise UsageError("method.kind: qlora needs an NVIDIA GPU, and PyTorch sees none: take lora")
    if config.train.precision != "auto":
        return config.train.precision
    return "bf16" if device == "cuda" else "fp32"
