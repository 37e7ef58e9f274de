"""Conversations of a file, and each as ids and labels: the only place where text becomes what is trained on."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeVar

import msgspec
import numpy as np
import numpy.typing as npt

from phi3data.chat import Conversation
from phi3data.family.template import TemplateError
from phi3data.findings import Finding
from phi3data.sources.inputs import find
from phi3data.sources.open import open_source, read_all
from phi3data.sources.reader import Reader, SourceConfig
from phi3data.sources.source import BLANK
from phi3data.tokens.encode import ControlTokenError, Encoder, encoder
from phi3train.data.truncate import TOO_LONG, Fitted, truncate

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from phi3train.config import Config
    from phi3train.models import Model

IGNORED = -100  # label of a token that is not learned, as PyTorch's cross-entropy has it

Ids = npt.NDArray[np.int32]
_Item = TypeVar("_Item")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One conversation, ready. `ids` and `labels` are of one length; labels are ids, or `IGNORED`.

    `trimmed` counts the messages that were left out of it. `label` is its class, where classes are learned.
    """

    id: str  # file:record, from 1, with .sub where one record holds several conversations
    ids: Ids
    labels: Ids
    trimmed: int = 0
    label: str | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def supervised(self) -> int:
        """Tokens that are learned: the first of a row never is, since nothing comes before it."""
        return int(np.count_nonzero(self.labels[1:] != IGNORED))


class Lost(msgspec.Struct, frozen=True):
    """A conversation that is not trained on, and why: a reason's code and a sentence."""

    id: str
    reason: str
    message: str


class Placed(msgspec.Struct, frozen=True):
    """A conversation and where it is."""

    id: str
    conversation: Conversation | Finding


UNREADABLE, UNRENDERABLE, CONTROL, NOTHING, UNENDED = "unreadable", "template", "control-text", "nothing", "no-end"
UNLABELLED = "no-label"
REASONS = {
    UNREADABLE: "not a row of the file's format",
    UNRENDERABLE: "the chat template cannot write it",
    CONTROL: "spells a control token",
    TOO_LONG: "longer than the limit",
    NOTHING: "no token of it is learned",
    UNENDED: "no end of turn is learned: the model would not learn to stop",
    UNLABELLED: "has no class",
}


def read(path: Path, config: SourceConfig) -> Iterator[Placed]:
    """Yield the conversations of a file in their order. Raises `InputError` for a file that cannot be used."""
    with TemporaryDirectory(prefix="phi3train-") as work:
        for number, item in enumerate(find(str(path))):
            source = open_source(item, number, config, Path(work))
            reader = Reader(source, config)
            for raw in read_all(source):
                place = f"{source.name}:{raw.record + 1}"
                if raw.value is BLANK:
                    continue
                found = raw.value if isinstance(raw.value, Finding) else reader.conversations(raw.value)
                if isinstance(found, Finding):
                    yield Placed(place, found)
                    continue
                for sub, conversation in enumerate(found, start=1):
                    yield Placed(f"{place}.{sub}" if len(found) > 1 else place, conversation)


def spread(items: Sequence[_Item], number: int) -> list[_Item]:
    """Return up to `number` items, spread evenly over all of them; there is at least one."""
    return [items[index] for index in dict.fromkeys(np.linspace(0, len(items) - 1, number).round().astype(int))]


class RowMaker:
    """Turns conversations into rows, as a configuration says."""

    def __init__(self, config: Config, model: Model) -> None:
        """Load the tokenizer. Raises `InputError` for a file that cannot be read."""
        self._encoder: Encoder = encoder(model.tokenizer, model.profile)
        self._data, self._policy = config.data, config.truncation.policy
        #: Tokens per conversation at most.
        self.limit = min(config.truncation.max_tokens or model.context, model.context)
        self._ends = ends_of_turn(self._encoder)

    def row(self, placed: Placed) -> Row | Lost:
        """Return the row of a conversation, or why there is none.

        Raises `UsageError` for a row that is too long under the policy "error".
        """
        fitted = self._fit(placed)
        if isinstance(fitted, Lost):
            return fitted
        ids = np.asarray(fitted.ids, dtype=np.int32)
        labels = np.where(np.asarray(fitted.mask, dtype=bool), ids, IGNORED).astype(np.int32)
        row = Row(id=placed.id, ids=ids, labels=labels, trimmed=fitted.trimmed)
        if not row.supervised:
            return Lost(placed.id, NOTHING, REASONS[NOTHING])
        if not np.isin(labels[1:], self._ends).any():
            return Lost(placed.id, UNENDED, REASONS[UNENDED])
        return row

    def shown(self, placed: Placed) -> Conversation | None:
        """Return the conversation as its row holds it, its oldest turns left out where they are; None if none is."""
        if isinstance(placed.conversation, Finding):
            return None
        fitted = self._fit(placed)
        return self._part(placed.conversation) if isinstance(fitted, Lost) else fitted.conversation

    def _fit(self, placed: Placed) -> Fitted | Lost:
        conversation = placed.conversation
        if isinstance(conversation, Finding):
            return Lost(placed.id, UNREADABLE, f"{conversation.message} ({conversation.code})")
        try:
            part = self._part(conversation)
            fitted = truncate(placed.id, part, self._encode, self.limit, self._policy)
        except ControlTokenError as error:
            return Lost(placed.id, CONTROL, error.finding.message)
        except TemplateError as error:
            return Lost(placed.id, UNRENDERABLE, f"{error.finding.message} ({error.finding.code})")
        return Lost(placed.id, TOO_LONG, fitted) if isinstance(fitted, str) else fitted

    def _part(self, conversation: Conversation) -> Conversation:
        """Return what of a conversation goes into its row."""
        return conversation

    def _encode(self, conversation: Conversation) -> tuple[list[int], list[bool]]:
        encoded = self._encoder.encode(conversation, loss_on=self._data.loss_on, control_text=self._data.control_text)
        return encoded.ids, encoded.mask


def ends_of_turn(encoder: Encoder) -> list[int]:
    """Return the ids of the control tokens that the chat template ends an assistant's turn with."""
    from phi3data.chat import Message

    probe = Conversation([Message("user", "x"), Message("assistant", "x")])
    encoded = encoder.encode(probe)
    controls = {control.id for control in encoder.vocabulary.controls.by_text.values()}
    pairs = zip(encoded.ids, encoded.mask, strict=True)
    return sorted({id_ for id_, supervised in pairs if supervised and id_ in controls})
