"""Step `missing`: what to do with a message that says nothing: null, empty, invisible, or "N/A" as a whole."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from phi3data.findings import Finding, pointer
from phi3data.text.repair import is_empty

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3data.chat import Conversation, Message

Policy = Literal["drop", "remove", "fill", "keep", "refuse"]

_POLICIES = '"drop" the row, "remove" the message, "fill" it, "keep" it, or "refuse" to go on'


class MissingConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do with missing text, by role."""

    enabled: Annotated[bool, Meta(description="Run this step.")] = True
    system: Annotated[Policy, Meta(description=f"System message without text: {_POLICIES}.")] = "remove"
    user: Annotated[Policy, Meta(description=f"User message without text: {_POLICIES}.")] = "drop"
    assistant: Annotated[Policy, Meta(description=f"Assistant message without text: {_POLICIES}.")] = "drop"
    tool: Annotated[Policy, Meta(description=f"Tool result without text: {_POLICIES}.")] = "keep"
    fill_with: Annotated[
        dict[str, str], Meta(description='Text by role for "fill", for example {assistant = "I do not know."}.')
    ] = {}
    null_like: Annotated[
        tuple[str, ...], Meta(description="Texts that stand for nothing when they are the whole message.")
    ] = (
        "nan",
        "NaN",
        "NAN",
        "None",
        "NONE",
        "null",
        "Null",
        "NULL",
        "N/A",
        "n/a",
        "#N/A",
        "<noinput>",
        "-",
        "--",
        "TBD",
        "undefined",
    )

    @property
    def refuses(self) -> bool:
        """Whether a gap can end the run."""
        return self.enabled and "refuse" in (self.system, self.user, self.assistant, self.tool)


_EVERY = MissingConfig()
# Characters: a text as long that begins with a letter or digit says something.
SAYS_SOMETHING = max(map(len, _EVERY.null_like)) + 1


class MissingResult(msgspec.Struct):
    """Codes of what was changed, and the finding that drops the row (`refused`: that stops the run)."""

    changed: list[str]
    dropped: Finding | None = None
    refused: bool = False


def gaps(conversation: Conversation) -> Iterator[Finding]:
    """Yield every message without text (C501) or with one that stands for nothing (C502)."""
    for number, message in enumerate(conversation.messages):
        text = message.content
        if text is not None and len(text) >= SAYS_SOMETHING and text[0].isalnum():
            continue
        code = _missing(message, _EVERY)
        if code is not None and not (code == "C501" and message.role == "tool"):
            yield _gap(code, message, number)


def missing(conversation: Conversation, config: MissingConfig) -> MissingResult:
    """Apply the policies to the messages in place.

    A message with tool calls is not missing when its text is null. A tool result that is kept becomes "".
    """
    result = MissingResult([])
    longest = max(map(len, config.null_like), default=0)
    for number, message in enumerate(conversation.messages):
        if _says_something(message.content or "", longest):
            continue
        code = _missing(message, config)
        if code is None:
            continue
        policy = getattr(config, message.role)
        if policy in {"drop", "refuse"}:
            result.dropped = _gap(code, message, number)
            result.refused = policy == "refuse"
            return result
        if policy == "remove":
            message.content = None
            message.role = ""
        elif policy == "fill":
            message.content = config.fill_with.get(message.role, "")
        else:
            message.content = message.content or ""
            continue
        if code not in result.changed:
            result.changed.append(code)
    if result.changed:
        conversation.messages = [message for message in conversation.messages if message.role]
    return result


def _gap(code: str, message: Message, number: int) -> Finding:
    shown = f"'{message.content}' as a whole" if code == "C502" else "no text"
    return Finding(code, f"the {message.role} message has {shown}", pointer("messages", number, "content"))


def _says_something(text: str, longest: int) -> bool:
    """Tell at a glance that a text is not missing: it begins with something visible, and no `null_like` is as long."""
    return len(text) > longest and "!" <= text[0] <= "~" and not text[-1].isspace()


def _missing(message: Message, config: MissingConfig) -> str | None:
    text = message.content
    if text is None:
        return None if message.tool_calls or message.function_call else "C501"
    if is_empty(text):
        return "C501" if not (message.tool_calls or message.function_call) else None
    return "C502" if text.strip() in config.null_like else None
