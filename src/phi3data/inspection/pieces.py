"""The rendered text in pieces: words, control tokens, and the white space that these swallow."""

from __future__ import annotations

from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Literal

import msgspec

from phi3data.findings import Finding, pointer
from phi3data.tokens.frame import strip

if TYPE_CHECKING:
    from phi3data.family.template import Rendered
    from phi3data.tokens.frame import Controls


class Piece(msgspec.Struct, frozen=True):
    """A stretch of text: words, a control token, or white space that a control token swallows."""

    kind: Literal["text", "control", "swallowed"]
    text: str


def starts_of(rendered: Rendered) -> list[tuple[int, int]]:
    """Return where each content starts in the text, and its number."""
    lengths = [len(literal) for literal in rendered.literals]
    contents = [len(content) for content in rendered.contents]
    ends = list(accumulate((literal + content for literal, content in zip(lengths, contents, strict=False)), initial=0))
    return [(end + literal, number) for number, (end, literal) in enumerate(zip(ends, lengths[:-1], strict=False))]


def swallowed(pieces: list[Piece], rendered: Rendered) -> list[Finding]:
    """Return C507 for each message whose first or last white space a control token swallows."""
    lost: dict[int, int] = {}
    ends = accumulate(len(piece.text) for piece in pieces)
    gaps = [(end - len(piece.text), end) for piece, end in zip(pieces, ends, strict=True) if piece.kind == "swallowed"]
    for (begin, number), content in zip(starts_of(rendered), rendered.contents, strict=True):
        size = sum(max(min(end, begin + len(content)) - max(start, begin), 0) for start, end in gaps)
        if size:
            lost[rendered.messages[number]] = lost.get(rendered.messages[number], 0) + size
    return [
        Finding(
            "C507",
            f"{size:,} character{'s' if size > 1 else ''} of white space beside a control token vanish with it",
            pointer("messages", index, "content"),
        )
        for index, size in lost.items()
    ]


def marks_of(rendered: Rendered, controls: Controls, keep: bool) -> list[tuple[int, int, bool, bool]]:
    """Return (start, end, lstrip, rstrip) of the control tokens in the text: the template's, and people's to `keep`."""
    at, out = 0, []
    for literal, content in zip(rendered.literals, (*rendered.contents, ""), strict=True):
        for text, counts in ((literal, True), (content, keep)):
            if counts:
                found = controls.find(text)
                out += [(at + start, at + end, each.lstrip, each.rstrip) for each, start, end in found]
            at += len(text)
    return out


def cut(text: str, marks: list[tuple[int, int, bool, bool]]) -> list[Piece]:
    """Cut the text at its control tokens, and set the white space apart that they swallow."""
    out: list[Piece] = []
    fence = [(0, 0, False, False), *marks, (len(text), len(text), False, False)]
    for (start, end, _, right), (stop, _, left, _) in pairwise(fence):
        between = text[end:stop]
        kept = strip(between, left=right, right=left)
        head = len(between) - len(strip(between, left=right, right=False)) if kept else len(between)
        parts = (
            Piece("control", text[start:end]),
            Piece("swallowed", between[:head]),
            Piece("text", kept),
            Piece("swallowed", between[head + len(kept) :]),
        )
        out += [part for part in parts if part.text]
    return out
