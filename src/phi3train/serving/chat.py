"""What an endpoint is asked and what it says, in the shapes of OpenAI's chat completions.

What would change an answer and is not known here is refused, never ignored: a client that asks for tools or for two
answers would else take the one that it gets for what it asked for.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import uuid4

import msgspec
from msgspec import Meta

from phi3data.chat import Message

if TYPE_CHECKING:
    from collections.abc import Iterator

# What clients send along with the one value that is what happens anyway (None always is).
_FIXED: dict[str, Any] = {
    "n": 1,
    "logprobs": False,
    "frequency_penalty": 0,
    "presence_penalty": 0,
    "response_format": {"type": "text"},
    "tools": [],
    "tool_choice": "none",
}
_WITHOUT_EFFECT = frozenset({"user", "metadata", "store", "service_tier", "safety_identifier", "prompt_cache_key"})
_MESSAGE, _PART = frozenset({"role", "content"}), frozenset({"type", "text"})
_PLACE = re.compile(r"^(?P<what>.*) - at `\$\.?(?P<where>.*)`$", re.DOTALL)


class RefusalError(Exception):
    """A request that is not answered: the HTTP status, and OpenAI's words for why."""

    def __init__(self, status: int, message: str, *, param: str | None = None, code: str | None = None) -> None:
        self.status, self.message, self.param, self.code = status, message, param, code
        super().__init__(message)


class Part(msgspec.Struct, frozen=True):
    """A piece of a message's content."""

    type: Literal["text"]
    text: str


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """A message of the conversation so far."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[Part]

    def message(self) -> Message:
        """Return it as chats have it. "developer" is the newer name of "system"."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return Message("system" if self.role == "developer" else self.role, text)


class StreamOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer is streamed."""

    include_usage: bool = False


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A request that was read. `temperature` 0, as where there is none, takes the likeliest tokens."""

    messages: Annotated[list[Said], Meta(min_length=1)]
    model: str | None = None
    max_tokens: Annotated[int, Meta(ge=1)] | None = None
    max_completion_tokens: Annotated[int, Meta(ge=1)] | None = None
    temperature: Annotated[float, Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, Meta(gt=0, le=1)] | None = None
    seed: Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)] | None = None
    stop: Annotated[str, Meta(min_length=1)] | list[Annotated[str, Meta(min_length=1)]] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None

    @property
    def longest(self) -> int | None:
        """Tokens of the answer at most, None for no limit."""
        return self.max_completion_tokens or self.max_tokens

    @property
    def stops(self) -> tuple[str, ...]:
        """The texts before which the answer ends."""
        return (self.stop,) if isinstance(self.stop, str) else tuple(self.stop or ())


def read(body: bytes) -> Question:
    """Return the request in the body of a call. Raises `RefusalError` (400) for what cannot be done."""
    try:
        table = msgspec.json.decode(body, type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RefusalError(400, f"the body is no JSON object: {error}") from None
    for name in sorted(table.keys() - set(Question.__struct_fields__)):
        if name in _WITHOUT_EFFECT or table[name] is None:
            continue
        if name not in _FIXED:
            raise _unknown(name)
        if table[name] != _FIXED[name]:
            only = msgspec.json.encode(_FIXED[name]).decode()
            raise RefusalError(400, f"{name}: this server knows {only} only", param=name, code="unsupported_value")
    for place in _unread(table.get("messages")):
        raise _unknown(place)
    try:
        return msgspec.convert(table, Question)
    except msgspec.ValidationError as error:
        found = _PLACE.match(str(error))
        where, what = (found["where"], found["what"]) if found else (None, str(error))
        raise RefusalError(400, f"{where}: {what}" if where else what, param=where, code="invalid_value") from None


def _unread(messages: object) -> Iterator[str]:
    """Yield the places of what is said in messages and would not be read; None and [] say nothing."""
    for number, message in enumerate(messages if isinstance(messages, list) else ()):
        place = f"messages[{number}]"
        yield from _others(message, place, _MESSAGE)
        parts = message.get("content") if isinstance(message, dict) else None
        for at, part in enumerate(parts if isinstance(parts, list) else ()):
            yield from _others(part, f"{place}.content[{at}]", _PART)


def _others(table: object, place: str, known: frozenset[str]) -> Iterator[str]:
    if isinstance(table, dict):
        yield from (f"{place}.{key}" for key, value in table.items() if key not in known and value not in (None, []))


def _unknown(place: str) -> RefusalError:
    return RefusalError(400, f"{place}: not known here", param=place, code="unknown_parameter")


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens that were read and written, the one that ends the answer included."""

    prompt_tokens: int
    completion_tokens: int

    def counts(self) -> dict[str, int]:
        """Return them as clients read them."""
        return {**msgspec.to_builtins(self), "total_tokens": self.prompt_tokens + self.completion_tokens}


class Completion:
    """The objects that make up one answer, all under one id."""

    def __init__(self, model: str) -> None:
        """`model` is the name that the answer is given under."""
        self._head = {"id": f"chatcmpl-{uuid4().hex}", "created": int(time.time()), "model": model}

    def whole(self, text: str, reason: str, usage: Usage) -> dict[str, Any]:
        """Return the answer in one piece."""
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "logprobs": None}
        return {
            **self._head,
            "object": "chat.completion",
            "choices": [{**choice, "finish_reason": reason}],
            "usage": usage.counts(),
        }

    def chunk(self, delta: dict[str, str], reason: str | None = None) -> dict[str, Any]:
        """Return a piece of the answer."""
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": reason}
        return {**self._head, "object": "chat.completion.chunk", "choices": [choice]}

    def counted(self, usage: Usage) -> dict[str, Any]:
        """Return the last piece of a stream: its usage."""
        return {**self._head, "object": "chat.completion.chunk", "choices": [], "usage": usage.counts()}


def failure(error: RefusalError) -> dict[str, Any]:
    """Return a refusal as clients read it."""
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    return {"error": {"message": error.message, "type": kind, "param": error.param, "code": error.code}}
