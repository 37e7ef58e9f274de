"""What a classification head says of rows, and how right it is.

Phi3ForSequenceClassification reads the last token whose id is not `pad_token_id`, wherever the attention mask ends.
Rows end with such a token (`data.labelled`), and batches are filled up with that id: with another one the head would
read what is filled up.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import torch
from torch.nn import functional

from phi3train.evaluation import batches, evaluating, padded
from phi3train.scores import Scores, count

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import nn

    from phi3train.data.rows import Row
    from phi3train.plan.memory import Precision


class Classified(msgspec.Struct, frozen=True, kw_only=True):
    """Rows under a head. `loss` is the mean in nats per row, each row alike whatever the classes weigh."""

    loss: float
    scores: Scores


def evaluate(
    model: nn.Module,
    rows: Sequence[Row],
    classes: Sequence[str],
    micro_batch: int,
    *,
    pad: int,
    precision: Precision,
    window: int | None,
) -> Classified:
    """Classify rows, `micro_batch` at a time; the result does not depend on how many."""
    total, true, guessed = 0.0, [], []
    with evaluating(model, precision):
        for batch in batches(rows, micro_batch, window):
            scores = logits(model, batch, pad)
            wanted = numbers(batch, classes).to(scores.device)
            total += float(functional.cross_entropy(scores.double(), wanted, reduction="sum"))
            true += wanted.tolist()
            guessed += scores.argmax(-1).tolist()
    return Classified(loss=total / len(rows), scores=count(classes, true, guessed))


def logits(model: nn.Module, rows: Sequence[Row], pad: int) -> torch.Tensor:
    """Return what the head says: rows by classes."""
    device = next(model.parameters()).device
    batch = padded(rows, pad)
    found: torch.Tensor = model(
        input_ids=batch["input_ids"].to(device), attention_mask=batch["attention_mask"].to(device), use_cache=False
    ).logits
    return found.float()


def numbers(rows: Sequence[Row], classes: Sequence[str]) -> torch.Tensor:
    """Return the numbers of the rows' classes."""
    by_name = {name: number for number, name in enumerate(classes)}
    return torch.tensor([by_name[row.label or ""] for row in rows])


def weights(rows: Sequence[Row], classes: Sequence[str]) -> torch.Tensor:
    """Return a weight per class such that all classes count the same and the mean row has weight 1."""
    number = torch.bincount(numbers(rows, classes), minlength=len(classes))
    return len(rows) / (len(classes) * number)
