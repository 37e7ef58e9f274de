"""A bundle as an endpoint of this machine that speaks as OpenAI's do."""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

from phi3data.errors import UsageError
from phi3train.offline import is_loopback

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def serve(
    bundle: Path,
    *,
    host: str,
    port: int,
    device: str,
    exposed: Callable[[], None],
    loading: Callable[[], None],
    ready: Callable[[str, str], None],
) -> None:
    """Answer calls until the process is interrupted.

    `exposed` hears that others than this machine can call, `loading` when the weights begin to be loaded, which takes
    long, `ready` name and address when calls are taken. `port` 0 is any free one, `device` "cpu" or "cuda". Raises
    `UsageError` for an address that cannot be had and a folder that answers no chats, `InputError` for one that is
    damaged.
    """
    from phi3train.serving.answering import Answering, refuse_unfit

    with bind(host, port) as taken:
        name, number = taken.getsockname()[:2]  # `host` may be spelled in many ways
        if not is_loopback(name):
            exposed()
        refuse_unfit(bundle)
        loading()
        from phi3train.serving.app import Endpoint, Server

        answering = Answering(bundle, device)
        server = Server(Endpoint(answering), host, name)
        taken.listen()  # from here on calls wait until they are taken
        ready(answering.name, f"http://{f'[{name}]' if ':' in name else name}:{number}/v1")
        with suppress(KeyboardInterrupt):  # uvicorn ends what is under way, and raises it again
            server.run(sockets=[taken])


def bind(host: str, port: int) -> socket.socket:
    """Return a socket on an address of this machine, which takes no calls yet. Raises `UsageError` if it is taken."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise UsageError(f"--host: {host} is no address of this machine") from None
    made = socket.socket(family, kind, protocol)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(address)
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            raise UsageError(f"--port: {port} is taken by another program: choose another; 0 is any free one") from None
        raise UsageError(f"{host}:{port} cannot be had: {error.strerror}") from None
    return made
