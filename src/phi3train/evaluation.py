"""Exact evaluation: the loss summed over tokens, divided by their number.

A mean of the means of batches, as trainers report it, depends on the batch size; this does not.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from torch.nn import functional

from phi3train.data.rows import IGNORED, Row

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import nn

    from phi3train.plan.memory import Precision


_TOKENS = 8192  # in a batch, padding included: about 1 GiB of logits for a vocabulary of 32,064


class Exact(msgspec.Struct, frozen=True, kw_only=True):
    """Sums over learned tokens: negative log-likelihood in nats, tokens, and tokens that were the likeliest."""

    nll: float
    tokens: int
    hits: int

    @property
    def loss(self) -> float:
        """Nats per token."""
        return self.nll / self.tokens

    @property
    def perplexity(self) -> float:
        """e to the loss; infinite where that is no number of this machine."""
        return math.exp(self.loss) if self.loss < 700 else math.inf

    @property
    def accuracy(self) -> float:
        """Part of the tokens that were the likeliest, fraction 0–1."""
        return self.hits / self.tokens


class Losses(msgspec.Struct, frozen=True):
    """Per learned token of one row: negative log-likelihood, and whether it was the likeliest."""

    nll: torch.Tensor
    hits: torch.Tensor


def evaluate(
    model: nn.Module, rows: Sequence[Row], micro_batch: int, *, precision: Precision, window: int | None = None
) -> Exact:
    """Evaluate a model on rows, `micro_batch` at a time; the result does not depend on how many.

    Rows go by length, so that little is padded; rows over the LongRoPE `window` (tokens) share no batch with others.
    The model is left in the mode in which it was.
    """
    nll, hits, tokens = [], 0, 0
    with evaluating(model, precision):
        for batch in batches(rows, micro_batch, window):
            for losses in token_losses(model, padded(batch)):
                nll.append(float(losses.nll.double().sum()))
                hits += int(losses.hits.sum())
                tokens += len(losses.nll)
    return Exact(nll=math.fsum(nll), tokens=tokens, hits=hits)


def batches(rows: Sequence[Row], size: int, window: int | None) -> Iterator[Sequence[Row]]:
    """Yield up to `size` rows at a time by length, fewer where they are so long that logits would fill the memory.

    Rows over the LongRoPE `window` (tokens) share no batch with others.
    """
    ordered = sorted(rows, key=len)
    edge = next((index for index, row in enumerate(ordered) if window is not None and len(row) > window), len(ordered))
    for group in (ordered[:edge], ordered[edge:]):
        start = 0
        while start < len(group):
            end = min(start + size, len(group))
            while end > start + 1 and (end - start) * len(group[end - 1]) > _TOKENS:
                end -= 1
            yield group[start:end]
            start = end


class evaluating:  # noqa: N801 (a context manager, used like a function)
    """Without gradients, in evaluation mode and under the run's autocast; the mode is put back at the end."""

    def __init__(self, model: nn.Module, precision: Precision) -> None:
        device = next(model.parameters()).device.type
        self._model, self._was = model, model.training
        self._contexts = (
            torch.no_grad(),
            torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16"),
        )

    def __enter__(self) -> None:
        self._model.eval()
        for context in self._contexts:
            context.__enter__()

    def __exit__(self, *error: object) -> None:
        for context in reversed(self._contexts):
            context.__exit__(*error)
        self._model.train(self._was)


def padded(rows: Sequence[Row], fill: int = 0) -> dict[str, torch.Tensor]:
    """Return rows as a batch, filled up on the right with an id; that is neither attended to nor learned."""
    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), fill, dtype=torch.long)
    labels = torch.full((len(rows), width), IGNORED, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = torch.from_numpy(row.ids)
        labels[number, : len(row)] = torch.from_numpy(row.labels)
        mask[number, : len(row)] = 1
    return {"input_ids": ids, "attention_mask": mask, "labels": labels}


def token_losses(model: nn.Module, batch: dict[str, Any]) -> list[Losses]:
    """Return the losses of each row of a batch, without gradients or with, as the caller has it.

    The batch is one of `padded`, or of TRL's collator. Logits are computed only where a label follows.
    """
    device = next(model.parameters()).device
    inputs = {name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in batch.items()}
    labels = inputs.pop("labels")[:, 1:]
    learned = labels != IGNORED
    columns = learned.any(0).nonzero().flatten()
    logits = model(**inputs, use_cache=False, logits_to_keep=columns).logits.float()
    kept, learned = labels[:, columns], learned[:, columns]
    out = []
    for scores, wanted, where in zip(logits, kept, learned, strict=True):
        picked, targets = scores[where], wanted[where]
        nll = functional.cross_entropy(picked, targets, reduction="none")
        out.append(Losses(nll, picked.argmax(-1) == targets))
    return out


def row_losses(model: nn.Module, row: Row) -> torch.Tensor:
    """Return the negative log-likelihoods of one row alone."""
    (losses,) = token_losses(model, padded([row]))
    return losses.nll
