"""Preference pairs: a prompt, the answer that was chosen and the one that was rejected.

Example: ``{"prompt": "Capital of France?", "chosen": "Paris", "rejected": "Lyon"}``

For supervised fine-tuning the chosen answer is taken; the rejected one is kept as evidence for the ledger. Spellings:

- `prompt` (a string or messages), `question` with `system`, or `instruction` with `input`; then `chosen`, `rejected`
- `conversations` (ShareGPT) or `messages` (chat), then `chosen`, `rejected`
- `input` (``{"messages": […]}``), `preferred_output`, `non_preferred_output`, as OpenAI writes them
- `chosen`, `rejected` alone, as lists that hold the whole conversation

An answer is a string, one message object, or a list of messages, which may repeat the prompt. X001 without an answer.
"""

from __future__ import annotations

from typing import Any

import msgspec

from phi3data.chat import Conversation, Message
from phi3data.sources.formats import alpaca, chat, prompt_completion, sharegpt, tools
from phi3data.sources.formats.base import Format, Row, UnconvertibleError, cell, given

OPENAI = ("preferred_output", "non_preferred_output")
PROMPTS = ("prompt", "conversations", "messages", "question", "instruction")


def recognises(row: Row) -> bool:
    """Tell whether the row has two answers of which one was preferred, and a prompt."""
    if "input" in row and given(row, *OPENAI) and all(name in row for name in OPENAI):
        return True
    if "chosen" not in row or "rejected" not in row or not given(row, "chosen", "rejected"):
        return False
    return given(row, *PROMPTS) or isinstance(row["chosen"], list)


def convert(row: Row) -> list[Conversation]:
    """Convert one preference pair."""
    chosen, rejected = OPENAI if given(row, *OPENAI) else ("chosen", "rejected")
    if chosen not in row:
        raise UnconvertibleError("X001", f"the row has no '{chosen}'")
    start = _prompt(row)
    messages = _with_answer(start.messages, row[chosen], f"/{chosen}")
    return [Conversation(messages, start.tools, evidence={"rejected": _kept(start.messages, row.get(rejected))})]


def _prompt(row: Row) -> Conversation:
    """Return what both answers answer: the messages before them (none, if only the answers hold them) and the tools."""
    if row.get("conversations") is not None:
        return sharegpt.conversation(row)
    if row.get("messages") is not None:
        return chat.conversation(row)
    asked = row.get("input")
    if isinstance(asked, dict):
        return chat.conversation(asked, "/input")
    if row.get("prompt") is not None:
        messages = prompt_completion.side(row["prompt"], "user", "/prompt")
    elif row.get("question") is not None:
        messages = [Message("user", cell(row["question"], "/question"))]
    elif row.get("instruction") is not None:
        messages = [Message("user", alpaca.instruction(row))]
    elif asked is not None:
        messages = prompt_completion.side(asked, "user", "/input")
    else:
        whole = isinstance(row.get("chosen"), list)
        messages = [] if whole else [Message("user", None)]
    return Conversation(chat.with_system(row.get("system"), messages, "/system"), tools.definitions(row))


def _answers(value: Any, at: str) -> list[Message]:
    if isinstance(value, dict):
        parent, _, key = at.rpartition("/")
        return [sharegpt.turn(value, parent, key)]
    if isinstance(value, list) and value:
        return sharegpt.turns(value, at)
    return [Message("assistant", None if value == [] else cell(value, at))]


def _with_answer(prompt: list[Message], value: Any, at: str) -> list[Message]:
    """Put the answer behind the prompt, unless it repeats the prompt itself."""
    answer = _answers(value, at)
    if len(answer) > 1 and _repeats(prompt, answer[:-1]):
        system = [message for message in prompt[:1] if message.role == "system" and answer[0].role != "system"]
        return system + answer
    return prompt + answer


def _repeats(prompt: list[Message], before: list[Message]) -> bool:
    """Tell whether the messages before the answer hold every turn of the prompt; a system prompt may be missing."""
    asked = [(message.role, (message.content or "").strip()) for message in prompt if message.role != "system"]
    told = [(message.role, (message.content or "").strip()) for message in before if message.role != "system"]
    return asked == told[-len(asked) :]


def _kept(prompt: list[Message], rejected: Any) -> Any:
    """Return the rejected answer for the ledger: its text where it is one message, else its messages.

    It is not trained on, so that a shape that cannot be read is kept as it is.
    """
    try:
        messages = _with_answer(prompt, rejected, "/rejected")
    except UnconvertibleError:
        return rejected
    messages = messages[len(prompt) :] if messages[: len(prompt)] == prompt else messages
    if len(messages) == 1 and not messages[0].tool_calls:
        return messages[0].content
    return msgspec.to_builtins(messages)


FORMAT = Format(
    name="preference",
    title="preference pairs",
    fields=("chosen", "rejected", *PROMPTS, "system", "input", *OPENAI, "tools"),
    needs=("prompt", "chosen", "rejected"),
    recognises=recognises,
    convert=convert,
)
