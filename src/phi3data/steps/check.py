"""Step `check`: rows that cannot be trained on go; those that a trim or a merge makes trainable stay."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from phi3data.findings import Finding
from phi3data.rules import RULES, turns

if TYPE_CHECKING:
    from phi3data.chat import Conversation, Message


class CheckConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which problems are repaired, and which are let pass. What is left with severity error drops the row."""

    enabled: Annotated[bool, Meta(description="Run this step.")] = True
    repair: Annotated[
        tuple[Literal["R403", "R405", "R406"], ...],
        Meta(
            description="R403 trims turns after the last answer, R405 merges, R406 moves system messages to the front."
        ),
    ] = ("R403", "R405")
    ignore: Annotated[tuple[str, ...], Meta(description="Codes, or beginnings of codes, whose rows are kept.")] = ()


class CheckResult(msgspec.Struct):
    """Codes of what was repaired, every finding that is left, and the one that drops the row."""

    changed: list[str]
    findings: list[Finding]
    dropped: Finding | None = None


def check(conversation: Conversation, config: CheckConfig) -> CheckResult:
    """Repair the order of turns in place where the configuration says so, and report what is left."""
    findings = [found for found in turns.check(conversation) if not found.code.startswith(config.ignore)]
    changed: list[str] = []
    if not findings:
        return CheckResult(changed, findings)
    if any(found.code in config.repair for found in findings) and not any(
        found.code in {"R401", "R402", "R408"} for found in findings
    ):
        for code, mend in _REPAIRS.items():
            if code in config.repair and mend(conversation):
                changed.append(code)
        findings = [found for found in turns.check(conversation) if not found.code.startswith(config.ignore)]
    errors = [found for found in findings if RULES[found.code].severity == "error"]
    return CheckResult(changed, findings, errors[0] if errors else None)


def _system_first(conversation: Conversation) -> bool:
    systems = [message for message in conversation.messages if message.role == "system"]
    rest = [message for message in conversation.messages if message.role != "system"]
    if not systems or (len(systems) == 1 and conversation.messages[0].role == "system"):
        return False
    systems[0].content = "\n\n".join(message.content or "" for message in systems)
    conversation.messages = [systems[0], *rest]
    return True


def _merge(conversation: Conversation) -> bool:
    merged: list[Message] = []
    for message in conversation.messages:
        if merged and _mergeable(merged[-1], message):
            merged[-1].content = "\n\n".join(text for text in (merged[-1].content, message.content) if text)
        else:
            merged.append(message)
    changed = len(merged) < len(conversation.messages)
    conversation.messages = merged
    return changed


def _mergeable(one: Message, other: Message) -> bool:
    return (
        one.role == other.role
        and one.role in {"user", "assistant"}
        and one.weight == other.weight
        and one.name == other.name
        and not (one.tool_calls or other.tool_calls or one.function_call or other.function_call)
    )


def _trim(conversation: Conversation) -> bool:
    messages = conversation.messages
    end = len(messages)
    while end and messages[end - 1].role != "assistant":
        end -= 1
    if end in {0, len(messages)}:
        return False
    conversation.messages = messages[:end]
    return True


# In this order: moving system messages can bring two turns of one role together, and trimming comes last.
_REPAIRS = {"R406": _system_first, "R405": _merge, "R403": _trim}
