"""Kernels that repair one text: Unicode form, characters that nobody sees, line ends, white space at the end.

Each takes a text and gives it back, the same object when there is nothing to do. Indentation, inner spaces and
everything that can be seen stay as they are.
"""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from phi3data.text.lazy import Lazy

if TYPE_CHECKING:
    import re

# C0 controls but tab and line feed, DEL, and C1. One search of this class tells that a text is clean.
_CONTROL = Lazy("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_UTF8_AS_LATIN1 = Lazy("[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_C1 = Lazy("[\x80-\x9f]")
_LINE_ENDS = Lazy("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_INVISIBLE = Lazy(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\u3164"
    "\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f]|[\ufe00-\ufe0f\U000e0100-\U000e01ef]{2,}"
)
# One search tells that `misread`, `line_ends` and `control` have nothing to do.
_SUSPECT = Lazy("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
# A text with a character of a right-to-left script may need its direction marks.
_RIGHT_TO_LEFT = Lazy("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc\U00010800-\U00010fff\U0001e800-\U0001efff]")
_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u2066\u2067\u2068\u2069")
_JOINERS = "\u200c\u200d"
# Scripts in which the joiners change the shape of letters: Arabic, Syriac, N'Ko, the Indic scripts, Mongolian.
_JOINING = Lazy("[\u0600-\u0fff\u1000-\u109f\u1780-\u18af\ua840-\ua87f\ua8e0-\ua8ff]")
_HANGUL = Lazy("[\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]")


def has_controls(text: str) -> bool:
    """Screen for `misread`, `line_ends` and `control`: where this is false they have nothing to do."""
    return _SUSPECT.search(text) is not None


def nfc(text: str) -> str:
    """Return `text` in Unicode normal form C (UAX #15)."""
    return text if text.isascii() or unicodedata.is_normalized("NFC", text) else unicodedata.normalize("NFC", text)


def line_ends(text: str) -> str:
    r"""Write every line end as ``\n``: CRLF, lone CR, vertical tab, form feed, U+0085, U+2028, U+2029.

    U+0085 is a line end only where it is the only C1 control: beside others it is the ellipsis of Windows-1252.
    """
    if "\x85" in text and len(set(_C1.findall(text))) > 1:
        text = text.replace("\x85", "\u2026")
    return _LINE_ENDS.sub("\n", text)


def control(text: str) -> str:
    """Remove control characters, but for tab and line feed.

    C1 controls are read as Windows-1252, as HTML does: in text they are quotes and dashes that were decoded wrongly.
    """
    return _CONTROL.sub(_from_cp1252, text) if _CONTROL.search(text) else text


def misread(text: str) -> str:
    """Mend UTF-8 that was read as Latin-1, where a C1 control proves it. To be done before `line_ends`."""
    return _UTF8_AS_LATIN1.sub(_from_latin1, text) if not text.isascii() and _C1.search(text) else text


def _from_latin1(match: re.Match[str]) -> str:
    if not _C1.search(match[0]):
        return match[0]
    try:
        return match[0].encode("latin-1").decode("utf-8")
    except UnicodeDecodeError:
        return match[0]


def _from_cp1252(match: re.Match[str]) -> str:
    character = match[0]
    return bytes([ord(character)]).decode("cp1252", "ignore") if character >= "\x80" else ""


def invisible(text: str) -> str:
    """Remove invisible characters that carry no meaning where they stand.

    Kept: joiners inside emoji and between letters of scripts that need them, direction marks in texts with
    right-to-left letters, tag characters of a flag, one variation selector, Hangul fillers beside Hangul.
    """
    if text.isascii() or not _INVISIBLE.search(text):
        return text
    right_to_left = _RIGHT_TO_LEFT.search(text) is not None
    out: list[str] = []
    end = 0
    for match in _INVISIBLE.finditer(text):
        out.append(text[end : match.start()])
        out.append(_kept(text, match.start(), match[0], right_to_left=right_to_left))
        end = match.end()
    out.append(text[end:])
    return "".join(out)


def _kept(text: str, at: int, found: str, *, right_to_left: bool) -> str:
    """Return what is kept of the invisible characters `found` at `at`: all, the first, or nothing."""
    before, after = text[at - 1 : at], text[at + len(found) : at + len(found) + 1]
    if len(found) > 1:  # a run of variation selectors: one may style the character before it, more hide a message
        return found[0]
    if found in _DIRECTION:
        return found if right_to_left else ""
    if found in _JOINERS:
        joins = _JOINING.match(before) and (_JOINING.match(after) or not after.strip())
        return found if joins or (_emoji(before) and _emoji(after)) else ""
    if "\U000e0020" <= found <= "\U000e007f":
        return found if _flag_tag(text, at) else ""
    if found in "\u115f\u1160\u3164\uffa0":
        return found if _HANGUL.match(before) or _HANGUL.match(after) else ""
    if found in "\u17b4\u17b5\u180e":
        return found if _JOINING.match(before) else ""
    return ""


def _emoji(character: str) -> bool:
    return bool(character) and (
        character in "\ufe0f\u20e3" or "\U0001f000" <= character <= "\U0001faff" or "\u2190" <= character <= "\u2bff"
    )


def _flag_tag(text: str, at: int) -> bool:
    """Tell whether the tag character at `at` belongs to a flag: a black flag and tags, at most six before the end."""
    start = at
    while start > 0 and at - start < 7 and "\U000e0020" <= text[start - 1] <= "\U000e007f":
        start -= 1
    return start > 0 and text[start - 1] == "\U0001f3f4"


def end_space(text: str) -> str:
    """Remove blank lines at the start and white space at the end; the first line keeps its indentation."""
    text = text.rstrip()
    if text[:1] in "\n\r\t \u3000":
        head = len(text) - len(text.lstrip())
        cut = text.rfind("\n", 0, head) + 1
        return text[cut:]
    return text


def line_space(text: str) -> str:
    """Remove white space at the end of each line."""
    return "\n".join(line.rstrip() for line in text.split("\n"))


# What a text may consist of and still be empty to a reader: white space and the invisible characters above.
_NOTHING = Lazy(f"(?:\\s|{_INVISIBLE.source}|[\x00-\x1f\x7f-\x9f\ufe00-\ufe0f])*")


def is_empty(text: str) -> bool:
    """Tell whether nothing can be seen in `text`: it is empty, white space, or invisible characters only."""
    return _NOTHING.fullmatch(text) is not None
