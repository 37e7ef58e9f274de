"""What the handed-over weights answer, written down, so that whoever loads them can see that they answer the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from phi3data.chat import Conversation, Message
from phi3data.tokens.encode import encoder
from phi3train.data.labelled import pad_id
from phi3train.export.expected import GREETING, Expected, Greedy
from phi3train.generation import write

if TYPE_CHECKING:
    from phi3data.inspection.view import Inspection
    from phi3train.models import Model
    from phi3train.report.story import Story

_TOKENS = 24


def questions(story: Story) -> list[list[Message]]:
    """Return the first conversations that were trained on, up to their first answer, where they are all text."""
    return [messages for messages in map(_question, story.preview) if messages]


def expected(model: Any, about: Model, ends: list[int], asked: list[list[Message]]) -> Expected:
    """Let the model answer questions; without any, a greeting."""
    reader = encoder(about.tokenizer, about.profile)
    answers = []
    for messages in asked or [[Message("user", GREETING)]]:
        encoded = reader.encode(Conversation([*messages, Message("assistant", "x")]))
        ids = encoded.ids[: encoded.mask.index(True)]
        said = [{"role": message.role, "content": message.content} for message in messages]
        answers.append(Greedy(messages=said, prompt=ids, answer=greedy(model, ids, ends)))
    request = {"messages": answers[0].messages, "max_tokens": _TOKENS, "temperature": 0}
    return Expected(request=request, answers=answers)


def rows(story: Story) -> list[list[int]]:
    """Return the ids of the first conversations that were trained on."""
    return [[token.id for token in inspection.tokens] for inspection in story.preview if inspection.tokens]


def classified(model: Any, about: Model, asked: list[list[int]]) -> Expected:
    """Let a head name the classes of rows, without any that of a greeting; rows end where it reads."""
    if not asked:
        asked = [encoder(about.tokenizer, about.profile).encode(Conversation([Message("user", GREETING)])).ids]
    pad, answers = pad_id(about), []
    for row in asked:
        ids = row[: max((at for at, id_ in enumerate(row, start=1) if id_ != pad), default=0)]
        if ids:
            answers.append(Greedy(prompt=ids, answer=[head(model, ids)]))
    return Expected(request=None, answers=answers)


def head(model: Any, ids: list[int]) -> int:
    """Return the number of the class of a row."""
    model.eval()
    with torch.no_grad():
        return int(model(input_ids=torch.tensor([ids], device=model.device)).logits[0].argmax())


def _question(inspection: Inspection) -> list[Message]:
    """Return the messages before the first answer; none where there is none, or one of them is more than text."""
    messages: list[Message] = []
    for turn in inspection.turns:
        if turn.role == "assistant":
            return messages
        if turn.pieces is None or turn.extras:
            return []
        messages.append(Message(turn.role, "".join(piece.text for piece in turn.pieces)))
    return []


def greedy(model: Any, prompt: list[int], ends: list[int], tokens: int = _TOKENS) -> list[int]:
    """Return the ids of the most likely answer, up to one that ends it."""
    model.eval()
    return write(model, prompt, ends, pad=ends[0], max_tokens=tokens)
