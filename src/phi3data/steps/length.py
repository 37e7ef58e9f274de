"""Step `length`: tokens per row, and what to do with rows that are longer than the model's context."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class LengthConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How tokens are counted and what happens to rows over the limit."""

    enabled: Annotated[bool, Meta(description="Run this step; tokens are counted in any case.")] = True
    tokenizer: Annotated[
        str | None,
        Meta(
            description="Directory or hub name of the tokenizer; else the model's from the local cache, else estimates."
        ),
    ] = None
    limit: Annotated[
        Annotated[int, Meta(ge=1)] | None,
        Meta(description="Tokens per row, special tokens included; the model's context when not set."),
    ] = None
    over: Annotated[
        Literal["drop", "keep"], Meta(description='"drop" rows over the limit or "keep" them and say so.')
    ] = "drop"
