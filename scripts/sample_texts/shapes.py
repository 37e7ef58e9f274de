"""A conversation in the shape of each file, and damage put into such a row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from scripts.sample_texts.conversations import faq, reply_task, single_chat
from scripts.sample_texts.material import MACHINES
from scripts.sample_texts.records import Defect, Record, Row
from scripts.sample_texts.spoil import DAMAGES

if TYPE_CHECKING:
    from collections.abc import Callable

    from scripts.sample_texts.conversations import Conversation, Desk, Scene


def chat_row(made: Conversation) -> Row:
    """OpenAI chat format, with the topic as label."""
    system = [{"role": "system", "content": made.system}] if made.system else []
    turns = [{"role": role, "content": content} for role, content in made.turns]
    return {"messages": system + turns, "topic": made.topic}


def faq_row(made: Conversation) -> Row:
    """One row of the table. The article is the order code of the machine that the question names."""
    article = MACHINES[made.machine] if made.machine in made.question else ""
    return {
        "question": made.question,
        "answer": made.answer,
        "category": made.topic,
        "language": made.language,
        "article": article,
    }


def alpaca_row(made: Conversation) -> Row:
    """Alpaca format; a single question is an instruction without input."""
    return {"instruction": made.prompt or made.question, "input": made.context, "output": made.answer}


def sharegpt_row(made: Conversation) -> Row:
    """ShareGPT format, with the system prompt at the top level."""
    names = {"user": "human", "assistant": "gpt"}
    row: Row = {"id": f"{made.facts['order'].lower()}-{made.language}"}
    if made.system:
        row["system"] = made.system
    row["conversations"] = [{"from": names[role], "value": content} for role, content in made.turns]
    return row


@dataclass(frozen=True)
class Shape:
    """A file's row format: what draws a plain row for it, what shapes it, and where its texts are (JSON pointers)."""

    draw: Callable[[Scene], Conversation]
    row: Callable[[Conversation], Row]
    user: str
    assistant: str


CHAT = Shape(single_chat, chat_row, "/messages/0/content", "/messages/1/content")
FAQ = Shape(faq, faq_row, "/question", "/answer")
ALPACA = Shape(reply_task, alpaca_row, "/input", "/output")
SHAREGPT = Shape(single_chat, sharegpt_row, "/conversations/0/value", "/conversations/1/value")


def at(row: Row, pointer: str) -> Any:
    """Return the value at a JSON pointer."""
    value: Any = row
    for step in pointer.split("/")[1:]:
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def put(row: Row, pointer: str, value: object) -> None:
    """Set the value at a JSON pointer."""
    parent, _, last = pointer.rpartition("/")
    at(row, parent)[last] = value


def damaged(desk: Desk, shape: Shape, name: str) -> Record:
    """Draw rows until one has a text that this damage changes (a text may lack quotes or accents), and damage it."""
    damage = DAMAGES[name]
    pointer = shape.user if damage.side == "user" else shape.assistant
    while True:
        language = desk.rng.choice(damage.languages) if damage.languages else None
        row = shape.row(desk.draw(shape.draw, language))
        before = at(row, pointer)
        after = at(row, shape.user) if name == "copied" else damage.change(desk.rng, before)
        if after != before:
            put(row, pointer, after)
            return Record(row=row, defects=[Defect(damage.code, damage.expect, damage.note, pointer)])
