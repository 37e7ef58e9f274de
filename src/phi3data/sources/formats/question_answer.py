"""Question/answer: a table of questions and answers, the usual shape of a CSV file.

Example: ``{"question": "Capital of France?", "answer": "Paris", "topic": "geography"}``

`question` may be called `query` or `q`, `answer` may be called `a`, all in any case. An optional `context` is joined to
the question with a blank line. Labels (`label`, `category`, `intent`, `topic`) are taken from the row by the reader.
"""

from __future__ import annotations

from functools import lru_cache

from phi3data.chat import Conversation, Message
from phi3data.sources.formats.base import Format, Row, UnconvertibleError, cell, joined, pointer, scalar

QUESTIONS = ("question", "query", "q")
ANSWERS = ("answer", "a")


@lru_cache(maxsize=256)
def _keys(columns: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    """Return the spellings of question, answer and context among a row's keys; an exact lower-case one wins.

    All rows of a table have the same keys, so that they are looked through once.
    """
    spelled = {key.strip().casefold(): key for key in columns}
    spelled.update({key: key for key in columns if key in spelled})
    question, answer, context = (
        tuple(spelled[name] for name in names if name in spelled) for names in (QUESTIONS, ANSWERS, ("context",))
    )
    return question, answer, context


def _first(row: Row, keys: tuple[str, ...]) -> str | None:
    """Return the first of the keys that has a value in the row, else the first; None where there are none."""
    if not keys:
        return None
    return keys[0] if len(keys) == 1 else next((key for key in keys if row[key] is not None), keys[0])


def recognises(row: Row) -> bool:
    """Tell whether the row has a question and an answer, of which one is not null."""
    if isinstance(row.get("question"), str) and isinstance(row.get("answer"), str):
        return True
    questions, answers, _ = _keys(tuple(row))
    question, answer = _first(row, questions), _first(row, answers)
    if question is None or answer is None:
        return False
    values = row[question], row[answer]
    return values != (None, None) and scalar(values[0]) and scalar(values[1])


def convert(row: Row) -> list[Conversation]:
    """Convert one row of questions and answers."""
    question, answer = row.get("question"), row.get("answer")
    if len(row) == 2 and isinstance(question, str) and isinstance(answer, str):
        return [Conversation([Message("user", question), Message("assistant", answer)])]
    questions, answers, contexts = _keys(tuple(row))
    if not questions and not answers:
        raise UnconvertibleError("S303", "the row has none of the columns of question/answer: 'question', 'answer'")
    text = joined(_text(row, questions), _text(row, contexts))
    return [Conversation([Message("user", text), Message("assistant", _text(row, answers))])]


def _text(row: Row, keys: tuple[str, ...]) -> str | None:
    key = _first(row, keys)
    if key is None:
        return None
    value = row[key]
    return value if isinstance(value, str) else cell(value, pointer(key))


FORMAT = Format(
    name="question-answer",
    title="question/answer",
    fields=("question", "answer", "context", "query", "q", "a"),
    needs=("question", "answer"),
    recognises=recognises,
    convert=convert,
)
