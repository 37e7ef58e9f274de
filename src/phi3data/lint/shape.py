"""What a decoded row is, whatever it was meant to be: its format, what is wrong with its shape, what it still says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.chat import Conversation
from phi3data.findings import Finding
from phi3data.rules import preference, schema, tools
from phi3data.sources.open import as_row

if TYPE_CHECKING:
    from collections.abc import Callable

    from phi3data import targets
    from phi3data.sources.reader import Reader


class Shape(msgspec.Struct, frozen=True):
    """What a decoded row is: its format, what is wrong with its shape, and the conversations that it still makes."""

    row: dict[str, Any] | None  # None for what is no row
    format: str
    findings: list[Finding]
    conversations: list[Conversation]


def shape_of(value: Any, target: targets.TargetProfile, reader: Callable[[], Reader]) -> Shape:
    """Return the shape of a decoded line: of a preference pair if it is one, else of a chat.

    `reader` is asked for only where there is a row to convert: it brings all formats with it.
    """
    row = as_row(value)
    if isinstance(row, Finding):
        return Shape(None, "", [row], [])
    if preference.is_pair(row):
        return Shape(row, "preference", list(preference.check(row)), [])
    name = None if row.get("messages") else recognise(row)
    findings = [*schema.check_row(row, target, recognise), *tools.check(row)]
    conversations = reader().conversations(row)
    if isinstance(conversations, Finding):  # what cannot be converted is never passed over in silence
        return Shape(row, name or "chat", findings or [conversations], [])
    return Shape(row, name or "chat", findings, conversations)


def recognise(row: dict[str, Any]) -> str | None:
    """Return the raw format of a row that is no chat; plain text cannot be converted, so it is none."""
    from phi3data.sources.formats import FORMATS, detection

    found = detection.first(row, FORMATS.values())
    return None if found is None or found.name in {"chat", "plain-text"} else found.name
