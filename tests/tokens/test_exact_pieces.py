"""The table of pieces: a hash that two pieces share does not make them one."""

from __future__ import annotations

import numpy as np
import pytest

from phi3data.tokens.exact import tables
from phi3data.tokens.exact.pieces import count_pieces

WORD = 1 << 64
K1, K2 = 0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F


def counted(pieces: list[bytes]) -> list[int]:
    """Count pieces with the ranks of single bytes and of `aa`, each as a text of its own."""
    merges = tables.of_ranks({**{bytes([byte]): byte for byte in range(256)}, b"aa": 256})
    assert merges is not None
    data = np.frombuffer(b"".join([bytes(8), *pieces, bytes(8)]), np.uint8)
    sizes = np.array([len(piece) for piece in pieces], np.int32)
    starts = (np.cumsum(sizes) - sizes + 8).astype(np.int32)
    counts, handed = np.zeros(len(pieces), np.int64), np.zeros(len(pieces), np.bool_)
    until = np.arange(1, len(pieces) + 1)
    count_pieces(data, starts, sizes, until, 0, merges, tables.cache(), counts, handed)
    assert not handed.any()
    return counts.tolist()


def step(state: int, word: int) -> int:
    mixed = (state ^ word) * K1 % WORD
    return mixed ^ (mixed >> 29)


@pytest.mark.parametrize("size", [24, 40])
def test_longer_pieces_of_one_hash_are_told_apart(size: int) -> None:
    """The second word makes good what the first one changes, so that all that follows is the same."""
    many, none, second = b"aaaaaaaa", b"bcdefghi", b"jklmnopq"
    start = size * K2 % WORD
    states = [step(start, int.from_bytes(word, "little")) for word in (many, none)]
    other = (int.from_bytes(second, "little") ^ states[0] ^ states[1]).to_bytes(8, "little")
    assert b"aa" not in other
    rest = b"rstuvwxy" * (size // 8 - 2)
    pieces = [many + second + rest, none + other + rest]
    assert counted([*pieces, *pieces]) == [size - 4, size, size - 4, size]


def test_short_pieces_are_told_apart_by_length_and_by_both_words() -> None:
    alike = [b"a" * 9, b"a" * 10, b"a" * 16, b"a\0", b"a\0\0", b"\0a", b"aaaaaaaabcd", b"aaaaaaaaaaa", b"aaaaaaaabce"]
    assert counted(alike * 2) == [5, 5, 8, 2, 3, 2, 7, 6, 7] * 2


def test_pieces_of_one_slot_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tables, "SLOTS", 4)
    pieces = [b"a" * size for size in range(1, 41)] + [b"a" * size + b"b" * 5 for size in range(1, 30)]
    expected = [(size + 1) // 2 for size in range(1, 41)] + [(size + 1) // 2 + 5 for size in range(1, 30)]
    assert counted(pieces) == expected
    twice = [piece for piece in pieces for _ in range(2)]
    assert counted(twice) == [tokens for tokens in expected for _ in range(2)]
    pairs = [pieces[number + shift] for number in range(60) for shift in (0, 1, 0, 1)]
    assert counted(pairs) == [expected[number + shift] for number in range(60) for shift in (0, 1, 0, 1)]
