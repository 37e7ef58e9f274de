"""Screen, then examine: all kernels of some rules over many conversations at once."""

from __future__ import annotations

from bisect import bisect_right
from functools import cached_property, partial
from itertools import accumulate, chain, islice
from typing import TYPE_CHECKING, TypeAlias

from phi3data.findings import Finding, pointer
from phi3data.rules.screen import Screen
from phi3data.text.copying import may_copy
from phi3data.text.spot import describe

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from phi3data.chat import Conversation, Message
    from phi3data.rules.screen import Kernel, Pair
    from phi3data.rules.sieve import Said
    from phi3data.text.spot import Spot

_Suspect: TypeAlias = "tuple[str, Sequence[Kernel]]"  # a text, and the kernels that must look at it


class Turns:
    """The messages of some conversations, and what is said in them, one after another."""

    def __init__(self, rows: Sequence[Sequence[Message]]) -> None:
        self.rows = rows
        self.messages = list(chain.from_iterable(rows))
        self.texts = [message.content or "" for message in self.messages]
        self.roles = [message.role for message in self.messages]
        self._ends = list(accumulate(map(len, rows)))

    def row(self, number: int) -> int:
        """Return the number of the conversation that a message belongs to."""
        return bisect_right(self._ends, number)

    def place(self, number: int) -> tuple[int, int]:
        """Return the number of the conversation and that of the message in it."""
        row = bisect_right(self._ends, number)
        return row, number - (self._ends[row - 1] if row else 0)

    def orders(self) -> list[tuple[str, ...]]:
        """Return the roles of each conversation."""
        sizes = set(map(len, self.rows))
        roles = iter(self.roles)
        if len(sizes) == 1 and sizes != {0}:
            return list(zip(*[roles] * sizes.pop(), strict=True))
        return [tuple(islice(roles, len(row))) for row in self.rows]


class Checker:
    """All kernels and pairs of some rules, over conversations."""

    def __init__(self, kernels: Sequence[Kernel], pairs: Sequence[Pair] = ()) -> None:
        self.kernels = tuple(kernels)
        self.pairs = tuple(pairs)
        self._by_mask: dict[tuple[int, str], tuple[Kernel, ...]] = {}

    @cached_property
    def screen(self) -> Screen:
        """The screen; made when it is first used, since its regular expression takes 5 ms to compile."""
        return Screen(self.kernels, self.pairs)

    def check(self, conversation: Conversation) -> Iterator[Finding]:
        """Yield the findings of one conversation."""
        for _, found in self.check_turns(Turns((conversation.messages,))):
            yield found

    def check_many(self, conversations: Iterable[Conversation]) -> Iterator[tuple[int, Finding]]:
        """Yield the findings of many conversations, each with the number of its conversation, in their order."""
        return self.check_turns(Turns([conversation.messages for conversation in conversations]))

    def check_turns(self, turns: Turns) -> Iterator[tuple[int, Finding]]:
        """Do what `check_many` does, for conversations that are no more than their messages."""
        return self._examined(*self.suspects(turns), turns.rows.__getitem__)

    def check_said(self, said: Said, masks: NDArray[np.int64]) -> Iterator[tuple[int, Finding]]:
        """Do what `check_turns` does, for texts that are not decoded; `masks` are what a sieve says of them."""
        pair_bit = 1 << len(self.kernels)
        wanted = (masks & (pair_bit - 1)).nonzero()[0]
        named = zip(wanted.tolist(), masks[wanted].tolist(), strict=True)
        known = ((said.place(number), mask, said.role(number), said.read(number)) for number, mask in named)
        compared = {said.place(number)[0] for number in (masks & pair_bit).nonzero()[0].tolist()}
        return self._examined(self._looked_at(known), compared, said.row)

    def _examined(
        self,
        suspects: dict[tuple[int, int], _Suspect],
        compared: set[int],
        row_of: Callable[[int], Sequence[Message]],
    ) -> Iterator[tuple[int, Finding]]:
        """Yield what is wrong with the messages to examine, and with the answers of the rows to compare."""
        for row, number in sorted([*suspects, *((row, -1) for row in compared)]):
            if number < 0:
                findings = self._compare(row_of(row))
            else:
                findings = _examine(number, *suspects[row, number], partial(row_of, row))
            yield from [(row, found) for found in findings]

    def suspects(self, turns: Turns) -> tuple[dict[tuple[int, int], _Suspect], set[int]]:
        """Return the messages to examine, each with its kernels, and the rows whose answers are to be compared."""
        texts, roles = turns.texts, turns.roles
        found, compared = self.screen.suspects(texts, roles)
        if self.pairs:
            answers = [number for number, role in enumerate(roles) if role == "assistant" and number]
            compared += [n for n in answers if roles[n - 1] != "user" or may_copy(texts[n - 1], texts[n])]
            compared += [number for number, mask in found.items() if mask & self.screen.pair_bit]
        known = ((turns.place(number), mask, roles[number], texts[number]) for number, mask in found.items())
        return self._looked_at(known), set(map(turns.row, compared)) if self.pairs else set()

    def _looked_at(self, known: Iterable[tuple[tuple[int, int], int, str, str]]) -> dict[tuple[int, int], _Suspect]:
        """Return the messages (place, kernels as bits, role, text) that pass a first look: few do."""
        suspects: dict[tuple[int, int], _Suspect] = {}
        for place, mask, role, text in known:
            kernels = [kernel for kernel in self._kernels_of(mask, role) if kernel.look is None or kernel.look(text)]
            if kernels:
                suspects[place] = text, kernels
        return suspects

    def _kernels_of(self, mask: int, role: str) -> tuple[Kernel, ...]:
        """Return the kernels of a mask that look at a role. A data set has few masks and many texts of each."""
        known = self._by_mask.get((mask, role))
        if known is None:
            known = tuple(kernel for bit, kernel in enumerate(self.kernels) if mask >> bit & 1 and role in kernel.roles)
            self._by_mask[mask, role] = known
        return known

    def _compare(self, messages: Sequence[Message]) -> Iterable[Finding]:
        question = ""
        for number, message in enumerate(messages):
            text = message.content or ""
            if message.role == "user":
                question = text
            elif message.role == "assistant" and question and text:
                for pair in self.pairs:
                    wrong = pair.find(question, text)
                    if wrong:
                        yield Finding(pair.code, wrong, pointer("messages", number, "content"))


def _examine(
    number: int, text: str, kernels: Sequence[Kernel], chat: Callable[[], Sequence[Message]]
) -> Iterable[Finding]:
    """Look closely at the text of a message of a chat: one finding a rule, which says how many more there are."""
    spots: dict[str, list[Spot]] = {}
    for kernel in kernels:
        if kernel.alone:
            found = kernel.find(text)
        else:
            others = [turn.content or "" for at, turn in enumerate(chat()) if at != number]
            found = kernel.find(text, "\n".join(others))
        for spot in found:
            spots.setdefault(kernel.code, []).append(spot)
    return [_told(code, places, text, number) for code, places in spots.items()]


def _told(code: str, places: list[Spot], text: str, number: int) -> Finding:
    more = f", and {len(places) - 1} more" if len(places) > 1 else ""
    first = min(places)
    at = pointer("messages", number, "content")
    return Finding(code, describe(text, first) + more, at, character=first.start + 1, length=first.end - first.start)
