"""Checks of the weights of a model, without loading them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3train.export.bundle import read_json
from phi3train.export.shards import header
from phi3train.verify.outcome import Outcome, failed, passed

if TYPE_CHECKING:
    from pathlib import Path

_INDEX = "model.safetensors.index.json"
_AGAIN = "export the run again: weights are missing or cut off"


def complete(folder: Path) -> Outcome:
    """Every weight of the index is in its shard, and every shard is as long as its header says."""
    model = folder / "model"
    weights: dict[str, str] = read_json(model / _INDEX).get("weight_map", {})
    if not weights:
        return failed("weights", f"{_INDEX} names no weight", _AGAIN)
    for shard in sorted(set(weights.values())):
        path = model / shard
        if not path.is_file():
            return failed("weights", f"{shard} is missing", _AGAIN)
        held, size = header(path)
        lacking = sorted(name for name, where in weights.items() if where == shard and name not in held)
        if lacking:
            return failed("weights", f"{shard} lacks {lacking[0]}", _AGAIN)
        unnamed = sorted(name for name in held if weights.get(name) != shard)
        if unnamed:
            return failed("weights", f"{_INDEX} does not name {unnamed[0]} of {shard}", _AGAIN)
        if size != path.stat().st_size:
            return failed("weights", f"{shard} has {path.stat().st_size:,} bytes, its header says {size:,}", _AGAIN)
    return passed("weights", f"{len(weights)} weights in {len(set(weights.values()))} shards, all there")
