"""X: preference pairs, a prompt with an answer that was chosen and one that was rejected, on the decoded row.

An answer is a text, a message, or a list of messages that may repeat the prompt. What is said of chat rows (turns,
texts, template) is not said of pairs: convert them, and check what comes out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phi3data.chat import ROLE_ALIASES
from phi3data.findings import Finding, pointer
from phi3data.rules.base import Rule
from phi3data.rules.placed import Placed

if TYPE_CHECKING:
    from collections.abc import Iterator

NAMES = (("chosen", "rejected"), ("preferred_output", "non_preferred_output"))
_PROMPTS = ("prompt", "messages", "conversations", "question", "instruction", "input")
_PAIR = '{"prompt":"Capital of France?","chosen":"Paris","rejected":"Lyon"}'

RULES = (
    Rule(
        "X001",
        "bad-pair",
        "error",
        "a preference row that lacks its prompt or an answer",
        "There is nothing to prefer: trainers stop, or learn from half of the pair.",
        '{"prompt":"Capital of France?","chosen":"Paris","rejected":null}',
        _PAIR,
    ),
    Rule(
        "X002",
        "chosen-equals-rejected",
        "error",
        "the chosen answer is the rejected one",
        "The pair says nothing, and its gradient is noise.",
        _PAIR.replace("Lyon", "paris "),
        _PAIR,
    ),
    Rule(
        "X003",
        "length-bias",
        "warning",
        "chosen answers are longer than rejected ones",
        "Preference training then teaches length: the model learns to say more, not to say it better.",
    ),
    Rule(
        "X004",
        "bad-role",
        "error",
        "an answer that is not the assistant's",
        "The loss is computed on the words of somebody else.",
        _PAIR.replace('"Paris"', '[{"role":"user","content":"Paris"}]'),
        _PAIR.replace('"Paris"', '[{"role":"assistant","content":"Paris"}]'),
    ),
)


def is_pair(row: dict[str, Any]) -> bool:
    """Tell whether a row is a preference pair, or means to be one."""
    return any(name in row for names in NAMES for name in names)


def check(row: dict[str, Any]) -> Iterator[Finding]:
    """Yield every problem of a preference pair."""
    chosen, rejected = names_of(row)
    for name in (chosen, rejected):
        if name not in row:
            yield Finding("X001", f"the row has no '{name}'")
        elif not text(row[name]).strip():
            yield Finding("X001", f"'{name}' says nothing", pointer(name))
        else:
            yield from _roles(row[name], name)
    if not any(row.get(name) for name in _PROMPTS) and not isinstance(row.get(chosen), list):
        yield Finding("X001", f"the row has no prompt: expected one of {', '.join(_PROMPTS[:3])}")
    one, other = text(row.get(chosen)), text(row.get(rejected))
    if one.strip() and _bare(one) == _bare(other):
        yield Finding("X002", f"'{chosen}' and '{rejected}' say the same", pointer(rejected))


def names_of(row: dict[str, Any]) -> tuple[str, str]:
    """Return the names under which this row has the chosen and the rejected answer."""
    return next((names for names in NAMES if names[0] in row or names[1] in row), NAMES[0])


def text(answer: Any) -> str:
    """Return what an answer says; "" for what is no answer."""
    if isinstance(answer, list):
        return text(answer[-1]) if answer else ""
    if isinstance(answer, dict):
        answer = answer.get("content", answer.get("value"))
    return answer if isinstance(answer, str) else ""


def _roles(answer: Any, name: str) -> Iterator[Finding]:
    last = answer[-1] if isinstance(answer, list) else answer
    if not isinstance(last, dict):
        return
    at = pointer(name, len(answer) - 1) if isinstance(answer, list) else pointer(name)
    key = "role" if "role" in last else "from"
    role = last.get(key)
    if not isinstance(role, str):
        yield Finding("X004", "the answer has no role", at)
    elif ROLE_ALIASES.get(role.strip().casefold()) != "assistant":
        yield Finding("X004", f"the answer is the {role[:40]!r}'s, expected the assistant's", f"{at}/{key}")


def _bare(answer: str) -> str:
    return " ".join(answer.casefold().split())


class Lengths:
    """X003: how often the chosen answer is the longer one. Parts add up with `merge`."""

    LEAST = 50  # pairs, under which shares say nothing

    def __init__(self) -> None:
        self._pairs = self._longer = self._chosen = self._rejected = 0

    def add(self, row: dict[str, Any]) -> None:
        """Count a pair, by the code points of its answers."""
        chosen, rejected = (len(text(row.get(name))) for name in names_of(row))
        self._pairs += 1
        self._longer += chosen > rejected
        self._chosen += chosen
        self._rejected += rejected

    def merge(self, later: Lengths) -> None:
        """Add what a later part of the file holds."""
        self._pairs += later._pairs
        self._longer += later._longer
        self._chosen += later._chosen
        self._rejected += later._rejected

    def findings(self, share: float) -> Iterator[Placed]:
        """Yield one finding if this share of the chosen answers, or more, are the longer ones."""
        if self._pairs >= self.LEAST and self._longer >= share * self._pairs:
            means = (
                f"{self._chosen / self._pairs:,.0f} characters against {self._rejected / self._pairs:,.0f} on average"
            )
            found = self._longer / self._pairs
            yield Placed(
                Finding("X003", f"the chosen answer is longer in {found:.0%} of {self._pairs:,} pairs, {means}")
            )
