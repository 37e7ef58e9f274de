"""An engine for a tokenizer: its tables, its cutter and an empty cache. Importing this module imports numba."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from phi3data.tokens.exact import kinds, llama, patterns, tables
from phi3data.tokens.exact.classes import keep_tiktoken, keep_tokenizers
from phi3data.tokens.exact.engine import Engine
from phi3data.tokens.exact.seams import seams

if TYPE_CHECKING:
    from collections.abc import Mapping

    from phi3data.tokens.exact.engine import Cutter
    from phi3data.tokens.exact.kinds import Kind


def engine_of(kind: Kind, source: Mapping[str, Any] | Mapping[bytes, int]) -> Engine | None:
    """Return the engine for the table of a tokenizer.json, or for ranks.

    None if a tokenizer looks pieces up in its vocabulary before it merges, and the merges alone would give others.
    """
    if kind.way == "characters":
        model = cast("Mapping[str, Any]", source)["model"]
        vocabulary, pairs = model["vocab"], kinds.pairs(model)
        cut: Cutter = llama.CharacterCutter(llama.joints(vocabulary, pairs))
        return Engine(cut, tables.of_characters(vocabulary, pairs), tables.cache())
    if "model" not in source:
        ranks = cast("Mapping[bytes, int]", source)
        found, keep = tables.of_ranks(ranks), keep_tiktoken
        tokens = dict(enumerate(sorted(ranks, key=ranks.__getitem__)))
    else:
        model = cast("Mapping[str, Any]", source)["model"]
        found, keep = tables.of_bytes(model["vocab"], kinds.pairs(model)), keep_tokenizers
        tokens = tables.bytes_of(model["vocab"])
        if model.get("ignore_merges") and not tables.all_merge(tokens.values(), found):
            found = None
    if found is None:
        return None
    cut = patterns.PatternCutter(kind.pattern, keep, seams(tables.halves(found, tokens)))
    return Engine(cut, found, tables.cache())
