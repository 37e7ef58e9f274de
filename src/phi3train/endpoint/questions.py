"""What an endpoint is asked: a test request, the questions of a bundle, the conversations of a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from phi3data.errors import InputError, UsageError
from phi3data.findings import Finding
from phi3data.sources.reader import SourceConfig
from phi3train.data.rows import read, spread
from phi3train.detokenizing import Detokenizer, load
from phi3train.export import bundle, expected

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from phi3data.chat import Conversation

Kind = Literal["request", "exported", "data"]
_GREETING = {"messages": [{"role": "user", "content": expected.GREETING}], "max_tokens": 24, "temperature": 0}


class Question(msgspec.Struct, frozen=True, kw_only=True):
    """A request, without the model's name. `wanted` is the answer that is known to it, None where none is."""

    id: str
    kind: Kind
    body: dict[str, Any]
    wanted: str | None = None


def request(path: Path | None) -> Question:
    """Return the request of a file (deploy/test_request.json of a bundle), or a greeting.

    Raises `InputError` for a file that is no request.
    """
    body = _GREETING if path is None else bundle.read_json(path)
    said = body.get("messages")
    if not isinstance(said, list) or not all(isinstance(each, dict) for each in said):
        raise InputError(f"{path}: is no request: it has no messages; a bundle's is deploy/test_request.json")
    kept = {key: value for key, value in body.items() if key not in ("model", "stream", "stream_options")}
    return Question(id="test request", kind="request", body=kept)


def exported(folder: Path) -> list[Question]:
    """Return the questions that the weights of a bundle answered when it was exported, with those answers.

    Raises `UsageError` for a bundle that answers no chats, `InputError` for one that is damaged.
    """
    made = bundle.read(folder)
    if made.kind == "finetune":
        raise UsageError(f"{folder}: is a bundle 'finetune', which holds rows and no answers: give that of a model")
    found = expected.read(folder)
    if found.request is None:
        raise UsageError(f"{folder}: holds a classification head, which answers no chats")
    tokenizer = load(folder / ("adapter" if made.kind == "adapter" else "model") / "tokenizer.json")
    ends = set(made.facts.get("eos_token_id", ()))
    asked = [
        Question(
            id=f"exported {number}",
            kind="exported",
            body={**found.request, "messages": each.messages},
            wanted=_text(tokenizer, [id_ for id_ in each.answer if id_ not in ends]),
        )
        for number, each in enumerate(found.answers, start=1)
        if each.messages
    ]
    if not asked:
        raise InputError(f"{folder}: holds no questions as endpoints are asked: export the run again")
    return asked


def conversations(path: Path, number: int, max_tokens: int) -> list[Question]:
    """Return up to `number` questions of a file of chats: all before the last answer, which is the wanted one.

    Answers have `max_tokens` at most. Raises `InputError` for a row that is none, and a file without questions.
    """
    found = []
    for placed in read(path, SourceConfig()):
        if isinstance(placed.conversation, Finding):
            raise InputError(f"{placed.id}: is no conversation: {placed.conversation.message}")
        found.append(_question(placed.id, placed.conversation, max_tokens))
    asked = [each for each in found if each.body["messages"]]
    if not asked:
        raise InputError(f"{path}: has no questions: give a file of chats, for example test.jsonl of phi3data prepare")
    return spread(asked, number)


def _text(tokenizer: Tokenizer, ids: list[int]) -> str:
    """Return the text of an answer; of one that was cut off within a character what is before that."""
    made = Detokenizer(tokenizer)
    return "".join(made.add(id_) for id_ in ids)


def _question(place: str, conversation: Conversation, max_tokens: int) -> Question:
    messages = conversation.messages
    last = max((at for at, each in enumerate(messages) if each.role == "assistant"), default=len(messages))
    said = [msgspec.to_builtins(message) for message in messages[:last]]
    for message in said:
        message.pop("weight", None)  # for those who train
    body = {"messages": said, "max_tokens": max_tokens, "temperature": 0}
    return Question(
        id=Path(place).name,
        kind="data",
        body=body if conversation.tools is None else {**body, "tools": conversation.tools},
        wanted=messages[last].content if last < len(messages) else None,
    )
