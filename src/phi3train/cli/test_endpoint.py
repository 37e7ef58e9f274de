"""``phi3train test-endpoint``: how an endpoint answers."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from phi3data.cli.group import INTERRUPTED
from phi3data.errors import MissingExtraError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from phi3train.endpoint import Trial

_CHATS = 20  # of --data, where no number is given


@click.command("test-endpoint")
@click.argument("url")
@click.option("--data", type=click.Path(path_type=Path), help="File of chats; each is asked up to its last answer.")
@click.option("-n", "--chats", type=click.IntRange(1), help=f"How many of --data, spread evenly; {_CHATS} otherwise.")
@click.option("--request", type=click.Path(path_type=Path), help="Request to begin with; else the bundle's.")
@click.option("--bundle", type=click.Path(path_type=Path), help="Compare with what its weights answered at export.")
@click.option("--model", metavar="NAME", help="Model or deployment to ask; else the only one that there is.")
@click.option("--key-env", metavar="NAME", help="Variable of the environment that holds the key.")
@click.option("--max-tokens", type=click.IntRange(1), default=256, show_default=True, help="Tokens per answer.")
@click.option("--concurrency", type=click.IntRange(1), default=1, show_default=True, help="Questions at a time.")
@click.option(
    "--timeout",
    type=click.FloatRange(0, min_open=True),
    default=120.0,
    show_default=True,
    metavar="SECONDS",
    help="For a question, retries included.",
)
@click.option("--no-stream", is_flag=True, help="Take answers whole, from endpoints that cannot stream.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="DIR", help="Write the report there.")
@click.option("--overwrite", is_flag=True, help="Replace a report that is there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def test_endpoint_command(
    url: str,
    data: Path | None,
    chats: int | None,
    request: Path | None,
    bundle: Path | None,
    model: str | None,
    key_env: str | None,
    max_tokens: int,
    concurrency: int,
    timeout: float,
    output: Path | None,
    *,
    no_stream: bool,
    overwrite: bool,
    as_json: bool,
) -> int:
    """Ask the endpoint at URL, and measure what it answers; exit 1 if a request fails.

    URL ends in /v1 (OpenAI's way: phi3train serve, vLLM, Foundry), or in /score (Azure ML's scoring scripts). First a
    test request, then the questions of --bundle and of --data: latency, time to the first token, tokens per second,
    how often answers end by themselves, and answers beside the expected ones. -o writes report.html, REPORT.md and
    answers.jsonl. A question is tried again twice where the endpoint is busy or the connection fails.
    """
    if any(find_spec(name) is None for name in ("openai", "numpy", "jinja2")):
        raise MissingExtraError("phi3train test-endpoint", "endpoint")
    if chats is not None and data is None:
        raise UsageError("--chats: is how many of --data are asked: give --data too")
    from phi3train.endpoint import asking, questions, refuse_taken, try_out

    if output is not None:
        refuse_taken(output, overwrite=overwrite)
    exported = [] if bundle is None else questions.exported(bundle)
    if bundle is not None and request is None:
        request = bundle / "deploy" / "test_request.json"
    asked = [questions.request(request), *exported]
    asked += questions.conversations(data, chats or _CHATS, max_tokens) if data is not None else []
    key = _key(key_env)
    done = try_out(
        asked,
        asking.Asking(
            place=asking.address(url, key=key is not None),
            key=key,
            model=model,
            stream=not no_stream,
            patience=timeout,
            concurrency=concurrency,
        ),
        data=None if data is None else str(data),
        max_tokens=max_tokens,
        folder=output,
        told=_counted(len(asked)),
    )
    return _say(done, output, as_json=as_json)


def _key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise UsageError(f"--key-env: there is no variable {variable} in the environment, or nothing in it")
    if not (key.isascii() and key.isprintable()):
        raise UsageError(f"--key-env: {variable} holds a line break or a letter beyond ASCII, as no key has")
    return key


def _say(done: Trial, output: Path | None, *, as_json: bool) -> int:
    import msgspec

    from phi3train.endpoint.report import failed, render

    if as_json:
        click.echo(msgspec.json.encode(done))
    elif (why := failed(done)) is not None:
        click.echo(f"{click.style('error', fg='red', bold=True)}: {why}", err=True)
    elif done.replies:
        click.echo(render(done).encode(), nl=False)
    if output is not None and done.replies:
        click.echo(f"{output / 'report.html'}, REPORT.md and answers.jsonl written", err=True)
    if done.stopped:
        click.echo(f"interrupted: {len(done.replies)} of {done.questions} questions were asked", err=True)
        return INTERRUPTED
    return 0 if done.measured.works else 1


def _counted(of: int) -> Callable[[int], None] | None:
    """Return what shows how many questions are done, where stderr is a terminal."""
    if not sys.stderr.isatty():
        return None

    def told(done: int) -> None:  # on a line that whatever comes next takes
        click.echo(f"\x1b[K{f'{done} of {of}' if done < of else ''}\r", nl=False, err=True)

    return told
