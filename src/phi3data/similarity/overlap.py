"""Which reference texts stand in a text, whole or in part: n-grams of words, shingles of characters, and their index.

A text is compared in its canonical form: Unicode NFKC, casefolded, words with single spaces between them; punctuation
and white space say no more than that a word ends. A character of a script without spaces is a word of its own.

The hash of any stretch of a text comes from one table of prefix sums: with `h(i)` the sum of `t(code j) * p^j` for all
`j < i`, the hash of `i..k` is `(h(k) - h(i)) * p^-i` modulo 2^64, mixed (a polynomial hash: Karp and Rabin 1987). So
n-grams of every width and shingles of characters cost a subtraction each, in numpy.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phi3data.similarity.plain import GOLDEN, MIX_1, UNSPACED, mixed
from phi3data.text.normalise import normalise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from phi3data.similarity.texts import Sets

SHINGLE = 5  # characters
_SPACE = 32
_PART = 500_000  # characters
_CLASS = "".join(f"{chr(first)}-{chr(last)}" for first, last in UNSPACED)
_WORD = re.compile(rf"[{_CLASS}]|[^\W_{_CLASS}]+")
_APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")
# ASCII: letters in lower case and digits stay, all else is a space.
_TABLE = bytes(ord(chr(byte).lower()) if byte < 128 and chr(byte).isalnum() else _SPACE for byte in range(256))


def canonical(text: str) -> str:
    """Return the words of a text with one space before, between and after them; "" for a text without words."""
    if text.isascii():
        if "'" in text:
            text = _APOSTROPHE.sub("", text)
        words = text.encode().translate(_TABLE).decode().split()
    else:
        words = _WORD.findall(_APOSTROPHE.sub("", normalise(text)))
    return f" {' '.join(words)} " if words else ""


class Grams(NamedTuple):
    """Hashes of stretches of texts, in the order in which they stand there, and the number of the text of each."""

    hashes: NDArray[np.uint64]
    texts: NDArray[np.int64]

    def sets(self, count: int) -> Sets:
        """Return the sorted set of the hashes of each of `count` texts."""
        from phi3data.similarity.texts import Sets  # loads pyarrow, which a recipe does without

        order = np.lexsort((self.hashes, self.texts))
        hashes, texts = self.hashes[order], self.texts[order]
        first = np.ones(len(hashes), bool)
        first[1:] = (hashes[1:] != hashes[:-1]) | (texts[1:] != texts[:-1])
        sizes = np.bincount(texts[first], minlength=count)
        return Sets(hashes[first], np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)]))


class Coded:
    """Texts whose stretches can be hashed."""

    def __init__(self, texts: Sequence[str]) -> None:
        """`texts` are canonical. Takes about 50 bytes of memory per character: give them in `parts`."""
        self.count = len(texts)
        lengths = np.fromiter(map(len, texts), np.int64, len(texts))
        codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), np.uint32)
        powers, self._inverse = _powers(len(codes).bit_length())
        with np.errstate(over="ignore"):
            terms = _codes()[codes] * powers[: len(codes)]
        self._sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum(terms, dtype=np.uint64)])
        self._starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        self._spaces = np.flatnonzero(codes == _SPACE)
        self._owners = np.searchsorted(self._starts, self._spaces, side="right") - 1

    def grams(self, width: int) -> Grams:
        """Return all stretches of `width` words."""
        before, after = self._spaces[:-width], self._spaces[width:]
        texts = self._owners[width:]
        same = self._owners[:-width] == texts
        return Grams(self._hashed(before[same] + 1, after[same]), texts[same])

    def shingles(self, wanted: NDArray[np.bool_] | None = None) -> Grams:
        """Return all stretches of `SHINGLE` characters, of the `wanted` texts. Words are set off by spaces."""
        counts = np.maximum(np.diff(self._starts) - SHINGLE + 1, 0)
        if wanted is not None:
            counts *= wanted
        texts = np.repeat(np.arange(self.count), counts)
        first = np.cumsum(counts) - counts
        starts = np.arange(counts.sum()) - np.repeat(first - self._starts[:-1], counts)
        return Grams(self._hashed(starts, starts + SHINGLE), texts)

    def _hashed(self, starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.uint64]:
        with np.errstate(over="ignore"):
            return mixed((self._sums[ends] - self._sums[starts]) * self._inverse[starts])


def parts(texts: Iterable[str]) -> Iterator[list[str]]:
    """Yield the texts some at a time, so many as `Coded` takes about 25 MB of memory for, or a single longer one."""
    part: list[str] = []
    held = 0
    for text in texts:
        part.append(text)
        held += len(text)
        if held >= _PART:
            yield part
            part, held = [], 0
    if part:
        yield part


def sets_of(texts: Sequence[str], stretches: Callable[[Coded], Grams]) -> Sets:
    """Return the sorted set of some stretches of each of the canonical texts, which may be many."""
    from phi3data.similarity.texts import Sets

    found = [stretches(Coded(part)).sets(len(part)) for part in parts(texts)]
    sizes = np.concatenate([np.zeros(1, np.int64), *(one.sizes for one in found)])
    return Sets(np.concatenate([np.empty(0, np.uint64), *(one.hashes for one in found)]), np.cumsum(sizes))


@cache
def _codes() -> NDArray[np.uint64]:
    """Return a pseudo-random number for each code point."""
    with np.errstate(over="ignore"):
        return mixed((np.arange(0x110000, dtype=np.uint64) + np.uint64(1)) * np.uint64(GOLDEN))


@cache
def _powers(bits: int) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
    """Return the powers of an odd number modulo 2^64, and of its inverse, from the 0th on: 2^bits of each."""
    base = MIX_1
    tables = []
    for factor in (base, pow(base, -1, 2**64)):
        with np.errstate(over="ignore"):
            steps = np.full((1 << bits) + 1, factor, np.uint64)
            steps[0] = 1
            tables.append(np.cumprod(steps, dtype=np.uint64))
    return tables[0], tables[1]


class Hits(NamedTuple):
    """Which text has how much of which reference: `score`, 0 to 1, is the share of the reference's n-grams."""

    texts: NDArray[np.int64]
    references: NDArray[np.int64]
    score: NDArray[np.float64]


class Overlap:
    """An index of the n-grams of reference texts: which of them a text has.

    **Boilerplate.** An n-gram in more than `MANY` references, and in more than `SHARE` of them, belongs to none of them
    and does not count, neither as found nor as missing. The same goes for n-grams that many of the searched texts have,
    beside texts that have the reference as a whole: `survey` counts those, and `without` leaves out what is common.

    A reference with fewer words than `width` has no n-gram, and is never found.
    """

    MANY, SHARE = 10, 0.01

    def __init__(self, references: Sequence[str], width: int) -> None:
        """`references` are distinct canonical texts, `width` the words of an n-gram."""
        self.width = width
        found = sets_of(references, lambda coded: coded.grams(width))
        self._grams, inverse = np.unique(found.hashes, return_inverse=True)
        order = np.argsort(inverse, kind="stable")
        self._postings = np.repeat(np.arange(len(references)), found.sizes)[order]
        self._starts = np.concatenate([np.zeros(1, np.int64), np.cumsum(np.bincount(inverse, minlength=0))])
        self._count = len(references)
        self._counts(np.diff(self._starts) <= max(self.MANY, self.SHARE * self._count))

    def _counts(self, telling: NDArray[np.bool_]) -> None:
        """Let only these n-grams count."""
        self._telling = telling
        postings = self._postings[np.repeat(telling, np.diff(self._starts))]
        self._sizes = np.bincount(postings, minlength=self._count)
        # One bit for each of the upper 22 bits of a hash: most n-grams of most texts are not looked up at all.
        self._seen = np.zeros(1 << 22, bool)
        self._seen[self._grams[telling] >> np.uint64(42)] = True

    def hits(self, texts: Coded, floor: float) -> Hits:
        """Return the pairs of a text and a reference of whose n-grams the text has at least the share `floor`."""
        owners, grams = self._found(texts)
        return self._hits(owners, grams, floor)

    def survey(self, texts: Coded, floor: float) -> NDArray[np.int64]:
        """Return for each n-gram how many texts have it and match no reference: add these up over all texts.

        Copies of a reference are no boilerplate, however many there are: a text that matches does not count.
        """
        owners, grams = self._found(texts)
        matched = np.zeros(texts.count, bool)
        matched[self._hits(owners, grams, floor).texts] = True
        return np.bincount(grams[~matched[owners]], minlength=len(self._grams))

    def without(self, counts: NDArray[np.int64], texts: int) -> Overlap:
        """Return an index without what is common: `counts` by `survey` over so many texts."""
        other = object.__new__(Overlap)
        other.__dict__.update(self.__dict__)
        other._counts(self._telling & (counts <= max(self.MANY, self.SHARE * texts)))
        return other

    def _found(self, texts: Coded) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Return the distinct pairs of a text and the place of an n-gram that it has."""
        hashes, owners = texts.grams(self.width)
        likely = self._seen[hashes >> np.uint64(42)]
        hashes, owners = hashes[likely], owners[likely]
        places = np.searchsorted(self._grams, hashes)
        places = np.minimum(places, len(self._grams) - 1)
        known = (self._grams[places] == hashes) & self._telling[places] if len(places) else likely[:0]
        owners, places = np.divmod(
            np.unique(owners[known] * len(self._grams) + places[known]), max(len(self._grams), 1)
        )
        return owners, places

    def _hits(self, owners: NDArray[np.int64], grams: NDArray[np.int64], floor: float) -> Hits:
        lengths = self._starts[grams + 1] - self._starts[grams]
        first = np.cumsum(lengths) - lengths
        places = np.arange(lengths.sum()) + np.repeat(self._starts[grams] - first, lengths)
        pairs, counts = np.unique(np.repeat(owners, lengths) * self._count + self._postings[places], return_counts=True)
        texts, references = np.divmod(pairs, max(self._count, 1))
        score = counts / self._sizes[references]
        wanted = score >= floor
        return Hits(texts[wanted], references[wanted], score[wanted])
