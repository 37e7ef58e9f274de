"""The classes of characters that a tokenizer's pattern speaks of, asked of the regex engine that reads the pattern.

Python's own Unicode data may be of another version. Asking takes about 50 ms for the code points of planes 0 to 3; the
next plane with any character is 14, and texts with characters from there go to the library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LETTER, NUMBER, SPACE, NEWLINE, UPPER, LOWER = 1, 2, 4, 8, 16, 32  # bits
BEYOND = frozenset(bytes([lead]) for lead in range(0xF1, 0xF5))  # first bytes of the characters of planes 4 to 16
_CODES = 0x40000
_MEMBERS = {
    LETTER: r"\p{L}",
    NUMBER: r"\p{N}",
    SPACE: r"\s",
    NEWLINE: r"\r\n",
    UPPER: r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}",
    LOWER: r"\p{Ll}\p{Lm}\p{Lo}\p{M}",
}
_SUFFIXES = "strevmld"  # the letters of 's 't 're 've 'm 'll 'd


class Keep(Protocol):
    """A regex engine: returns the characters of a text that are in the class `[members]`."""

    def __call__(self, members: str, text: str, *, fold: bool = False) -> str:
        """Filter a text; with `fold`, whatever the case."""
        ...


class Classes(NamedTuple):
    """What each code point of planes 0 to 3 is."""

    bits: NDArray[np.uint8]
    suffix: NDArray[np.uint8]  # the letter that it is in a suffix such as 's, else 0


def classes(keep: Keep, *, fold: bool) -> Classes:
    """Return the classes that an engine knows; with `fold`, suffixes are found whatever their case."""
    every = "".join(map(chr, (*range(0xD800), *range(0xE000, _CODES))))
    bits, suffix = np.zeros(_CODES, np.uint8), np.zeros(_CODES, np.uint8)
    for bit, members in _MEMBERS.items():
        bits[_codes(keep(members, every))] |= bit
    some = keep(_SUFFIXES, every, fold=fold)  # ſ among them
    for letter in _SUFFIXES:
        suffix[_codes(keep(letter, some, fold=fold))] = ord(letter)
    return Classes(bits, suffix)


def keep_tiktoken(members: str, text: str, *, fold: bool = False) -> str:
    """Filter a text by tiktoken's engine, whose encodings drop what the pattern does not find."""
    import tiktoken

    pattern = f"(?i:[{members}])" if fold else f"[{members}]"
    single = {bytes([byte]): byte for byte in range(256)}
    encoding = tiktoken.Encoding("class", pat_str=pattern, mergeable_ranks=single, special_tokens={})
    return bytes(encoding.encode_ordinary(text)).decode()


def keep_tokenizers(members: str, text: str, *, fold: bool = False) -> str:
    """Filter a text by the engine of `tokenizers`; a decoder does it 20 times faster than a pre-tokenizer."""
    from tokenizers import Regex, decoders

    pattern = f"(?i:[^{members}])+" if fold else f"[^{members}]+"
    return str(decoders.Replace(Regex(pattern), "").decode([text]))


def _codes(characters: str) -> NDArray[np.uint32]:
    return np.frombuffer(characters.encode("utf-32-le"), np.uint32)
