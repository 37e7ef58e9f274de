"""A decoded row → conversations: names mapped, converted by the file's format, labelled, given a system prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from phi3data.chat import Conversation, Message
from phi3data.findings import Finding
from phi3data.sources.formats import FORMATS, recognise_other
from phi3data.sources.formats.base import UnconvertibleError
from phi3data.sources.open import as_row
from phi3data.sources.source import LABEL_COLUMNS, renamer

if TYPE_CHECKING:
    from phi3data.sources.source import Source


class SourceConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How raw files are read."""

    format: Annotated[
        str | None, Meta(description="Format of the rows (chat, sharegpt, alpaca, …); detected when not set.")
    ] = None
    columns: Annotated[
        dict[str, str], Meta(description='Field of the format = column of the file, for example {question = "Frage"}.')
    ] = {}
    label_column: Annotated[
        str | None, Meta(description="Column with the label; else label, category, intent or topic, if there is one.")
    ] = None
    group_by: Annotated[
        str | None, Meta(description="Column whose equal values must stay in one split (a customer, a document).")
    ] = None
    system: Annotated[str | None, Meta(description="System prompt for the rows that have none.")] = None
    encoding: Annotated[
        str | None, Meta(description="Encoding of the files, for example cp1252; UTF-8 and UTF-16 are detected.")
    ] = None


class Reader:
    """Converts the rows of one source."""

    def __init__(self, source: Source, config: SourceConfig) -> None:
        self._format = FORMATS[source.format]
        self._rename = renamer(source.rename) if source.rename else None
        self._config = config
        label = config.label_column
        # Without a column named, the first of these that a row has: a column can begin anywhere in a file.
        automatic = () if source.format == "kto" else LABEL_COLUMNS
        self.label_columns = (source.rename.get(label, label),) if label else automatic
        group = config.group_by
        self._group = source.rename.get(group, group) if group else None

    def conversations(self, value: Any) -> list[Conversation] | Finding:
        """Return the conversations of a decoded row, or the finding that says why there are none."""
        row = as_row(value)
        if isinstance(row, Finding):
            return row
        if self._rename:
            row = self._rename(row)
        if not self._format.recognises(row):
            other = recognise_other(row, self._format)
            if other:
                return Finding("S303", f"the row looks like {other}, the file is {self._format.name}")
        try:
            found = self._format.convert(row)
        except UnconvertibleError as error:
            return error.finding
        for conversation in found:
            self._annotate(conversation, row)
        return found

    def _annotate(self, conversation: Conversation, row: dict[str, Any]) -> None:
        conversation.label = next((label for name in self.label_columns if (label := scalar(row.get(name)))), None)
        if self._group is not None:
            value = row.get(self._group)
            whole = isinstance(value, list | dict) and value
            conversation.group = msgspec.json.encode(value, order="sorted").decode() if whole else scalar(value)
        system = self._config.system
        if system:
            messages = conversation.messages
            if not messages or messages[0].role != "system":
                messages.insert(0, Message("system", system))
            elif not messages[0].content:
                messages[0].content = system


def scalar(value: Any) -> str | None:
    """Return a label or group as text; None for null, blank text, lists and objects."""
    if isinstance(value, str):
        return value.strip() or None
    if isinstance(value, bool | int | float):
        return msgspec.json.encode(value).decode()
    return None
