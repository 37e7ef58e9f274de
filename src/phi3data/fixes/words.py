"""C503 to C516: fixes of what stands in texts, at the places that the rule finds and nowhere else.

**Why C505, C506 and C516 are safe, in answers too.** What they take away nobody sees: the answer reads the same, and
the model is to learn what was read. Its token ids do change, so that is as far as "changes no trained token" goes here.
The rules pass over everything that has a meaning where it stands: joiners in emoji and in scripts that need them, marks
of direction in right-to-left text, selectors, fillers beside Hangul. Characters from U+0080 to U+009F are read as
Windows-1252, as browsers and the step `clean` do: in text they are quotes and dashes that were decoded wrongly.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data.fixes.base import on_texts
from phi3data.text import html, mojibake, repair, unseen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from phi3data.text.spot import Spot

_READ_AS = {"UTF-8 read as Windows-1252": "cp1252", "UTF-8 read as Windows-1251": "cp1251", "UTF-8 read as GBK": "gbk"}


def replaced(text: str, spots: Iterable[Spot], by: Callable[[str, Spot], str]) -> str:
    """Return a text with what stands at the spots replaced; spots that overlap another one are passed over."""
    parts, end = [], 0
    for spot in sorted(spots):
        if spot.start >= end:
            parts += [text[end : spot.start], by(text[spot.start : spot.end], spot)]
            end = spot.end
    return "".join([*parts, text[end:]])


def without_controls(text: str) -> str:
    """Remove control characters and escape codes of terminals, and read C1 controls as Windows-1252."""
    return replaced(text, unseen.controls(text), lambda piece, _: "" if len(piece) > 1 else repair.control(piece))


def without_invisible(text: str) -> str:
    """Remove invisible characters that mean nothing where they stand."""
    return replaced(text, unseen.invisible(text), lambda *_: "")


def unmixed(text: str) -> str:
    """Read text in UTF-8 that was read in another encoding as UTF-8; what was lost on the way stays as it is."""
    return replaced(text, mojibake.find(text), _way_back)


def _way_back(piece: str, spot: Spot) -> str:
    encoding = next((name for what, name in _READ_AS.items() if spot.what.startswith(what)), None)
    try:
        return b"".join([_byte(character, encoding) for character in piece]).decode() if encoding else piece
    except UnicodeError:
        return piece


def _byte(character: str, encoding: str) -> bytes:
    try:
        return character.encode(encoding)
    except UnicodeEncodeError:  # a byte that Windows leaves out was read as Latin-1
        return character.encode("latin-1")


FIXES = (
    on_texts("C503", "Reads the text as the UTF-8 that it was; what was lost on the way stays.", unmixed, safe=False),
    on_texts("C505", "Removes control characters; C1 controls are read as Windows-1252.", without_controls, safe=True),
    on_texts("C506", "Removes the invisible characters.", without_invisible, safe=True),
    on_texts("C513", "Turns HTML into text: entities decoded, tags as line ends.", html.to_text, safe=False),
    on_texts("C516", "Writes the text in Unicode normal form C.", repair.nfc, safe=True),
)
