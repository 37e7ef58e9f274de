"""The weights of a run: adapters merged into their base and held to what they did before, saved as safetensors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import torch
from peft import PeftModel

from phi3data.errors import InputError
from phi3train.export.bundle import write_json
from phi3train.export.shards import header
from phi3train.loading import load_trained

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from phi3train.config import Config
    from phi3train.models import Model

SHARD = "4GB"  # of one file; servers read shards side by side
_TOKENS = 64  # of the text that a merged model is held to its adapter on
_TOLERANCE = 1e-3  # of the spread of the logits; rounding in fp32 is 100 times less


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """A model whose weights stand alone. `difference` is the largest of its logits to those with the adapter apart."""

    model: Any
    difference: float | None  # None where there was no adapter


def whole(config: Config, model: Model, best: Path, classes: Sequence[str] = ()) -> Whole:
    """Load what a run saved, in fp32 on the CPU, an adapter merged into its base.

    Raises `InputError` where the merged model does not answer as the model with the adapter does.
    """
    if config.method.kind == "qlora":  # merged into the base itself, not into what four bits leave of it
        config = msgspec.structs.replace(config, method=msgspec.structs.replace(config.method, kind="lora"))
    loaded = load_trained(config, model, best, "fp32", "cpu", classes)
    if not isinstance(loaded, PeftModel):
        return Whole(model=loaded, difference=None)
    ids = torch.arange(_TOKENS).remainder(model.vocabulary).unsqueeze(0)
    wanted = logits(loaded, ids)
    alone = loaded.merge_and_unload()
    difference = float((logits(alone, ids) - wanted).abs().max())
    spread = float(wanted.std())
    if not difference <= _TOLERANCE * spread:
        raise InputError(
            f"{best}: merged into its base the adapter changes the logits by {difference:.2g} where they spread over "
            f"{spread:.2g}: the base is not the one that was trained, or the weights are damaged"
        )
    return Whole(model=alone, difference=difference)


def save(model: Any, folder: Path, dtype: str) -> None:
    """Write the weights as shards with an index, also where one shard is all: servers look for the index.

    The other files that transformers writes are left to those who know both dialects.
    """
    model.to(getattr(torch, dtype)).save_pretrained(folder, max_shard_size=SHARD)
    model.float()  # the rounded weights, for those who ask the model now: on any machine it answers the same
    alone = folder / "model.safetensors"
    if alone.is_file():
        shard = alone.rename(folder / "model-00001-of-00001.safetensors")
        held, _ = header(shard)
        size = sum(end - start for start, end in (tensor["data_offsets"] for tensor in held.values()))
        weights = dict.fromkeys(sorted(held), shard.name)
        write_json(folder / "model.safetensors.index.json", {"metadata": {"total_size": size}, "weight_map": weights})


def logits(model: Any, ids: torch.Tensor) -> torch.Tensor:
    """Return the logits of a model in fp32, of shape (rows, tokens, vocabulary)."""
    model.eval()
    with torch.no_grad():
        found: torch.Tensor = model(input_ids=ids.to(model.device)).logits
    return found.float()
