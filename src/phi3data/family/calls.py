"""Where a tokenizer's own template writes the function calls of a message: they are part of its turn, like its words.

They are found by rendering without them. What looks like a control token inside is the template's and stays literal,
with a content (which may be empty) before each, so that whoever walks the alternation sees whose turn it belongs to.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from phi3data.family.template import Rendered
from phi3data.findings import Finding, pointer

if TYPE_CHECKING:
    from phi3data.family.follow import Plain, Run

KEYS = ("tool_calls", "function_call")
_TAG = re.compile(r"<[^<>\s]+>|\[/?[A-Z_]+\]")


def with_calls(rendered: Rendered, messages: Plain, run: Run) -> Rendered:
    """Return the rendered conversation with its function calls as contents; a finding where these are not found."""
    missing = []
    gone = {item.pointer for item in rendered.lost}
    for index, message in enumerate(messages):
        keys = [key for key in KEYS if message.get(key) and pointer("messages", index, key) not in gone]
        if not keys:
            continue
        place = _place(str(rendered), messages, index, run)
        found = (
            _split(rendered, index, place, json.dumps([message[key] for key in keys], ensure_ascii=False))
            if place
            else None
        )
        if found is None:
            what = "the function calls cannot be told from what the template writes: they are not trained on"
            missing.append(Finding("T606", what, pointer("messages", index, keys[0])))
        rendered = found or rendered
    rendered.lost += tuple(missing)
    return rendered


def _place(text: str, messages: Plain, index: int, run: Run) -> tuple[int, int] | None:
    """Return where the calls of a message stand in the text; None where they are more than something put in."""
    bare: dict[str, Any] = {key: value for key, value in messages[index].items() if key not in KEYS}
    without = run([*messages[:index], bare, *messages[index + 1 :]])
    if without is None:  # a message without words or calls
        without = run([*messages[:index], {"content": "", **bare}, *messages[index + 1 :]])
    if without is None or len(without) >= len(text):
        return None
    start = _shared(text, without)
    size = len(text) - len(without)
    if text[start + size :] != without[start:]:
        return None
    # What is put in between "<a>" and "<b>" may as well start with "<": take the place that cuts no tag.
    inside = {at for tag in _TAG.finditer(text) for at in range(tag.start() + 1, tag.end())}
    while start in inside or start + size in inside:
        start -= 1
        if start < 0 or text[start] != text[start + size]:
            return None
    return start, start + size


def _shared(one: str, other: str) -> int:
    """Return how long two texts are the same from their start."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low


def _split(rendered: Rendered, index: int, place: tuple[int, int], words: str) -> Rendered | None:
    """Return the alternation with the text in this place as contents; None where it is not within one literal."""
    at = 0
    for number, literal in enumerate(rendered.literals):
        start, end = place[0] - at, place[1] - at
        if start >= 0 and end <= len(literal):
            break
        at += len(literal) + len(rendered.contents[number]) if number < len(rendered.contents) else 0
    else:
        return None
    literals, contents, before, last = [], [], literal[:start], 0
    inside = literal[start:end]
    for tag in (*_TAG.finditer(inside), None):
        begin = tag.start() if tag else len(inside)
        if tag and tag[0] in words:
            if inside.count(tag[0]) > words.count(tag[0]):
                return None  # whose is it?
            continue
        literals.append(before)
        contents.append(inside[last:begin])
        before, last = (tag[0], tag.end()) if tag else ("", begin)
    return Rendered.of(
        [*rendered.literals[:number], *literals, literal[end:], *rendered.literals[number + 1 :]],
        [*rendered.contents[:number], *contents, *rendered.contents[number:]],
        [*rendered.messages[:number], *[index] * len(contents), *rendered.messages[number:]],
        rendered.lost,
    )
