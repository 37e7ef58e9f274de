"""Memory of a training step by part, in bytes, from the shape alone.

Activations are what autograd keeps of the Phi-3 block as transformers computes it under bf16 autocast: the residual
stream is fp32 and so are the norms, the inputs of linear layers are bf16. The tests compare the formula with the
tensors that PyTorch really saves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from phi3train.config import MethodConfig
    from phi3train.plan.shapes import Shape

Precision = Literal["bf16", "fp32"]
GIB = 2**30
# Bytes per optimised parameter beside weight and gradient; Adafactor keeps a row and a column per matrix.
OPTIMIZER = {"adamw": 8.0, "adafactor": 0.02, "sgd": 0.0}
_FOUR_BITS = 0.516  # bytes per parameter: 4 bits and double-quantised scales (QLoRA, section 3)
_HEAD_COLUMNS = 32_768  # of the vocabulary that TRL's fused head computes at once
# CUDA's context and what the allocator cannot use: about 1 GiB and 5%.
_CONTEXT, _FRAGMENTS = 1.0 * GIB, 0.05


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes of each part at its peak. `copies` are bf16 copies of fp32 weights that autocast makes for a step."""

    weights: float
    copies: float
    gradients: float
    optimizer: float
    activations: float
    logits: float
    overhead: float

    @property
    def total(self) -> float:
        """All parts together."""
        return sum(
            (
                self.weights,
                self.copies,
                self.gradients,
                self.optimizer,
                self.activations,
                self.logits,
                self.overhead,
            )
        )


def memory(
    shape: Shape,
    method: MethodConfig,
    *,
    tokens: int,
    optimizer: str,
    precision: Precision,
    checkpointing: bool,
    smoothing: bool = False,
) -> Memory:
    """Return the memory of a step with micro-batches of `tokens` tokens, padding included.

    With `smoothing` the loss needs all logits at once, as label smoothing does.
    """
    trainable = shape.trainable(method)
    weights, copies = _weights(shape, method, precision)
    parts = {
        "weights": weights,
        "copies": copies,
        "gradients": 4.0 * trainable,
        "optimizer": OPTIMIZER[optimizer] * trainable,
        "activations": activations(shape, tokens, precision, checkpointing=checkpointing),
        "logits": 2 * 4.0 * tokens * (shape.vocabulary if smoothing else min(shape.vocabulary, _HEAD_COLUMNS)),
    }
    return Memory(**parts, overhead=_CONTEXT + _FRAGMENTS * sum(parts.values()))


def activations(shape: Shape, tokens: int, precision: Precision, *, checkpointing: bool) -> float:
    """Return the bytes that autograd keeps of all blocks for `tokens` tokens.

    With checkpointing each block keeps its input, and one block at a time keeps all.
    """
    half = 2 if precision == "bf16" else 4
    # Each of the two norms keeps its input and its normed form in fp32, and what it hands to the linear layer.
    norms = 2 * (2 * 4 * shape.hidden + half * shape.hidden)
    # What the first linear layer gives, queries and keys after RoPE, what attention gives, and it in rows.
    attention = half * (4 * shape.hidden + 3 * shape.keys)
    mlp = half * 4 * shape.intermediate  # gate and up, the activated gate, their product
    block = norms + attention + mlp
    outside = 2 * 4 * shape.hidden  # the last norm's
    if checkpointing:
        return float(tokens * (4 * shape.hidden * shape.layers + block + outside))
    return float(tokens * (block * shape.layers + outside))


def _weights(shape: Shape, method: MethodConfig, precision: Precision) -> tuple[float, float]:
    """Return the bytes of the weights, and of the copies that autocast makes of those in fp32."""
    adapters = shape.adapters(method) if method.kind != "full" else 0
    if method.kind == "full":
        return 4.0 * shape.parameters, 2.0 * shape.multiplied if precision == "bf16" else 0.0
    if method.kind == "qlora":
        inside = shape.layers * sum(into * out for into, out in shape.linear.values())
        return _FOUR_BITS * inside + 2.0 * (shape.parameters - inside) + 4.0 * adapters, 0.0
    # Frozen weights lose nothing in bf16: they get no updates that could be too small for it.
    return (2.0 if precision == "bf16" else 4.0) * shape.parameters + 4.0 * adapters, 0.0
