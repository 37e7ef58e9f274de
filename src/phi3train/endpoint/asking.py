"""Questions to an endpoint, by OpenAI's own client, and what each came to. A failure is a value, never an exception."""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import msgspec
from openai import APIConnectionError, APIError, APIStatusError, APITimeoutError, AsyncOpenAI, DefaultAsyncHttpxClient
from openai.types.chat import ChatCompletion

from phi3data.errors import UsageError
from phi3data.text.visible import one_line, plain
from phi3train.endpoint.replies import Failure, Reply
from phi3train.offline import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from phi3train.endpoint.questions import Question

RETRIES = 2  # of a request that got no answer, or the answer that the endpoint is busy
_SHOWN = 300  # characters of what is said of a failure
_SCORE = "/score"  # where Azure ML puts what a scoring script answers
_MANY = 5  # models that are named
_TOO_LONG = "context_length_exceeded"  # OpenAI's code, with whatever status
_COUNTABLE = 2**53  # tokens; no more is one
_V1 = "most addresses end in /v1"
_LOG = "look at the endpoint's log"


class Address(msgspec.Struct, frozen=True, kw_only=True):
    """An endpoint. `base` is what paths are put behind, `score` whether it is one of Azure ML's scoring scripts."""

    base: str
    score: bool
    local: bool

    @property
    def shown(self) -> str:
        """The address as people know it."""
        return self.base + (_SCORE if self.score else "")


def address(url: str, *, key: bool) -> Address:
    """Return the endpoint at a URL: one that ends in /v1, or Azure ML's /score; with `key` one that a key may go to.

    Raises `UsageError` for what is none; what comes behind a "?" or before an "@" may be secret, and is never repeated.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        parts, host = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not host:
        raise UsageError("URL: expected the address of an endpoint: http://127.0.0.1:8000/v1, or https://…/score")
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise UsageError("URL: give the address alone, without '?…', '#…' or a name before '@'; a key by --key-env")
    local = is_loopback(host)
    if key and parts.scheme == "http" and not local:
        raise UsageError(f"--key-env: the key would go to {host} unencrypted: use https")
    base = url.rstrip("/").removesuffix("/chat/completions")
    return Address(base=base.removesuffix(_SCORE), score=base.endswith(_SCORE), local=local)


class Asking(msgspec.Struct, frozen=True, kw_only=True):
    """How questions are asked. `patience` is in seconds, for a question with all its retries."""

    place: Address
    key: str | None
    model: str | None  # None: the one that the endpoint has
    stream: bool
    patience: float
    concurrency: int

    @property
    def streams(self) -> bool:
        """Whether answers are taken piece by piece; scoring scripts write them whole."""
        return self.stream and not self.place.score

    def ask(self, questions: Sequence[Question], told: Callable[[Reply], None], named: Callable[[str], None]) -> None:
        """Ask the first question, and if it is answered the others, `concurrency` at a time; `told` hears each reply.

        `named` hears which model is asked. Raises `UsageError` where it is not clear which one.
        """
        asyncio.run(self._ask(questions, told, named))

    async def _ask(
        self, questions: Sequence[Question], told: Callable[[Reply], None], named: Callable[[str], None]
    ) -> None:
        async with _client(self) as client:
            first, *others = questions
            try:
                async with asyncio.timeout(self.patience):
                    model = await self._model(client)
            except UsageError:
                raise
            except Exception as error:  # noqa: BLE001 (whatever comes back instead of models)
                told(self._reply(first, 0.0, _Answer(), self._failure(error)))
                return
            named(self._hidden(_text(model or "the one there is")))
            reply = await self._one(client, first, model, stream=False)
            told(reply)
            if reply.failure is not None:
                return
            waiting = iter(others)

            async def work() -> None:
                for question in waiting:
                    told(await self._one(client, question, model, stream=self.streams))

            await asyncio.gather(*(work() for _ in range(self.concurrency)))

    async def _model(self, client: AsyncOpenAI) -> str | None:
        """Return the name of the model that is asked."""
        if self.model is not None or self.place.score:
            return self.model
        try:
            there = [str(each.id) for each in (await client.models.list()).data]
        except APIStatusError as error:
            if error.status_code in (404, 405, 501):
                raise _UnknownModelError from error
            raise
        if not there:
            raise UsageError(f"{self.place.shown}: lists no model: name the one to ask with --model")
        if len(there) > 1:
            names = self._hidden(one_line(", ".join(there[:_MANY]))) + (", …" if len(there) > _MANY else "")
            raise UsageError(f"{self.place.shown}: has {len(there)} models ({names}): choose one with --model")
        return there[0]

    async def _one(self, client: AsyncOpenAI, question: Question, model: str | None, *, stream: bool) -> Reply:
        answer = _Answer()
        begun = perf_counter()
        try:
            async with asyncio.timeout(self.patience):
                body = {**question.body, **({} if model is None else {"model": model})}
                if stream:
                    await answer.streamed(client, body, begun)
                else:
                    await answer.whole(client, body, score=self.place.score)
        except Exception as error:  # noqa: BLE001 (whatever becomes of a question is its reply)
            found = self._failure(error, begun=bool(answer.text), stream=stream)
            return self._reply(question, perf_counter() - begun, answer, found)
        return self._reply(question, perf_counter() - begun, answer)

    def _failure(self, error: Exception, *, begun: bool = False, stream: bool = False) -> Failure:
        found = _failure(error, self, begun=begun, stream=stream)
        said = self._hidden(found.said)
        said = said if len(said) <= _SHOWN else f"{said[: _SHOWN - 1]}…"
        return msgspec.structs.replace(found, said=said)

    def _reply(self, question: Question, seconds: float, answer: _Answer, failure: Failure | None = None) -> Reply:
        return Reply(
            id=question.id,
            kind=question.kind,
            messages=question.body["messages"],
            wanted=question.wanted,
            answer=self._hidden(_text(answer.text)),
            reason=None if answer.reason is None else self._hidden(_text(answer.reason)),
            seconds=round(seconds, 6),
            first=None if answer.first is None else round(answer.first, 6),
            prompt_tokens=_count(answer.usage, "prompt_tokens"),
            completion_tokens=_count(answer.usage, "completion_tokens"),
            failure=failure,
        )

    def _hidden(self, text: str) -> str:
        return text.replace(self.key, "[key]") if self.key else text  # some endpoints repeat it


class _UnknownModelError(Exception):
    """The endpoint does not say which models it has."""


class _NoChatError(Exception):
    """What came back is no answer."""


class _Answer:
    """An answer while it comes."""

    def __init__(self) -> None:
        self.text = ""
        self.reason: str | None = None
        self.first: float | None = None
        self.usage: Any = None

    async def streamed(self, client: AsyncOpenAI, body: dict[str, Any], begun: float) -> None:
        """Take it piece by piece."""
        made: Any = await client.chat.completions.create(
            **_arguments(body), stream=True, stream_options={"include_usage": True}
        )
        async for chunk in made:
            self.usage = chunk.usage or self.usage
            for choice in chunk.choices or ():
                if piece := _content(choice.delta):
                    self.first = self.first or perf_counter() - begun
                    self.text += piece
                self.reason = choice.finish_reason or self.reason
        if self.reason is None:
            raise _NoChatError("the stream ended without saying why (finish_reason)")

    async def whole(self, client: AsyncOpenAI, body: dict[str, Any], *, score: bool) -> None:
        """Take it in one piece."""
        made: Any
        if score:
            made = await client.post(_SCORE, body=body, cast_to=ChatCompletion)
        else:
            made = await client.chat.completions.create(**_arguments(body))
        choices = getattr(made, "choices", None)
        if not choices:
            raise _NoChatError(f"it begins with {made!r}" if isinstance(made, str) else "it has no choices")
        self.text, self.reason = _content(choices[0].message), choices[0].finish_reason
        self.usage = made.usage


def _content(message: Any) -> str:
    content = message.content
    if not isinstance(content, str | None):
        raise _NoChatError("its content is no text")
    return content or ""


def _text(value: object) -> str:
    """Return what an endpoint said as text that can be written: pairs of surrogates joined, halves of them a sign."""
    return str(value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _count(usage: object, name: str) -> int | None:
    found = getattr(usage, name, None)
    return found if type(found) is int and 0 <= found < _COUNTABLE else None


def _arguments(body: dict[str, Any]) -> dict[str, Any]:
    """Return a request as the client takes it, also with parameters that only the endpoint knows."""
    more = {key: value for key, value in body.items() if key not in ("messages", "model")}
    return {"messages": body["messages"], "model": body["model"], "extra_body": more}


def _client(asking: Asking) -> AsyncOpenAI:
    made = AsyncOpenAI(
        base_url=asking.place.base,
        api_key=asking.key or "none",  # the client wants one
        max_retries=RETRIES,
        timeout=asking.patience,
        # A proxy of the environment is for the world outside, and knows nothing of this machine's loopback.
        http_client=DefaultAsyncHttpxClient(trust_env=not asking.place.local),
    )
    made.organization = made.project = None  # of the environment: OpenAI's, and nobody else's business
    return made


def _failure(error: Exception, asking: Asking, *, begun: bool, stream: bool) -> Failure:
    """Return what an exception of the client means for whoever tests an endpoint."""
    if isinstance(error, APITimeoutError | TimeoutError):
        if begun:
            said, remedy = "was still writing", "lower --max-tokens; a model that never stops was not taught to end"
        else:
            said, remedy = "did not answer", "raise --timeout: a deployment that slept takes minutes to wake"
        return Failure(kind="timeout", said=f"{said} after {asking.patience:g} s", remedy=remedy)
    if isinstance(error, APIStatusError):
        return msgspec.structs.replace(_status(error, asking, stream=stream), status=error.status_code)
    if isinstance(error, APIConnectionError):
        cause = error.__cause__ or error
        if not begun and "Connect" in type(cause).__name__:
            remedy = "is it started, and are host and port right?"
            return Failure(kind="not reached", said=f"nothing answers there ({_words(str(cause))})", remedy=remedy)
        remedy = f"try again; if it happens again {_LOG}"
        return Failure(kind="cut off", said="the connection was cut before the answer was at its end", remedy=remedy)
    if isinstance(error, _UnknownModelError):
        said = f"has no list of models at {asking.place.base}/models"
        return Failure(kind="not found", said=said, remedy=f"{_V1}; else name the model with --model")
    if isinstance(error, APIError):
        return Failure(kind="server error", said=f"broke off: {_words(str(error))}", remedy=_LOG)
    said = f"what came back is no chat completion: {_words(str(error))}"
    return Failure(kind="no answer", said=said, remedy=f"is this the address of a chat endpoint? {_V1}")


def _status(error: APIStatusError, asking: Asking, *, stream: bool) -> Failure:
    """Return what an HTTP status means as the answer to a question, streamed or whole."""
    status, words = error.status_code, _said(error.body)
    said = f"says {status}: {words}" if words else f"says {status}"
    if status == 413 or error.code == _TOO_LONG:
        return Failure(kind="too long", said=said, remedy="messages and answer together exceed what the model can read")
    if status in (401, 403):
        known = "the key is not one that it takes" if asking.key else "it wants a key"
        remedy = f"{known}: --key-env names the variable of the environment that holds it"
        return Failure(kind="not allowed", said=said, remedy=remedy)
    if status in (404, 405):
        model = f"is '{asking.model}' the model's (or deployment's) name? " if asking.model else ""
        return Failure(kind="not found", said=said, remedy=model + _V1)
    if status == 429:
        remedy = "lower --concurrency, or raise the deployment's quota"
        return Failure(kind="busy", said=f"{said} (also after {RETRIES} retries)", remedy=remedy)
    if status >= 500:
        return Failure(kind="server error", said=f"{said} (also after {RETRIES} retries)", remedy=_LOG)
    remedy = "if it cannot stream: --no-stream" if stream else "the request is none that it takes"
    return Failure(kind="refused", said=said, remedy=remedy)


def _said(body: object) -> str:
    """Return the words in what came back beside a status."""
    if isinstance(body, dict):
        body = next((body[key] for key in ("message", "detail", "error") if body.get(key)), body)
    return "" if body is None else _words(str(body))


def _words(text: str) -> str:
    """Return an endpoint's words on one line that a terminal can show."""
    return " ".join(plain(text).split())
