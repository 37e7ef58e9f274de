"""All rules that look into texts, screened together: one skeleton of a text serves content, privacy and marks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data.rules import content, foreign, privacy
from phi3data.rules.examine import Checker

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from phi3data.chat import Conversation
    from phi3data.findings import Finding

CHECKER = Checker((*foreign.KERNELS, *content.KERNELS, *privacy.KERNELS), content.PAIRS)
CODES = frozenset([kernel.code for kernel in CHECKER.kernels] + [pair.code for pair in content.PAIRS])
BATCH = 64  # conversations to screen at once: more are not faster


def check(conversation: Conversation) -> Iterator[Finding]:
    """Yield what is wrong with the texts of one conversation."""
    return CHECKER.check(conversation)


def check_many(conversations: Sequence[Conversation]) -> Iterator[tuple[int, Finding]]:
    """Yield what is wrong with the texts of some conversations, with the number of the conversation, in their order."""
    return CHECKER.check_many(conversations)


def checker(codes: frozenset[str]) -> Checker:
    """Return a checker of some of the rules: fewer marks to look up."""
    return Checker(
        [kernel for kernel in CHECKER.kernels if kernel.code in codes],
        [pair for pair in content.PAIRS if pair.code in codes],
    )
