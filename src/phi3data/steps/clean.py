"""Step `clean`: repairs that change how a text is stored and not what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from msgspec import Meta

from phi3data.text import html, repair

if TYPE_CHECKING:
    from collections.abc import Callable

    from phi3data.chat import Conversation


class CleanConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `clean` repairs. Indentation, inner spaces and visible characters are never touched."""

    enabled: Annotated[bool, Meta(description="Run this step.")] = True
    html: Annotated[
        bool, Meta(description="Decode HTML entities and remove tags where the text is HTML, and not about HTML.")
    ] = True
    line_ends: Annotated[bool, Meta(description="Write every line end as a line feed.")] = True
    control: Annotated[bool, Meta(description="Remove control characters; C1 controls are read as cp1252.")] = True
    invisible: Annotated[
        bool, Meta(description="Remove zero-width, bidirectional and tag characters that mean nothing where they are.")
    ] = True
    nfc: Annotated[bool, Meta(description="Unicode normal form C.")] = True
    trailing_space: Annotated[
        Literal["message", "lines", "keep"],
        Meta(description='White space at the end of the "message", of all its "lines", or "keep" it.'),
    ] = "message"


# Reason codes in the order in which the repairs run; `rules` says what they are called.
REASONS = ("C513", "F106", "C505", "C506", "C516", "trailing-space")


def clean(conversation: Conversation, config: CleanConfig) -> list[str]:
    """Repair the messages in place; return the reason codes of what was changed, in the order of `REASONS`.

    Tool calls and tool definitions are data for programs and stay as they are.
    """
    if _is_clean([message.content for message in conversation.messages if message.content]):
        return []
    changed: set[str] = set()
    if config.html:
        _clean_html(conversation, changed)
    for message in conversation.messages:
        if message.content:
            message.content = _clean_text(message.content, config, changed)
    return [code for code in REASONS if code in changed]


# C0 controls but tab and line feed, and DEL.
_CONTROLS = bytes([*range(9), *range(11, 32), 127])


def _is_clean(texts: list[str]) -> bool:
    """Tell at a glance that there is nothing to repair, whatever is asked for: ASCII that is plain all through."""
    said = "".join(texts)
    if not said.isascii() or "<" in said or "&" in said or " \n" in said or "\t\n" in said:
        return False
    data = said.encode()
    if len(data.translate(None, _CONTROLS)) < len(data):
        return False
    return not [text for text in texts if text[0].isspace() or text[-1].isspace()]


def _clean_html(conversation: Conversation, changed: set[str]) -> None:
    """Turn messages in HTML into text, unless the conversation is about markup or code: then tags are meant."""
    messages = [message for message in conversation.messages if message.content]
    found = [
        message
        for message in messages
        if html.may_be_html(message.content or "") and html.is_html(message.content or "")
    ]
    if found and not any(html.speaks_of_markup(message.content or "") for message in messages):
        for message in found:
            message.content = _apply(html.to_text, message.content or "", "C513", changed)


def _clean_text(text: str, config: CleanConfig, changed: set[str]) -> str:
    if repair.has_controls(text):
        if config.control:
            text = _apply(repair.misread, text, "C505", changed)
        if config.line_ends:
            text = _apply(repair.line_ends, text, "F106", changed)
        if config.control:
            text = _apply(repair.control, text, "C505", changed)
    if not text.isascii():
        if config.invisible:
            text = _apply(repair.invisible, text, "C506", changed)
        if config.nfc:
            text = _apply(repair.nfc, text, "C516", changed)
    if config.trailing_space != "keep":
        text = _apply(repair.end_space, text, "trailing-space", changed)
        if config.trailing_space == "lines":
            text = _apply(repair.line_space, text, "trailing-space", changed)
    return text


def _apply(kernel: Callable[[str], str], text: str, code: str, changed: set[str]) -> str:
    repaired = kernel(text)
    if repaired is not text and repaired != text:
        changed.add(code)
    return repaired
