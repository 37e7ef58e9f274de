"""What would spoil a run in silence, and is stopped instead: wrong targets, leaking packs, numbers that are none."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import torch

from phi3data.errors import InputError, Phi3kitError
from phi3train.evaluation import evaluating, padded, row_losses, token_losses

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from phi3train.data.load import Data
    from phi3train.data.rows import Row
    from phi3train.plan.memory import Precision

# A right pack differs from its rows alone by rounding, a leaking one as much as one that leaks on purpose.
_ROUNDING = 0.1
_NAMED = 10  # rows named in a message


class LeakError(Phi3kitError):
    """Conversations that are packed into one row see each other."""


class NotFiniteError(InputError):
    """The gradient of a step is not finite; the weights are still those before the step."""


def packing_self_test(
    model: nn.Module,
    collate: Callable[[list[dict[str, Any]]], dict[str, Any]],
    data: Data,
    precision: Precision,
) -> float | None:
    """Compare the losses of packed conversations with those of each alone, on the first row that packs several.

    `collate` is the trainer's own, so that what is tested is what trains. As a measure of what a leak looks like, the
    same row is computed with positions that run through. Returns the mean difference per token in nats, None where no
    row packs several or nothing finite comes of them. Raises `LeakError`.
    """
    pack = next((number for number, rows in enumerate(data.packs) if len(rows) > 1), None)
    if data.capacity is None or pack is None:
        return None
    rows = [data.rows[index] for index in data.packs[pack]]
    batch = collate([data.ready(pack)])
    broken = {
        "input_ids": batch["input_ids"],
        "labels": batch["labels"],
        "position_ids": torch.arange(batch["input_ids"].shape[1])[None],
    }
    with evaluating(model, precision):
        (packed,) = token_losses(model, batch)
        (leaking,) = token_losses(model, broken)
        alone = torch.cat([losses.nll for row in rows for losses in token_losses(model, padded([row]))])
    if packed.nll.shape != alone.shape:
        raise LeakError(
            f"packing: {len(packed.nll)} tokens are learned of {len(rows)} conversations in one row, {len(alone)} of "
            "each alone: the collator's labels are wrong; set packing.enabled = false"
        )
    found, leak = (float((each.nll - alone).abs().mean()) for each in (packed, leaking))
    if not math.isfinite(float(alone.sum())):
        return None  # the guard of the step names the row
    if not found <= _ROUNDING * leak:
        raise LeakError(
            f"packing: conversations in one row see each other: losses differ from those of each alone by {found:.4f} "
            f"nats a token, and by {leak:.4f} where they surely do; set packing.enabled = false"
        )
    return found


def refuse_not_finite(
    model: nn.Module,
    step: int,
    rows: Callable[[], Sequence[Row]],
    precision: Precision,
    loss: Callable[[nn.Module, Row], torch.Tensor] = row_losses,
) -> None:
    """Raise `NotFiniteError` with the rows to blame where a gradient is infinite or no number.

    Call it between the backward pass and the update; `rows` are those of the step, asked for only when needed, and
    `loss` is that of one row alone.
    """
    gradients = [each.grad for each in model.parameters() if each.grad is not None]
    norm: Any = torch.nn.utils.get_total_norm(gradients)
    whole = norm.full_tensor() if hasattr(norm, "full_tensor") else norm  # where processes hold parts of the weights
    if math.isfinite(float(whole)):
        return
    members = rows()
    with evaluating(model, precision):
        poisoned = [row.id for row in members if not torch.isfinite(loss(model, row)).all()]
    named = poisoned or [row.id for row in members]
    what = "rows whose loss is not finite" if poisoned else "rows of the step (the loss of each alone is finite)"
    more = f" and {len(named) - _NAMED:,} more" if len(named) > _NAMED else ""
    raise NotFiniteError(
        f"step {step + 1}: the gradient is not finite; stopped before the update. {what[0].upper()}{what[1:]}: "
        f"{', '.join(named[:_NAMED])}{more}"
    )


def refuse_unmatched(model: nn.Module, targets: Sequence[str]) -> None:
    """Raise `InputError` where a target matches no module of the model that was loaded, or only some blocks have it."""
    names = [name for name, _ in model.named_modules()]
    counts = {target: sum(name.rpartition(".")[2] == target for name in names) for target in targets}
    if len(set(counts.values())) > 1 or 0 in counts.values():
        said = ", ".join(f"{target}: {number}" for target, number in counts.items())
        raise InputError(f"method.targets: not every block has every target ({said} modules)")
