"""Questions and their answers, by a kernel compiled by numba: which may be in two languages, or say the same.

Importing this module imports numba (about 0.5 s).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phi3data.jit import Number, address, kernel, load8, load16, load64, part, point_at, store64
from phi3data.rules.characters import LETTER, SEEN, SPACE
from phi3data.rules.characters_kernel import is_ascii, is_white, known_at, step_back, step_on
from phi3data.rules.words import BASIS, LANGUAGES, LETTERS, PLACES, PRIME, SHIFT, UNKNOWN
from phi3data.text.language import LEAST_LETTERS, LEAST_WORDS, LOOK, VOTES

if TYPE_CHECKING:
    from numpy.typing import NDArray

_USER, _ASSISTANT = 1, 2  # roles; 0 is the system's
_COPY = 40  # bytes, as in `text.copying`
# Languages: none, not known here, by script; others are those of words, from 1.
_NONE, _ANY, _CHINESE, _JAPANESE = 0, -1, 1000, 1001
_TONGUES = len(LANGUAGES)
_BASIS, _PRIME, _SHIFT = np.uint64(BASIS), np.uint64(PRIME), np.uint64(SHIFT)
_OTHER = np.uint64(1)  # the hash of no word of the table


@part
def _written(text: int, start: int, end: int) -> int:
    """Return how a text is written, as `language.may_differ` tells texts apart."""
    if is_ascii(text, start, min(end, start + LOOK)):
        return 0
    stop = step_on(text, start, end, LOOK)
    size, count, accents, kana = stop - start, 0, False, False
    for place in range(start, stop):
        byte = load8(text, place)
        count += byte & 0xC0 != 0x80
        accents |= 0xC3 <= byte <= 0xC5
        kana |= byte == 0xE3 and 0x81 <= load8(text, place + 1) <= 0x82
    if 10 * size < 14 * count:
        return 1 if accents else 0
    if 10 * size < 22 * count:
        return 2
    return 4 if kana else 3


@part
def _by_script(text: int, start: int, stop: int) -> int:
    """Return the language of a text of which most is no Latin, as far as Chinese and Japanese letters tell it."""
    kana = han = latin = 0
    for at in range(start, stop):
        byte = load8(text, at)
        if byte < 0x80:
            latin += 97 <= byte | 32 <= 122
        elif byte >= 0xC0:
            point = point_at(text, at)
            kana += 0x3040 <= point <= 0x30FF
            han += 0x4E00 <= point <= 0x9FFF
            latin += 0xC0 <= point <= 0x24F
            if 0x370 <= point <= 0xE7F or 0xAC00 <= point <= 0xD7A3:
                return _ANY  # letters of another script
    if kana and 20 * kana >= han + kana:
        kana, han = kana + han, 0
    most, total = max(kana, han, latin), kana + han + latin
    if total == 0 or 10 * most < 8 * total or (most < LEAST_LETTERS and most > latin):
        return _NONE
    return _ANY if most == latin else _JAPANESE if most == kana else _CHINESE


@part
def _vote(of_word: Number, hashes: int, languages: int, votes: int) -> None:
    """Add the votes of a word, by its hash, to those of its languages."""
    place = of_word >> _SHIFT
    while True:
        found = load64(hashes, 8 * np.int64(place))
        if found == np.uint64(0):
            return
        if found == of_word:
            break
        place = (place + np.uint64(1)) % np.uint64(PLACES)
    bits = load64(languages, 8 * np.int64(place))
    many = 0
    for number in range(_TONGUES):
        many += (bits >> np.uint64(number)) & np.uint64(1) != 0
    for number in range(_TONGUES):
        if (bits >> np.uint64(number)) & np.uint64(1):
            store64(votes, 8 * number, load64(votes, 8 * number) + np.uint64(VOTES // many))


@part
def _elected(votes: int, words: int) -> int:
    """Return the language that has the votes of so many words, from 1."""
    most = after = best = 0
    for number in range(_TONGUES):
        some: Number = np.int64(load64(votes, 8 * number))
        if some > most:
            most, after, best = some, most, number + 1
        elif some > after:
            after = some
    plain = words >= LEAST_WORDS and most >= 2 * VOTES and 8 * most >= VOTES * words and most >= 3 * after
    return best if plain else _NONE


@part
def _letter(text: int, at: int, characters: int, letters: int) -> Number:
    """Return the small letter of the character at a byte; 0 if it is none, `UNKNOWN` if that is not known."""
    byte = load8(text, at)
    if byte < 0x80:
        return load16(letters, byte)
    point = point_at(text, at)
    if point < LETTERS:
        return load16(letters, point)
    return UNKNOWN if known_at(text, at, characters) & (LETTER | SEEN) else 0


@part
def _by_words(
    text: int, start: int, stop: int, characters: int, letters: int, hashes: int, languages: int, votes: int
) -> int:
    """Do what `language` does for a text most of which is Latin."""
    for number in range(_TONGUES):
        store64(votes, 8 * number, np.uint64(0))
    words = 0
    of_word, inside, joined = _BASIS, False, False
    at = start
    while at < stop:
        byte = load8(text, at)
        size = 1 if byte < 0x80 else 2 + (byte >= 0xE0) + (byte >= 0xF0)
        letter = _letter(text, at, characters, letters)
        if letter == UNKNOWN:
            return _ANY
        at += size
        if letter:
            of_word = (of_word ^ np.uint64(letter)) * _PRIME if not joined else _OTHER
            inside = True
            continue
        apostrophe = byte == 39 or (byte == 0xE2 and point_at(text, at - 3) == 0x2019)
        if inside and not joined and apostrophe and at < stop and _letter(text, at, characters, letters):
            joined = True
            continue
        if inside:
            words += 1
            _vote(of_word, hashes, languages, votes)
        of_word, inside, joined = _BASIS, False, False
    if inside:
        words += 1
        _vote(of_word, hashes, languages, votes)
    return _elected(votes, words)


@part
def _copies(text: int, start: int, end: int, at: int, stop: int, characters: int) -> bool:
    """Tell whether an answer, from `at` to `stop`, may be the end of its question, white space around both left out."""
    while stop > at and is_white(load8(text, stop - 1)):
        stop -= 1
    while at < stop and is_white(load8(text, at)):
        at += 1
    while end > start and is_white(load8(text, end - 1)):
        end -= 1
    if stop - at < _COPY or end == start:
        return False
    for edge in (at, step_back(text, at, stop, 1), step_back(text, start, end, 1)):
        if load8(text, edge) >= 0x80 and known_at(text, edge, characters) & SPACE:
            return True
    if stop - at > end - start:
        return False
    same = 1
    while same <= stop - at and load8(text, stop - same) == load8(text, end - same):
        same += 1
    return same > stop - at


@part
def _language(
    text: int,
    start: int,
    end: int,
    kind: int,
    characters: int,
    letters: int,
    hashes: int,
    languages: int,
    votes: int,
) -> int:
    """Do what `language` does for a text that is written in a way."""
    stop = step_on(text, start, end, LOOK)
    if kind < 2:
        return _by_words(text, start, stop, characters, letters, hashes, languages, votes)
    return _by_script(text, start, stop)


@kernel
def pairs(
    data: NDArray[np.uint8],
    ends: NDArray[np.int64],
    roles: NDArray[np.uint8],
    rows: NDArray[np.int64],
    character_table: NDArray[np.uint8],
    letter_table: NDArray[np.uint16],
    word_hashes: NDArray[np.uint64],
    word_languages: NDArray[np.uint64],
    counts: NDArray[np.uint64],
    bit: int,
    wide_bit: int,
    found: NDArray[np.int64],
) -> None:
    """Add `bit` to what was `found` of each answer that must be compared with its question.

    What was found has `wide_bit` for a text beyond ASCII. The tables are those of `characters` and `words`; `counts`
    has a place for each language.
    """
    text, characters, letters = address(data), address(character_table), address(letter_table)
    hashes, languages, votes = address(word_hashes), address(word_languages), address(counts)
    for row in range(len(rows) - 1):
        question = question_end = wide = 0
        for number in range(rows[row], rows[row + 1]):
            start, end, role = ends[number], ends[number + 1], roles[number]
            if role == _USER:
                question, question_end, wide = start, end, found[number] & wide_bit
            if role != _ASSISTANT or end == start or question_end == question:
                continue
            if _copies(text, question, question_end, start, end, characters):
                found[number] |= bit
            elif wide or found[number] & wide_bit:
                kind, other = _written(text, question, question_end), _written(text, start, end)
                if kind == other:
                    continue
                asked = _language(text, question, question_end, kind, characters, letters, hashes, languages, votes)
                answered = _language(text, start, end, other, characters, letters, hashes, languages, votes)
                if asked != _NONE and answered != _NONE and (answered != asked or asked == _ANY):
                    found[number] |= bit
