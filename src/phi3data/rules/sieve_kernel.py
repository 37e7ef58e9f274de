"""The sieve, by a kernel compiled by numba: `sieve` says what is asked of a text, and why.

Importing this module imports numba (about 0.5 s). numba notices a change of the file that a kernel is in and of no
other: so its helpers stand here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phi3data.jit import Number, address, inlined, kernel, load8, load32, load64, part
from phi3data.rules.characters import AFTER_EMOJI, EMOJI, HIDDEN, LETTER, PLANE, SEEN, SPACE, UNSURE

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What is asked of a text, by the place of its bits: those of loops, of characters that do not show, of normal forms, of
# a cut end, of numbers, of long words, of a pair, of a text that says nothing.
LOOP, SHOWS, FORM, CUT, NUMBER, WORD, PAIR, NOTHING = range(8)

_USER, _ASSISTANT = 1, 2  # roles; 0 is the system's
_PROBE, _PERIOD, _LONG, _LONGER = 24, 400, 240, 600  # as in `text.repetition`
_LINE = 30  # bytes of a last line that may stop too early, as in `text.truncation`
_DIGITS = 7  # as in `text.numbers`
_WORD, _DENSE = 20, 8  # bytes of a word that may be a token, and capitals and digits in it, as in `text.secrets`
_COPY = 40  # as in `text.copying`
_LOOK = 400  # characters that tell how a text is written, as in `text.language`
_LETTERS = 8  # of scripts whose language follows from the script, as there
_NONE, _WORDS, _CHINESE, _JAPANESE = range(4)
_SAYS = 12  # visible characters of a text that says something, as in `steps.missing`
_OVERLAP = 128  # bytes that two looks at a long text have in common: more than any hint has

_TOKEN, _SUM, _APART = (np.zeros(256, np.bool_) for _ in range(3))
_TOKEN[list(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/_.%=-")] = True
_TOKEN[0x80:] = True
_SUM[list(b"=*/<>$%")] = True
_APART[list(b"e+/%=")] = True  # what keeps them apart in a skeleton
# A byte eight times: what finds white space among 8 bytes at once.
_HIGHS, _SEVENS, _OVER_SPACE = (np.uint64(0x0101010101010101 * byte) for byte in (0x80, 0x7F, 0x5F))
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


@inlined
def _point(text: Number, at: Number) -> Number:
    """Return the character beyond ASCII that begins at a byte."""
    first = load8(text, at)
    if first < 0xE0:
        return (first & 31) << 6 | load8(text, at + 1) & 63
    if first < 0xF0:
        return (first & 15) << 12 | (load8(text, at + 1) & 63) << 6 | load8(text, at + 2) & 63
    high = (first & 7) << 18 | (load8(text, at + 1) & 63) << 12
    return high | (load8(text, at + 2) & 63) << 6 | load8(text, at + 3) & 63


@inlined
def _known(text: Number, at: Number, characters: Number) -> Number:
    """Return what is known of the character that begins at a byte beyond ASCII."""
    point = _point(text, at)
    if point >= PLANE:
        if not EMOJI <= point < AFTER_EMOJI:
            return HIDDEN | UNSURE | LETTER | SPACE
        point -= EMOJI - PLANE
    return load8(characters, point)


@inlined
def _is_white(byte: Number) -> Number:
    return byte == 32 or 9 <= byte <= 13 or 28 <= byte <= 31


@part
def _back(text: int, start: int, at: int, count: int) -> int:
    """Return where the character begins that stands so many before a place, or where the text begins."""
    while at > start and count:
        at -= 1
        count -= load8(text, at) & 0xC0 != 0x80
    return at


@part
def _on(text: int, at: int, end: int, count: int) -> int:
    """Return where the character begins that stands so many behind a place, or where the text ends."""
    while at < end and count:
        at += 1
        count -= at == end or load8(text, at) & 0xC0 != 0x80
    return at


@part
def _again(text: int, probe: int, probe_end: int, start: int, end: int) -> bool:
    """Tell whether the bytes of a probe, `_PROBE` and more, stand from `start` to `end` too.

    Where they do, one of the eights of bytes at every sixteenth place is one of its first: two small tables of bits
    tell that of most that it is none.
    """
    one, low, high = np.uint64(1), np.uint64(0), np.uint64(0)
    for place in range(_PROBE - 7):
        mixed = load64(text, probe + place) * _GOLDEN
        high |= one << (mixed >> np.uint64(58))
        low |= one << (mixed >> np.uint64(52) & np.uint64(63))
    size = probe_end - probe
    last = end - size
    first = load64(text, probe)
    for at in range(start, last + 17, 16):
        mixed = load64(text, at) * _GOLDEN
        if high >> (mixed >> np.uint64(58)) & low >> (mixed >> np.uint64(52) & np.uint64(63)) & one:
            for place in range(max(start, at - 16), min(last, at) + 1):
                same = 8 if load64(text, place) == first else size + 1
                while same < size and load8(text, place + same) == load8(text, probe + same):
                    same += 1
                if same == size:
                    return True
    return False


@part
def _loops(text: int, start: int, end: int, count: int) -> bool:
    """Do what `repetition.may_loop` does, for a text of so many characters."""
    last = _back(text, start, end, 1)
    if _again(text, _back(text, start, end, _PROBE), end, _back(text, start, end, _PERIOD + _PROBE), last):
        return True
    if count < _LONGER:
        return False
    middle = start + count // 2 if count == end - start else _on(text, start, end, count // 2)
    after = _on(text, middle, end, 1)
    return _again(text, middle, _on(text, middle, end, _PROBE), after, _on(text, after, end, _PERIOD + _PROBE - 1))


@part
def _cut(text: int, start: int, end: int, known: int) -> bool:
    """Tell whether a text ends with a letter, in a line that is no short one; capitals end ASCII as they like."""
    last = load8(text, end - 1)
    if not (97 <= last <= 122 or (known >= 0 and (65 <= last <= 90 or known & LETTER))):
        return False
    for at in range(max(start, end - _LINE), end):
        if load8(text, at) == 10:
            return False
    return end - start >= _LINE


@part
def _tokens(text: int, start: int, end: int) -> bool:
    """Tell whether there is a word as long as a token with as many capitals and digits on end, as `skeleton` tells.

    Such a word has sixteen bytes from a place on that four divides, without white space.
    """
    at = start
    while at + 16 <= end:
        one, two = load64(text, at), load64(text, at + 8)
        seen = ((one & _SEVENS) + _OVER_SPACE | one) & ((two & _SEVENS) + _OVER_SPACE | two)
        at += 4
        if seen & _HIGHS != _HIGHS:
            continue
        word = at
        while word > start and _TOKEN[load8(text, word - 1)]:
            word -= 1
        many = most = 0
        stop = word
        while stop < end and _TOKEN[load8(text, stop)]:
            byte = load8(text, stop)
            many = 0 if _APART[byte] else many + (48 <= byte <= 57 or 65 <= byte <= 90)
            most = max(most, many)
            stop += 1
        if most >= _DENSE and stop - word >= _WORD:
            return True
        at = max(at, start + (stop - start) // 4 * 4)
    return False


@inlined
def _digit(text: Number, at: Number) -> Number:
    byte = load8(text, at)
    return 48 <= byte <= 57


@part
def _run_end(text: int, at: int, end: int) -> tuple[int, int]:
    """Return where digits end that stand alone or with what `numbers` lets stand between two, and how many they are."""
    count = 0
    while at < end:
        place = at
        byte = load8(text, place)
        if count and (byte == 32 or byte == 45 or byte == 46):
            place += 1
            place += place < end and load8(text, place) == 40
        elif count and byte == 40:
            place += 1
        elif count and byte == 41:
            place += 1
            place += place < end and (load8(text, place) == 32 or 45 <= load8(text, place) <= 46)
        if place >= end or not _digit(text, place):
            break
        count += 1
        at = place + 1
    return at, count


@part
def _is_date(text: int, start: int, end: int) -> bool:
    """Tell whether a run of digits is a date, with no long number behind it."""
    if end - start < 10 or load8(text, start + 4) != 45 or load8(text, start + 7) != 45:
        return False
    century = load8(text, start) * 10 + load8(text, start + 1) - 528
    month, day = load8(text, start + 5), load8(text, start + 8)
    digits = _digit(text, start + 2) and _digit(text, start + 3) and _digit(text, start + 6) and _digit(text, start + 9)
    if not ((century == 19 or century == 20) and 48 <= month <= 49 and 48 <= day <= 51 and digits):
        return False
    if end > start + 10 and _digit(text, start + 10):
        return False
    on_end = 0
    for at in range(start + 10, end):
        on_end = on_end + 1 if _digit(text, at) else 0
        if on_end == 5:
            return False
    return True


@part
def _numbers(text: int, start: int, end: int) -> bool:
    """Tell whether there is a run of digits that is no date and no part of a sum, as `numbers.look` does."""
    at = start
    while at < end:
        if not _digit(text, at):
            at += 1
            continue
        stop, count = _run_end(text, at, end)
        if count >= _DIGITS and not _is_date(text, at, stop):
            before = at - 1 - (at - 1 > start and _is_white(load8(text, at - 1)))
            after = stop + (stop + 1 < end and _is_white(load8(text, stop)))
            summed = (before >= start and _SUM[load8(text, before)]) or (after < end and _SUM[load8(text, after)])
            if not summed:
                return True
        at = stop
    return False


@part
def _says(text: int, start: int, end: int, characters: int) -> bool:
    """Tell whether a text has as many visible characters as say something."""
    seen = 0
    for at in range(start, end):
        byte = load8(text, at)
        seen += 33 <= byte <= 126 or (byte >= 0xC0 and _known(text, at, characters) & SEEN != 0)
        if seen >= _SAYS:
            return True
    return False


@part
def _written(text: int, start: int, end: int) -> int:
    """Return how a text is written, as `language.may_differ` tells texts apart."""
    stop = _on(text, start, end, _LOOK)
    size, count, accents, kana = stop - start, 0, False, False
    for at in range(start, stop):
        byte = load8(text, at)
        count += byte & 0xC0 != 0x80
        accents |= 0xC3 <= byte <= 0xC5
        kana |= byte == 0xE3 and 0x81 <= load8(text, at + 1) <= 0x82
    if 10 * size < 14 * count:
        return 1 if accents else 0
    if 10 * size < 22 * count:
        return 2
    return 4 if kana else 3


@part
def _script(text: int, start: int, end: int, kind: int) -> int:
    """Return what the scripts of a text say of its language, as in `language`: none, one of two, or that words must."""
    if kind < 2:
        return _WORDS
    stop = _on(text, start, end, _LOOK)
    kana = han = latin = 0
    for at in range(start, stop):
        byte = load8(text, at)
        if byte < 0x80:
            latin += 97 <= byte | 32 <= 122
        elif byte >= 0xC0:
            point = _point(text, at)
            kana += 0x3040 <= point <= 0x30FF
            han += 0x4E00 <= point <= 0x9FFF
            latin += 0xC0 <= point <= 0x24F
            if 0x370 <= point <= 0xE7F or 0xAC00 <= point <= 0xD7A3:
                return _WORDS  # or letters of another script
    if kana and 20 * kana >= han + kana:
        kana, han = kana + han, 0
    most, total = max(kana, han, latin), kana + han + latin
    if total == 0 or 10 * most < 8 * total or (most < _LETTERS and most > latin):
        return _NONE
    return _WORDS if most == latin else _JAPANESE if most == kana else _CHINESE


@part
def _changes(text: int, start: int, end: int, kind: int, at: int, stop: int, other: int) -> bool:
    """Tell whether an answer, from `at` to `stop`, may be in another language than its question."""
    if kind == other:
        return False
    asked, answered = _script(text, start, end, kind), _script(text, at, stop, other)
    return asked != _NONE and answered != _NONE and (asked != answered or asked == _WORDS)


@part
def _copies(text: int, start: int, end: int, at: int, stop: int, characters: int) -> bool:
    """Tell whether an answer, from `at` to `stop`, may be the end of its question, white space around both left out."""
    while stop > at and _is_white(load8(text, stop - 1)):
        stop -= 1
    while at < stop and _is_white(load8(text, at)):
        at += 1
    while end > start and _is_white(load8(text, end - 1)):
        end -= 1
    if stop - at < _COPY or end == start:
        return False
    for edge in (at, _back(text, at, stop, 1), _back(text, start, end, 1)):
        if load8(text, edge) >= 0x80 and _known(text, edge, characters) & SPACE:
            return True
    if stop - at > end - start:
        return False
    same = 1
    while same <= stop - at and load8(text, stop - same) == load8(text, end - same):
        same += 1
    return same > stop - at


@part
def _hinted(
    text: int, start: int, end: int, moves: int, kinds: int, masks: NDArray[np.int64], width: int, accepting: int
) -> int:
    """Return the bits of all hints in a text; `width` is the size of a row of the automaton's table at `moves`."""
    state = mask = 0
    if end - start < 2 * _OVERLAP:
        for at in range(start, end):
            state = load32(moves, state + load8(kinds, load8(text, at)))
            if state >= accepting:
                mask |= masks[state // width]
        return mask
    # From the start and from the middle at once: neither load has to wait for the other.
    apart = (end - start - _OVERLAP) // 2
    later = width
    for at in range(start, end - apart):
        state = load32(moves, state + load8(kinds, load8(text, at)))
        later = load32(moves, later + load8(kinds, load8(text, at + apart)))
        if state >= accepting:
            mask |= masks[state // width]
        if later >= accepting:
            mask |= masks[later // width]
    return mask


@part
def _asked(text: int, start: int, end: int, bits: NDArray[np.int64], characters: int) -> tuple[int, int, int, int]:
    """Ask of a text what is asked of everybody's: return its bits, and what is to be known for more.

    That is how it is written, how many characters it has, and what is known of the last one: -1 where all are ASCII.
    """
    wide = digits = mask = kind = seen = 0
    for at in range(start, end):
        byte = load8(text, at)
        wide += byte >= 0x80
        digits += 48 <= byte <= 57
    count, last = end - start, -1
    if wide:
        for at in range(start, end):
            byte = load8(text, at)
            count -= byte & 0xC0 == 0x80
            if byte >= 0xC0:
                seen |= _known(text, at, characters)
        place = _back(text, start, end, 1)
        last = _known(text, place, characters) if load8(text, place) >= 0x80 else 0
        kind = _written(text, start, end)
    if seen & HIDDEN:
        mask |= bits[SHOWS]
    if seen & UNSURE:
        mask |= bits[FORM]
    if digits >= _DIGITS and _numbers(text, start, end):
        mask |= bits[NUMBER]
    if _tokens(text, start, end):
        mask |= bits[WORD]
    if not _says(text, start, end, characters):
        mask |= bits[NOTHING]
    return mask, kind, count, last


@kernel
def sieve(
    data: NDArray[np.uint8],
    ends: NDArray[np.int64],
    roles: NDArray[np.uint8],
    rows: NDArray[np.int64],
    table: NDArray[np.uint32],
    kinds: NDArray[np.uint8],
    masks: NDArray[np.int64],
    accepting: int,
    characters: NDArray[np.uint8],
    bits: NDArray[np.int64],
    of_roles: NDArray[np.int64],
    found: NDArray[np.int64],
) -> None:
    """Ask everything of each text, and fill `found` with the bits of what it may have, of those of its role.

    `bits` are those of what is asked, in the order of `LOOP` and so on; the automaton is a `hints.Automaton`.
    """
    text, moves, sorts, known = address(data), address(table), address(kinds), address(characters)
    width = len(table) // len(masks)
    for row in range(len(rows) - 1):
        question = question_end = question_kind = 0
        for number in range(rows[row], rows[row + 1]):
            start, end, role = ends[number], ends[number + 1], roles[number]
            mask, kind, count, last = _asked(text, start, end, bits, known)
            mask |= _hinted(text, start, end, moves, sorts, masks, width, accepting)
            if role == _USER:
                question, question_end, question_kind = start, end, kind
            elif role == _ASSISTANT and end > start:
                if count >= _LONG and _loops(text, start, end, count):
                    mask |= bits[LOOP]
                if _cut(text, start, end, last):
                    mask |= bits[CUT]
                if question_end > question and (
                    _changes(text, question, question_end, question_kind, start, end, kind)
                    or _copies(text, question, question_end, start, end, known)
                ):
                    mask |= bits[PAIR]
            found[number] = mask & of_roles[role]
