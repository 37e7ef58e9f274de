"""T601 to T604: fixes of control tokens in texts. None is safe.

At the start or the end of a message a control token is what a template left there, and goes. In the middle it is
mostly spoken of ("what does <|end|> mean?"): removed it would leave a sentence with a hole, and the row need not be
dropped for it, so it gets spaces inside, ``<| end |>``, with which people and models read it and no tokenizer does.
``<s>…</s>`` around a part of a text is strike-through and becomes ``<del>…</del>``.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3data.fixes.base import Row, messages, on_row, pointed
from phi3data.sources.formats import rendered
from phi3data.sources.formats.base import UnconvertibleError
from phi3data.text import markers
from phi3data.text.spot import Spot

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phi3data.findings import Finding

_BRACKETS = re.compile(r"([<\[]+[|｜]?)(.*?)([|｜]?[>\]]+)", re.DOTALL)
_STRUCK = re.compile(r"<s>((?:(?!</?s>).)*)</s>", re.DOTALL)


def own_tokens(row: Row, found: Sequence[Finding]) -> list[Row]:
    """Put control tokens of the model out of its reach."""
    places: dict[str, list[Spot]] = {}
    for finding in found:
        if finding.character is not None:
            start = finding.character - 1
            places.setdefault(finding.pointer, []).append(Spot(start, start + finding.length, ""))
    for index, message in pointed(row, found):
        text = message.get("content")
        if isinstance(text, str) and next(markers.rendered(text), None) is None:  # T604 is to be mended first
            message["content"] = _unstruck(text, places.get(f"/messages/{index}/content", []))
    return [row]


def _unstruck(text: str, spots: list[Spot]) -> str:
    pairs = [] if _STRUCK.fullmatch(text.strip()) else list(_STRUCK.finditer(text))
    known = {spot.start for spot in spots}
    struck = [pair for pair in pairs if {pair.start(), pair.end() - len("</s>")} <= known]
    taken = {at for pair in struck for at in (pair.start(), pair.end() - len("</s>"))}
    for pair in reversed(struck):
        text = f"{text[: pair.start()]}<del>{pair[1]}</del>{text[pair.end() :]}"
    # What was two letters longer moved the others: each mark before a place has put it on by two.
    rest = [spot for spot in spots if spot.start not in taken]
    moved = [(2 * sum(at < spot.start for at in taken), spot) for spot in rest]
    return out_of_reach(text, [Spot(spot.start + by, spot.end + by, "") for by, spot in moved])


def foreign_tokens(row: Row, found: Sequence[Finding]) -> list[Row]:
    """Do to control tokens of other models what is done to the model's own."""
    for _, message in pointed(row, found):
        text = message.get("content")
        if isinstance(text, str):
            message["content"] = out_of_reach(text, list(markers.foreign(text)))
    return [row]


def out_of_reach(text: str, spots: list[Spot]) -> str:
    """Return a text without the tokens at its ends, and with spaces inside the others.

    A message that is nothing but tokens speaks of them: there all of them get spaces.
    """
    inner = sorted(spots)
    start, end = 0, len(text)
    while inner and not text[start : inner[0].start].strip():
        start = inner.pop(0).end
    while inner and not text[inner[-1].end : end].strip():
        end = inner.pop().start
    if not text[start:end].strip():
        inner, start, end = sorted(spots), 0, len(text)
    parts, at = [], start
    for spot in inner:
        parts += [text[at : spot.start], _spaced(text[spot.start : spot.end])]
        at = spot.end
    whole = "".join([*parts, text[at:end]])
    if start:
        whole = whole.lstrip()
    return whole.rstrip() if end < len(text) else whole


def _spaced(token: str) -> str:
    match = _BRACKETS.fullmatch(token)
    return f"{match[1]} {match[2].strip()} {match[3]}" if match else token


def apart(row: Row, found: Sequence[Finding]) -> list[Row]:
    """Take a rendered conversation in a message apart into the turns that it holds, if nothing else stands there."""
    turns = messages(row)
    for index, message in reversed(list(pointed(row, found))):
        if not isinstance(message.get("content"), str) or message.keys() != {"role", "content"}:
            continue
        parts = _parts(message["content"])
        if parts and parts[-1]["role"] == "assistant" and not (parts[-1]["content"] or "").strip():
            parts.pop()  # where the template asks for the answer, which is the next message
        if parts:
            turns[index : index + 1] = parts
    return [row]


def _parts(text: str) -> list[Row]:
    """Return the turns of a rendered conversation; none where the text does not come apart without a rest."""
    split = rendered.splitter(text)
    try:
        return [{"role": part.role, "content": part.content} for part in split(text)] if split else []
    except UnconvertibleError:
        return []


_SPACES = "Removes the token at the start or end of a message, and writes it with spaces inside elsewhere: <| end |>."

FIXES = (
    on_row("T604", "Takes the rendered conversation apart into messages, if it comes apart.", apart, safe=False),
    on_row("T601", _SPACES, own_tokens, safe=False),
    on_row(
        "T602",
        "Writes <s>…</s> in a text as <del>…</del>, removes them around it, and else writes them with spaces inside.",
        own_tokens,
        safe=False,
    ),
    on_row("T603", _SPACES, foreign_tokens, safe=False),
)
