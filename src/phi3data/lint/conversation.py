"""One conversation against the rules that a conversation alone can break: turns, texts, template, length."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import msgspec

from phi3data import family, targets
from phi3data.rules import RULES, template, texts, turns
from phi3data.steps.missing import gaps
from phi3data.tokens import count

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from phi3data.chat import Conversation
    from phi3data.findings import Finding

_TURNS = frozenset(rule.code for rule in turns.RULES)
_TEMPLATE = frozenset(rule.code for rule in template.RULES) - {"L701"} | {"R407"}


class Plan(msgspec.Struct, frozen=True):
    """What is looked for, and for which model and destination. Sent to workers, so plain data only."""

    codes: frozenset[str]
    model: str = family.DEFAULT
    tokenizer: str | None = None
    target: str = targets.DEFAULT


def wanted(select: Iterable[str] = (), ignore: Iterable[str] = ()) -> frozenset[str]:
    """Return the codes of the rules that begin with one of `select` (of all, if none) and with none of `ignore`."""
    chosen, left_out = tuple(select) or ("",), tuple(ignore)
    return frozenset(code for code in RULES if code.startswith(chosen) and not (left_out and code.startswith(left_out)))


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
        self._measures = "L701" in plan.codes

    def many(self, conversations: Sequence[Conversation], sizes: Sequence[int]) -> Iterator[tuple[int, Finding]]:
        """Yield (number of the conversation, finding), in no order.

        `sizes` are the bytes that each row takes in its file. Some dozens at once are twice as fast as one by one.
        """
        yield from self._texts.check_many(conversations)
        for number, conversation in enumerate(conversations):
            if self._turns:
                for found in turns.check(conversation):
                    yield number, found
            if self._gaps:
                for found in gaps(conversation):
                    yield number, found
            if self._renders:
                for found in template.check(conversation, self._template, self._controls):
                    yield number, found
            # A token is a byte of text at least, and the template adds a few to a message: most need no counting.
            if self._measures and sizes[number] + 8 * len(conversation.messages) > self.model.context:
                for found in self._too_long(conversation):
                    yield number, found

    def _too_long(self, conversation: Conversation) -> Iterator[Finding]:
        from phi3data.tokens.lengths import Lengths

        (length,) = Lengths.for_tokenizer(self.tokenizer, self.model).of([conversation])
        if length.total > self.model.context:
            yield template.too_long(length.total, self.model.context, estimated=self.tokenizer.estimated)


@cache
def judge(plan: Plan) -> Judge:
    """Return the judge of a plan, made once in a process. Raises `UsageError` for an unknown model or tokenizer."""
    return Judge(plan)
