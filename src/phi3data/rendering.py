"""What a model sees of a conversation, as text and as tokens: the public functions `render` and `encode`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import msgspec

from phi3data import family
from phi3data.chat import Conversation, Message
from phi3data.errors import InputError, UsageError, did_you_mean
from phi3data.family.plain import OpenMessage
from phi3data.findings import pointer
from phi3data.tokens import count
from phi3data.tokens.encode import ControlText, Encoded, Encoder, LossOn
from phi3data.tokens.encode import encoder as encoder_of

if TYPE_CHECKING:
    from collections.abc import Sequence

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
    profile = _model(model)
    template = profile.template if tokenizer is None else _template(*_place(tokenizer), profile.name)
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
    where = (None, ()) if tokenizer is None else _place(tokenizer)
    chosen = _encoder(*where, _model(model).name, online)
    return chosen.encode(_conversation(messages, tools), loss_on=loss_on, control_text=control_text, spans=spans)


_Files = tuple[tuple[str, int, int], ...]


def _model(name: object) -> family.ModelProfile:
    if not isinstance(name, str):
        raise UsageError(f"model={name!r}: expected the name of a model; known: {', '.join(family.MODELS)}")
    return family.model(name)


def _place(tokenizer: object) -> tuple[str, _Files]:
    """Return where a tokenizer is, and its files as they are now: an edited one is read again."""
    if not isinstance(tokenizer, str | os.PathLike):
        raise UsageError(f"tokenizer={tokenizer!r}: expected a directory or a name")
    path = Path(tokenizer)
    if not path.exists():
        return str(tokenizer), ()
    path = path.absolute()  # not resolved: the files of the hub's cache are links into another directory
    files = sorted(path.parent.iterdir() if path.is_file() else path.iterdir())
    facts = [
        (item.name, item.stat()) for item in files if item.suffix in {".json", ".jinja", ".tiktoken"} and item.is_file()
    ]
    return str(path), tuple((name, fact.st_mtime_ns, fact.st_size) for name, fact in facts)


@lru_cache(8)
def _template(tokenizer: str, files: _Files, model: str) -> ChatTemplate:  # noqa: ARG001 (part of the key)
    return count.template_of(count.resolve(tokenizer, family.model(model)))


@lru_cache(8)
def _encoder(tokenizer: str | None, files: _Files, model: str, online: bool) -> Encoder:  # noqa: ARG001 (as above)
    profile = family.model(model)
    return encoder_of(count.resolve(tokenizer, profile, online=online), profile)


def _conversation(given: Messages, tools: list[Any] | None) -> Conversation:
    if isinstance(given, Conversation):
        return given if tools is None else msgspec.structs.replace(given, tools=_list(tools, "/tools"))
    row = _plain(given)
    if isinstance(row, str | bytes):
        raise UsageError("messages is text: give a list of messages, [{'role': 'user', 'content': '…'}, …]")
    if isinstance(row, Mapping):
        if "messages" not in row:
            raise UsageError("the row has no 'messages': give a list of messages, or a row of chat data")
        tools = row.get("tools") if tools is None else tools
        row = _plain(row["messages"])
        if not isinstance(row, list | tuple):
            raise InputError(f"/messages: expected a list of messages, found {_kind(row)}")
    try:
        items = list(row)
    except TypeError:
        raise UsageError(
            f"messages is {_kind(row)}: give a list of messages, [{{'role': 'user', 'content': '…'}}, …]"
        ) from None
    return Conversation([_message(index, item) for index, item in enumerate(items)], _list(tools, "/tools"))


def _plain(value: Any) -> Any:
    """Return what pandas and numpy hold as plain Python: a row as a mapping, an array as a list."""
    if type(value).__module__.split(".")[0] == "pandas" and hasattr(value, "to_dict"):
        return value.to_dict()
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return _plain(value.tolist())
    if type(value) is dict:
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if type(value) is list else value


def _kind(value: object) -> str:
    return "null" if value is None else type(value).__name__


def _list(given: Any, where: str) -> list[Any] | None:
    """Return tools or function calls; tables hold them as JSON text, and NaN where there are none."""
    value = _plain(given)
    if isinstance(value, str) and value:
        value = _decoded(value, where)
    if value is None or value != value or value == "":  # NaN is not equal to itself
        return None
    if not isinstance(value, list | tuple):
        raise InputError(f"{where}: expected a list, found {_kind(value)}")
    return list(value)


def _decoded(text: str, where: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError):
        raise InputError(f"{where}: the text is no JSON") from None


_KEYS = frozenset(field.name for field in msgspec.structs.fields(Message))


def _message(index: int, given: Mapping[str, Any] | Message) -> Message:
    """Return a message as it is given: roles are not mended, since the template does not mend them either."""
    if isinstance(given, Message):
        return given
    if not isinstance(given, Mapping):
        raise InputError(f"{pointer('messages', index)}: expected a message object, found {_kind(given)}")
    if not isinstance(given.get("role"), str):
        raise InputError(f"{pointer('messages', index, 'role')}: the message has no role, or one that is no text")
    known: dict[str, Any] = {"content": None, **{key: _plain(given[key]) for key in given if key in _KEYS}}
    known["tool_calls"] = _list(known.get("tool_calls"), pointer("messages", index, "tool_calls"))
    if isinstance(known.get("function_call"), str):
        known["function_call"] = _decoded(known["function_call"], pointer("messages", index, "function_call"))
    more = {str(key): _plain(given[key]) for key in given if key not in _KEYS}
    return OpenMessage(**known, more=more) if more else Message(**known)
