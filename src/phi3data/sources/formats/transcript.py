"""Transcripts: one string that holds several turns, cut at its markers."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import re


def cut(marker: re.Pattern[str], text: str) -> tuple[str, list[tuple[str, str]]]:
    """Cut a text at a marker with one group: what stands before the first, then (group, text up to the next) pairs."""
    before, *rest = marker.split(text)
    return before, list(zip(rest[::2], rest[1::2], strict=True))


def trimmed(text: str) -> str:
    """Drop what sets a turn off from its markers: one space or newline before it, all white space after it.

    More than one is the turn's own: the first line of a code answer keeps its indentation.
    """
    return (text[1:] if text[:1] in (" ", "\n") else text).rstrip()
