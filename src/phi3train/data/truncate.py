"""Conversations that are longer than the limit. Tokens are never cut: whole turns go, or the whole conversation.

A cut answer teaches to stop nowhere or in the middle; a cut prompt is no prompt of that kind. So either the oldest
turns go, up to the next user's, as a chat application does it, or the row does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from phi3data.chat import Conversation
from phi3data.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

Policy = Literal["drop", "trim-oldest", "error"]
TOO_LONG = "too-long"


class Fitted(msgspec.Struct, frozen=True):
    """A conversation that fits; `trimmed` counts the messages that had to go."""

    conversation: Conversation
    ids: list[int]
    mask: list[bool]
    trimmed: int


def truncate(
    place: str,
    conversation: Conversation,
    encode: Callable[[Conversation], tuple[list[int], list[bool]]],
    limit: int,
    policy: Policy,
) -> Fitted | str:
    """Return a conversation of at most `limit` tokens, or the sentence that says why there is none.

    Raises `UsageError` for one that is too long under the policy "error".
    """
    ids, mask = encode(conversation)
    if len(ids) <= limit:
        return Fitted(conversation, ids, mask, 0)
    said = f"{len(ids):,} tokens, {len(ids) - limit:,} over the limit of {limit:,}"
    if policy == "error":
        raise UsageError(
            f'{place}: {said}: set truncation.policy = "drop" or "trim-oldest", or raise truncation.max_tokens'
        )
    if policy == "drop":
        return said
    # Every start from which the rest is a conversation; lengths fall from one to the next, so the search is binary.
    starts, head = _starts(conversation)
    low, high = 0, len(starts)
    best: Fitted | None = None
    while low < high:
        middle = (low + high) // 2
        shorter = msgspec.structs.replace(
            conversation, messages=conversation.messages[:head] + conversation.messages[starts[middle] :]
        )
        ids, mask = encode(shorter)
        if len(ids) <= limit:
            best, high = Fitted(shorter, ids, mask, starts[middle] - head), middle
        else:
            low = middle + 1
    return best or f"{said}; its last turns alone are over it too"


def _starts(conversation: Conversation) -> tuple[list[int], int]:
    """Return where later user turns start, and how many system messages stay at the head."""
    messages = conversation.messages
    head = next((index for index, message in enumerate(messages) if message.role != "system"), len(messages))
    return [index for index in range(head + 1, len(messages)) if messages[index].role == "user"], head
