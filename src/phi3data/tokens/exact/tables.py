"""The tables that the kernels read, made from a vocabulary and its merges or ranks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phi3data.tokens.exact.kinds import SPACE, SYMBOLS, alphabet
from phi3data.tokens.exact.pieces import EMPTY, SLOT, Cache, Merges, add_merges, count_pieces, recover_merges

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from numpy.typing import NDArray

LONGEST = 256  # symbols of a piece that the kernel merges; the loop is quadratic, the library's is not
SLOTS = 1 << 18  # of 32 bytes; a power of two; half of them are used
ARENA = 1 << 22  # bytes


def cache() -> Cache:
    """Return an empty cache of pieces."""
    arena = max(ARENA, 4 * LONGEST)  # every piece of so many symbols fits
    symbols, found = np.zeros(LONGEST, np.int32), np.zeros(LONGEST, np.int32)
    return Cache(np.zeros(SLOTS * SLOT, np.uint64), np.zeros(arena, np.uint8), np.zeros(3, np.int64), symbols, found)


def of_characters(vocabulary: Mapping[str, int], pairs: Sequence[tuple[str, str]]) -> Merges:
    """Return the merges of characters; a space is the symbol of `▁`."""
    single = {ord(token): number for token, number in vocabulary.items() if len(token) == 1}
    first = np.full(max(257, *single) + 1, -1, np.int32)
    first[list(single)] = list(single.values())
    first[ord(" ")] = first[ord(SPACE)]
    return _filled(vocabulary, pairs, first)


def of_bytes(vocabulary: Mapping[str, int], pairs: Sequence[tuple[str, str]]) -> Merges:
    """Return the merges of bytes that are written in GPT-2's alphabet."""
    first = np.array([vocabulary[character] for character in alphabet()], np.int32)
    return _filled(vocabulary, pairs, first)


def of_ranks(ranks: Mapping[bytes, int]) -> Merges | None:
    """Return the merges that ranks stand for; None if they stand for more than one of a token (`recover_merges`)."""
    tokens = sorted(ranks, key=ranks.__getitem__)
    numbers = {token[0]: number for number, token in enumerate(tokens) if len(token) == 1}
    if len(tokens) > SYMBOLS:
        return None
    merges = _empty(len(tokens), np.array([numbers[byte] for byte in range(256)], np.int32))
    data = np.frombuffer(b"".join(tokens), np.uint8)
    ends = np.cumsum(np.fromiter(map(len, tokens), np.int64, len(tokens)))
    return merges if recover_merges(data, ends, merges, cache()) < 0 else None


def halves(merges: Merges, tokens: Mapping[int, bytes]) -> list[tuple[bytes, bytes]]:
    """Return the bytes of both halves of each merge; `tokens` are the bytes of symbols."""
    slots = merges.slots[merges.slots != EMPTY]
    left, right = slots >> np.uint64(44), (slots >> np.uint64(24)) & np.uint64(SYMBOLS - 1)
    return [(tokens[a], tokens[b]) for a, b in zip(left.tolist(), right.tolist(), strict=True)]


def bytes_of(vocabulary: Mapping[str, int]) -> dict[int, bytes]:
    """Return the bytes of the symbols of a vocabulary of bytes, without tokens whose characters stand for no byte."""
    byte = {character: number for number, character in enumerate(alphabet())}
    return {
        number: bytes(map(byte.__getitem__, token))
        for token, number in vocabulary.items()
        if all(map(byte.__contains__, token))
    }


def all_merge(tokens: Collection[bytes], merges: Merges) -> bool:
    """Whether merging gives each token from its own bytes, so that a tokenizer that looks it up first does the same."""
    data = np.frombuffer(b"".join([bytes(8), *tokens, bytes(8)]), np.uint8)
    sizes = np.fromiter(map(len, tokens), np.int32, len(tokens))
    starts = (np.cumsum(sizes) - sizes + 8).astype(np.int32)
    counts, handed = np.zeros(len(tokens), np.int64), np.zeros(len(tokens), np.bool_)
    until = np.arange(1, len(tokens) + 1)
    count_pieces(data, starts, sizes, until, 0, merges, cache(), counts, handed)
    return bool((counts == 1).all())


def _filled(vocabulary: Mapping[str, int], pairs: Sequence[tuple[str, str]], first: NDArray[np.int32]) -> Merges:
    merges = _empty(len(pairs), first)
    get = vocabulary.__getitem__
    left = np.fromiter((get(pair[0]) for pair in pairs), np.int32, len(pairs))
    right = np.fromiter((get(pair[1]) for pair in pairs), np.int32, len(pairs))
    whole = np.fromiter((get(pair[0] + pair[1]) for pair in pairs), np.int32, len(pairs))
    add_merges(left, right, whole, merges)
    return merges


def _empty(count: int, first: NDArray[np.int32]) -> Merges:
    size = 1 << (2 * count).bit_length()  # at most half full
    return Merges(np.full(size, EMPTY, np.uint64), np.zeros(count, np.int32), first)
