"""Step `dedup`: exact and normalised-exact duplicates. Each row that goes is equal to the row that is kept."""

from __future__ import annotations

from hashlib import blake2b
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from phi3data.text.normalise import normalise

if TYPE_CHECKING:
    from phi3data.chat import Conversation, Message


class DedupConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which rows are duplicates and which of them is kept."""

    enabled: Annotated[bool, Meta(description="Run this step.")] = True
    match: Annotated[
        Literal["exact", "normalised"],
        Meta(description='"exact", or "normalised": Unicode NFKC, case and white space do not count.'),
    ] = "normalised"
    keep: Annotated[
        Literal["first", "longest"], Meta(description='Of equal rows keep the "first" or the "longest" (then first).')
    ] = "first"


# Openings shorter than this (in normalised characters) are greetings; what follows them makes the prompt.
_GREETING = 24


class Identity(msgspec.Struct, frozen=True):
    """What a conversation equals, as 128-bit digests in halves, and the 64-bit key of its opening question."""

    exact: tuple[int, int]
    normalised: tuple[int, int]
    prompt: int


def identify(conversation: Conversation, *, with_label: bool = False) -> Identity:
    """Return the digests that decide whether two conversations are duplicates, or ask the same.

    The whole conversation counts, system prompt, tools and tool calls included, for being a duplicate, and its label
    where labels are written out (`with_label`). The prompt is
    the opening without the system prompt: the messages up to the first answer, and further ones (never the last answer)
    while it is as short as a greeting. Two rows with one prompt must not stand in different splits.
    """
    exact: list[str] = []
    folded: list[str] = []
    for message in conversation.messages:
        text = message.content or ""
        same = normalise(text)
        extra = _extra(message)
        exact += (message.role, text, extra)
        folded += (message.role, same, extra)
    if with_label and conversation.label:
        exact.append(conversation.label)
        folded.append(conversation.label)
    if conversation.tools:
        tools = msgspec.json.encode(conversation.tools, order="sorted").decode()
        exact.append(tools)
        folded.append(tools)
    return Identity(_halves(exact), _halves(folded), _prompt_key(folded, len(conversation.messages)))


def _extra(message: Message) -> str:
    if (
        message.role == "tool"
        or message.tool_calls
        or message.function_call
        or message.name
        or message.weight is not None
    ):
        parts = (message.tool_calls, message.function_call, message.name, message.weight, message.tool_call_id)
        return msgspec.json.encode(parts, order="sorted").decode()
    return ""


def _prompt_key(folded: list[str], count: int) -> int:
    parts: list[str] = []
    length = 0
    last = max((n for n in range(count) if folded[3 * n] == "assistant"), default=count)
    for number in range(count):
        role, text = folded[3 * number], folded[3 * number + 1]
        if role == "system":
            continue
        if number >= last or (role == "assistant" and length >= _GREETING):
            break
        parts += (role, text)
        length += len(text)
    return _halves(parts)[0]


def _halves(parts: list[str]) -> tuple[int, int]:
    digest = blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return int.from_bytes(digest[:8], "big"), int.from_bytes(digest[8:], "big")
