"""The screen: kernels that look closely at a text, and the marks by which most texts are passed over.

Many conversations are screened at once, since for a text of 270 characters a call costs as much as its work: their
texts are joined, and the marks of all kernels are looked up in the skeleton of the whole. Only the texts in which a
mark was found meet its kernels (`examine.py`). A mark is a necessary condition: `tests/rules/test_screen.py` holds each
kernel to giving no finding in a text without its marks.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from collections.abc import Callable, Iterable
from itertools import accumulate, count
from operator import add
from typing import TYPE_CHECKING, Any, Literal, get_args

import msgspec

from phi3data.text.lazy import Lazy
from phi3data.text.repetition import LEAST, may_loop
from phi3data.text.skeleton import START, dense, joined, skeleton
from phi3data.text.spot import Spot

if TYPE_CHECKING:
    from collections.abc import Sequence


# Where a mark is looked for, and what it is:
# bones    in the skeleton: a character, and a pattern that must match right after it
# run      in the skeleton: a piece
# dense    in the skeleton with capitals as digits: a piece
# first    at the start of a text: one or two characters
# last     the last character of a text: one of a class
# user     in a text of a user: a piece
# text     in any text: a piece
# wide     in a text that is not ASCII: a piece
# bytes    in the UTF-8 of a text that is not ASCII: a byte, and a pattern that must match right after it
# The others are questions to a text: is there a `loop`; if it is not ASCII, is it `hidden`, that is not printable, is
# it not in `nfc`, does it end with a `letter`?
View = Literal[
    "bones", "run", "dense", "first", "last", "user", "text", "wide", "bytes", "loop", "hidden", "nfc", "letter"
]


class Mark(msgspec.Struct, frozen=True):
    """What a text must have for a kernel to find something in it. Two marks never begin at one place of a text."""

    view: View
    piece: str = ""
    then: str = ""


class Kernel(msgspec.Struct, frozen=True):
    """A close look at one text for one rule.

    The texts of `roles` that have one of the `marks`, and pass a first `look` if there is one, meet `find`; it gets
    what the other messages of the chat say, too, unless it is `alone`. `hints` take the place of the marks that are
    pieces where a sieve looks (`sieve.py`): `hints.py` says how they are written. Those of a kernel with a mark that is
    a `run` stand near such a number.
    """

    code: str
    find: Callable[..., Iterable[Spot]]
    marks: tuple[Mark, ...]
    roles: frozenset[str]
    alone: bool = True
    look: Callable[[str], bool] | None = None
    hints: tuple[str | bytes, ...] = ()


class Pair(msgspec.Struct, frozen=True):
    """A close look at a question and its answer for one rule: `find` says what is wrong, or nothing.

    It meets the answers that end their question, those where one of the two is not ASCII, and those whose question has
    one of the `marks`.
    """

    code: str
    find: Callable[[str, str], str | None]
    marks: tuple[Mark, ...] = ()


ANSWERS = frozenset({"assistant"})
USER = frozenset({"user"})
SPEAKERS = frozenset({"system", "user", "assistant"})
EVERYBODY = SPEAKERS | {"tool"}


class Screen:
    """The marks of some kernels, looked up in many texts at once."""

    def __init__(self, kernels: Sequence[Kernel], pairs: Sequence[Pair] = ()) -> None:
        self.pair_bit = 1 << len(kernels)  # in a mask: the message and its answer are to be compared
        self._everything = 2 * self.pair_bit - 1
        of_pairs = [mark for pair in pairs for mark in pair.marks]
        marks: dict[View, list[tuple[Mark, int]]] = {view: [] for view in get_args(View)}
        for mark in dict.fromkeys([mark for kernel in kernels for mark in kernel.marks] + of_pairs):
            mask = sum(1 << number for number, kernel in enumerate(kernels) if mark in kernel.marks)
            marks[mark.view].append((mark, mask + (self.pair_bit if mark in of_pairs else 0)))
        self._bones = _patterns(marks["bones"], "ascii")
        self._bytes = _patterns(marks["bytes"], "latin-1")
        wide = marks["wide"]
        self._wide = Lazy("|".join([re.escape(mark.piece) + mark.then + "()" for mark, _ in wide]) or "(?!)")
        self._wide_masks = (0, *(mask for _, mask in wide))
        self._runs, self._dense = (
            [(mark.piece.encode(), mask) for mark, mask in marks[view]] for view in ("run", "dense")
        )
        self._text, self._user = ([(mark.piece, mask) for mark, mask in marks[view]] for view in ("text", "user"))
        self._first = {mark.piece: mask for mark, mask in marks["first"]}
        self._last = [(re.compile(f"[{mark.piece}]"), mask) for mark, mask in marks["last"]]
        self._loop, self._hidden, self._nfc, self._letter = (
            sum(mask for _, mask in marks[view]) for view in ("loop", "hidden", "nfc", "letter")
        )

    def suspects(self, texts: list[str], roles: Sequence[str]) -> tuple[dict[int, int], list[int]]:
        """Return the kernels, as bits, that must look at a text, by its number, and the texts that are not ASCII.

        `roles` are those of the speakers, one a text. Marks that kernels of one role only have are looked for there.
        """
        found: dict[int, int] = {}
        self._look_at_ends(texts, [n for n, role in enumerate(roles) if role == "assistant"], found)
        # Those of users come first, since some marks are looked for in these only.
        order = [n for n, role in enumerate(roles) if role == "user"]
        users = len(order)
        order += [n for n, role in enumerate(roles) if role != "user"]
        # One emoji makes a string of four bytes a character of the whole: those that are not ASCII are joined apart.
        wide = [n for n in order if not texts[n].isascii()]
        if wide:
            apart = set(wide)
            users_wide = len([n for n in wide if roles[n] == "user"])
            self._look_up_wide([texts[n] for n in wide], wide, users_wide, found)
            order = [n for n in order if n not in apart]
            users -= users_wide
        self._look_up([texts[n] for n in order], order, users, found)
        return found, wide

    def _look_at_ends(self, texts: list[str], numbers: list[int], found: dict[int, int]) -> None:
        """Look at the beginnings and the ends of answers."""
        if self._loop:
            _note([n for n in numbers if len(texts[n]) >= LEAST and may_loop(texts[n])], self._loop, found)
        first = self._first
        if first:
            for n in [n for n in numbers if texts[n][:2] in first or texts[n][:1] in first]:
                found[n] = found.get(n, 0) | first.get(texts[n][:2], 0) | first.get(texts[n][:1], 0)
        for pattern, mask in self._last:
            ends = "".join([texts[n][-1:] or "." for n in numbers])
            _note([numbers[match.start()] for match in pattern.finditer(ends)], mask, found)

    def _look_up(self, texts: list[str], numbers: list[int], users: int, found: dict[int, int]) -> str | None:
        """Look up what every text may have; `numbers` are those of the texts, the first of `users`. Return them joined.

        None if a text has the control character that they are joined with: then all must be looked at.
        """
        whole = joined(texts)
        bones = skeleton(whole)
        if bones.count(_START) != len(numbers):
            _note(numbers, self._everything, found)
            return None
        starts = _starts(bones.split(_START)[1:])  # to find a text by a place in it
        for one in self._bones:
            if one.piece in bones:
                _match(bones, starts, one.pattern.pattern, one.masks, numbers, found)
        _find(bones, starts, self._runs, numbers, found)
        if self._dense:
            _find(dense(bones), starts, self._dense, numbers, found)
        starts = _starts(texts)
        _find(whole, starts, self._text, numbers, found)
        if users:
            _find(whole, starts, self._user, numbers, found, users + sum(map(len, texts[:users])))
        return whole

    def _look_up_wide(self, texts: list[str], numbers: list[int], users: int, found: dict[int, int]) -> None:
        """Look up what texts that are not ASCII may have."""
        whole = self._look_up(texts, numbers, users, found)
        if whole is None:
            return
        _match(whole, _starts(texts), self._wide.pattern, self._wide_masks, numbers, found)
        data = whole.encode("utf-8", "surrogatepass")
        starts = _starts(data.split(_START)[1:])
        for one in self._bytes:
            if one.piece in data:
                _match(data, starts, one.pattern.pattern, one.masks, numbers, found)
        if self._hidden and not _is_printable("".join(texts)):
            _note([n for n, text in zip(numbers, texts, strict=True) if not _is_printable(text)], self._hidden, found)
        if self._nfc and not unicodedata.is_normalized("NFC", whole):
            _note(numbers, self._nfc, found)
        if self._letter:
            _note([n for n, text in zip(numbers, texts, strict=True) if text[-1].isalpha()], self._letter, found)


_START = START.encode()


class _Pattern(msgspec.Struct, frozen=True):
    """Marks that begin with one piece, and the masks by the empty group at the end of an alternative."""

    piece: bytes
    pattern: Lazy[bytes]
    masks: tuple[int, ...]


def _patterns(marks: list[tuple[Mark, int]], encoding: str) -> list[_Pattern]:
    """Return a pattern for each first piece of marks.

    sre skips to a plain character that begins a pattern as fast as it can: one pattern a character takes half of the
    time of one pattern for all, for which each character is looked up in a set.
    """
    out: list[_Pattern] = []
    for piece in dict.fromkeys([mark.piece for mark, _ in marks]):
        alike = [(mark.then, mask) for mark, mask in marks if mark.piece == piece]
        then = "|".join([then + "()" for then, _ in alike])
        pattern = re.escape(piece) + (f"(?:{then})" if len(alike) > 1 else then)
        masks = (0, *(mask for _, mask in alike))
        out.append(_Pattern(piece.encode(encoding), Lazy(pattern.encode(encoding)), masks))
    return out


def _is_printable(text: str) -> bool:
    """Tell whether a text has no control, format or unknown character; 40 times as fast as a class of characters."""
    for space in "\n\t\r\u3000\xa0":
        text = text.replace(space, "")
    return text.isprintable()


def _note(numbers: Iterable[int], mask: int, found: dict[int, int]) -> None:
    for number in numbers:
        found[number] = found.get(number, 0) | mask


def _starts(texts: Sequence[Any]) -> list[int]:
    """Return where the mark before each of the joined texts stands, and where the last text ends."""
    return list(map(add, accumulate(map(len, texts), initial=0), count()))


def _match(
    whole: Any,
    starts: list[int],
    pattern: re.Pattern[Any],
    masks: tuple[int, ...],
    numbers: Sequence[int],
    found: dict[int, int],
) -> None:
    """Note the texts in which the alternatives of a pattern match."""
    for match in pattern.finditer(whole):
        number = numbers[bisect_right(starts, match.start()) - 1]
        found[number] = found.get(number, 0) | masks[match.lastindex or 0]


def _find(
    whole: Any,
    starts: list[int],
    pieces: Iterable[tuple[Any, int]],
    numbers: Sequence[int],
    found: dict[int, int],
    stop: int | None = None,
) -> None:
    """Note for each piece the texts that have it, before `stop`."""
    for piece, mask in pieces:
        at = whole.find(piece, 0, stop)
        while at >= 0:
            index = bisect_right(starts, at)
            number = numbers[index - 1]
            found[number] = found.get(number, 0) | mask
            at = whole.find(piece, starts[index], stop)  # the rest of this text need not be looked at
