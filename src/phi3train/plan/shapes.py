"""The shape of a model and what follows from it alone: parameters, trainable parameters, operations per token.

Exact, and without PyTorch: the tests build each model on PyTorch's meta device, which holds shapes and no numbers, and
compare.
"""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from phi3train.config import MethodConfig


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """Widths and numbers of a model, as shapes.toml explains them."""

    hidden: int
    intermediate: int
    layers: int
    heads: int
    groups: int
    vocabulary: int
    tied: bool = False
    bias: bool = False
    window: int | None = None

    @property
    def keys(self) -> int:
        """Width of the keys, and of the values, of a layer."""
        return self.groups * (self.hidden // self.heads)

    @property
    def linear(self) -> dict[str, tuple[int, int]]:
        """The linear layers of a block: name → width in, width out."""
        return {
            "qkv_proj": (self.hidden, self.hidden + 2 * self.keys),
            "o_proj": (self.hidden, self.hidden),
            "gate_up_proj": (self.hidden, 2 * self.intermediate),
            "down_proj": (self.intermediate, self.hidden),
        }

    @property
    def parameters(self) -> int:
        """All parameters; an embedding that is the head too counts once."""
        norm = self.hidden * (2 if self.bias else 1)
        block = sum(into * out + (out if self.bias else 0) for into, out in self.linear.values()) + 2 * norm
        return self.embedding * (1 if self.tied else 2) + self.layers * block + norm

    @property
    def embedding(self) -> int:
        """Parameters of the embedding."""
        return self.vocabulary * self.hidden

    @property
    def multiplied(self) -> int:
        """Parameters that each token is multiplied with: all but an embedding that is only looked up."""
        return self.parameters - (0 if self.tied else self.embedding)

    def adapters(self, method: MethodConfig) -> int:
        """Parameters of LoRA adapters; DoRA adds the length of each row of a target."""
        sizes = [self.linear[name] for name in method.targets if name in self.linear]
        lengths = sum(out for _, out in sizes) if method.kind == "dora" else 0
        return self.layers * (sum(method.rank * (into + out) for into, out in sizes) + lengths)

    def trainable(self, method: MethodConfig) -> int:
        """Parameters that learn."""
        return self.parameters if method.kind == "full" else self.adapters(method)

    def operations(self, method: MethodConfig, context: float) -> float:
        """Return the floating-point operations that a token costs in training, recomputation not counted.

        6 for each parameter it is multiplied with: 2 forward, 2 for the gradient of its input, 2 for that of the
        weight, which frozen weights do not have (4, and 6 for the adapters). Attention: `context` is how many tokens a
        token attends to on average; two products, three times each.
        """
        attention = 12 * self.layers * self.hidden * context
        if method.kind == "full":
            return 6 * self.multiplied + attention
        return 4 * self.multiplied + 6 * self.adapters(method) + attention


def shape_of(settings: Mapping[str, Any]) -> Shape:
    """Return the shape that a config.json of the architecture "phi3" describes."""
    context = settings.get("max_position_embeddings", 4096)
    window = settings.get("sliding_window")
    heads = settings.get("num_attention_heads", 32)
    return Shape(
        hidden=settings.get("hidden_size", 3072),
        intermediate=settings.get("intermediate_size", 8192),
        layers=settings.get("num_hidden_layers", 32),
        heads=heads,
        groups=settings.get("num_key_value_heads") or heads,
        vocabulary=settings.get("vocab_size", 32064),
        tied=settings.get("tie_word_embeddings", False),
        window=window if window is not None and window < context else None,
    )


@cache
def shapes() -> dict[str, Shape]:
    """Return the shape of every model of the family by its name."""
    table = tomllib.loads(Path(__file__).with_name("shapes.toml").read_text("utf-8"))["shapes"]
    return {name: msgspec.convert(entry, Shape) for entry in table for name in entry.pop("models")}


def mean_context(lengths: list[int], window: int | None) -> float:
    """Return how many tokens a token attends to on average, itself included, in conversations of these lengths."""
    total = 0
    for length in lengths:
        full = length if window is None else min(length, window)
        total += full * (full + 1) // 2 + (length - full) * full
    return total / max(sum(lengths), 1)
