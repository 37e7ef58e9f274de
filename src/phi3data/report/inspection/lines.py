"""Text in lines of a given width: cells, not characters, since Chinese and emoji take two."""

from __future__ import annotations

import re
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from rich.cells import cell_len

from phi3data.report.html.visible import plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# White space in a text of which every character counts, by signs of the same length.
KEPT = str.maketrans({"\n": "⏎", "\r": "␍", "\t": "⇥"})
# White space that a control token swallows: struck out, or where nothing can be, by signs of its own.
STRUCK = str.maketrans({"\n": "⏎", "\r": "␍", "\t": "⇥", " ": "␣"})
SWALLOWED = str.maketrans({"\n": "␤", "\r": "␍", "\t": "␉", " ": "␣"})
# Spaces that nobody sees, or cannot count: at the ends of a line and in runs.
_UNSEEN_SPACES = re.compile(r"(?m)^\x20+|\x20+$|\x20{2,}")
_WIDE = "\u2e80-\u9fff\uac00-\ud7ff\uf900-\ufaff\ufe30-\ufe4f\uff00-\uffef"
_CLOSING = "、。，．！？；：」』）】》〉”’…"  # must not begin a line
# Where a line may end: after a word and its space, and after each wide character.
_WORD = re.compile(rf"\n|[{_WIDE}][{_CLOSING}]*|[^\s{_WIDE}]+[{_CLOSING}]*|[^\S\n]+")

_LINE = re.compile(r"[^\n]*\n|[^\n]+")


class Atom(NamedTuple):
    """A text that stays on one line where it fits. `more` follows it on that line, in styles of its own."""

    text: str
    style: str = ""
    ends: bool = False  # a new line begins after it
    more: tuple[tuple[str, str], ...] = ()

    @property
    def parts(self) -> tuple[tuple[str, str], ...]:
        """All texts with their styles."""
        return ((self.text, self.style), *self.more)

    @property
    def width(self) -> int:
        """Cells that it takes."""
        return sum(cell_len(text) for text, _ in self.parts)


def signed(text: str) -> str:
    """Return `text` with white space as signs where it would not be seen; of the same length."""
    return _UNSEEN_SPACES.sub(lambda match: "·" * len(match[0]), text).translate(KEPT)


def words(text: str, style: str = "") -> Iterator[Atom]:
    """Cut a text into atoms between which a line may end; unseen characters are made visible."""
    for match in _WORD.finditer(plain(text.expandtabs(4))):
        yield Atom("", style, ends=True) if match[0] == "\n" else Atom(match[0], style)


def exact(text: str, signs: str, style: str = "") -> Iterator[Atom]:
    """Cut a text as `words` does, with the signs of `signed` in it, and a line's end after that of the text."""
    at = 0
    for line in _LINE.findall(text):
        places = [(at + match.start(), at + match.end()) for match in _WORD.finditer(signs[at : at + len(line)])]
        for start, end in places:
            yield marked(text[start:end], signs[start:end], style, ends=text[end - 1] == "\n")
        at += len(line)


def marked(text: str, signs: str, style: str = "", *, ends: bool = False) -> Atom:
    """Return a text as an atom in which the signs are dim."""
    parts = []
    for differs, pairs in groupby(zip(text, signs, strict=True), key=lambda pair: pair[0] != pair[1]):
        run = "".join([pair[1] for pair in pairs])
        parts.append((run, f"{style} dim".strip()) if differs else (plain(run), style))
    (first, its_style), *more = parts or [("", style)]
    return Atom(first, its_style, ends, tuple(more))


def flow(atoms: Iterable[Atom], width: int) -> Iterator[list[Atom]]:
    """Fill lines of `width` cells. White space at which a line is broken is left out; all other stays."""
    line: list[Atom] = []
    used = 0
    for atom in atoms:
        for part in _fitting(atom, width):
            if used and used + part.width > width:
                yield line
                line, used = [], 0
                if part.text.isspace():
                    part = part._replace(text="")  # noqa: PLW2901 (the broken line's end stands for it)
                elif part.text.startswith(" "):
                    part = part._replace(text=part.text[1:])  # noqa: PLW2901 (as above)
            line.append(part)
            used += part.width
            if part.ends:
                yield line
                line, used = [], 0
    if line:
        yield line


def _fitting(atom: Atom, width: int) -> Iterator[Atom]:
    """Cut an atom that is wider than a line."""
    if atom.width <= width:
        yield atom
        return
    full: list[tuple[str, str]] = []  # of the line at hand
    used = 0
    for text, style in atom.parts:
        start = 0
        for at, character in enumerate(text):
            size = cell_len(character)
            if used and used + size > width:
                (first, its_style), *more = [*full, (text[start:at], style)]
                yield Atom(first, its_style, more=tuple(more))
                full, start, used = [], at, 0
            used += size
        full.append((text[start:], style))
    (first, its_style), *more = full
    yield Atom(first, its_style, atom.ends, tuple(more))
