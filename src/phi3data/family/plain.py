"""What a tokenizer's own chat template is given: messages as transformers hands them to it."""

from __future__ import annotations

from typing import Any

import msgspec

from phi3data.chat import Message

_REASONING = ("reasoning_content", "thinking", "reasoning")  # one thing under three names


class OpenMessage(Message, kw_only=True, gc=False):
    """A message with keys that only a tokenizer's own template may know: `reasoning_content`, …"""

    more: dict[str, Any] = msgspec.field(default_factory=dict)


def plain(message: Message) -> dict[str, Any]:
    """Return a message as transformers passes it: no key without a value, and a model's thinking under its names."""
    found: dict[str, Any] = msgspec.to_builtins(message)
    found |= found.pop("more", {})
    found = {key: value for key, value in found.items() if value is not None}
    thinking = next((found[key] for key in _REASONING if key in found), None)
    if thinking is not None:
        found = {"thinking": thinking, **found, "reasoning_content": thinking}
    return found
