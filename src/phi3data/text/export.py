r"""Traces of a careless export: ``""doubled quotes""`` of CSV and ``\n`` spelled out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3data.text.code import is_code
from phi3data.text.lazy import Lazy
from phi3data.text.spot import Spot

if TYPE_CHECKING:
    from collections.abc import Iterator

# A quotation in doubled quotes. Not empty strings ("" of code), not three quotes (docstrings).
_DOUBLED = Lazy(r'""(?=[^\W_])[^"\n]{1,200}(?<=[\w.,!?…%)])""(?!["\w])')
_NOT_BEFORE = frozenset('"=({[,:+\\')
# Line ends as two characters, where a sentence ends or a line would begin; not "\nabla", not "C:\new".
_LINE_END = Lazy(r"""\\n(?=[A-ZÄÖÜ0-9\-*•#\\ "“(]|[^\x00-\x7f]|$)""")
_ENDS = Lazy(r""".?[.!?:,;)\]"”。！？：]$|\\[nr]$""")
_SPOKEN_OF = Lazy(
    r"\bcsv\b|\bescap(?:ed|ing)\b|\bescape (?:char|seq)|\bquot(?:e|es|ation marks?|ing)\b|new ?lines?\b"
    r"|line ?(?:breaks?|feeds?)|\bregex|regular expression|"
    r"latex|backslash|\bjson\b|\bstring literal|转义|引号|换行|エスケープ|改行|zeilenumbr",
    re.IGNORECASE,
)
#: Pieces, as `rules.hints` reads them, of which each finding has one.
HINTS = ('""\\w', b'[.!?:,;)\\]"nr\x80-\xff]\\\\n')


def look(text: str) -> bool:
    """A first look: tell whether there are doubled quotes, or spelled-out line ends and no real ones."""
    return '""' in text or ("\\n" in text and "\n" not in text.strip())


def find(text: str, said: str) -> Iterator[Spot]:
    """Yield doubled quotes and spelled-out line ends in prose that is not about them."""
    doubled = [match for match in _DOUBLED.finditer(text) if text[match.start() - 1 : match.start()] not in _NOT_BEFORE]
    # With real line ends in the text too, those that are spelled out are likely meant.
    ends = []
    if "\\n" in text and "\n" not in text.strip():
        ends = [
            match for match in _LINE_END.finditer(text) if _ENDS.match(text[max(0, match.start() - 2) : match.start()])
        ]
    if not doubled and not ends:
        return
    prose = text.replace("\\n", "\n")
    if is_code(prose) or _SPOKEN_OF.search(text) or _SPOKEN_OF.search(said):
        return
    for match in doubled:
        yield Spot(match.start(), match.end(), "doubled quotes")
    for match in ends:
        yield Spot(match.start(), match.end(), "a line end spelled out")
