"""Attention over packed conversations without a mask: PyTorch's varlen kernel, the way transformers calls attention.

A mask keeps packed conversations apart too, but it rules out the flash kernel and costs the square of a row's length,
so that packed rows go one at a time. Here a conversation costs what it costs alone, and any number of packed rows make
a micro-batch. The kernel is CUDA's; on a CPU each conversation is computed by itself, which the tests stand on.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from inspect import signature
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch.nn import functional
from transformers import AttentionInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

from phi3data.errors import UsageError

if TYPE_CHECKING:
    from phi3train.models import Model
    from phi3train.plan.memory import Precision

VARLEN: Literal["varlen"] = "varlen"


@cache
def available() -> bool:
    """Whether this PyTorch has the kernel with what Phi-3 needs, a sliding window: since 2.11."""
    if find_spec("torch.nn.attention.varlen") is None:
        return False
    from torch.nn.attention.varlen import varlen_attn

    return {"scale", "window_size"} <= signature(varlen_attn).parameters.keys()


def register() -> None:
    """Make "varlen" an implementation of attention that a model of transformers can be loaded with."""
    AttentionInterface.register(VARLEN, attention)
    AttentionMaskInterface.register(VARLEN, _mask)


def refuse_unfit(model: Model, precision: Precision, device: str) -> None:
    """Raise `UsageError` where varlen attention cannot be had, with the reason."""
    otherwise = 'set model.attention = "sdpa"'
    if float(model.settings.get("attention_dropout", 0)) > 0:
        raise UsageError(
            f"model.attention: varlen has no dropout, and {model.folder} has attention_dropout: {otherwise}"
        )
    if device != "cuda":
        return
    if not available():
        raise UsageError(
            f"model.attention: varlen needs PyTorch 2.11 or newer, here is {torch.__version__}: {otherwise}"
        )
    if precision != "bf16":
        raise UsageError(f"model.attention: varlen computes in bf16 on a GPU, train.precision is fp32: {otherwise}")


def attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int | None = None,
    position_ids: torch.Tensor | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Return attention as transformers wants it: (rows, heads, tokens, width) in, (rows, tokens, heads, width) out.

    `cu_seq_lens_q` are the bounds of the conversations in a packed row, as TRL's collator gives them; without them they
    follow from where the positions start anew. A batch with padding and a token that is generated go to sdpa.
    """
    rows, _, length, _ = query.shape
    if attention_mask is not None or key.shape[2] != length:
        masked: tuple[torch.Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return masked
    # RoPE leaves queries and keys in fp32 under autocast, and autocast knows nothing of this kernel.
    kind = query.device.type
    dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else value.dtype
    q, k, v = (each.transpose(1, 2).flatten(0, 1).to(dtype) for each in (query, key, value))
    bounds = _bounds(position_ids, rows, length, query.device) if cu_seq_lens_q is None else cu_seq_lens_q
    longest = length if max_length_q is None or cu_seq_lens_q is None else max_length_q
    compute = kernel if query.is_cuda else reference
    out = compute(q, k, v, bounds, longest, scaling, sliding_window)
    return out.view(rows, length, *out.shape[1:]), None


def kernel(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: torch.Tensor,
    longest: int,
    scale: float | None,
    window: int | None,
) -> torch.Tensor:
    """Return attention of (tokens, heads, width) within `bounds` by PyTorch's kernel, on CUDA in half precision.

    `window` is how many tokens a token sees, itself included.
    """
    from torch.nn.attention.varlen import varlen_attn

    # Grouped keys came after the first version that has windows; copies of the keys cost little beside it.
    grouped = key.shape[1] != query.shape[1]
    extra: dict[str, Any] = {}
    if grouped and "enable_gqa" in signature(varlen_attn).parameters:
        extra["enable_gqa"] = True
    elif grouped:
        key, value = (each.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for each in (key, value))
    made = varlen_attn(
        query.contiguous(),
        key.contiguous(),
        value.contiguous(),
        bounds,
        bounds,
        longest,
        longest,
        scale=scale,
        window_size=(-1, 0) if window is None or window >= longest else (window - 1, 0),
        **extra,
    )
    assert isinstance(made, torch.Tensor), "nothing beside it was asked for"
    return made


def reference(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: torch.Tensor,
    longest: int,  # noqa: ARG001 (as `kernel` has it)
    scale: float | None,
    window: int | None,
) -> torch.Tensor:
    """Return what `kernel` does, each conversation by itself: on any device, in any precision."""
    edges = bounds.tolist()
    grouped = key.shape[1] != query.shape[1]
    out = []
    for start, end in pairwise(edges):
        q, k, v = (each[start:end].transpose(0, 1)[None] for each in (query, key, value))
        size = end - start
        mask = None
        if window is not None and window < size:
            seen = torch.ones(size, size, dtype=torch.bool, device=query.device)
            mask = seen.tril().triu(1 - window)
        made = functional.scaled_dot_product_attention(
            q, k, v, attn_mask=mask, is_causal=mask is None, scale=scale, enable_gqa=grouped
        )
        out.append(made[0].transpose(0, 1))
    return torch.cat(out)


def _bounds(positions: torch.Tensor | None, rows: int, length: int, device: torch.device) -> torch.Tensor:
    """Return where sequences begin in rows laid one after another, and the end of the last."""
    first = torch.ones(rows, length, dtype=torch.bool, device=device)
    first[:, 1:] = False if positions is None else positions.expand(rows, length).diff() != 1
    starts = first.flatten().nonzero().flatten()
    return functional.pad(starts, (0, 1), value=rows * length).to(torch.int32)


def _mask(*args: Any, **kwargs: Any) -> torch.Tensor | None:
    """Return sdpa's mask for a batch with padding; packed rows have none."""
    if kwargs.get("attention_mask") is None:
        return None
    made: torch.Tensor | None = sdpa_mask(*args, **kwargs)
    return made
