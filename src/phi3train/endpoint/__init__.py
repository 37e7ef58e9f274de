"""How an endpoint answers: a test request, what the weights answered when they were exported, a file of questions."""

from __future__ import annotations

import datetime as dt
from time import perf_counter
from typing import TYPE_CHECKING

import msgspec

from phi3data.errors import OutputError
from phi3data.sources.files import whole
from phi3train.endpoint import report
from phi3train.endpoint.asking import RETRIES
from phi3train.endpoint.replies import Reply, measure
from phi3train.endpoint.report import Trial
from phi3train.export.bundle import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from phi3train.endpoint.asking import Asking
    from phi3train.endpoint.questions import Question

PAGE, MARKDOWN, ANSWERS = "report.html", "REPORT.md", "answers.jsonl"


def refuse_taken(folder: Path, *, overwrite: bool) -> None:
    """Raise `OutputError` for a file, a bundle, and a folder that holds a report already unless `overwrite`."""
    if folder.is_file():
        raise OutputError(f"{folder}: is a file: give a folder")
    if (folder / MANIFEST).is_file():
        raise OutputError(f"{folder}: is a bundle or prepared data, which a report is no part of: give another folder")
    for name in () if overwrite else (PAGE, MARKDOWN, ANSWERS):
        if (folder / name).exists():
            raise OutputError(f"{folder / name}: exists: choose another folder, or replace it with --overwrite")


def try_out(
    questions: Sequence[Question],
    asking: Asking,
    *,
    data: str | None,
    max_tokens: int,
    folder: Path | None = None,
    told: Callable[[int], None] | None = None,
) -> Trial:
    """Ask an endpoint and measure what it answers; the first question tells whether it answers at all.

    With a `folder` each reply is written into it when it comes, and the report at the end, also at that of a user who
    has seen enough (KeyboardInterrupt). `told` hears how many questions are done. Raises `UsageError` where it is not
    clear which model is asked.
    """
    replies: list[Reply] = []
    model, stopped, begun = "", False, perf_counter()

    def named(name: str) -> None:
        nonlocal model
        model = name

    def keep(reply: Reply) -> None:
        nonlocal begun
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)
            for page in () if replies else (PAGE, MARKDOWN):  # those of an earlier test, to which it is no answer
                (folder / page).unlink(missing_ok=True)
            with (folder / ANSWERS).open("ab" if replies else "wb") as file:
                file.write(msgspec.json.encode(reply) + b"\n")
        if not replies:
            begun = perf_counter()
        replies.append(reply)
        if told is not None:
            told(len(replies))

    try:
        asking.ask(questions, keep, named)
    except KeyboardInterrupt:
        stopped = True
    seconds = perf_counter() - begun
    order = {each.id: place for place, each in enumerate(questions)}
    replies.sort(key=lambda reply: order[reply.id])
    made = Trial(
        address=asking.place.shown,
        model=model,
        when=dt.datetime.now(dt.UTC).date().isoformat(),
        data=data,
        questions=len(questions),
        stopped=stopped,
        max_tokens=max_tokens,
        concurrency=asking.concurrency,
        streamed=asking.streams,
        patience=asking.patience,
        retries=RETRIES,
        measured=measure(replies, seconds),
        replies=replies,
    )
    if folder is not None and replies:
        lines = b"".join(msgspec.json.encode(each) + b"\n" for each in replies)
        for name, text in (
            (ANSWERS, lines),
            (MARKDOWN, report.markdown(made).encode()),
            (PAGE, report.page(made).encode()),
        ):
            with whole(folder / name) as file:
                file.write(text)
    return made


__all__ = ["ANSWERS", "MARKDOWN", "PAGE", "Trial", "refuse_taken", "try_out"]
