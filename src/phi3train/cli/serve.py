"""``phi3train serve``: a bundle as an endpoint of this machine."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import click

from phi3data.errors import MissingExtraError, UsageError


@click.command("serve")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--host", default="127.0.0.1", show_default=True, help="Address; only this machine reaches 127.0.0.1.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Its port; 0 is any free one."
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where it computes; auto: on a GPU if there is one.",
)
def serve_command(bundle: Path, host: str, port: int, device: str) -> None:
    """Answer chats with the model of BUNDLE, as OpenAI's endpoints do, until Ctrl-C.

    /v1/chat/completions (streamed or whole), /v1/models and /health, for any client that takes a base URL. Questions
    are answered one after the other. For trying a bundle out on this machine: nothing leaves it, and nothing is kept.
    """
    if any(find_spec(name) is None for name in ("torch", "transformers", "peft", "starlette", "uvicorn")):
        raise MissingExtraError("phi3train serve", "serve")
    from phi3train.offline import go_offline
    from phi3train.serving import serve

    go_offline()
    place = _device(device)

    def exposed() -> None:
        warning = click.style("warning", fg="yellow", bold=True)
        click.echo(f"{warning}: whoever reaches {host} on this machine can ask, without a key", err=True)

    def loading() -> None:
        click.echo(f"loading {bundle} on {place}", err=True)

    serve(bundle, host=host, port=port, device=place, exposed=exposed, loading=loading, ready=_ready)


def _device(asked: str) -> str:
    import torch

    there = torch.cuda.is_available()
    if asked == "cuda" and not there:
        raise UsageError("--device: cuda needs an NVIDIA GPU, and PyTorch sees none: take cpu")
    return "cuda" if there and asked != "cpu" else "cpu"


def _ready(name: str, address: str) -> None:
    click.echo(f"serving {name} at {address}")
    click.echo("Ctrl-C ends it", err=True)
