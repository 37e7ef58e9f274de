"""A conversation: what every raw format becomes, and the only shape that steps, rules and writers know."""

from __future__ import annotations

from typing import Any

import msgspec

ROLES = ("system", "user", "assistant", "tool")

# Roles as other tools and people spell them (compared after casefold and strip), and what they mean in chat data.
ROLE_ALIASES = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "human": "user",
    "customer": "user",
    "prompter": "user",
    "assistant": "assistant",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bing": "assistant",
    "bard": "assistant",
    "bot": "assistant",
    "chatbot": "assistant",
    "model": "assistant",
    "agent": "assistant",
    "ai": "assistant",
    "function_call": "assistant",
    "tool": "tool",
    "function": "tool",
    "observation": "tool",
    "tool_response": "tool",
    "function_response": "tool",
}


class Message(msgspec.Struct, omit_defaults=True, gc=False):
    """One turn. `content` is None only beside tool calls, or where it is missing; `weight` 0 keeps it from training."""

    role: str
    content: str | None
    name: str | None = None
    weight: int | None = None
    tool_calls: list[Any] | None = None
    tool_call_id: str | None = None
    function_call: dict[str, Any] | None = None
    tools: str | None = None  # of a system message: where Phi-4-mini's template reads them


class Conversation(msgspec.Struct, omit_defaults=True, gc=False):
    """A chat and what is known about it.

    `label` and `group` come from columns of the raw row; `evidence` is what a converter wants kept in the ledger, for
    example the rejected answer of a preference pair. None of the three is text to train on.
    """

    messages: list[Message]
    tools: list[Any] | None = None
    label: str | None = None
    group: str | None = None
    evidence: dict[str, Any] | None = None
