"""``phi3train init``: a configuration that fits the data and the model, with what was measured as comments."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data import family
from phi3data.errors import UsageError
from phi3train import settings
from phi3train.data.load import packing_length
from phi3train.data.prepared import files

if TYPE_CHECKING:
    from phi3train.config import Config

_STEPS = 100  # optimiser steps that a run should have at least: fewer, and the learning rate has no time to fall


def initial(model: str | None, data: str | None, changes: dict[str, Any]) -> str:
    """Return a commented configuration file.

    `model` is a folder or a name of the family, `data` a prepared folder or a file. Where both are at hand the rows
    are encoded, and batch, packing and epochs follow from their sizes.
    Raises as `models.find` and `data.load` do; without a model on this machine sizes stay at their defaults.
    """
    table: dict[str, Any] = {}
    if model is not None and Path(model).is_dir():
        table |= {"model.path": model, "model.name": _named_in(Path(data) if data else None)}
    elif model is not None:
        table["model.name"] = family.model(model).name
    if data is not None:
        table |= {"data.train": data, "output": f"runs/{Path(data).stem}"}
    config = settings.load(None, table | changes)
    if data is None:
        return settings.to_toml(config, comments=True)
    files(config.data)
    fitted, notes = _fit(config)
    return settings.to_toml(settings.load(None, table | fitted | changes), comments=True, notes=notes)


def _named_in(data: Path | None) -> str:
    """Return the family's name that a prepared folder was made for: a folder of weights does not tell its own."""
    if data is None or not (data / "manifest.json").is_file():
        return family.DEFAULT
    manifest = msgspec.json.decode((data / "manifest.json").read_bytes(), type=dict[str, Any])
    name = manifest.get("recipe", {}).get("model")
    return name if isinstance(name, str) else family.DEFAULT


def _fit(config: Config) -> tuple[dict[str, Any], dict[str, str]]:
    """Return keys that follow from the sizes of the data, and what to say about them."""
    from phi3train.data.load import load
    from phi3train.models import find

    try:
        model = find(config.model)
    except UsageError as error:
        if config.model.path is not None:
            raise
        return {}, {"train.batch_tokens": f"Not fitted to the data: {error}".splitlines()[0]}
    data = load(config, model)["train"]
    longest = max(len(row) for row in data.rows)
    width = packing_length(config, model.context)
    # Small data gets smaller steps, so that there are enough of them: a power of two, of 512 tokens at least.
    wanted = config.train.epochs * data.tokens / _STEPS
    batch = config.train.batch_tokens
    while batch > 512 and batch > wanted:
        batch //= 2
    width = min(width, max(longest, batch))
    fitted = {"train.batch_tokens": batch, "packing.length": width}
    steps = round(config.train.epochs * data.tokens / batch)
    named = len({row.label for row in data.rows if row.label is not None})
    learned = f"{named:,} classes" if named else f"{data.supervised:,} of them learned"
    notes = {
        "data.train": f"{len(data.rows):,} rows, {data.tokens:,} tokens, {learned}.",
        "train.batch_tokens": f"About {max(steps, 1):,} steps in {config.train.epochs:g} epochs.",
        "packing.length": f"The longest row has {longest:,} tokens.",
    }
    if data.lost:
        notes["truncation.policy"] = f"{len(data.lost):,} rows are left out: see phi3train check."
    return fitted, notes
