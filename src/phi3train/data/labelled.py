"""Rows of which a class is learned, for a classification head; and which kind of rows a configuration asks for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from phi3data.errors import InputError
from phi3data.findings import Finding
from phi3data.sources.reader import SourceConfig
from phi3data.tokens.encode import encoder
from phi3train.data.rows import IGNORED, REASONS, UNLABELLED, UNRENDERABLE, Lost, Placed, Row, RowMaker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phi3data.chat import Conversation
    from phi3train.config import Config
    from phi3train.models import Model

REMEDY = (
    "name the column with classify.label_column, prepare the rows with --target trl, which keeps labels, or take the "
    "rows out"
)
_NAMED = 10  # classes in a message


class ClassRowMaker(RowMaker):
    """Turns conversations into rows of which the class is learned, and no token.

    A row ends with its last token that is no padding: there the head reads. So the end of text goes, which is the
    padding of most Phi models.
    """

    def __init__(self, config: Config, model: Model) -> None:
        super().__init__(config, model)
        self._reads = config.classify.reads
        self._pad = pad_id(model)

    def row(self, placed: Placed) -> Row | Lost:
        """Return the row of a conversation with its class, or why there is none."""
        conversation = placed.conversation
        if not isinstance(conversation, Finding) and conversation.label is None:
            return Lost(placed.id, UNLABELLED, REASONS[UNLABELLED])
        fitted = self._fit(placed)
        if isinstance(fitted, Lost):
            return fitted
        ids = np.asarray(fitted.ids, dtype=np.int32)
        words = np.flatnonzero(ids != self._pad)
        if not len(words):
            return Lost(placed.id, UNRENDERABLE, "the chat template writes nothing of it")
        ids = ids[: words[-1] + 1]
        labels = np.full(len(ids), IGNORED, dtype=np.int32)
        return Row(id=placed.id, ids=ids, labels=labels, trimmed=fitted.trimmed, label=fitted.conversation.label)

    def _part(self, conversation: Conversation) -> Conversation:
        messages = conversation.messages
        last = max((at for at, each in enumerate(messages) if each.role == "assistant"), default=0)
        if self._reads == "conversation" or not last:
            return conversation
        return msgspec.structs.replace(conversation, messages=messages[:last])


def pad_id(model: Model) -> int:
    """Return the id of the model's padding in its own tokenizer, that of the end of text where it has no other."""
    found = encoder(model.tokenizer, model.profile).vocabulary.controls.by_text
    pad = found.get(model.profile.pad) or found[model.profile.vocabulary.end_of_text]
    return pad.id


def row_maker(config: Config, model: Model) -> RowMaker:
    """Return what makes the rows of a configuration: of tokens that are learned, or of classes."""
    return (ClassRowMaker if config.method.kind == "classify" else RowMaker)(config, model)


def source_config(config: Config) -> SourceConfig:
    """Return how the files of a configuration are read."""
    column = config.classify.label_column if config.method.kind == "classify" else None
    return SourceConfig(format=config.data.format, label_column=column)


def refuse_unlabelled(what: str, rows: Sequence[Row], lost: Sequence[Lost], classes: Sequence[str]) -> None:
    """Raise `InputError` for rows without a class, or of a class that was not trained on, with place and remedy."""
    missing = [each.id for each in lost if each.reason == UNLABELLED]
    if missing:
        seen = len(rows) + len(lost)
        raise InputError(
            f"{what}: {len(missing):,} of {seen:,} rows have no class, the first is {missing[0]}: {REMEDY}"
        )
    other = next((row for row in rows if row.label not in classes), None)
    if other is not None:
        named = ", ".join(classes[:_NAMED]) + (", …" if len(classes) > _NAMED else "")
        raise InputError(
            f"{other.id}: is of the class '{other.label}', which no training row has ({named}): train on rows of it, "
            "or take it out"
        )
