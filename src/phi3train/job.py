"""All that is known before training: model, rows, plan and order. `preview`, `plan`, `run` and `eval` stand on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from phi3data.errors import InputError
from phi3train.config import Config, under_head
from phi3train.data.labelled import refuse_unlabelled
from phi3train.data.load import Data, load
from phi3train.data.order import MicroBatches
from phi3train.data.prepared import Split
from phi3train.data.rows import NOTHING, UNENDED
from phi3train.models import Model, find
from phi3train.plan.plan import Device, Plan, check_targets, plan
from phi3train.plan.schedule import with_batches, workload
from phi3train.plan.shapes import Shape, shape_of

if TYPE_CHECKING:
    from phi3train.plan.memory import Precision

_TOO_MANY = 0.1  # part of the rows: where more teach nothing, the data is not what it is taken for


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """A run before it starts."""

    config: Config
    model: Model
    shape: Shape
    data: dict[Split, Data]
    plan: Plan

    @property
    def train(self) -> Data:
        """The training rows."""
        return self.data["train"]

    @property
    def classes(self) -> list[str]:
        """The classes of the training rows by name, none where tokens are learned."""
        return sorted({row.label for row in self.train.rows if row.label is not None})

    def order(self, number: int = 0) -> MicroBatches:
        """Return the order of the training rows, as the process of a number goes through it."""
        return MicroBatches(self.train.over, self.plan.micro_batch, self.config.seed, self.plan.processes, number)


def make(config: Config, device: Device, precision: Precision) -> Job:
    """Find the model, read the data and plan.

    Raises `UsageError` and `InputError` as `models.find`, `data.load` and `plan` do.
    """
    model = find(config.model)
    shape = shape_of(model.settings)
    weights = under_head(config)
    check_targets(weights, shape)
    data = load(config, model)
    planned = plan(weights, shape, workload(data["train"], shape.window), device, precision)
    batches = len(MicroBatches(data["train"].over, planned.micro_batch, config.seed, planned.processes))
    step = with_batches(planned.steps, config.train, batches, planned.accumulation)
    planned = msgspec.structs.replace(planned, steps=step)
    return Job(config=config, model=model, shape=shape, data=data, plan=planned)


def refuse_unfit(job: Job) -> None:
    """Raise `InputError` where so many rows teach nothing that something is wrong, or ids are not in the vocabulary.

    For a classification head: where a row has no class, or one that no training row has.
    """
    if job.config.method.kind == "classify" and len(job.classes) < 2:
        raise InputError(f"data.train: all rows are of the class '{job.classes[0]}': a head needs two classes at least")
    for split, data in job.data.items():
        if job.classes:
            refuse_unlabelled(f"data.{split}", data.rows, data.lost, job.classes)
        bad = [each for each in data.lost if each.reason in {NOTHING, UNENDED}]
        seen = len(data.rows) + len(data.lost)
        if len(bad) > _TOO_MANY * seen:
            raise InputError(
                f"data.{split}: {len(bad):,} of {seen:,} rows teach nothing or no end of turn, the first is "
                f"{bad[0].id}: {bad[0].message}; see them with phi3train check"
            )
        highest = max(int(row.ids.max()) for row in data.rows)
        if highest >= job.model.vocabulary:
            raise InputError(
                f"{job.model.folder}: the tokenizer makes id {highest}, the model's embedding has "
                f"{job.model.vocabulary} rows: tokenizer and model do not belong together"
            )
