"""The sieve, by a kernel compiled by numba: `sieve` says what is asked of a text, and why.

Importing this module imports numba (about 0.5 s).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phi3data.jit import Number, address, inlined, kernel, load8, load32, load64, part
from phi3data.rules.characters import HIDDEN, LETTER, SEEN, UNSURE
from phi3data.rules.characters_kernel import is_ascii, is_white, known_at, step_back, step_on
from phi3data.rules.hints import LONGEST

if TYPE_CHECKING:
    from numpy.typing import NDArray

# What is asked of a text, by the place of its bits: those of loops, of characters that do not show, of normal forms, of
# a cut end, of long words, of a text that says nothing, of one beyond ASCII.
LOOP, SHOWS, FORM, CUT, WORD, NOTHING, WIDE = range(7)

_ASSISTANT = 2  # a role
_PROBE, _PERIOD, _LONG, _LONGER = 24, 400, 240, 600  # as in `text.repetition`
_LINE = 30  # bytes of a last line that may stop too early, as in `text.truncation`
_DIGITS, _AROUND = 7, 36  # as in `text.numbers`
_WORD, _DENSE = 20, 8  # bytes of a word that may be a token, and capitals and digits in it, as in `text.secrets`
_SAYS = 12  # visible characters of a text that says something, as in `steps.missing`

_TOKEN, _SUM, _APART, _BETWEEN = (np.zeros(256, np.bool_) for _ in range(4))
_TOKEN[list(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/_.%=-")] = True
_TOKEN[0x80:] = True
_SUM[list(b"=*/<>$%")] = True
_APART[list(b"e+/%=")] = True  # what keeps them apart in a skeleton
_BETWEEN[list(b"0123456789 .()-")] = True  # runs of digits have no other bytes
# A byte eight times: what finds white space and digits among 8 bytes at once, by the highest bit of a sum.
_HIGHS, _SEVENS, _COMMAS = (np.uint64(0x0101010101010101 * byte) for byte in (0x80, 0x7F, 0x2C))
_OVER_SPACE, _TO_SPACE, _TO_DIGIT, _TO_COLON = (
    np.uint64(0x0101010101010101 * byte) for byte in (0x5F, 0x60, 0x50, 0x46)
)
_BYTE, _EIGHT = np.uint64(255), np.uint64(8)
_LOWER, _UPPER = np.uint64(0x80808080), np.uint64(0x80808080 << 32)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)


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
    last = step_back(text, start, end, 1)
    if _again(text, step_back(text, start, end, _PROBE), end, step_back(text, start, end, _PERIOD + _PROBE), last):
        return True
    if count < _LONGER:
        return False
    middle = start + count // 2 if count == end - start else step_on(text, start, end, count // 2)
    after = step_on(text, middle, end, 1)
    return _again(
        text, middle, step_on(text, middle, end, _PROBE), after, step_on(text, after, end, _PERIOD + _PROBE - 1)
    )


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

    Such a word of twenty bytes has thirteen from a place on that eight divides, none of them white space.
    """
    at = start
    while at + 13 <= end:
        one, two = load64(text, at), load64(text, at + 5)
        seen = ((one & _SEVENS) + _OVER_SPACE | one) & ((two & _SEVENS) + _OVER_SPACE | two)
        at += 8
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
        at = max(at, start + (stop - start) // 8 * 8)
    return False


@part
def _says(text: int, start: int, end: int, characters: int) -> bool:
    """Tell whether a text has as many visible characters as say something."""
    seen = 0
    for at in range(start, end):
        byte = load8(text, at)
        seen += 33 <= byte <= 126 or (byte >= 0xC0 and known_at(text, at, characters) & SEEN != 0)
        if seen >= _SAYS:
            return True
    return False


@part
def _note(place: int, mask: int, ends: NDArray[np.int64], found: NDArray[np.int64]) -> None:
    """Add bits to those of the text that the byte at a place is of."""
    low, high = 0, len(found)  # the text is one of those from `low` to before `high`
    while low + 1 < high:
        middle = (low + high) // 2
        if ends[middle] <= place:
            low = middle
        else:
            high = middle
    found[low] |= mask


@part
def _walk(
    text: int,
    at: int,
    end: int,
    state: int,
    ends: NDArray[np.int64],
    moves: int,
    kinds: int,
    masks: NDArray[np.int64],
    width: int,
    accepting: int,
    found: NDArray[np.int64],
) -> None:
    """Go on from a state of the automaton, and add the bits of the hints that end on the way."""
    while at < end:
        state = load32(moves, state + load8(kinds, load8(text, at)))
        if state >= accepting:
            _note(at, masks[state // width], ends, found)
        at += 1


@part
def _look_up(
    text: int,
    ends: NDArray[np.int64],
    moves: int,
    kinds: int,
    masks: NDArray[np.int64],
    width: int,
    accepting: int,
    found: NDArray[np.int64],
) -> None:
    """Add the bits of all hints to those of the texts that have them, but for hints at the start of a text.

    `width` is the size of a row of the automaton's table at `moves`. The automaton goes from text to text as if they
    were one: what begins in one and ends in the next one asks too much. It runs at four places at once, since each step
    waits for the one before, eight bytes at a time; where a hint ends among these, it goes over them once more. Each
    place begins so early that no hint is cut in two.
    """
    start, end = ends[0], ends[len(ends) - 1]
    apart = max(0, (end - start - LONGEST) // 4)
    one = two = three = four = width
    at, stop = start, end - 3 * apart
    while at < stop:
        old_one, old_two, old_three, old_four = one, two, three, four
        most = 0
        if at + 8 <= stop:
            first, second = load64(text, at), load64(text, at + apart)
            third, fourth = load64(text, at + 2 * apart), load64(text, at + 3 * apart)
            for _ in range(8):
                one = load32(moves, one + load8(kinds, np.int64(first & _BYTE)))
                two = load32(moves, two + load8(kinds, np.int64(second & _BYTE)))
                three = load32(moves, three + load8(kinds, np.int64(third & _BYTE)))
                four = load32(moves, four + load8(kinds, np.int64(fourth & _BYTE)))
                most = max(most, one, two, three, four)
                first >>= _EIGHT
                second >>= _EIGHT
                third >>= _EIGHT
                fourth >>= _EIGHT
        if most >= accepting or at + 8 > stop:
            last = min(at + 8, stop)
            for lane, state in enumerate((old_one, old_two, old_three, old_four)):
                place = at + lane * apart
                _walk(text, place, last + lane * apart, state, ends, moves, kinds, masks, width, accepting, found)
        at += 8


@part
def _begins(
    text: int, start: int, end: int, moves: int, kinds: int, masks: NDArray[np.int64], width: int, accepting: int
) -> int:
    """Return the bits of the hints at the start of a text: the automaton runs until it is where any text takes it."""
    state, other, mask = 0, width, 0
    while start < end and state != other:
        kind = load8(kinds, load8(text, start))
        state, other = load32(moves, state + kind), load32(moves, other + kind)
        if state >= accepting:
            mask |= masks[state // width]
        start += 1
    return mask


@part
def _hinted(
    text: int, start: int, end: int, moves: int, kinds: int, masks: NDArray[np.int64], width: int, accepting: int
) -> int:
    """Return the bits of all hints in a piece of a text."""
    state, mask = width, 0
    for at in range(start, end):
        state = load32(moves, state + load8(kinds, load8(text, at)))
        if state >= accepting:
            mask |= masks[state // width]
    return mask


@inlined
def _in_runs(word: Number) -> Number:
    """Return the highest bit of each of eight bytes that may be in a run of digits: from space to "9", but no ","."""
    low, comma = word & _SEVENS, word ^ _COMMAS
    return (low + _TO_SPACE) & ~(low + _TO_COLON | word) & ((comma & _SEVENS) + _SEVENS | comma) & _HIGHS


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
def _numbers(
    text: int, start: int, end: int, moves: int, kinds: int, masks: NDArray[np.int64], width: int, accepting: int
) -> int:
    """Return the bits of what stands around runs of digits that are no dates and no parts of sums: see `numbers`.

    Such a run has seven bytes at least, so four from a place on that four divides, and a digit among these.
    """
    at = done = start
    mask = 0
    first = last = end  # around some runs, as long as they are near each other
    while at < end:
        if at + 8 <= end:
            word = load64(text, at)
            inside = _in_runs(word)
            digits = inside & ((word & _SEVENS) + _TO_DIGIT)
            first_four = inside & _LOWER == _LOWER and digits & _LOWER
            if not first_four and (inside | _LOWER != _HIGHS or not digits & _UPPER):
                at += 8
                continue
        while at > done and _BETWEEN[load8(text, at - 1)]:
            at -= 1
        while at < end and not _digit(text, at):
            at += 1
        stop, count = _run_end(text, at, end)
        if count >= _DIGITS and not _is_date(text, at, stop):
            before = at - 1 - (at - 1 > start and is_white(load8(text, at - 1)))
            after = stop + (stop + 1 < end and is_white(load8(text, stop)))
            summed = (before >= start and _SUM[load8(text, before)]) or (after < end and _SUM[load8(text, after)])
            if not summed:
                begin = step_back(text, start, at, _AROUND)
                if begin > last:
                    mask |= _hinted(text, first, last, moves, kinds, masks, width, accepting)
                    first = begin
                first = min(first, begin)
                last = step_on(text, stop, end, _AROUND)
        at = done = stop
    return mask | _hinted(text, first, last, moves, kinds, masks, width, accepting)


@part
def _asked(text: int, start: int, end: int, bits: NDArray[np.int64], characters: int) -> tuple[int, int, int]:
    """Ask of a text what is asked of everybody's: return its bits, and what is to be known for more.

    That is how many characters it has, and what is known of the last one: -1 where all are ASCII.
    """
    mask = seen = 0
    count, last = end - start, -1
    if not is_ascii(text, start, end):
        mask |= bits[WIDE]
        for place in range(start, end):
            byte = load8(text, place)
            count -= byte & 0xC0 == 0x80
            if byte >= 0xC0:
                seen |= known_at(text, place, characters)
        at = step_back(text, start, end, 1)
        last = known_at(text, at, characters) if load8(text, at) >= 0x80 else 0
    if seen & HIDDEN:
        mask |= bits[SHOWS]
    if seen & UNSURE:
        mask |= bits[FORM]
    if _tokens(text, start, end):
        mask |= bits[WORD]
    if not _says(text, start, end, characters):
        mask |= bits[NOTHING]
    return mask, count, last


@kernel
def sieve(
    data: NDArray[np.uint8],
    ends: NDArray[np.int64],
    roles: NDArray[np.uint8],
    table: NDArray[np.uint32],
    kinds: NDArray[np.uint8],
    masks: NDArray[np.int64],
    accepting: int,
    near_table: NDArray[np.uint32],
    near_kinds: NDArray[np.uint8],
    near_masks: NDArray[np.int64],
    near_accepting: int,
    characters: NDArray[np.uint8],
    bits: NDArray[np.int64],
    of_roles: NDArray[np.int64],
    found: NDArray[np.int64],
) -> None:
    """Ask everything of each text, and fill `found` with the bits of what it may have, of those of its role.

    `bits` are those of what is asked, in the order of `LOOP` and so on. There are two automata, as `hints.Automaton`
    has them: one for all of a text, one for what stands around long numbers.
    """
    text, moves, sorts, known = address(data), address(table), address(kinds), address(characters)
    near_moves, near_sorts = address(near_table), address(near_kinds)
    width, near_width = len(table) // len(masks), len(near_table) // len(near_masks)
    _look_up(text, ends, moves, sorts, masks, width, accepting, found)
    for number in range(len(roles)):
        start, end, role = ends[number], ends[number + 1], roles[number]
        mask, count, last = _asked(text, start, end, bits, known)
        mask |= found[number] | _begins(text, start, end, moves, sorts, masks, width, accepting)
        mask |= _numbers(text, start, end, near_moves, near_sorts, near_masks, near_width, near_accepting)
        if role == _ASSISTANT and end > start:
            if count >= _LONG and _loops(text, start, end, count):
                mask |= bits[LOOP]
            if _cut(text, start, end, last):
                mask |= bits[CUT]
        found[number] = mask & of_roles[role]
