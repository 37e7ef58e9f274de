"""KTO: an answer and whether it is a desirable one.

Example: ``{"prompt": "Capital of France?", "completion": "Paris", "label": true}``; also `messages` with `label`

Only rows labelled true are converted; false raises ``undesirable``. In a table, where every cell is text, the label is
the text "true" or "false" in any case. It says what to train on, and is not a class label.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phi3data.sources.formats import chat, prompt_completion
from phi3data.sources.formats.base import Format, Row, UnconvertibleError, kind

if TYPE_CHECKING:
    from phi3data.chat import Conversation

_LABELS = {"true": True, "false": False}


def _desirable(label: Any) -> bool | None:
    if isinstance(label, str):
        return _LABELS.get(label.strip().casefold())
    return label if isinstance(label, bool) else None


def recognises(row: Row) -> bool:
    """Tell whether the row has a label that is true or false, beside messages or a prompt and its completion."""
    if _desirable(row.get("label")) is None:
        return False
    return chat.recognises(row) or prompt_completion.recognises(row)


def convert(row: Row) -> list[Conversation]:
    """Convert one row of KTO. Raises `UnconvertibleError` ("undesirable", and X001 for a label that is no boolean)."""
    label = row.get("label")
    desirable = _desirable(label)
    if desirable is None:
        if "label" not in row:
            raise UnconvertibleError("X001", "the row has no 'label'")
        raise UnconvertibleError("X001", f"the label is {kind(label)}, expected true or false", "/label")
    if not desirable:
        raise UnconvertibleError("undesirable", "the row is labelled false: its answer is not one to learn", "/label")
    return chat.convert(row) if row.get("messages") is not None else prompt_completion.convert(row)


FORMAT = Format(
    name="kto",
    title="KTO",
    fields=("prompt", "completion", "label", "messages", "tools"),
    needs=("prompt", "completion", "label"),
    recognises=recognises,
    convert=convert,
)
