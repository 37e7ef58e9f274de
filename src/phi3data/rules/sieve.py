"""The sieve: which of many texts must be looked at closely, from their bytes, without an object for each.

It does what the screen (`screen.py`) does, for large files: a kernel reads each byte of the texts once, in an automaton
that knows the hints of all kernels of rules, and answers the questions of their marks; another one compares questions
with their answers. What they say of a text is a necessary condition too, and mostly a sharper one:
`tests/rules/test_sieve.py` holds them to pass over no finding.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import numpy as np

from phi3data.chat import ROLES, Message
from phi3data.native import Kernels
from phi3data.rules import hints
from phi3data.rules.characters import character_table
from phi3data.rules.words import LANGUAGES, letter_table, word_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from phi3data.rules.screen import Kernel, Mark, Pair

sieve_kernel, pair_kernel = Kernels("phi3data.rules.sieve_kernel"), Kernels("phi3data.rules.pair_kernel")

_ASKED = ("loop", "hidden", "nfc", "last", "dense", "nothing", "beyond ASCII")  # in the order of the kernel's bits
_SAME = {"letter": "last"}  # questions of the screen that are one here
_LONG = 31  # messages from which the order of a row's roles is no number of 62 bits
_TEXT = frozenset({"text", "user", "wide"})  # views of marks that are pieces of text


class Said:
    """What is said in some rows, in UTF-8.

    Text `n` is `text[ends[n]:ends[n + 1]]`, said by `chat.ROLES[roles[n]]`: system, user or assistant. The texts of row
    `n` are those from `rows[n]` to before `rows[n + 1]`.
    """

    def __init__(
        self, text: NDArray[np.uint8], ends: NDArray[np.int64], roles: NDArray[np.uint8], rows: NDArray[np.int64]
    ) -> None:
        self.text, self.ends, self.roles, self.rows = text, ends, roles, rows
        # For single texts: numbers and pieces of arrays take ten times as long as those of these.
        self._text, self._roles = text.data, roles.tobytes()
        self._ends, self._rows = ends.tolist(), rows.tolist()

    def read(self, number: int) -> str:
        """Return a text."""
        return str(self._text[self._ends[number] : self._ends[number + 1]], "utf-8")

    def role(self, number: int) -> str:
        """Return who says a text."""
        return ROLES[self._roles[number]]

    def place(self, number: int) -> tuple[int, int]:
        """Return the number of the row of a text, and that of the text in it."""
        row = bisect_right(self._rows, number) - 1
        return row, number - self._rows[row]

    def row(self, row: int) -> list[Message]:
        """Return the messages of a row."""
        return [Message(self.role(number), self.read(number)) for number in range(*self._rows[row : row + 2])]

    def rows_of(self, masks: NDArray[np.int64]) -> list[int]:
        """Return the rows that have a text whose mask is not 0."""
        return list(dict.fromkeys((self.rows.searchsorted(masks.nonzero()[0], side="right") - 1).tolist()))

    def trained(self) -> NDArray[np.int64]:
        """Return the bytes that the assistant says in each row."""
        return np.add.reduceat(np.where(self.roles == ROLES.index("assistant"), np.diff(self.ends), 0), self.rows[:-1])

    def orders(self) -> Iterator[tuple[tuple[str, ...], list[int]]]:
        """Yield each order of roles, and the rows that have it."""
        counts = np.diff(self.rows)
        place = np.arange(len(self.roles)) - np.repeat(self.rows[:-1], counts)
        spelled = (self.roles.astype(np.uint64) + np.uint64(1)) << (2 * np.minimum(place, 31)).astype(np.uint64)
        codes = np.add.reduceat(spelled, self.rows[:-1])
        long = np.flatnonzero(counts >= _LONG)  # of these none has an order in common with another
        codes[long] = long.astype(np.uint64) | np.uint64(1 << 63)
        for code in np.unique(codes):
            rows = np.flatnonzero(codes == code).tolist()
            first, last = self.rows[rows[0] : rows[0] + 2]
            yield tuple([ROLES[role] for role in self.roles[first:last].tolist()]), rows


class Sieve:
    """The hints and marks of some kernels, and what else is asked of a text, as bits of one number.

    Bit `n` is for kernel `n`. `pair_bit` is for an answer that is to be compared with its question, `control_bit` for a
    text that spells one of the control tokens, `nothing_bit` for a text that may say nothing.
    """

    def __init__(self, kernels: Sequence[Kernel], pairs: Sequence[Pair], controls: Iterable[str]) -> None:
        self.pair_bit, self.control_bit, self.nothing_bit, self._wide_bit = (1 << len(kernels) + n for n in range(4))
        asked = dict.fromkeys(_ASKED, 0)
        pieces: dict[str | bytes, int] = {}
        near: dict[str | bytes, int] = {}
        for number, kernel in enumerate(kernels):
            of_text = near if any(mark.view == "run" for mark in kernel.marks) else pieces
            for hint in _hints(kernel.marks, kernel.hints, kernel.code):
                of_text[hint] = of_text.get(hint, 0) | 1 << number
            for mark in kernel.marks:
                view = _SAME.get(mark.view, mark.view)
                if view in asked:
                    asked[view] |= 1 << number
        asked["nothing"], asked["beyond ASCII"] = self.nothing_bit, self._wide_bit
        self._compares = bool(pairs)
        for hint in _hints([mark for pair in pairs for mark in pair.marks], (), "a pair"):
            pieces[hint] = pieces.get(hint, 0) | self.pair_bit
        whole = hints.automaton(pieces.items(), [(text, self.control_bit) for text in controls])
        self._automata = (*whole, *hints.automaton(near.items()))
        self._bits = np.array(list(asked.values()), np.int64)
        everybody = self.control_bit | self.nothing_bit | self._wide_bit
        self._of_roles = np.array([_of_role(kernels, role) | everybody for role in ROLES[:3]], np.int64)
        self._of_roles[ROLES.index("user")] |= self.pair_bit

    def suspects(self, said: Said) -> NDArray[np.int64]:
        """Return the bits of each text: what of it must be looked at closely."""
        found = np.zeros(len(said.roles), np.int64)
        texts, characters = (said.text, said.ends, said.roles), character_table()
        sieve_kernel.sieve(*texts, *self._automata, characters, self._bits, self._of_roles, found)
        if self._compares:
            words = (letter_table(), *word_table(), np.zeros(len(LANGUAGES), np.uint64))
            pair_kernel.pairs(*texts, said.rows, characters, *words, self.pair_bit, self._wide_bit, found)
        return found & ~self._wide_bit


def _of_role(kernels: Sequence[Kernel], role: str) -> int:
    return sum(1 << number for number, kernel in enumerate(kernels) if role in kernel.roles)


def _hints(marks: Iterable[Mark], given: Iterable[str | bytes], code: str) -> Iterator[str | bytes]:
    """Yield the hints that are given, or else those that the marks are."""
    given = tuple(given)
    yield from given
    for mark in marks if not given else ():
        if mark.view == "bones":
            raise ValueError(f"{code}: a mark of the skeleton is no hint: give the kernel hints")
        if mark.view in _TEXT:
            yield _escaped(mark.piece)
        elif mark.view == "first":
            yield "^" + _escaped(mark.piece)
        elif mark.view == "bytes":
            yield (mark.piece + mark.then[3:-1]).encode("latin-1")  # without "(?=" and ")"


def _escaped(piece: str) -> str:
    return "".join(["\\" + letter if letter in "[\\^" else letter for letter in piece])
