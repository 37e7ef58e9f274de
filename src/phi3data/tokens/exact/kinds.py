"""Which way a tokenizer can be counted, read from its tokenizer.json; what is not known here is left to the library."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

SPACE = "▁"
SYMBOLS, RANKS = 1 << 20, 1 << 24  # how many the kernels can tell apart
_WORD = r"[^\r\n\p{L}\p{N}]?"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_SUFFIX = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WHITE = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
# The patterns that tiktoken has published for its encodings; Qwen2 has cl100k's with one digit at a time.
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
CL100K = _SUFFIX + "|" + _WORD + r"\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*" + _WHITE
QWEN2 = CL100K.replace(r"\p{N}{1,3}", r"\p{N}")
O200K = (
    f"{_WORD}{_UPPER}*{_LOWER}+{_SUFFIX}?|{_WORD}{_UPPER}+{_LOWER}*{_SUFFIX}?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*" + _WHITE
)
PATTERNS = frozenset({GPT2, CL100K, QWEN2, O200K})

_PREFIXED = [
    {"type": "Prepend", "prepend": SPACE},
    {"type": "Replace", "pattern": {"String": " "}, "content": SPACE},
]


class Kind(NamedTuple):
    """How a tokenizer cuts text, and what the count of it is called in reports."""

    way: Literal["characters", "bytes", "library"]
    method: str
    pattern: str = ""  # for bytes: how text is cut before its merges


def kind_of(table: Mapping[str, Any]) -> Kind:
    """Return which way a tokenizer.json is counted."""
    try:
        return _kind_of(table)
    except (AttributeError, KeyError, TypeError, ValueError):
        return by_library("its file is not of the usual form")  # or cannot be read, which the library then says


def _kind_of(table: Mapping[str, Any]) -> Kind:
    model, normalizer, split = table["model"], table.get("normalizer"), table.get("pre_tokenizer")
    reason = _odd_model(model)
    if reason is None and normalizer is None and (pattern := _pattern(split)) is not None:
        return of_bytes(pattern) if _spells_bytes(model) else by_library("its vocabulary lacks single bytes")
    if reason is None and (split is not None or normalizer != {"type": "Sequence", "normalizers": _PREFIXED}):
        reason = "it normalises or splits text in a way that is not known here"
    reason = reason or _odd_characters(model, [token["content"] for token in table.get("added_tokens") or ()])
    return by_library(reason) if reason else Kind("characters", "distinct pieces, cut where no merge joins characters")


def of_bytes(pattern: str) -> Kind:
    """Return the kind of a tokenizer of bytes that cuts by a pattern."""
    if pattern in PATTERNS:
        return Kind("bytes", "distinct pieces, cut by the tokenizer's own pattern", pattern)
    return by_library("it splits text by a pattern that is not known here")


def by_library(reason: str) -> Kind:
    """Return the kind of a tokenizer that only its library can count, and why."""
    return Kind("library", f"the library: {reason}")


def _odd_model(model: Mapping[str, Any]) -> str | None:
    """Return what makes a model another than plain byte-pair encoding."""
    if model.get("type", "BPE") != "BPE":
        return "it is no byte-pair encoding"
    if model.get("dropout"):
        return "it drops merges at random"
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        return "it marks the beginnings or ends of words"
    vocabulary, merges = model["vocab"], pairs(model)
    if not all(left in vocabulary and right in vocabulary and left + right in vocabulary for left, right in merges):
        return "its merges are not of its vocabulary"
    if max(vocabulary.values()) >= SYMBOLS or len(merges) >= RANKS:
        return "its vocabulary is too large"
    return None


def _odd_characters(model: Mapping[str, Any], added: list[str]) -> str | None:
    """Return why pieces of characters with byte fallback cannot be counted on their own."""
    if not model.get("byte_fallback"):
        return "it has no byte fallback"
    if model.get("ignore_merges"):
        return "it ignores merges"
    vocabulary, fallback = model["vocab"], {f"<0x{byte:02X}>" for byte in range(256)}
    if not fallback <= vocabulary.keys() or SPACE not in vocabulary:
        return "its vocabulary lacks single bytes"
    if any(not fallback.isdisjoint(pair) for pair in pairs(model)):
        return "it merges single bytes"
    if any(" " in text or SPACE in text for text in added):
        return "a control token of it contains a space"  # normalised or not, it would be found in other places
    return None


def pairs(model: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the merges of a model in the order of their ranks."""
    halves = (line.split(" ") if isinstance(line, str) else line for line in model["merges"])
    return [(left, right) for left, right in halves]


def alphabet() -> list[str]:
    """Return the character that stands for each byte in vocabularies of bytes (GPT-2's `bytes_to_unicode`)."""
    printed = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = iter(range(0x100, 0x200))
    return [chr(byte) if byte in printed else chr(next(others)) for byte in range(256)]


def _spells_bytes(model: Mapping[str, Any]) -> bool:
    return all(character in model["vocab"] for character in alphabet())


def _pattern(pre: Any) -> str | None:
    """Return the pattern that a pre-tokenizer of bytes cuts by; None if it is no such pre-tokenizer."""
    steps = pre.get("pretokenizers") if isinstance(pre, dict) and pre.get("type") == "Sequence" else [pre]
    if not steps or not all(isinstance(step, dict) for step in steps):
        return None
    last = steps[-1]
    if last.get("type") != "ByteLevel" or last.get("add_prefix_space", True):
        return None
    by_itself = last.get("use_regex", True)
    if len(steps) == 1 and by_itself:
        return GPT2
    if len(steps) != 2 or by_itself or steps[0].get("type") != "Split":
        return None
    # What the pattern finds is kept and the rest cut off or dropped; the known patterns leave no rest.
    if (steps[0].get("behavior"), bool(steps[0].get("invert"))) not in {
        ("Isolated", False),
        ("Isolated", True),
        ("Removed", True),
    }:
        return None
    pattern = steps[0].get("pattern", {}).get("Regex")
    return pattern if isinstance(pattern, str) else None
