"""deploy/expected.json: what the weights of a bundle answered when they were handed over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.errors import InputError
from phi3train.export.bundle import read_json

if TYPE_CHECKING:
    from pathlib import Path

GREETING = "Hello! Who are you?"  # asked where no question of the data is to be


class Greedy(msgspec.Struct, frozen=True, kw_only=True):
    """The most likely answer to a conversation, token by token: the ids asked and the ids answered.

    `messages` are the conversation as an endpoint is asked it; empty for a classification head, which answers no chat.
    """

    messages: list[dict[str, Any]] = []
    prompt: list[int]
    answer: list[int]


class Expected(msgspec.Struct, frozen=True, kw_only=True):
    """Answers of the weights in the bundle; of a classification head, the number of the class.

    `request` is the first of the questions as an endpoint is asked it, None for a head, which answers no chat.
    """

    request: dict[str, Any] | None
    answers: list[Greedy]


def read(bundle: Path) -> Expected:
    """Return the answers that lie in a bundle. Raises `InputError` where there are none that can be read."""
    path = bundle / "deploy" / "expected.json"
    try:
        return msgspec.convert(read_json(path), Expected)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: is not what an export wrote: {error}") from None
