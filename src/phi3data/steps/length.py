"""Step `length`: tokens per row, and what to do with rows that are longer than the model's context."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phi3data.chat import Conversation
    from phi3data.family import ModelProfile
    from phi3data.tokens.count import Counter


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


class Length(msgspec.Struct, frozen=True):
    """Tokens of a row, special tokens included, and how many of them the loss is computed on."""

    total: int
    supervised: int


def lengths(conversations: Sequence[Conversation], counter: Counter, model: ModelProfile) -> list[Length]:
    """Count the tokens of conversations in one call of the counter.

    Supervised are the tokens of assistant messages (but those of weight 0) with their closing <|end|>, and the tokens
    around the row (<|endoftext|>). Tool calls and tool definitions count by their JSON text.
    """
    texts: list[str] = []
    for conversation in conversations:
        texts += [
            _text(message.content, message.tool_calls or message.function_call) for message in conversation.messages
        ]
        if conversation.tools:
            texts.append(msgspec.json.encode(conversation.tools).decode())
    counts = iter(counter.count(texts))
    out: list[Length] = []
    for conversation in conversations:
        total = supervised = model.tokens_per_row
        for message in conversation.messages:
            tokens = next(counts)
            total += tokens + model.tokens_per_message
            if message.role == "assistant" and message.weight != 0:
                supervised += tokens + 1
        if conversation.tools:
            total += next(counts)
        out.append(Length(total, supervised))
    return out


def _text(content: str | None, calls: object) -> str:
    if calls:
        return (content or "") + msgspec.json.encode(calls).decode()
    return content or ""
