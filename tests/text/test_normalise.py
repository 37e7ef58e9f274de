"""Characters that are looked up: what stands beside them never changes what `normalise` makes of them."""

from __future__ import annotations

import unicodedata

from phi3data.text.normalise import characters, normalise

POINTS = [point for point in range(0x80, 0x10000) if not 0xD800 <= point < 0xE000]


def test_a_known_character_stands_for_itself() -> None:
    known = characters()
    assert not known[:0x80].any()
    for point in POINTS:
        if known[point]:
            made = normalise(f"a{chr(point)}b")
            assert made == f"a{chr(known[point])}b", hex(point)
            assert len(chr(known[point]).encode()) <= len(chr(point).encode())
    assert "".join(chr(known[ord(letter)]) for letter in "ÄßΣЖ你か한\u00a0\u3000") == "ä\0σж你か한  "


def test_no_known_character_becomes_one_with_what_stands_before_it() -> None:
    pairs = [unicodedata.decomposition(chr(point)).split() for point in range(0x110000)]
    seconds = {int(pair[1], 16) for pair in pairs if len(pair) == 2 and not pair[0].startswith("<")}
    seconds |= set(range(0x1161, 0x1176)) | set(range(0x11A8, 0x11C3))  # of Hangul
    known = characters()
    for point in POINTS:
        first = ord(unicodedata.normalize("NFKD", chr(point))[0])
        if first in seconds or unicodedata.combining(chr(first)):
            assert not known[point], hex(point)
