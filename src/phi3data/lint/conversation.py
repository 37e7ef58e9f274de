"""One conversation against the rules that a conversation alone can break: turns, texts, template, length."""

from __future__ import annotations

from functools import cache, cached_property, lru_cache
from typing import TYPE_CHECKING

import msgspec

from phi3data import family, targets
from phi3data.chat import Message
from phi3data.rules import length, template, texts, turns
from phi3data.rules.examine import Turns
from phi3data.rules.options import DEFAULTS, Thresholds
from phi3data.rules.typed import Bare
from phi3data.steps.missing import SAYS_SOMETHING, gaps
from phi3data.tokens import count
from phi3data.tokens.frame import control_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from phi3data.chat import Conversation
    from phi3data.findings import Finding
    from phi3data.lint.sifted import Sifted
    from phi3data.rules.sieve import Sieve

_TURNS = frozenset(rule.code for rule in turns.RULES)
_TEMPLATE = frozenset(rule.code for rule in template.RULES) | {"R407"}

_SURE = 0.2  # of the share that must be trained on, in characters of answers by bytes of the row: it is, in tokens


class Plan(msgspec.Struct, frozen=True):
    """What is looked for, and for which model and destination. Sent to workers, so plain data only."""

    codes: frozenset[str]
    model: str = family.DEFAULT
    tokenizer: str | None = None
    target: str = targets.DEFAULT
    options: Thresholds = DEFAULTS


class Judge:
    """Finds what is wrong with conversations."""

    def __init__(self, plan: Plan) -> None:
        self.model = family.model(plan.model)
        self.tokenizer = count.resolve(plan.tokenizer, self.model)
        self._template = count.template_of(self.tokenizer)
        self._controls = count.controls_for(self.tokenizer, self.model)
        self._texts = texts.CHECKER if plan.codes >= texts.CODES else texts.checker(plan.codes)
        self._turns = not plan.codes.isdisjoint(_TURNS)
        self._gaps = not plan.codes.isdisjoint(("C501", "C502"))
        self._renders = not plan.codes.isdisjoint(_TEMPLATE)
        self._measures = not plan.codes.isdisjoint(("L701", "L702", "L703"))
        self._limit = plan.options.L701.limit or self.model.context
        self._share = plan.options.L703.share
        self._long = min(length.LONG, self._limit)
        words = list(self._controls.by_text)
        self._first = words[0][0] if words and len({word[0] for word in words}) == 1 else ""
        self._begins = {word[:2] for word in words}
        self._by_roles = lru_cache(4096)(self._roles)  # a data set has few orders of roles and many rows of each

    def many(self, conversations: Sequence[Conversation], sizes: Sequence[int]) -> Iterator[tuple[int, Finding]]:
        """Yield (number of the conversation, finding); those of one conversation in their order, others in none.

        `sizes` are the bytes that each row takes in its file. Some dozens at once are twice as fast as one by one.
        """
        said = Turns([conversation.messages for conversation in conversations])
        yield from self._said(said, conversations.__getitem__)
        for number, conversation in enumerate(conversations):
            if type(conversation) is Bare:
                found = self._by_roles(tuple([turn.role for turn in conversation.messages]))
            else:
                found = self._shape(conversation)
            for finding in found:
                yield number, finding
        yield from self._gaps_and_lengths(said, sizes, conversations.__getitem__)

    def bare(self, rows: Sequence[list[Message]], sizes: Sequence[int]) -> Iterator[tuple[int, Finding]]:
        """Do what `many` does, for rows of `Bare` conversations: their messages are a role and a text each."""

        def conversation(number: int) -> Conversation:
            return Bare(rows[number])

        said = Turns(rows)
        yield from self._said(said, conversation)
        orders = said.orders()
        wrong = {roles: found for roles in set(orders) if (found := self._by_roles(roles))}
        if wrong:
            for number, roles in enumerate(orders):
                for finding in wrong.get(roles, ()):
                    yield number, finding
        yield from self._gaps_and_lengths(said, sizes, conversation)

    @cached_property
    def sieve(self) -> Sieve:
        """The sieve of all that is looked for in texts. Made when it is first used: it brings numpy and numba."""
        from phi3data.rules.sieve import Sieve

        controls = self._controls.by_text if self._renders else ()
        return Sieve(self._texts.kernels, self._texts.pairs, controls)

    def said(self, sifted: Sifted) -> Iterator[tuple[int, Finding]]:
        """Do what `bare` does, for rows whose texts are not decoded: few of them are looked at."""
        _, sizes, said, masks = sifted
        yield from self._texts.check_said(said, masks)
        for row in said.rows_of(masks & self.sieve.control_bit):
            for finding in control_text(Bare(said.row(row)), self._controls):
                yield row, finding
        for roles, rows in said.orders():
            for finding in self._by_roles(roles):
                yield from [(row, finding) for row in rows]
        for row in said.rows_of(masks & self.sieve.nothing_bit) if self._gaps else ():
            for finding in gaps(Bare(said.row(row))):
                yield row, finding
        if self._measures:
            most = sizes + 8 * (said.rows[1:] - said.rows[:-1])
            # A character is four bytes at most.
            sure = (most <= self._limit) & (said.trained() * _SURE >= 4 * self._share * sizes)
            for row in ((most >= self._long) & ~sure).nonzero()[0].tolist():
                for finding in self._length(Bare(said.row(row)), int(sizes[row])):
                    yield row, finding

    def _said(self, said: Turns, conversation: Callable[[int], Conversation]) -> Iterator[tuple[int, Finding]]:
        """Yield what is wrong with the texts, and control tokens that are spelled in them."""
        yield from self._texts.check_turns(said)
        if not self._renders:
            return
        first = self._first
        # One look at all these texts tells whether there are any.
        whole = "\n".join([text for text in said.texts if first in text])
        if any(begin in whole for begin in self._begins) and next(self._controls.find(whole), None) is not None:
            for number in range(len(said.rows)):
                for finding in control_text(conversation(number), self._controls):
                    yield number, finding

    def _gaps_and_lengths(
        self, said: Turns, sizes: Sequence[int], conversation: Callable[[int], Conversation]
    ) -> Iterator[tuple[int, Finding]]:
        """Yield messages that say nothing, and what is wrong with long rows."""
        if self._gaps:
            # Any text that says nothing is shorter, or begins otherwise.
            begins = [text[:1] for text in said.texts]
            odd = {begin for begin in set(begins) if not begin.isalnum()}
            short = [at for at, text in enumerate(said.texts) if len(text) < SAYS_SOMETHING or begins[at] in odd]
            for number in dict.fromkeys(map(said.row, short)):
                for finding in gaps(conversation(number)):
                    yield number, finding
        if self._measures:
            # A token is a byte of text at least, and the template adds a few to a message: most need no counting.
            long = self._long
            for number in [number for number, size in enumerate(sizes) if size + 8 * len(said.rows[number]) >= long]:
                for finding in self._length(conversation(number), sizes[number]):
                    yield number, finding

    def _shape(self, conversation: Conversation) -> tuple[Finding, ...]:
        """Return what is wrong with the order of turns, and what the template makes of the conversation."""
        found = turns.check(conversation) if self._turns else ()
        if self._renders:
            return (*found, *template.check(conversation, self._template, self._controls))
        return found

    def _roles(self, roles: tuple[str, ...]) -> tuple[Finding, ...]:
        return self._shape(Bare([Message(role, "x") for role in roles]))

    def _length(self, conversation: Conversation, size: int) -> Iterator[Finding]:
        """Yield what is wrong with a row that may be long."""
        trained = sum([len(turn.content or "") for turn in conversation.messages if turn.role == "assistant"])
        if size + 8 * len(conversation.messages) <= self._limit and trained * _SURE >= self._share * size:
            return
        from phi3data.tokens.lengths import Lengths

        (found,) = Lengths.for_tokenizer(self.tokenizer, self.model).of([conversation])
        first = found.spans[0][0] if found.spans else None
        estimated = self.tokenizer.estimated
        yield from length.check(found.total, first, found.supervised, self._limit, self._share, estimated=estimated)


@cache
def judge(plan: Plan) -> Judge:
    """Return the judge of a plan, made once in a process. Raises `UsageError` for an unknown model or tokenizer."""
    return Judge(plan)
