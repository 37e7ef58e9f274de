"""How rows become optimiser steps: the rows per step are fixed by the tokens per step, whatever fits into memory."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import msgspec

from phi3data.errors import UsageError
from phi3train.plan.shapes import mean_context

if TYPE_CHECKING:
    from phi3train.config import TrainConfig
    from phi3train.data.load import Data


class Workload(msgspec.Struct, frozen=True, kw_only=True):
    """What an epoch is made of. `rows` are the trainer's (packed or not); lengths are in tokens.

    `widest` is the longest row of the trainer, and so what a micro-batch of one holds at most; `context` is how many
    tokens a token attends to on average.
    """

    conversations: int
    rows: int
    tokens: int
    supervised: int
    widest: int
    context: float


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    """Optimiser steps. `rows` are the trainer's rows per step, `tokens` the mean number of tokens in them."""

    rows: int
    tokens: int
    per_epoch: int
    total: int


def workload(data: Data, window: int | None) -> Workload:
    """Return what an epoch over a split is made of."""
    lengths = [len(row) for row in data.rows]
    return Workload(
        conversations=len(lengths),
        rows=len(data.packs),
        tokens=sum(lengths),
        supervised=data.supervised,
        widest=max(sum(lengths[index] for index in pack) for pack in data.packs),
        context=mean_context(lengths, window),
    )


def steps(config: TrainConfig, load: Workload, processes: int = 1) -> Steps:
    """Return the steps of a run: rows per step such that a step has the tokens, or conversations, that are asked.

    Each process has as many rows of a step as any other. Raises `UsageError` for more processes than rows.
    """
    if processes > load.rows:
        raise UsageError(
            f"{processes:,} processes for {load.rows:,} rows: take fewer processes, or a shorter packing.length"
        )
    per_conversation = load.tokens / load.conversations
    wanted = config.batch_tokens if config.batch_size is None else config.batch_size * per_conversation
    per_row = load.tokens / load.rows
    most = load.rows // processes
    rows = processes * min(max(1, round(wanted * config.batch_size_multiplier / per_row / processes)), most)
    per_epoch = math.ceil(load.rows / rows)
    return Steps(rows=rows, tokens=round(rows * per_row), per_epoch=per_epoch, total=_total(config, per_epoch))


def with_batches(step: Steps, config: TrainConfig, batches: int, accumulation: int) -> Steps:
    """Return the steps for an epoch of so many micro-batches: one more where LongRoPE keeps two kinds apart."""
    per_epoch = math.ceil(batches / accumulation)
    return msgspec.structs.replace(step, per_epoch=per_epoch, total=_total(config, per_epoch))


def _total(config: TrainConfig, per_epoch: int) -> int:
    return config.max_steps or math.ceil(config.epochs * per_epoch)


def micro_batches(rows: int) -> list[int]:
    """Return the sizes of micro-batches that divide a step evenly, the largest first."""
    return [size for size in range(rows, 0, -1) if rows % size == 0]


def chosen(config: TrainConfig, rows: int) -> list[int]:
    """Return the micro-batches to choose from: the one configured, else all that divide a step.

    Raises `UsageError` for one that does not divide the rows of a step: the tokens per step would change with it.
    """
    sizes = micro_batches(rows)
    if config.micro_batch is None:
        return sizes
    if config.micro_batch not in sizes:
        raise UsageError(
            f"train.micro_batch: {config.micro_batch} does not divide the {rows} rows of a step: take one of "
            f"{', '.join(map(str, reversed(sizes)))}, or change train.batch_tokens"
        )
    return [config.micro_batch]
