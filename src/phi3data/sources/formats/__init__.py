"""The raw formats: what each looks like, and how its rows become conversations.

`FORMATS` holds them in the order in which a row is offered to them, the more specific first: a preference pair also has
a prompt, a KTO row also a completion, and rows that carry a rendered `text` beside their columns are better read from
the columns. Plain text, which is no conversation, comes last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data.sources.formats import (
    alpaca,
    baize,
    bedrock,
    camel,
    chat,
    detection,
    dolly,
    gemini,
    kto,
    metharme,
    mistral,
    openorca,
    plain_text,
    preference,
    prompt_completion,
    question_answer,
    rendered,
    self_instruct,
    sharegpt,
)
from phi3data.sources.formats.base import Format, Row, UnconvertibleError

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMATS: dict[str, Format] = {
    module.FORMAT.name: module.FORMAT
    for module in (
        preference,
        kto,
        bedrock,
        mistral,
        chat,
        gemini,
        sharegpt,
        self_instruct,
        openorca,
        dolly,
        alpaca,
        metharme,
        prompt_completion,
        camel,
        question_answer,
        baize,
        rendered,
        plain_text,
    )
}


def detect(rows: Sequence[Row]) -> Format:
    """Return the format that most of the sampled rows are of.

    Each row counts for the first format that recognises it; of equal counts the earlier in `FORMATS` wins. Raises
    `InputError`, with the nearest format and the `--columns` that would fit, if none recognises any row, and if most
    rows are plain text.
    """
    return detection.detect(rows, FORMATS)


def get(name: str) -> Format:
    """Return the format of a name as users write it for ``--format``. Raises `UsageError`."""
    return detection.get(name, FORMATS)


def recognise_other(row: Row, current: Format) -> str | None:
    """Return the name of another format that recognises a row which the file's own format does not recognise.

    A format with the same converter is no other: a file of Bedrock may have chat rows, without a system prompt.
    """
    if current.recognises(row):
        return None
    other = detection.first(row, FORMATS.values())
    return other.name if other and other.convert is not current.convert else None


__all__ = ["FORMATS", "Format", "Row", "UnconvertibleError", "detect", "get", "recognise_other"]
