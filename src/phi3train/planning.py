"""The plan of a configuration for a GPU that need not be here, with the data if there is any."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data import family
from phi3train.config import under_head
from phi3train.data.load import load
from phi3train.models import find, read_settings
from phi3train.plan.plan import Plan, check_targets, full_rows, plan
from phi3train.plan.schedule import workload
from phi3train.plan.shapes import shape_of, shapes

if TYPE_CHECKING:
    from phi3train.config import Config
    from phi3train.plan.memory import Precision
    from phi3train.plan.plan import Device


def plan_for(config: Config, device: Device, *, read: bool) -> tuple[Plan, bool]:
    """Return the plan, and whether its rows are assumed rather than read.

    The shape is that of the configured folder, else of the family's model. Data is read where `read` and data.train
    say so; that needs the tokenizer. Raises as `models.find` and `data.load` do.
    """
    precision: Precision = "fp32" if config.train.precision == "fp32" else "bf16"
    profile = family.model(config.model.name)
    if config.model.path is None:
        shape, context = shapes()[profile.name], profile.context
    else:
        from pathlib import Path

        settings = read_settings(Path(config.model.path))
        shape, context = shape_of(settings), int(settings.get("max_position_embeddings", profile.context))
    weights = under_head(config)
    check_targets(weights, shape)
    if not read or not config.data.train:
        return plan(weights, shape, full_rows(weights, context), device, precision), True
    rows = load(config, find(config.model), ("train",))["train"]
    return plan(weights, shape, workload(rows, shape.window), device, precision), False
