"""Plain text: no conversation. It is recognised in order to say what to do with it.

Example: ``{"text": "Once upon a time there was a king."}``
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data.sources.formats.base import Format, Row, UnconvertibleError

if TYPE_CHECKING:
    from phi3data.chat import Conversation


def recognises(row: Row) -> bool:
    """Tell whether the row has a column `text` with text in it."""
    return isinstance(row.get("text"), str)


def convert(row: Row) -> list[Conversation]:
    """Refuse the row (S301): nobody asks and nobody answers in it."""
    raise UnconvertibleError("S301", "plain text is no conversation", "/text" if "text" in row else "")


FORMAT = Format(
    name="plain-text",
    title="plain text",
    fields=("text",),
    needs=(),
    recognises=recognises,
    convert=convert,
)
