"""Exact token counts, as the tokenizer's library gives them, many times faster."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np

from phi3data.tokens.exact import kinds
from phi3data.tokens.exact.blocks import blocks, lists, size
from phi3data.tokens.exact.library import JsonLibrary, Library, RanksLibrary, read_json, read_ranks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pyarrow as pa
    from numpy.typing import NDArray

    from phi3data.tokens.exact.engine import Engine
    from phi3data.tokens.exact.kinds import Kind


class ExactCounter:
    """Counts the tokens of texts exactly as a tokenizer's library does.

    It cuts texts into pieces that tokenise on their own, and counts each distinct piece once. How a text may be cut
    follows from the tokenizer's file; a tokenizer that is not known to cut is left to its library, as are the few texts
    that contain control tokens or endless words. Memory is bounded: about 25 MB, and twice the longest text.
    """

    def __init__(
        self,
        kind: Kind,
        library: Library,
        source: Mapping[str, Any] | Mapping[bytes, int],
        words: Sequence[str],
        *,
        small: int | None = None,
    ) -> None:
        """Use `from_file`."""
        self._kind, self._library, self._source = kind, library, source
        self._engine: Engine | None = None
        self._words = [word.encode() for word in words if word]
        self._small = library.small if small is None else small

    @classmethod
    def from_file(
        cls,
        path: Path,
        controls: Mapping[str, int] | None = None,
        *,
        pattern: str = kinds.CL100K,
        small: int | None = None,
    ) -> ExactCounter:
        """Return the counter of a tokenizer.json, or of the ranks in a .tiktoken file.

        A .tiktoken file names neither its control tokens nor its pattern: `controls` are its control tokens and their
        ids, `pattern` is what cuts text before the merges. A tokenizer.json names both itself, and these are not read.
        `small` is how many code points the library counts before the kernels are made: as many as take it as long as
        importing numba and making the tables takes, unless it is given.

        Raises `InputError` if the file cannot be read.
        """
        library: Library
        if path.suffix == ".tiktoken":
            ranks = read_ranks(path)
            library = RanksLibrary(path, ranks, pattern, controls or {})
            return cls(kinds.of_bytes(pattern), library, ranks, list(controls or ()), small=small)
        table = read_json(path)
        kind, library = kinds.kind_of(table), JsonLibrary(path, table)
        if kind.way == "library":
            library.count([""], controls=True)  # says whether it can read the file
        words = [token["content"] for token in table.get("added_tokens") or ()]
        return cls(kind, library, table, words, small=small)

    @property
    def method(self) -> str:
        """How texts are counted, in one phrase for reports."""
        return self._kind.method

    @property
    def compiled(self) -> bool:
        """Whether the kernels count by now."""
        return self._engine is not None

    @property
    def cache_cleared(self) -> int:
        """How often the table of pieces was full and was emptied."""
        return int(self._engine.cache.state[2]) if self._engine else 0

    def count(self, texts: Sequence[str] | pa.Array | pa.ChunkedArray, *, controls: bool = True) -> NDArray[np.int64]:
        """Return the number of tokens of each text, (texts,), without those that a tokenizer adds around a text.

        With `controls` the spelling of a control token in a text is that one token, as the tokenizer reads it; without,
        it is text like any other. A null in an Arrow array has 0 tokens.

        Raises `InputError` for a text that cannot be UTF-8.
        """
        if self._engine is None and self._kind.way != "library":
            self._small -= size(texts)
            if self._small < 0:
                self._build()
        if self._engine is None:
            counted = [self._library.count(part, controls=controls) for part in lists(texts)]
            return np.array(list(chain.from_iterable(counted)), np.int64)
        words = self._words if controls else ()
        out = np.zeros(len(texts), np.int64)
        for block in blocks(texts):
            counts, handed = self._engine.count(block, words)
            left = np.flatnonzero(handed)
            if left.size:
                counts[left] = self._library.count([block.text(number) for number in left.tolist()], controls=controls)
            out[block.first : block.first + counts.size] = counts
        return out

    def _build(self) -> None:
        try:
            from phi3data.tokens.exact.build import engine_of
        except ImportError:
            self._kind = kinds.by_library("numba is not installed")
            return
        self._engine = engine_of(self._kind, self._source)
        if self._engine is None:
            self._kind = kinds.by_library("its tokens are not what its merges give")
        self._source = {}
