"""The libraries' own counts: for what the kernels leave to them, for small jobs, and to be compared with."""

from __future__ import annotations

import os
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from phi3data.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from tiktoken import Encoding

_BATCH = 1 << 20  # code points per call: bounds the memory that encodings take, about 60 bytes a token


class Library(Protocol):
    """Counts texts by encoding them."""

    small: int  # code points that it counts in the time that the kernels take to be ready (bench/tokens.py)

    def count(self, texts: Sequence[str], *, controls: bool) -> list[int]:
        """Return the number of tokens of each text."""
        ...


class JsonLibrary:
    """`tokenizers` with a tokenizer.json, read with its added tokens or without them.

    Truncation and padding, which a tokenizer.json may ask for, are left out: the count is of the whole text.
    """

    small = 1_500_000

    def __init__(self, path: Path, table: Mapping[str, Any]) -> None:
        self._path = path
        self._table = {**table, "truncation": None, "padding": None}

    def count(self, texts: Sequence[str], *, controls: bool) -> list[int]:
        """Return the number of tokens of each text. Raises `InputError` if the file cannot be read."""
        tokenizer = self._controls if controls else self._plain
        out: list[int] = []
        for batch in _batches(texts):
            out += [len(found) for found in tokenizer.encode_batch_fast(batch, add_special_tokens=False)]
        return out

    @cached_property
    def _controls(self) -> Any:
        return self._tokenizer(self._table)

    @cached_property
    def _plain(self) -> Any:
        return (
            self._tokenizer({**self._table, "added_tokens": []}) if self._table.get("added_tokens") else self._controls
        )

    def _tokenizer(self, table: Mapping[str, Any]) -> Any:
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
        from tokenizers import Tokenizer

        try:
            return Tokenizer.from_str(msgspec.json.encode(table).decode())
        except Exception as error:  # noqa: BLE001 (tokenizers raises bare Exception for what it cannot read)
            raise InputError(f"{self._path}: is no readable tokenizer: {error}") from None


class RanksLibrary:
    """`tiktoken` with the ranks of a .tiktoken file; `controls` are the control tokens and their ids."""

    small = 5_000_000

    def __init__(self, path: Path, ranks: Mapping[bytes, int], pattern: str, controls: Mapping[str, int]) -> None:
        self._path, self._ranks, self._pattern, self._known = path, dict(ranks), pattern, dict(controls)

    def count(self, texts: Sequence[str], *, controls: bool) -> list[int]:
        """Return the number of tokens of each text. Raises `InputError` if there can be no such encoding."""
        if controls and self._known:
            return [len(self._encoding.encode(text, allowed_special="all")) for text in texts]
        return [len(self._encoding.encode_ordinary(text)) for text in texts]

    @cached_property
    def _encoding(self) -> Encoding:
        import tiktoken

        try:
            return tiktoken.Encoding(
                self._path.stem, pat_str=self._pattern, mergeable_ranks=self._ranks, special_tokens=self._known
            )
        except ValueError as error:  # the pattern is none
            raise InputError(f"{self._path}: is no readable tokenizer: {error}") from None


def read_json(path: Path) -> dict[str, Any]:
    """Return the table in a tokenizer.json. Raises `InputError` if it is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except (OSError, msgspec.DecodeError) as error:
        raise InputError(f"{path}: is no readable tokenizer: {error}") from None


def read_ranks(path: Path) -> dict[bytes, int]:
    """Return the bytes of each token in a .tiktoken file, and its rank. Raises `InputError` if it is none."""
    import base64

    try:
        lines = (line.split() for line in path.read_bytes().splitlines() if line)
        ranks = {base64.b64decode(token): int(rank) for token, rank in lines}
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: is no readable tokenizer: {error}") from None
    if len(set(ranks.values())) < len(ranks) or not all(bytes([byte]) in ranks for byte in range(256)):
        raise InputError(f"{path}: is no readable tokenizer: two tokens have one rank, or a byte has none")
    return ranks


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yield the texts in lists that are small in sum."""
    batch: list[str] = []
    room = _BATCH
    for text in texts:
        batch.append(text)
        room -= len(text) + 1
        if room <= 0:
            yield batch
            batch, room = [], _BATCH
    if batch:
        yield batch
