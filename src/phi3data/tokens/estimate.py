"""Estimated token counts of plain texts, for when no tokenizer is at hand (offline, or the lint core alone).

Calibrated to the Phi-3-mini tokenizer, a Llama BPE with 32,000 entries and byte fallback. Some of its rules are short
enough to apply as they are: a text begins with `▁`, no token crosses a space or a newline, newlines and digits are one
token each, a run of n spaces takes ceil(n / 16), a character outside the vocabulary costs its bytes in UTF-8, and
punctuation follows a short list of tokens. The rest, the letters of Latin and Cyrillic words, is a table of fitted
weights for pairs of letters plus the few hundred words that it gets most wrong (`scripts/calibrate_estimator.py`).

What that trades away: the total of a data set comes within 3% of the exact count, of a language with little calibration
text within 5%; a single row is off by 0 to 4% on average, in Spanish and Russian by 5 to 6%
(`python -m bench.estimate`). That for 17 KB of tables instead of the 1.8 MB of a tokenizer.json.
Control strings such as `<|end|>` count as the plain text they look like.

Costs are integers, in thousandths of a token, so that sums are exact and their order does not matter.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3data.tokens import estimate_tables as tables

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

TOKEN = 1000  # the unit: one token, in thousandths
_LONGEST_SPACES = 16  # the longest run of spaces that is one token
_LONGEST_CACHED = 32  # characters; longer pieces (Chinese, base64) hardly ever come twice
_CACHE_SIZE = 1 << 17  # pieces, about 15 MB; a cache that is full starts again from nothing

_UPPER = "A-ZÀ-ÖØ-Þ"
_LOWER = "a-zªµºß-öø-ÿĀ-ɏḀ-ỿ"
_PUNCTUATION = r"!-/:-@\[-`{-~\r"
_CYRILLIC = "Ѐ-ӿ"
SCAN = re.compile(
    # A token seldom crosses from a small letter to a capital: HelloWorld is ▁Hello World.
    rf"(?P<word>[{_UPPER}]?[{_LOWER}]+|[{_UPPER}]+(?![{_LOWER}]))"
    rf"|(?P<digits>[0-9]+)|(?P<punctuation>[{_PUNCTUATION}]+)|(?P<cyrillic>[{_CYRILLIC}]+)"
    rf"|(?P<other>[^{_UPPER}{_LOWER}0-9{_PUNCTUATION}{_CYRILLIC}]+)"
)
_SPACES = re.compile(r"  +[^ ]?| \Z")

LATIN = "^abcdefghijklmnopqrstuvwxyz~"  # order of the rows and columns of LATIN_PAIRS; ~ is any letter beyond a-z
CYRILLIC = "абвгдежзийклмнопрстуфхцчшщъыьэюяё~"  # order of CYRILLIC_LETTERS
_LATIN_CODE = {letter: code for code, letter in enumerate(LATIN)}
_PAIRS = [[int(cost) * 10 for cost in row.split()] for row in tables.LATIN_PAIRS]
_ENDS = [int(cost) * 10 for cost in tables.LATIN_ENDS.split()]
_LENGTHS = [int(cost) * 10 for cost in tables.LATIN_LENGTHS.split()]
_STARTS = [int(cost) * 10 for cost in tables.LATIN_STARTS.split()]
_CAPITALS = [int(cost) * 10 for cost in tables.LATIN_CAPITALS.split()]
_CYRILLIC_LETTERS = dict(
    zip(CYRILLIC, (int(cost) * 10 for cost in tables.CYRILLIC_LETTERS.split()), strict=True),
)
_CYRILLIC_STARTS = [int(cost) * 10 for cost in tables.CYRILLIC_STARTS.split()]
_WORDS = {word: count * TOKEN for count, words in enumerate(tables.WORDS, 1) for word in words.split()}
_PUNCTUATION_TOKENS = frozenset(tables.PUNCTUATION.split(" "))
_LONGEST_PUNCTUATION = max(map(len, _PUNCTUATION_TOKENS))
_SINGLES = frozenset(tables.HAN).union(
    *(
        map(chr, range(int(first, 16), int(last or first, 16) + 1))
        for first, _, last in (part.partition("-") for part in tables.SINGLES.split())
    )
)
_AFTER_SPACE = frozenset(tables.AFTER_SPACE)
_OTHER_TOKENS = tables.OTHER.split(" ")
_SHARED_BELOW = 100 * TOKEN
_SHARED_COSTS: dict[int, int] = {}  # one object per number: small, near each other in memory, quick to sum


class _Cache(dict[str, int]):
    """Costs by text, computed on the first lookup. Bounded; the costs are pure, so what it holds changes no result."""

    def __init__(self, cost: Callable[[str], int]) -> None:
        super().__init__()
        self._cost = cost

    def __missing__(self, text: str) -> int:
        cost = self._cost(text)
        cost = _SHARED_COSTS.setdefault(cost, cost) if cost < _SHARED_BELOW else cost
        if len(text) <= _LONGEST_CACHED:
            if len(self) >= _CACHE_SIZE:
                self.clear()
            self[text] = cost
        return cost


def latin_cost(word: str, after_space: bool) -> int:
    """Return the cost in 1/1000 tokens of a Latin run as `SCAN` finds it, `after_space` if a `▁` precedes it."""
    listed = _WORDS.get(word)
    if listed is not None:
        return listed
    return fitted_latin_cost(word, after_space)


def fitted_latin_cost(word: str, after_space: bool) -> int:
    """Return what the fitted weights alone say, without the listed words. In 1/1000 tokens, at least one token."""
    if len(word) > 1 and word[1].isupper():
        return max(TOKEN, _CAPITALS[after_space] + _CAPITALS[2] * len(word))
    total = _STARTS[2 * after_space + word[0].isupper()]
    most = TOKEN
    cost = 0
    longest = len(_LENGTHS) - 1
    row = _PAIRS[0]
    for length, letter in enumerate(word.lower(), 1):
        # A word costs at most a token less than any of its beginnings: pairs may weigh less than nothing.
        most = max(most, cost - TOKEN)
        code = _LATIN_CODE.get(letter, 27)
        total += row[code]
        cost = total + _ENDS[code] + _LENGTHS[min(length, longest)]
        row = _PAIRS[code]
    return max(most, cost)


def _cyrillic_cost(word: str) -> int:
    if len(word) > 1 and word[1].isupper():
        return TOKEN * len(word)
    base, capital, short, single = _CYRILLIC_STARTS
    cost = base + capital * word[0].isupper() + short * (len(word) <= 3) + single * (len(word) == 1)
    weigh = _CYRILLIC_LETTERS.get
    rest = _CYRILLIC_LETTERS["~"]
    return max(TOKEN, cost + sum(weigh(letter, rest) for letter in word.lower()))


def _punctuation_cost(run: str) -> int:
    """Return the cost of a run of ASCII punctuation, longest token first; a `▁` in front stands for the space."""
    cost = start = 0
    while start < len(run):
        end = min(len(run), start + _LONGEST_PUNCTUATION)
        while end > start + 1 and run[start:end] not in _PUNCTUATION_TOKENS:
            end -= 1
        cost += TOKEN
        start = end
    return cost


def _character_cost(character: str) -> int:
    return TOKEN if character in _SINGLES else TOKEN * len(character.encode("utf-8", "surrogatepass"))


_CHARACTERS = _Cache(_character_cost)


def _other_cost(run: str, after_space: bool) -> int:
    """Return the cost of other characters: each its own, less a token for every longer token found among them.

    The longer tokens double (`──`, `────`), so that n characters less n / 2 pairs less n / 4 fours leaves the tokens.
    """
    cost = sum(map(_CHARACTERS.__getitem__, run))
    if after_space:
        cost += TOKEN * (run[0] not in _AFTER_SPACE)
        run = "▁" + run
    return cost - TOKEN * sum(map(run.count, _OTHER_TOKENS))


def _piece_cost(piece: str) -> int:
    """Return the cost of what stands between two spaces. A newline can only be its first character."""
    if not piece:
        return 0
    after_space = piece[0] != "\n"
    cost = 0 if after_space else TOKEN
    for match in SCAN.finditer(piece, 0 if after_space else 1):
        run = match.group()
        match match.lastgroup:
            case "word":
                cost += latin_cost(run, after_space)
            case "punctuation":
                cost += _punctuation_cost("▁" + run if after_space else run)
            case "cyrillic":
                cost += _cyrillic_cost(run)
            case "digits":
                cost += TOKEN * (len(run) + after_space)
            case _:
                cost += _other_cost(run, after_space)
        after_space = False
    return cost


def _spaces_cost(run: str) -> int:
    """Return what a run of spaces costs beyond the `▁` that the piece after it counts; `run` ends with its follower.

    The last space belongs to the piece that follows, if that begins with something that merges with `▁`; before a
    newline the last space is the one that `estimate` put there; and at the end of the text there is no piece.
    """
    follower = run[-1]
    spaces = len(run) - (follower != " ")
    if follower == " ":
        return TOKEN * -(-spaces // _LONGEST_SPACES)
    if follower == "\n" or follower in _AFTER_SPACE:
        return TOKEN * -(-(spaces - 1) // _LONGEST_SPACES)
    return TOKEN * (-(-spaces // _LONGEST_SPACES) - 1)


_ONE_DIGIT = str.maketrans("123456789", "000000000")
_PIECES = _Cache(_piece_cost)
_RUNS = _Cache(_spaces_cost)


def _text_cost(text: str) -> int:
    if not text:
        return 0
    # With a space before each newline, one split finds both kinds of border, and "\nThe" is a piece of its own.
    spaced = text.replace("\n", " \n")
    if spaced.isascii():
        # Every digit is one token, whichever it is: "$12" and "$48" are one entry of the cache. Chats about numbers
        # are estimated twice as fast for it; beyond ASCII the translation itself would cost more than it saves.
        spaced = spaced.translate(_ONE_DIGIT)
    cost = sum(map(_PIECES.__getitem__, spaced.split(" ")))
    if "  " in spaced or spaced[0] == " " or spaced[-1] == " ":
        cost += sum(map(_RUNS.__getitem__, _SPACES.findall(" " + spaced)))
    return cost


def estimate(texts: Sequence[str]) -> list[int]:
    """Return the estimated number of tokens of each text: content tokens, no special tokens; 0 only for "".

    A pure function of each text: neither the other texts nor what was estimated before change the result.
    """
    return [(_text_cost(text) + TOKEN // 2) // TOKEN for text in texts]


def forget() -> None:
    """Empty the caches, for tests and benchmarks."""
    for cache in (_PIECES, _RUNS, _CHARACTERS):
        cache.clear()
