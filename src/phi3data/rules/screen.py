"""Screen, then examine: kernels that look closely at a text, and the marks by which most texts are passed over.

Many conversations are screened at once, since for a text of 270 characters a call costs as much as its work: their
texts are joined, and the marks of all kernels are looked up in the skeleton of the whole. Only the texts in which a
mark was found meet its kernels. A mark is a necessary condition: `tests/rules/test_screen.py` holds each kernel to
giving no finding in a text without its marks.
"""

from __future__ import annotations

import re
import unicodedata
from bisect import bisect_right
from functools import cached_property
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

from phi3data.findings import Finding, pointer
from phi3data.text.lazy import Lazy
from phi3data.text.repetition import LEAST, may_loop
from phi3data.text.skeleton import START, dense, joined, skeleton
from phi3data.text.spot import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from phi3data.chat import Conversation
    from phi3data.text.spot import Spot

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


class Mark(NamedTuple):
    """What a text must have for a kernel to find something in it. Two marks never begin at one place of a text."""

    view: View
    piece: str = ""
    then: str = ""


class Kernel(NamedTuple):
    """A close look at one text for one rule.

    The texts of `roles` that have one of the `marks` meet `find`; it gets what the other messages of the chat say, too,
    unless it is `alone`.
    """

    code: str
    find: Callable[..., Iterable[Spot]]
    marks: tuple[Mark, ...]
    roles: frozenset[str]
    alone: bool = True


class Pair(NamedTuple):
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
        # One regular expression: sre skips to the next of the characters that begin its alternatives, which must be
        # plain ones for that. The empty group at the end of an alternative says which one it was.
        self._bones = re.compile("|".join([_alternative(mark) for mark, _ in marks["bones"]]).encode() or rb"(?!)")
        self._bone_masks = (0, *(mask for _, mask in marks["bones"]))
        self._wide = Lazy("|".join([_alternative(mark) for mark, _ in marks["wide"]]) or "(?!)")
        self._wide_masks = (0, *(mask for _, mask in marks["wide"]))
        self._runs, self._dense = (
            [(mark.piece.encode(), mask) for mark, mask in marks[view]] for view in ("run", "dense")
        )
        self._text, self._user = ([(mark.piece, mask) for mark, mask in marks[view]] for view in ("text", "user"))
        self._bytes_marks = marks["bytes"]
        self._first = {mark.piece: mask for mark, mask in marks["first"]}
        self._last = [(re.compile(f"[{mark.piece}]"), mask) for mark, mask in marks["last"]]
        self._loop, self._hidden, self._nfc, self._letter = (
            sum(mask for _, mask in marks[view]) for view in ("loop", "hidden", "nfc", "letter")
        )

    @cached_property
    def _bytes(self) -> list[tuple[re.Pattern[bytes], int]]:
        return [(re.compile(_alternative(mark).encode("latin-1")), mask) for mark, mask in self._bytes_marks]

    def suspects(self, texts: list[str], users: list[int]) -> tuple[dict[int, int], list[int]]:
        """Return the kernels, as bits, that must look at a text, by its number, and the texts that are not ASCII.

        `users` are the numbers of the texts that users wrote.
        """
        found: dict[int, int] = {}
        if self._loop:
            found = {n: self._loop for n, text in enumerate(texts) if len(text) >= LEAST and may_loop(text)}
        if self._first:
            first = self._first
            for n in [n for n, text in enumerate(texts) if text[:2] in first or text[:1] in first]:
                found[n] = found.get(n, 0) | first.get(texts[n][:2], 0) | first.get(texts[n][:1], 0)
        for pattern, mask in self._last:
            _note(
                [match.start() for match in pattern.finditer("".join([text[-1:] or "." for text in texts]))],
                mask,
                found,
            )
        if self._user:
            whole = joined([texts[number] for number in users])
            if whole.count(START) == len(users):
                _find(whole, START, self._user, users, found)
            else:
                _note(users, self._everything, found)
        # One emoji makes a string of four bytes a character of the whole: those that are not ASCII are joined apart.
        narrow = [number for number, text in enumerate(texts) if text.isascii()]
        if len(narrow) == len(texts):
            self._look_up(joined(texts), narrow, found)
            return found, []
        wide = [number for number, text in enumerate(texts) if not text.isascii()]
        self._look_up(joined([texts[number] for number in narrow]), narrow, found)
        self._look_up_wide([texts[number] for number in wide], wide, found)
        return found, wide

    def _look_up(self, whole: str, numbers: Sequence[int], found: dict[int, int]) -> None:
        """Look up what every text may have; `numbers` are those of the joined texts."""
        bones = skeleton(whole)
        if bones.count(_START) != len(numbers):  # a text has this control character: all must be looked at
            _note(numbers, self._everything, found)
            return
        _match(bones, _START, self._bones, self._bone_masks, numbers, found)
        _find(bones, _START, self._runs, numbers, found)
        if self._dense:
            _find(dense(bones), _START, self._dense, numbers, found)
        _find(whole, START, self._text, numbers, found)

    def _look_up_wide(self, texts: list[str], numbers: list[int], found: dict[int, int]) -> None:
        """Look up what texts that are not ASCII may have."""
        whole = joined(texts)
        self._look_up(whole, numbers, found)
        if whole.count(START) != len(numbers):
            return
        _match(whole, START, self._wide.pattern, self._wide_masks, numbers, found)
        data = whole.encode("utf-8", "surrogatepass")
        for pattern, mask in self._bytes:
            _match(data, _START, pattern, (0, mask), numbers, found)
        if self._hidden and not _is_printable("".join(texts)):
            _note([n for n, text in zip(numbers, texts, strict=True) if not _is_printable(text)], self._hidden, found)
        if self._nfc and not unicodedata.is_normalized("NFC", whole):
            _note(numbers, self._nfc, found)
        if self._letter:
            _note([n for n, text in zip(numbers, texts, strict=True) if text[-1].isalpha()], self._letter, found)


_START = START.encode()


def _alternative(mark: Mark) -> str:
    return re.escape(mark.piece) + mark.then + "()"


def _is_printable(text: str) -> bool:
    """Tell whether a text has no control, format or unknown character; 40 times as fast as a class of characters."""
    for space in "\n\t\r\u3000\xa0":
        text = text.replace(space, "")
    return text.isprintable()


def _note(numbers: Iterable[int], mask: int, found: dict[int, int]) -> None:
    for number in numbers:
        found[number] = found.get(number, 0) | mask


def _match(
    whole: Any,
    start: Any,
    pattern: re.Pattern[Any],
    masks: tuple[int, ...],
    numbers: Sequence[int],
    found: dict[int, int],
) -> None:
    """Note the texts in which the alternatives of a pattern match."""
    index, counted = -1, 0
    for match in pattern.finditer(whole):
        at = match.start() + 1
        index += whole.count(start, counted, at)
        counted = at
        number = numbers[index]
        found[number] = found.get(number, 0) | masks[match.lastindex or 0]


def _find(
    whole: Any, start: Any, pieces: Iterable[tuple[Any, int]], numbers: Sequence[int], found: dict[int, int]
) -> None:
    """Note for each piece the texts that have it."""
    for piece, mask in pieces:
        at = whole.find(piece)
        index, counted = -1, 0
        while at >= 0:
            index += whole.count(start, counted, at)
            number = numbers[index]
            found[number] = found.get(number, 0) | mask
            counted = at
            at = whole.find(start, at)  # the rest of this text need not be looked at
            if at >= 0:
                at = whole.find(piece, at)


class Checker:
    """All kernels and pairs of some rules, over conversations."""

    def __init__(self, kernels: Sequence[Kernel], pairs: Sequence[Pair] = ()) -> None:
        self.kernels = tuple(kernels)
        self._pairs = tuple(pairs)
        self._by_mask: dict[tuple[int, str], tuple[Kernel, ...]] = {}

    @cached_property
    def screen(self) -> Screen:
        """The screen; made when it is first used, since its regular expression takes 5 ms to compile."""
        return Screen(self.kernels, self._pairs)

    def check(self, conversation: Conversation) -> Iterator[Finding]:
        """Yield the findings of one conversation."""
        for _, found in self.check_many((conversation,)):
            yield found

    def check_many(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, Finding]]:
        """Yield the findings of many conversations, each with the number of its conversation, in their order."""
        suspects, compared = self.suspects(conversations)
        for row, number in sorted([*suspects, *((row, -1) for row in compared)]):
            if number < 0:
                findings = self._compare(conversations[row])
            else:
                findings = _examine(conversations[row], number, suspects[row, number])
            for found in findings:
                yield row, found

    def suspects(
        self, conversations: Sequence[Conversation]
    ) -> tuple[dict[tuple[int, int], tuple[Kernel, ...]], set[int]]:
        """Return the messages to examine, each with its kernels, and the rows whose answers are to be compared."""
        messages = [message for conversation in conversations for message in conversation.messages]
        texts = [message.content or "" for message in messages]
        users = [number for number, message in enumerate(messages) if message.role == "user"]
        found, compared = self.screen.suspects(texts, users)
        if self._pairs:
            compared += [number for number, pair in enumerate(pairwise(texts), 1) if pair[0].endswith(pair[1])]
            compared += [number for number, mask in found.items() if mask & self.screen.pair_bit]
        ends = list(accumulate([len(conversation.messages) for conversation in conversations]))
        suspects: dict[tuple[int, int], tuple[Kernel, ...]] = {}
        for number, mask in found.items():
            kernels = self._kernels_of(mask, messages[number].role)
            if kernels:
                row = bisect_right(ends, number)
                suspects[row, number - (ends[row - 1] if row else 0)] = kernels
        return suspects, {bisect_right(ends, number) for number in compared} if self._pairs else set()

    def _kernels_of(self, mask: int, role: str) -> tuple[Kernel, ...]:
        """Return the kernels of a mask that look at a role. A data set has few masks and many texts of each."""
        known = self._by_mask.get((mask, role))
        if known is None:
            known = tuple(kernel for bit, kernel in enumerate(self.kernels) if mask >> bit & 1 and role in kernel.roles)
            self._by_mask[mask, role] = known
        return known

    def _compare(self, conversation: Conversation) -> Iterator[Finding]:
        question = ""
        for number, message in enumerate(conversation.messages):
            text = message.content or ""
            if message.role == "user":
                question = text
            elif message.role == "assistant" and question and text:
                for pair in self._pairs:
                    wrong = pair.find(question, text)
                    if wrong:
                        yield Finding(pair.code, wrong, pointer("messages", number, "content"))


def _examine(conversation: Conversation, number: int, kernels: tuple[Kernel, ...]) -> Iterator[Finding]:
    """Look closely at a message: one finding a rule, which says how many more there are."""
    message = conversation.messages[number]
    text = message.content or ""
    said: str | None = None
    spots: dict[str, list[Spot]] = {}
    for kernel in kernels:
        if kernel.alone:
            found = kernel.find(text)
        else:
            if said is None:
                said = "\n".join([other.content or "" for other in conversation.messages if other is not message])
            found = kernel.find(text, said)
        for spot in found:
            spots.setdefault(kernel.code, []).append(spot)
    for code, places in spots.items():
        more = f", and {len(places) - 1} more" if len(places) > 1 else ""
        first = min(places)
        at = pointer("messages", number, "content")
        size = first.end - first.start
        yield Finding(code, describe(text, first) + more, at, character=first.start + 1, length=size)
