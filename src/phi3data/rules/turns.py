"""R: who speaks when. Templates and loss masks assume user and assistant in turn, the system message first."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from phi3data.findings import Finding, pointer
from phi3data.rules.base import GOOD, Rule

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3data.chat import Conversation

_U = '{"role":"user","content":"Hi"}'
_A = '{"role":"assistant","content":"Hello!"}'
_S = '{"role":"system","content":"Be kind."}'


def _row(*messages: str) -> str:
    return '{"messages":[' + ",".join(messages) + "]}"


RULES = (
    Rule("R401", "no-assistant", "error", "no assistant message", "There is nothing to train on.", _row(_S, _U), GOOD),
    Rule("R402", "no-user", "error", "no user message", "The model would learn to answer nobody.", _row(_S, _A), GOOD),
    Rule(
        "R403",
        "last-not-assistant",
        "error",
        "the last message is not the assistant's",
        "The last turn is context for nothing, and masks that expect an answer go wrong.",
        _row(_U, _A, _U),
        GOOD,
    ),
    Rule(
        "R404",
        "assistant-first",
        "warning",
        "the assistant speaks first",
        "The model learns to open the conversation, which inference never asks for.",
        _row(_A, _U, _A),
        _row(_S, _U, _A),
    ),
    Rule(
        "R405",
        "consecutive-role",
        "error",
        "one role twice in a row",
        "Foundry's managed training computes a wrong mask: it trains on nothing, or on the user's words.",
        _row(_U, _U, _A),
        _row(_U, _A, _U, _A),
    ),
    Rule(
        "R406",
        "system-not-first",
        "error",
        "a system message that is not the first",
        "Foundry's managed training trains on a system message in the middle.",
        _row(_U, _S, _A),
        _row(_S, _U, _A),
    ),
    Rule(
        "R407",
        "role-dropped-by-template",
        "error",
        "a role that the model's template drops",
        "Phi-3-medium's template drops system messages, most templates tool messages: the model never sees them.",
        _row(_S, _U, _A),
        _row(_U, _A),
        "phi-3-medium",
    ),
    Rule("R408", "single-message", "error", "a single message", "Services drop such rows in silence.", _row(_U), GOOD),
    Rule(
        "R409",
        "nothing-to-train",
        "error",
        "all weights are 0",
        "No token of the row is trained on.",
        _row(_U, '{"role":"assistant","content":"Hello!","weight":0}'),
        _row(_U, '{"role":"assistant","content":"Hello!","weight":1}'),
    ),
)


def check(conversation: Conversation) -> tuple[Finding, ...]:
    """Return every problem of the order of turns, the one that explains most first."""
    messages = conversation.messages
    found = _order(tuple([message.role for message in messages]))
    weights = [message.weight for message in messages if message.role == "assistant"]
    if weights and not any(weight != 0 for weight in weights):
        return (*found, Finding("R409", "every assistant message has weight 0", "/messages"))
    return found


@lru_cache(4096)
def _order(roles: tuple[str, ...]) -> tuple[Finding, ...]:
    """Return the problems of an order of roles. A data set has few orders and many rows of each."""
    return tuple(_problems(roles))


def _problems(roles: tuple[str, ...]) -> Iterator[Finding]:
    if len(roles) == 1:
        yield Finding("R408", "the conversation is a single message", "/messages")
    if "assistant" not in roles:
        yield Finding("R401", "no message is the assistant's", "/messages")
    if "user" not in roles:
        yield Finding("R402", "no message is the user's", "/messages")
    for number, role in enumerate(roles):
        if number and role == "system":
            yield Finding("R406", f"message {number + 1} is a system message", pointer("messages", number, "role"))
        elif number and role == roles[number - 1] and role in {"user", "assistant"}:
            yield Finding(
                "R405", f"messages {number} and {number + 1} are both the {role}'s", pointer("messages", number, "role")
            )
    if roles and roles[-1] != "assistant" and "assistant" in roles:
        at = pointer("messages", len(roles) - 1, "role")
        yield Finding("R403", f"the last message is the {roles[-1]}'s", at)
    first = next((number for number, role in enumerate(roles) if role != "system"), None)
    if first is not None and roles[first] == "assistant" and "user" in roles:
        yield Finding("R404", "the assistant speaks first", pointer("messages", first, "role"))
