"""Answers that stop too early: in the middle of a sentence, or inside a code block."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3data.text.code import is_code
from phi3data.text.lazy import Lazy
from phi3data.text.spot import Spot

if TYPE_CHECKING:
    from collections.abc import Iterator

_FENCE = Lazy(r"^[ \t]*(?:[-*>] |\d+\. )?```", re.MULTILINE)
_SENTENCE_END = Lazy(r"[.!?…:][\"'”’»)\]]*(?=\s)|[。！？]")
_NOT_PROSE = Lazy(r"\s*(?:[#|>~=]|[ \t]+[\w -]{1,30}:\s|\$\$|\*\*[^*]+\*\*$|(?:[-*•–]|\d+[.)]|[A-Za-z][.)])\s)")
_ITEM = Lazy(r"\s*(?:[-*•–]|\d+[.)]|[A-Za-z][.)])\s")
_SIGN_OFF = Lazy(r"\b(?:Sincerely|Yours|Regards|[Rr]espect|Love|Cheers|Grüße|Grüßen|Поздрави)\b[^.!?]{0,60}$")
_LEAST = 60  # characters of the last line of a text in an alphabet, before its end can be judged
_LEAST_ITEM = 30  # of the item of a list
_LEAST_WIDE = 40  # of Chinese or Japanese


def find(text: str) -> Iterator[Spot]:
    """Yield the end of an answer that stops too early."""
    if "```" in text:
        fences = list(_FENCE.finditer(text))
        if len(fences) % 2:
            yield Spot(fences[-1].start(), fences[-1].end(), "a code block that is not closed:")
        return
    # In ASCII a word in small letters after a space; what else ends so may be a name, a title, an address.
    last = text[-40:].rpartition(" ")[2] if " " in text[-40:] else ""
    if text[-1:].isalpha() and (not text.isascii() or (last.isalpha() and last.islower())):
        for spot in _prose(text):
            if not is_code(text):
                yield spot


def _prose(text: str) -> Iterator[Spot]:
    lines = text.split("\n")
    last = lines[-1]
    is_wide = last[-1] >= "\u2e80"
    if _is_cut_item(lines):
        least = _LEAST_ITEM
    elif _NOT_PROSE.match(last) or _SIGN_OFF.search(last):
        return
    else:
        least = _LEAST_WIDE if is_wide else _LEAST
    if len(last) < least:
        return
    if not is_wide and last[-1].isascii() and " " not in last[-30:]:  # an address, a name in code
        return
    # Whoever writes no full stops at all does not stop early: other lines, or this one, must end in one.
    if _SENTENCE_END.search(last) or any(_SENTENCE_END.search(line + "\n") for line in lines[:-1] if len(line) >= 40):
        yield Spot(max(0, len(text) - 24), len(text), "the answer stops in the middle of a sentence:")


def _is_cut_item(lines: list[str]) -> bool:
    """Whether the last line is an item of a list whose other items end in a full stop."""
    if not _ITEM.match(lines[-1]):
        return False
    items = [line for line in lines[:-1] if _ITEM.match(line)]
    return bool(items) and all(_SENTENCE_END.search(line[-3:] + "\n") for line in items)
