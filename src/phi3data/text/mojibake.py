"""Text in UTF-8 that was read in another encoding: "Ã¼" for "ü", "вЂ”" for "—", "锟斤拷" for what was lost already.

The proof is the way back: the piece is encoded in the wrong encoding and must then be good UTF-8. That alone is not
enough, since ``„Ä“`` also is (Windows-1252's C4 93 is "ē" in UTF-8); so pieces that occur in real text count only
beside others that do not.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import TYPE_CHECKING

from phi3data.text.lazy import Lazy
from phi3data.text.spot import Spot

if TYPE_CHECKING:
    from collections.abc import Iterator


@cache
def _table(encoding: str) -> dict[str, int]:
    """Return the byte of each character from 0x80 on; bytes that the encoding leaves out are those of Latin-1."""
    table = {chr(byte): byte for byte in range(0x80, 0x100)}
    for byte in range(0x80, 0x100):
        character = bytes([byte]).decode(encoding, "ignore")
        if character:
            table[character] = byte
    return table


def _class(encoding: str, low: int, high: int) -> str:
    return (
        "[" + "".join(re.escape(character) for character, byte in _table(encoding).items() if low <= byte <= high) + "]"
    )


def _sequences() -> str:
    """Return the pattern of one UTF-8 sequence of two to four bytes, read as Windows-1252."""
    tail = _class("cp1252", 0x80, 0xBF)
    two, three, four = (_class("cp1252", *ends) for ends in ((0xC2, 0xDF), (0xE0, 0xEF), (0xF0, 0xF4)))
    return f"{two}{tail}|{three}{tail}{{2}}|{four}{tail}{{3}}"


def _cyrillic() -> str:
    """Return the pattern of Cyrillic letters, one after another, read as Windows-1251: "РџСЂРё".

    Three in a row, since "Рі" alone begins "Рівне".
    """
    tail = _class("cp1251", 0x80, 0xBF)
    return f"(?:[РС]{tail}){{3,}}|в[Ђ„‚†]{tail}"


_WESTERN_ONE = Lazy(_sequences)
_WESTERN = Lazy(lambda: f"(?:{_sequences()})+")
_CYRILLIC = Lazy(_cyrillic)
# Characters that follow a capital letter in good text: closing quotes, dashes, marks of trade and of notes.
_NATURAL = frozenset("‘’‚“”„‹›«»–—…\xa0™®©°²³¹ºª·•†‡")
# Read as GBK, the commonest pieces of UTF-8 ("，", "。", "的", "’") begin with a character that hardly any text has.
_GBK = Lazy(r"(?:锟斤拷)+|[锛銆鐨鈥][\u4e00-\u9fff€？?]?[\u4e00-\u9fff€？?]*")

# The screen, in UTF-8: a lead and a tail that become one character; "РџС" and the like; "вЂ", "в„" …; the marks of GBK.
BYTES = (
    b"\xc3[\x82-\xb4][\xc2\xc5\xc6\xcb\xe2]",
    b"\xd0[\xa0\xa1][\xc2-\xdf][\x80-\xbf]\xd0[\xa0\xa1]",
    b"\xd0[\xa0\xa1]\xe2[\x80-\xbf][\x80-\xbf]\xd0[\xa0\xa1]",
    b"\xd0\xb2\xd0\x82",
    b"\xd0\xb2\xe2\x80[\x9a\x9e\xa0]",
    b"\xe9\x94[\x9b\x9f]",
    b"\xe9\x8a\x86",
    b"\xe9\x90\xa8",
    b"\xe9\x88\xa5",
)


def find(text: str) -> Iterator[Spot]:
    """Yield the pieces that become good text on the way back."""
    if text.isascii():
        return
    yield from _western(text)
    for match in _CYRILLIC.finditer(text):
        good = _back(match[0], "cp1251")
        if good is not None and (match[0][0] == "в" or all("\u0400" <= letter <= "\u04ff" for letter in good)):
            yield _spot(match, "UTF-8 read as Windows-1251", good)
    yield from _gbk(text)


def _western(text: str) -> Iterator[Spot]:
    found = [(match, good) for match in _WESTERN.finditer(text) if (good := _back(match[0], "cp1252")) is not None]
    proof = [match for match, good in found if _is_proof(match[0], good)]
    # A second piece counts as proof too where the language has the letters, as "Å‚" and "Ä™" for Polish.
    if proof:
        for match, good in found:
            yield _spot(match, "UTF-8 read as Windows-1252", good)


def _is_proof(piece: str, good: str) -> bool:
    """Tell whether a piece does not occur in good text: by one of its sequences, or as two letters on end."""
    parts = [part[0] for part in _WESTERN_ONE.finditer(piece)]
    return any(_is_strange(part) for part in parts) or (len(parts) >= 2 and good.isalpha())


def _is_strange(part: str) -> bool:
    if len(part) == 2:
        return part[1] not in _NATURAL or (part[0] in "ÂÃ" and part[1] in "®©°²³¹ºª·")
    # Three or four letters became one: of punctuation and symbols, "â€™", one is enough.
    good = _back(part, "cp1252") or "x"
    return unicodedata.category(good)[0] in "PSC" or "\x80" <= min(part[1:]) <= "\x9f"


def _back(piece: str, encoding: str) -> str | None:
    table = _table(encoding)
    try:
        good = bytes([table[character] for character in piece]).decode("utf-8")
    except (KeyError, UnicodeDecodeError):
        return None
    return good if all(unicodedata.category(character) not in {"Cn", "Co", "Cc"} for character in good) else None


def _gbk(text: str) -> Iterator[Spot]:
    for match in _GBK.finditer(text):
        if match[0].startswith("锟斤拷"):
            yield Spot(match.start(), match.end(), "characters lost on the way through GBK:")
            continue
        data = match[0].encode("gbk", "ignore")
        good = data.decode("utf-8", "ignore")
        # The last byte of a piece has often lost its other half: nearly all, not all of the bytes must be good.
        if len(good) >= 1 and len(good.encode()) + 3 >= len(data) and good[0] in "，。、：；！？“”‘’的—…《》（）":
            yield Spot(match.start(), match.end(), f"UTF-8 read as GBK (was '{good[:12]}'):")


def _spot(match: re.Match[str], what: str, good: str) -> Spot:
    good = good[:12] if good.isprintable() else good[:12].encode("unicode_escape").decode()
    return Spot(match.start(), match.end(), f"{what} (was '{good}'):")
