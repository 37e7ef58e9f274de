"""What a model sees of a conversation, as text and as tokens: the public functions `render` and `encode`."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from phi3data import family
from phi3data.chat import Conversation, Message
from phi3data.errors import InputError, UsageError, did_you_mean
from phi3data.findings import pointer
from phi3data.tokens import count
from phi3data.tokens.encode import ControlText, Encoded, Encoder, LossOn
from phi3data.tokens.encode import encoder as encoder_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from phi3data.family.template import ChatTemplate, Rendered

    Messages = Conversation | Mapping[str, Any] | Sequence[Mapping[str, Any] | Message]


def render(
    messages: Messages,
    model: str = family.DEFAULT,
    *,
    tokenizer: str | Path | None = None,
    tools: list[Any] | None = None,
    add_generation_prompt: bool = False,
) -> Rendered:
    """Return the text that the model reads, equal to what `apply_chat_template` of transformers gives.

    `messages` is a list of messages, a row with `messages` and perhaps `tools`, or a `Conversation`. The chat template
    is that of the model, or the one in the directory `tokenizer` (run in a sandbox). The result is a string; its
    `lost` lists what the template drops or mangles without a word.

    Raises `UsageError` (unknown model or tokenizer) and `InputError` (a message that cannot be rendered, and where).
    """
    profile = family.model(model)
    template = profile.template if tokenizer is None else _template(str(tokenizer), profile.name)
    return template.render(_conversation(messages, tools), add_generation_prompt=add_generation_prompt)


def encode(
    messages: Messages,
    model: str = family.DEFAULT,
    *,
    tokenizer: str | Path | None = None,
    tools: list[Any] | None = None,
    loss_on: LossOn = "assistant",
    control_text: ControlText = "escape",
    spans: bool = False,
    online: bool = False,
) -> Encoded:
    """Return the token ids of a conversation and its loss mask, of one length.

    `tokenizer` is a directory or a hub name; without one the model's own is taken from the local cache. `loss_on` says
    which turns are supervised: every "assistant" turn, the "last" one, or "all" turns; a turn of weight 0 never is.
    Supervised are a turn's words, the control token that ends it, and the end of text after the last one.
    `control_text` says what happens where a message spells a control token: "escape" reads it as plain text, "keep" as
    the control token, "error" raises. With `spans` each token's place in the rendered text comes along.

    Raises `UsageError` (unknown model, no tokenizer on this machine, unknown policy) and `InputError` (a message that
    cannot be rendered, or that spells a control token under "error", with its place).
    """
    for name, value, known in (("loss_on", loss_on, LossOn), ("control_text", control_text, ControlText)):
        choices = get_args(known)
        if value not in choices:
            raise UsageError(f"{name}={value!r}: expected {', '.join(choices)}{did_you_mean(value, choices)}")
    chosen = _encoder(None if tokenizer is None else str(tokenizer), family.model(model).name, online)
    return chosen.encode(_conversation(messages, tools), loss_on=loss_on, control_text=control_text, spans=spans)


@lru_cache(8)
def _template(tokenizer: str, model: str) -> ChatTemplate:
    return count.template_of(count.resolve(tokenizer, family.model(model)))


@lru_cache(8)
def _encoder(tokenizer: str | None, model: str, online: bool) -> Encoder:
    profile = family.model(model)
    return encoder_of(count.resolve(tokenizer, profile, online=online), profile)


def _conversation(given: Messages, tools: list[Any] | None) -> Conversation:
    if isinstance(given, Conversation):
        return given if tools is None else msgspec.structs.replace(given, tools=tools)
    if isinstance(given, str | bytes):
        raise UsageError("messages is text: give a list of messages, [{'role': 'user', 'content': '…'}, …]")
    if isinstance(given, Mapping):
        if "messages" not in given:
            raise UsageError("the row has no 'messages': give a list of messages, or a row of chat data")
        return _conversation(given["messages"], tools if tools is not None else given.get("tools"))
    return Conversation([_message(index, item) for index, item in enumerate(given)], tools)


_KEYS = frozenset(field.name for field in msgspec.structs.fields(Message))


def _message(index: int, given: Mapping[str, Any] | Message) -> Message:
    """Return a message as it is given: roles are not mended, since the template does not mend them either."""
    if isinstance(given, Message):
        return given
    if not isinstance(given, Mapping):
        raise InputError(f"{pointer('messages', index)}: expected a message object, found {type(given).__name__}")
    if not isinstance(given.get("role"), str):
        raise InputError(f"{pointer('messages', index, 'role')}: the message has no role, or one that is no text")
    return Message(**{"content": None, **{key: value for key, value in given.items() if key in _KEYS}})
