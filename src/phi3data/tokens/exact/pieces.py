"""The kernel that turns pieces of text into numbers of tokens: each distinct piece is merged once, then looked up.

A piece is a stretch of text that tokenises on its own. It is looked up in a table of the pieces seen before, by a hash
and then by its bytes, so that no two are taken for one. A piece of up to 16 bytes is its own key (two words of 64
bits); the bytes of a longer one lie in an arena. A table or an arena that is full is emptied, so memory is bounded.

A piece that is not in the table is merged here, by the definition of byte-pair encoding that `tokenizers` and
`tiktoken` share (Sennrich et al., 2016): of all neighbouring symbols that have a merge, the pair of the lowest rank, of
equals the leftmost, becomes one symbol, until there is none. The loop is quadratic, so the library gets texts with
pieces that are longer than the room for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phi3data.jit import Number, address, inlined, kernel, load8, load64
from phi3data.tokens.exact.kinds import RANKS

if TYPE_CHECKING:
    from numpy.typing import NDArray

_K1, _K2 = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xC2B2AE3D27D4EB4F)  # odd and without structure
_ONES, _ZERO = np.uint64(0xFFFFFFFFFFFFFFFF), np.uint64(0)
_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
EMPTY = np.uint64(0xFFFFFFFFFFFFFFFF)  # a slot without merge
_NEVER = np.int32(RANKS)  # no merge; above every rank
SLOT = 4  # words of a slot: key; its second half, or the place in the arena; length << 32 | tokens; nothing


class Merges(NamedTuple):
    """The merges of a tokenizer. One word for each, so that a look-up costs one cache line."""

    slots: NDArray[np.uint64]  # (a power of two,) open addressing: left << 44 | right << 24 | rank, or `EMPTY`
    whole: NDArray[np.int32]  # (ranks,) the symbol that a merge gives
    first: NDArray[np.int32]  # the symbol of each byte (256,), or of each code point (more); -1: none


class Cache(NamedTuple):
    """Pieces seen before, and room for the symbols of one piece."""

    slots: NDArray[np.uint64]  # (a power of two * SLOT,)
    arena: NDArray[np.uint8]  # bytes of the pieces longer than 16
    state: NDArray[np.int64]  # slots in use, bytes of the arena in use, how often both were emptied
    symbols: NDArray[np.int32]  # (symbols of the longest piece that is merged here,)
    found: NDArray[np.int32]  # (the same,) ranks of their merges


@inlined
def _spread(low: Number, high: Number, size: Number) -> Number:
    mixed = (low * _K1) ^ ((high + size) * _K2)
    mixed ^= mixed >> _HALF
    return mixed * _K1


@inlined
def _digest(text: Number, start: Number, size: Number) -> Number:
    """Hash more than 8 bytes; the last word overlaps the one before."""
    mixed = np.uint64(size) * _K2
    for at in range(start, start + size - 8, 8):
        mixed = (mixed ^ load64(text, at)) * _K1
        mixed ^= mixed >> np.uint64(29)
    mixed = (mixed ^ load64(text, start + size - 8)) * _K1
    return mixed ^ (mixed >> _HALF)


@inlined
def _same(text: Number, start: Number, arena: Number, place: Number, size: Number) -> bool:
    """Whether more than 8 bytes are equal."""
    for at in range(0, size - 8, 8):
        if load64(text, start + at) != load64(arena, place + at):
            return False
    return bool(load64(text, start + size - 8) == load64(arena, place + size - 8))


@inlined
def _find(left: Number, right: Number, slots: Number, mask: Number) -> tuple[Number, Number]:
    """Return the rank of the merge of two symbols, `_NEVER` without one, and the slot where it is or would be."""
    key = (np.uint64(left) << np.uint64(20)) | np.uint64(right)
    mixed = key * _K1
    slot = (mixed ^ (mixed >> _HALF)) & mask
    while True:
        found = load64(slots, np.int64(slot << np.uint64(3)))
        if found >> np.uint64(24) == key:
            return np.int32(found & np.uint64(RANKS - 1)), slot
        if found == EMPTY:
            return _NEVER, slot
        slot = (slot + np.uint64(1)) & mask


@inlined
def _add(left: Number, right: Number, rank: Number, symbol: Number, merges: Merges) -> None:
    _, slot = _find(left, right, address(merges.slots), np.uint64(merges.slots.size - 1))
    merges.slots[slot] = (np.uint64(left) << np.uint64(44)) | (np.uint64(right) << np.uint64(24)) | np.uint64(rank)
    merges.whole[rank] = symbol


@kernel
def add_merges(left: NDArray[np.int32], right: NDArray[np.int32], whole: NDArray[np.int32], merges: Merges) -> None:
    """Put merges in the order of their ranks into a table with room for them; the last one of a pair stays."""
    for rank in range(left.size):
        _add(left[rank], right[rank], rank, whole[rank], merges)


@inlined
def _merge(symbols: NDArray[np.int32], found: NDArray[np.int32], size: Number, merges: Merges) -> Number:
    """Merge the first `size` symbols in place and return how many are left."""
    slots, mask = address(merges.slots), np.uint64(merges.slots.size - 1)
    for at in range(size - 1):
        found[at] = _find(symbols[at], symbols[at + 1], slots, mask)[0]
    while size > 1:
        best = _NEVER
        for at in range(size - 1):
            best = min(best, found[at])
        if best == _NEVER:
            break
        place = 0
        while found[place] != best:
            place += 1
        symbols[place] = merges.whole[best]
        size -= 1
        for at in range(place + 1, size):
            symbols[at] = symbols[at + 1]
        for at in range(place, size - 1):
            found[at] = found[at + 1]
        if place > 0:
            found[place - 1] = _find(symbols[place - 1], symbols[place], slots, mask)[0]
        if place + 1 < size:
            found[place] = _find(symbols[place], symbols[place + 1], slots, mask)[0]
    return size


@inlined
def _spell(text: Number, start: Number, size: Number, first: NDArray[np.int32], symbols: NDArray[np.int32]) -> Number:
    """Write the symbols that a piece begins with and return how many; -1 if there is no room for all."""
    count, at, end = 0, start, start + size
    by_character = first.size > 256
    while at < end:
        if count == symbols.size:
            return -1
        code, step = load8(text, at), 1
        if by_character and code >= 0x80:
            if code < 0xE0:
                code, step = code & 0x1F, 2
            elif code < 0xF0:
                code, step = code & 0x0F, 3
            else:
                code, step = code & 0x07, 4
            for more in range(at + 1, at + step):
                code = (code << 6) | (load8(text, more) & 0x3F)
        symbols[count] = first[code]
        count += 1
        at += step
    return count


@kernel
def recover_merges(data: NDArray[np.uint8], ends: NDArray[np.int64], merges: Merges, cache: Cache) -> Number:
    """Find the merge that makes each token of a list of tokens in the order of their ranks; their symbol is the rank.

    `tiktoken` merges any two neighbours whose bytes together are a token. When it makes a token, all merges before lay
    within the token's bytes, so they were those that it makes of these bytes alone; and if merges of lower rank alone
    bring each token down to two symbols, which is checked here, then the last step is always the pair of these two. So
    one pair per token is all that `tiktoken` ever merges.

    Returns the number of the first token that this does not hold for, -1 if it holds for all.
    """
    start = 0
    for rank in range(ends.size):
        size = ends[rank] - start
        if size > 1:
            count = _spell(address(data), start, size, merges.first, cache.symbols)
            if count < 0 or _merge(cache.symbols, cache.found, count, merges) != 2:
                return rank
            _add(cache.symbols[0], cache.symbols[1], rank, rank, merges)
        start = ends[rank]
    return -1


@inlined
def _key(text: Number, start: Number, size: Number) -> tuple[Number, Number]:
    """Return both words of the key of a piece; that of a longer piece is a hash and nothing."""
    if size > 16:
        return _digest(text, start, size), _ZERO
    low = load64(text, start) & (_ONES >> np.uint64(64 - 8 * min(size, 8)))
    return low, load64(text, start + size - 8) if size > 8 else _ZERO


@inlined
def _look_up(
    text: Number, start: Number, size: Number, low: Number, high: Number, slots: Number, shift: Number, arena: Number
) -> tuple[Number, Number]:
    """Return the tokens of a piece, or -1, and the slot where it is or would be. There are 2 ** (64 - shift) slots."""
    slot = _spread(low, high, np.uint64(size)) >> shift
    mask = _ONES >> shift
    while True:
        at = np.int64(slot) * (8 * SLOT)
        info = load64(slots, at + 16)
        if info == _ZERO:
            return np.int64(-1), slot
        if load64(slots, at) == low and (info >> _HALF) == np.uint64(size):
            other = load64(slots, at + 8)
            if other == high if size <= 16 else _same(text, start, arena, np.int64(other), size):
                return np.int64(info & _LOW), slot
        slot = (slot + np.uint64(1)) & mask


@inlined
def _remember(
    text: NDArray[np.uint8],
    start: Number,
    size: Number,
    low: Number,
    high: Number,
    slot: Number,
    tokens: Number,
    cache: Cache,
) -> None:
    """Put a piece into its slot."""
    if size > 16:
        place = cache.state[1]
        cache.arena[place : place + size] = text[start : start + size]
        cache.state[1] += size
        high = np.uint64(place)
    at = slot * np.uint64(SLOT)
    cache.slots[at], cache.slots[at + np.uint64(1)] = low, high
    cache.slots[at + np.uint64(2)] = (np.uint64(size) << _HALF) | np.uint64(tokens)
    cache.state[0] += 1


@inlined
def _is_full(size: Number, cache: Cache) -> bool:
    slots, room = cache.slots.size // SLOT, cache.arena.size
    return bool(2 * cache.state[0] >= slots or (size > 16 and cache.state[1] + size > room))


@kernel
def count_pieces(
    text: NDArray[np.uint8],
    starts: NDArray[np.int32],
    sizes: NDArray[np.int32],
    until: NDArray[np.int64],
    owner: Number,
    merges: Merges,
    cache: Cache,
    counts: NDArray[np.int64],
    handed: NDArray[np.bool_],
) -> None:
    """Add the tokens of pieces to the counts of their texts, or mark a text that the library must count.

    Pieces up to `until[0]` are of the text `owner`, those up to `until[1]` of the next one, and so on.
    `text` must have 8 bytes before the first piece and 8 after the last one.
    """
    shift, bits = np.uint64(64), cache.slots.size // SLOT
    while bits > 1:
        shift -= np.uint64(1)
        bits >>= 1
    at, slots, arena = address(text), address(cache.slots), address(cache.arena)
    piece = 0
    for number in range(until.size):
        total = 0
        while piece < until[number]:
            start, size = np.int64(starts[piece]), np.int64(sizes[piece])
            piece += 1
            if size == 1:
                total += 1
                continue
            low, high = _key(at, start, size)
            tokens, slot = _look_up(at, start, size, low, high, slots, shift, arena)
            if tokens < 0:
                count = _spell(at, start, size, merges.first, cache.symbols)
                if count < 0:
                    handed[owner + number] = True
                    continue
                tokens = np.int64(_merge(cache.symbols, cache.found, count, merges))
                if _is_full(size, cache):
                    cache.slots[:] = _ZERO
                    cache.state[0], cache.state[1] = 0, 0
                    cache.state[2] += 1
                    _, slot = _look_up(at, start, size, low, high, slots, shift, arena)
                _remember(text, start, size, low, high, slot, tokens, cache)
            total += tokens
        counts[owner + number] += total
