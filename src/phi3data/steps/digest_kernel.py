"""BLAKE2b (RFC 7693) of many texts at once, compiled by numba: digests of 16 bytes, as `hashlib` makes them.

Four texts at a time: each number of the state is a vector of four, one for each of them, so that a block of each takes
little longer than a block of one. Importing this module imports numba (about 0.5 s).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from phi3data.jit import Number, address, copied, inlined, kernel, load64, store64

if TYPE_CHECKING:
    from numpy.typing import NDArray

LANES = 4
_BLOCK = 128
_IV = (
    0x6A09E667F3BCC908,
    0xBB67AE8584CAA73B,
    0x3C6EF372FE94F82B,
    0xA54FF53A5F1D36F1,
    0x510E527FADE682D1,
    0x9B05688C2B3E6C1F,
    0x1F83D9ABFB41BD6B,
    0x5BE0CD19137E2179,
)
# The state at first: the parameters of a digest of 16 bytes without key are in its first number.
_FIRST = np.array([_IV[0] ^ 0x01010010, *_IV[1:]], np.uint64)
# How the words of a block are taken in each round; the first two come again at the end.
_SIGMA = (
    (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
    (14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3),
    (11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4),
    (7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8),
    (9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13),
    (2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9),
    (12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11),
    (13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10),
    (6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5),
    (10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0),
)
_COLUMNS = ((0, 4, 8, 12), (1, 5, 9, 13), (2, 6, 10, 14), (3, 7, 11, 15))
_DIAGONALS = ((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))
_WORD = ir.IntType(64)
_VECTOR = ir.VectorType(_WORD, LANES)


def _constant(number: int) -> Any:
    return ir.Constant(_VECTOR, [ir.Constant(_WORD, number)] * LANES)


def _turned(builder: Any, x: Any, bits: int) -> Any:
    """Return numbers rotated to the right, by whole bytes where that can be."""
    if bits % 8:
        return builder.or_(builder.lshr(x, _constant(bits)), builder.shl(x, _constant(64 - bits)))
    octets = ir.VectorType(ir.IntType(8), 8 * LANES)
    order = [8 * lane + (place + bits // 8) % 8 for lane in range(LANES) for place in range(8)]
    mask = ir.Constant(ir.VectorType(ir.IntType(32), 8 * LANES), order)
    split = builder.bitcast(x, octets)
    return builder.bitcast(builder.shuffle_vector(split, split, mask), _VECTOR)


def _mixed(builder: Any, v: list[Any], places: tuple[int, ...], x: Any, y: Any) -> None:
    a, b, c, d = places
    for word, first, second in ((x, 32, 24), (y, 16, 63)):
        v[a] = builder.add(builder.add(v[a], v[b]), word)
        v[d] = _turned(builder, builder.xor(v[d], v[a]), first)
        v[c] = builder.add(v[c], v[d])
        v[b] = _turned(builder, builder.xor(v[b], v[c]), second)


def _place(builder: Any, start: Any, offset: int, kind: Any) -> Any:
    return builder.inttoptr(builder.add(start, _WORD(offset)), kind.as_pointer())


def _rounds(builder: Any, state: Any, blocks: Any, counts: Any, lasts: Any) -> None:
    """Take a block of each text into its state."""

    def vector(start: Any, number: int) -> Any:
        return builder.load(_place(builder, start, 8 * LANES * number, _VECTOR), align=8)

    starts = [builder.load(_place(builder, blocks, 8 * lane, _WORD), align=8) for lane in range(LANES)]
    words: list[Any] = []
    for number in range(16):
        word: Any = ir.Constant(_VECTOR, ir.Undefined)
        for lane, start in enumerate(starts):
            one = builder.load(_place(builder, start, 8 * number, _WORD), align=1)
            word = builder.insert_element(word, one, ir.IntType(32)(lane))
        words.append(word)
    before = [vector(state, number) for number in range(8)]
    v = [*before, *map(_constant, _IV)]
    v[12] = builder.xor(v[12], vector(counts, 0))
    v[14] = builder.xor(v[14], vector(lasts, 0))
    for order in (*_SIGMA, *_SIGMA[:2]):
        for number, places in enumerate((*_COLUMNS, *_DIAGONALS)):
            _mixed(builder, v, places, words[order[2 * number]], words[order[2 * number + 1]])
    for number, one in enumerate(before):
        made = builder.xor(one, builder.xor(v[number], v[number + 8]))
        builder.store(made, _place(builder, state, 8 * LANES * number, _VECTOR), align=8)


if TYPE_CHECKING:

    def _compress(state: Number, blocks: Number, counts: Number, lasts: Number) -> None:
        """Take a block of 128 bytes of each text into its state.

        All are addresses: of the states (8 times a number of each text), of the addresses of the blocks, of how many
        bytes are in a state then, and of what is all ones at the last block.
        """
        ...

else:

    @intrinsic
    def _compress(_context, state, blocks, counts, lasts):  # noqa: ARG001 (they are in `arguments`)
        """Take a block of 128 bytes of each text into its state."""

        def generate(context, builder, _, arguments):
            _rounds(builder, *arguments)
            return context.get_dummy_value()

        return types.void(*[types.uintp] * 4), generate


@inlined
def _swapped(x: Number) -> Number:
    """Return a number with its bytes in the other order."""
    x = (x & np.uint64(0x00FF00FF00FF00FF)) << np.uint64(8) | (x >> np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF)
    x = (x & np.uint64(0x0000FFFF0000FFFF)) << np.uint64(16) | (x >> np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF)
    return x << np.uint64(32) | x >> np.uint64(32)


@kernel
def _begun(lane: int, text: int, firsts: NDArray[np.int64], room: NDArray[np.uint64], lanes: NDArray[np.int64]) -> int:
    """Let a lane begin with the next text of which something is digested; return which one comes after it."""
    while text + 1 < len(firsts) and firsts[text] == firsts[text + 1]:
        text += 1
    if text + 1 == len(firsts):
        return text
    lanes[0, lane], lanes[1, lane], lanes[2, lane] = text, firsts[text], 0
    for word in range(8):
        room[LANES * word + lane] = _FIRST[word]
    return text + 1


@inlined
def _laid(source: Number, begin: Number, done: Number, end: Number, lane: Number, room: Number) -> None:
    """Lay the block of a lane ready: bytes of its text, or the last ones that are digested and zeros behind them.

    Before these the state is kept, since the text may go on from it.
    """
    blocks, counts, lasts, pad = room + 512, room + 544, room + 576, room + 768 + _BLOCK * lane
    start = source + begin
    if done + _BLOCK < end:
        store64(blocks, 8 * lane, np.uint64(start + done))
        store64(counts, 8 * lane, np.uint64(done + _BLOCK))
        store64(lasts, 8 * lane, np.uint64(0))
    else:
        for word in range(16):
            store64(pad, 8 * word, np.uint64(0))
        copied(start, done, end, pad, 0)
        for word in range(8):
            place = 8 * (LANES * word + lane)
            store64(room, 256 + place, load64(room, place))
        store64(blocks, 8 * lane, np.uint64(pad))
        store64(counts, 8 * lane, np.uint64(end))
        store64(lasts, 8 * lane, ~np.uint64(0))


@kernel
def _taken(
    lane: int, firsts: NDArray[np.int64], out: NDArray[np.uint64], room: NDArray[np.uint64], lanes: NDArray[np.int64]
) -> None:
    """Go on behind the block of a lane: it is in the state, or the digest is done."""
    if room[72 + lane] == np.uint64(0):
        lanes[2, lane] += _BLOCK
        return
    number = lanes[1, lane]
    out[number, 0], out[number, 1] = _swapped(room[lane]), _swapped(room[LANES + lane])
    lanes[1, lane] = number + 1
    if number + 1 == firsts[lanes[0, lane] + 1]:
        lanes[0, lane] = -1
    else:
        for word in range(8):
            room[LANES * word + lane] = room[32 + LANES * word + lane]


@kernel
def digests(
    data: NDArray[np.uint8],
    begins: NDArray[np.int64],
    firsts: NDArray[np.int64],
    ends: NDArray[np.int64],
    out: NDArray[np.uint64],
    room: NDArray[np.uint64],
    lanes: NDArray[np.int64],
) -> None:
    """Write the digests of the first bytes of texts to `out`, of shape (ends, 2).

    Text `n` begins at `begins[n]` in `data`; `ends[firsts[n]:firsts[n + 1]]` are the numbers of its bytes that are
    digested, which rise. `room` is 160 numbers: states, those before a last block, addresses of blocks, bytes in them,
    which are the last, and the blocks that are filled up. `lanes`, of shape (3, `LANES`), has the text of a lane, the
    end that comes next, and how many bytes are in its state.
    """
    source, place = address(data), address(room)
    for lane in range(LANES):
        lanes[0, lane] = -1
        store64(place, 512 + 8 * lane, np.uint64(place + 768))
    text = 0
    while True:
        busy = False
        for lane in range(LANES):
            if lanes[0, lane] < 0:
                text = _begun(lane, text, firsts, room, lanes)
            if lanes[0, lane] >= 0:
                busy = True
                _laid(source, begins[lanes[0, lane]], lanes[2, lane], ends[lanes[1, lane]], lane, place)
        if not busy:
            return
        _compress(place, place + 512, place + 544, place + 576)
        for lane in range(LANES):
            if lanes[0, lane] >= 0:
                _taken(lane, firsts, out, room, lanes)
