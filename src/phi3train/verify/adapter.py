"""Checks of an adapter."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3train.export.bundle import read, read_json
from phi3train.export.checkpoint import ADAPTER, RANKS
from phi3train.export.shards import header
from phi3train.verify.outcome import Outcome, failed, passed

if TYPE_CHECKING:
    from pathlib import Path

_HUB = re.compile(r"[\w.-]+/[\w.-]+")


def base(folder: Path) -> Outcome:
    """The adapter names its base by the name on the hub."""
    named = read_json(folder / "adapter" / "adapter_config.json").get("base_model_name_or_path")
    wanted = read(folder).base_model
    if named != wanted or not _HUB.fullmatch(wanted):
        said = f"adapter_config.json: the base is {named!r}, which nobody else can load; it is {wanted}"
        return failed("base", said, f'write "base_model_name_or_path": "{wanted}"')
    return passed("base", wanted)


def shape(folder: Path) -> Outcome:
    """The weights have the rank that the configuration says, and one that Foundry takes."""
    settings = read_json(folder / "adapter" / "adapter_config.json")
    rank = settings.get("r")
    held, size = header(folder / "adapter" / ADAPTER)
    if size != (folder / "adapter" / ADAPTER).stat().st_size:
        return failed("adapter", f"{ADAPTER} is cut off", "export the run again")
    ranks = {tensor["shape"][0] for name, tensor in held.items() if name.endswith("lora_A.weight")}
    if ranks != {rank}:
        said = f"adapter_config.json says rank {rank}, the weights have {sorted(ranks)}"
        return failed("adapter", said, "export the run again")
    if rank not in RANKS:
        said = f"rank {rank}; Foundry takes {RANKS[0]} to {RANKS[-1]}"
        return failed("adapter", said, "export it with --to model, or train with another method.rank")
    return passed("adapter", f"rank {rank}, {len(held)} weights")
