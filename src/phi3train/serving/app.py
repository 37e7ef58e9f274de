"""The endpoint: /health, /v1/models and /v1/chat/completions, streamed or whole."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from phi3train.offline import is_loopback
from phi3train.serving.answering import Sampling, Written
from phi3train.serving.chat import Completion, Question, RefusalError, Usage, failure, read

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncGenerator, AsyncIterator

    from starlette.requests import Request

    from phi3train.serving.answering import Answering

_PLACES = "/v1/chat/completions, /v1/models, /health"
_PATIENCE = 2  # seconds that connections have to end when the server is stopped
_GONE = 499  # as nginx has it: the client has closed the request
_LONGEST = 4 * 2**20  # bytes of a request; 128 Ki tokens of any language are less
_HEARD_OUT = 16 * _LONGEST  # of what is too long: who is still sending reads no answer
_THIS_MACHINE = ("127.0.0.1", "localhost", "::1", "[::1]")

_Queue = asyncio.Queue[str | Written | Exception]


class Endpoint:
    """The calls of the endpoint. Questions are answered one after the other, in the order in which they come."""

    def __init__(self, answering: Answering) -> None:
        self._answering = answering
        self._turns = ThreadPoolExecutor(1, thread_name_prefix="answer")
        self._reading = ThreadPoolExecutor(1, thread_name_prefix="read")
        self._created = int(time.time())
        self._listeners: set[_Queue] = set()

    async def health(self, _: Request) -> Response:
        """Say that the model is loaded."""
        return _json({"status": "ok"})

    async def models(self, _: Request) -> Response:
        """Name the model."""
        model = {"id": self._answering.name, "object": "model", "created": self._created, "owned_by": "phi3kit"}
        return _json({"object": "list", "data": [model]})

    async def chat(self, request: Request) -> Response:
        """Answer a conversation."""
        try:
            body = await _body(request)
        except ClientDisconnect:
            return Response(status_code=_GONE)
        # A long one takes seconds. One at a time in a thread of its own: others are heard, and refused without waiting.
        asked, prompt = await asyncio.get_running_loop().run_in_executor(self._reading, self._read, body)
        name = self._answering.name
        pieces, completion = self._pieces(prompt, _sampling(asked)), Completion(name)
        if asked.stream:
            usage = asked.stream_options is not None and asked.stream_options.include_usage
            return StreamingResponse(
                _events(pieces, completion, len(prompt), usage=usage),
                media_type="text/event-stream",
                headers={"Cache-Control": "no-cache"},
            )
        text: list[str] = []
        async with aclosing(pieces):
            async for piece in pieces:
                if isinstance(piece, Written):
                    counted = Usage(prompt_tokens=len(prompt), completion_tokens=piece.tokens)
                    return _json(completion.whole("".join(text), piece.reason, counted))
                text.append(piece)
                if await request.is_disconnected():
                    break
        return Response(status_code=_GONE)

    def _read(self, body: bytes) -> tuple[Question, list[int]]:
        asked, name = read(body), self._answering.name
        if asked.model not in (None, name):
            raise RefusalError(
                404, f"there is no model '{asked.model}' here: this is '{name}'", param="model", code="model_not_found"
            )
        return asked, self._answering.prompt([each.message() for each in asked.messages])

    async def _pieces(self, prompt: list[int], sampling: Sampling) -> AsyncGenerator[str | Written, None]:
        """Yield the pieces of an answer's text, and how it ended. Who stops listening ends it."""
        loop, gone = asyncio.get_running_loop(), threading.Event()
        queue: _Queue = asyncio.Queue()

        def told(piece: str) -> bool:
            loop.call_soon_threadsafe(queue.put_nowait, piece)
            return gone.is_set()

        def answer() -> None:
            if gone.is_set():
                return
            try:
                end: Written | Exception = self._answering.answer(prompt, sampling, told)
            except Exception as error:  # noqa: BLE001 (whoever asked is told, and the next one is answered)
                end = error
            loop.call_soon_threadsafe(queue.put_nowait, end)

        self._turns.submit(answer)
        self._listeners.add(queue)
        try:
            while True:
                found = await queue.get()
                if isinstance(found, RefusalError):
                    raise found
                if isinstance(found, Exception):
                    reason = str(found).partition("\n")[0]
                    raise RefusalError(500, f"the model could not answer: {type(found).__name__}: {reason}")
                yield found
                if isinstance(found, Written):
                    return
        finally:
            gone.set()
            self._listeners.discard(queue)

    def stop(self) -> None:
        """End the answers that are under way or wait for their turn, and tell those who asked."""
        for queue in self._listeners:
            queue.put_nowait(RefusalError(503, "the server was stopped before the answer was at its end"))


class Server(uvicorn.Server):
    """A web server that ends answers when it is stopped, and does not wait for them."""

    def __init__(self, endpoint: Endpoint, host: str, address: str) -> None:
        """Listen at `address`, by the name `host`; where only this machine can call it, other names are refused.

        A page of another site could else have a browser call a name of its own that means this machine, and read the
        answer.
        """
        self._endpoint = endpoint
        # Once its answers have ended, nothing but a client that does not read them can keep it waiting.
        super().__init__(
            uvicorn.Config(
                _app(endpoint, [host, address, *_THIS_MACHINE] if is_loopback(address) else ["*"]),
                log_level="warning",
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=_PATIENCE,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop."""
        self._endpoint.stop()
        await super().shutdown(sockets)


def _app(endpoint: Endpoint, names: list[str]) -> Starlette:
    return Starlette(
        routes=[
            Route("/health", endpoint.health),
            Route("/v1/models", endpoint.models),
            Route("/v1/chat/completions", endpoint.chat, methods=["POST"]),
        ],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=names)],
        exception_handlers={RefusalError: _refused, HTTPException: _elsewhere},
    )


async def _body(request: Request) -> bytes:
    """Return the body of a call. Raises `RefusalError` (413) for one that is too long, which is not kept meanwhile."""
    kept, size = bytearray(), 0
    async for piece in request.stream():
        size += len(piece)
        if size <= _LONGEST:
            kept += piece
        elif size > _HEARD_OUT:
            break
    if size > _LONGEST:
        raise RefusalError(413, f"the request is longer than {_LONGEST:,} bytes", code="context_length_exceeded")
    return bytes(kept)


def _sampling(asked: Question) -> Sampling:
    return Sampling(
        max_tokens=asked.longest,
        temperature=asked.temperature or 0.0,
        top_p=1.0 if asked.top_p is None else asked.top_p,
        seed=asked.seed,
        stops=asked.stops,
    )


async def _events(
    pieces: AsyncGenerator[str | Written, None], completion: Completion, prompt: int, *, usage: bool
) -> AsyncIterator[bytes]:
    """Yield an answer as server-sent events."""
    yield _event(completion.chunk({"role": "assistant", "content": ""}))
    try:
        async with aclosing(pieces):
            async for piece in pieces:
                if isinstance(piece, Written):
                    yield _event(completion.chunk({}, piece.reason))
                    if usage:
                        yield _event(completion.counted(Usage(prompt_tokens=prompt, completion_tokens=piece.tokens)))
                elif piece:
                    yield _event(completion.chunk({"content": piece}))
    except RefusalError as error:  # the status has been sent
        yield _event(failure(error))
    yield b"data: [DONE]\n\n"


def _event(value: dict[str, Any]) -> bytes:
    return b"data: " + msgspec.json.encode(value) + b"\n\n"


def _json(value: dict[str, Any], status: int = 200) -> Response:
    return Response(msgspec.json.encode(value), status, media_type="application/json")


async def _refused(_: Request, error: Exception) -> Response:
    assert isinstance(error, RefusalError)
    return _json(failure(error), error.status)


async def _elsewhere(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    said = f"{request.method} {request.url.path}: there is no such call here: {_PLACES}"
    return _json(failure(RefusalError(error.status_code, said)), error.status_code)
