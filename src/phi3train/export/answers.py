"""What the handed-over weights answer, written down, so that whoever loads them can see that they answer the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from phi3data.chat import Conversation, Message
from phi3data.tokens.encode import encoder
from phi3train.export.expected import Expected, Greedy
from phi3train.generation import write

if TYPE_CHECKING:
    from phi3data.inspection.view import Inspection
    from phi3train.models import Model
    from phi3train.report.story import Story

_TOKENS = 24


def expected(model: Any, story: Story, about: Model, ends: list[int]) -> Expected:
    """Let the model answer the first conversations that it was trained on, up to their first answer."""
    reader = encoder(about.tokenizer, about.profile)
    asked = [_question(inspection) for inspection in story.preview]
    asked = [messages for messages in asked if messages] or [[Message("user", "Hello! Who are you?")]]
    answers = []
    for messages in asked:
        encoded = reader.encode(Conversation([*messages, Message("assistant", "x")]))
        ids = encoded.ids[: encoded.mask.index(True)]
        said = [{"role": message.role, "content": message.content} for message in messages]
        answers.append(Greedy(messages=said, prompt=ids, answer=greedy(model, ids, ends)))
    request = {"messages": answers[0].messages, "max_tokens": _TOKENS, "temperature": 0}
    return Expected(request=request, answers=answers)


def classified(model: Any, story: Story, pad: int) -> Expected:
    """Let a head name the classes of the first conversations that it was trained on; rows end where it reads."""
    answers = []
    for inspection in story.preview:
        ids = [token.id for token in inspection.tokens or []]
        while ids and ids[-1] == pad:
            ids.pop()
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
