"""One conversation against the rules that a conversation alone can break: turns, texts, template, length."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING

import msgspec

from phi3data import family, targets
from phi3data.chat import Message
from phi3data.rules import length, template, texts, turns
from phi3data.rules.typed import Bare
from phi3data.steps.missing import SAYS_SOMETHING, gaps
from phi3data.tokens import count
from phi3data.tokens.frame import control_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from phi3data.chat import Conversation
    from phi3data.findings import Finding

_TURNS = frozenset(rule.code for rule in turns.RULES)
_TEMPLATE = frozenset(rule.code for rule in template.RULES) | {"R407"}

_SURE = 20  # times as many bytes as characters of answers: fewer, and one token in a hundred is trained for sure


class Plan(msgspec.Struct, frozen=True):
    """What is looked for, and for which model and destination. Sent to workers, so plain data only."""

    codes: frozenset[str]
    model: str = family.DEFAULT
    tokenizer: str | None = None
    target: str = targets.DEFAULT


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
        self._long = min(length.LONG, self.model.context)
        self._by_roles = lru_cache(4096)(self._roles)  # a data set has few orders of roles and many rows of each

    def many(self, conversations: Sequence[Conversation], sizes: Sequence[int]) -> Iterator[tuple[int, Finding]]:
        """Yield (number of the conversation, finding), in no order.

        `sizes` are the bytes that each row takes in its file. Some dozens at once are twice as fast as one by one.
        """
        yield from self._texts.check_many(conversations)
        if self._renders:
            yield from self._control_texts(conversations)
        for number, conversation in enumerate(conversations):
            if type(conversation) is Bare:
                found = self._by_roles(tuple([turn.role for turn in conversation.messages]))
            else:
                found = self._shape(conversation)
            if found:
                for finding in found:
                    yield number, finding
            if self._gaps:
                for turn in conversation.messages:
                    text = turn.content
                    # Any text that says nothing is shorter, or begins otherwise.
                    if text is None or len(text) < SAYS_SOMETHING or not text[0].isalnum():
                        for finding in gaps(conversation):
                            yield number, finding
                        break
            # A token is a byte of text at least, and the template adds a few to a message: most need no counting.
            if self._measures and sizes[number] + 8 * len(conversation.messages) >= self._long:
                for finding in self._length(conversation, sizes[number]):
                    yield number, finding

    def _control_texts(self, conversations: Sequence[Conversation]) -> Iterator[tuple[int, Finding]]:
        """Yield control tokens that are spelled in the words; one look at all texts tells whether there are any."""
        whole = "\n".join([turn.content or "" for conversation in conversations for turn in conversation.messages])
        if next(self._controls.find(whole), None) is not None:
            for number, conversation in enumerate(conversations):
                for finding in control_text(conversation, self._controls):
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
        if size + 8 * len(conversation.messages) <= self.model.context and trained * _SURE >= size:
            return
        from phi3data.tokens.lengths import Lengths

        (found,) = Lengths.for_tokenizer(self.tokenizer, self.model).of([conversation])
        first = found.spans[0][0] if found.spans else None
        limit, estimated = self.model.context, self.tokenizer.estimated
        yield from length.check(found.total, first, found.supervised, limit, estimated=estimated)


@cache
def judge(plan: Plan) -> Judge:
    """Return the judge of a plan, made once in a process. Raises `UsageError` for an unknown model or tokenizer."""
    return Judge(plan)
