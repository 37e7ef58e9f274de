"""Answers that say back what was asked."""

from __future__ import annotations

import re

from phi3data.text.lazy import Lazy
from phi3data.text.spot import quoted

_LEAST = 40  # characters: shorter ones are names and choices that the question ends with
_WANTED = Lazy(
    r"\b(?:repeat|echo|say back|copy|verbatim|correct|proofread|rewrite|grammar|fix|edit|format|sort|unchanged"
    r"|wiederhole|korrigier)|"
    r"重复|改正|纠正|修改|繰り返|повтори|поправи",
    re.IGNORECASE,
)


def may_copy(question: str, answer: str) -> bool:
    """Screen: tell whether an answer is the end of its question, but for white space."""
    return question.rstrip().endswith(answer.strip())


def find(question: str, answer: str) -> str | None:
    """Say that an answer is the question, or its end (the input of a task); None where it is not, or was asked for."""
    said = answer.strip()
    asked = question.strip()
    if len(said) < _LEAST or not asked.endswith(said) or _WANTED.search(asked[: len(asked) - len(said)]):
        return None
    before = asked[: len(asked) - len(said)]
    if before and not before[-1].isspace():
        return None
    part = "the end of the question" if before else "the whole question"
    return f"the answer repeats {part}: {quoted(said)} at character 1"
