"""Rendered text: conversations that a chat template has already been applied to.

Example: ``{"text": "<|user|>\\nHi<|end|>\\n<|assistant|>\\nHello!<|end|>\\n<|endoftext|>"}``

The templates are those of Phi, ChatML (and Phi-4), Llama 3, Llama 2 and Mistral (``[INST]``), the headings
``### Instruction:`` / ``### Input:`` / ``### Response:``, and ``### Human:`` / ``### Assistant:``. A text must come
apart without a rest: words outside the turns, a turn without its end or a marker inside a turn refuse the row (T604).
The last turn alone may lack its end. Alpaca's "Below is an instruction …" is part of its template and left out; other
words before the first heading become the system message.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from phi3data.chat import Conversation, Message
from phi3data.sources.formats.base import Format, Row, UnconvertibleError, cell, columns, joined, role
from phi3data.sources.formats.transcript import cut

if TYPE_CHECKING:
    from collections.abc import Callable

AT = "/text"
PREAMBLE = "below is an instruction"
_FRAME = re.compile(r"(?:\s|<s>|</s>|<\|endoftext\|>|<\|begin_of_text\|>|<\|end_of_text\|>)*")
_EOS = ("</s>", "<|endoftext|>", "<|end_of_text|>")


@dataclass(frozen=True)
class Template:
    """A template whose turns have a head with the role and an end of their own."""

    title: str
    head: re.Pattern[str]
    end: str
    marks: tuple[str, ...]

    def messages(self, text: str) -> list[Message]:
        """Return the turns of a text. Raises `UnconvertibleError` (T604, S307)."""
        before, turns = cut(self.head, text)
        if not turns:
            raise _unclean(self.title, "no turn has a whole head")
        if not _FRAME.fullmatch(before):
            raise _unclean(self.title, "there are words before the first turn")
        last = len(turns) - 1
        messages = [self._message(name, body, last=index == last) for index, (name, body) in enumerate(turns)]
        if any(mark in (message.content or "") for message in messages for mark in self.marks):
            raise _unclean(self.title, "there is a marker inside a turn")
        return messages

    def _message(self, name: str, body: str, *, last: bool) -> Message:
        content, end, rest = body.partition(self.end)
        if not end:
            if not last:
                raise _unclean(self.title, f"a turn lacks its {self.end}")
            content = _without_eos(content)
        if not _FRAME.fullmatch(rest):
            raise _unclean(self.title, "there are words between two turns")
        return Message("tool" if name == "ipython" else role(name, AT), content)


PHI = Template(
    "Phi",
    re.compile(r"<\|(system|user|assistant|tool)\|>\n?"),
    "<|end|>",
    ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>"),
)
CHATML = Template(
    "ChatML",
    re.compile(r"<\|im_start\|>(\w+)(?:\n|<\|im_sep\|>)"),
    "<|im_end|>",
    ("<|im_start|>", "<|im_sep|>", "<|im_end|>"),
)
LLAMA3 = Template(
    "Llama 3",
    re.compile(r"<\|start_header_id\|>(\w+)<\|end_header_id\|>\n{0,2}"),
    "<|eot_id|>",
    ("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
)

_INST = re.compile(r"\[(INST|/INST)\]")
_SYS = re.compile(r"\s*<<SYS>>(.*?)<</SYS>>", re.DOTALL)


def _inst(text: str) -> list[Message]:
    """Split ``<s>[INST] <<SYS>>…<</SYS>> question [/INST] answer </s>``; white space around turns is markup."""
    before, pieces = cut(_INST, text)
    if not _FRAME.fullmatch(before):
        raise _unclean("[INST]", "there are words before the first turn")
    if any(mark != ("INST", "/INST")[index % 2] for index, (mark, _) in enumerate(pieces)) or len(pieces) % 2:
        raise _unclean("[INST]", "[INST] and [/INST] do not alternate")
    messages: list[Message] = []
    first = pieces[0][1]
    system = _SYS.match(first)
    if system:
        messages.append(Message("system", system[1].strip()))
        pieces[0] = ("INST", first[system.end() :])
    for mark, piece in pieces:
        words = piece if mark == "INST" else _without_eos(piece.rstrip().removesuffix("<s>"))
        messages.append(Message("user" if mark == "INST" else "assistant", words.strip()))
    if any(mark in (turn.content or "") for turn in messages for mark in ("<<SYS>>", "<</SYS>>", "<s>", "</s>")):
        raise _unclean("[INST]", "there is a marker inside a turn")
    return messages


_HEADING = re.compile(r"^### (System|Instruction|Input|Response): ?", re.MULTILINE)
_NEXT = {
    "": ("System", "Instruction"),
    "System": ("Instruction",),
    "Instruction": ("Input", "Response"),
    "Input": ("Response",),
    "Response": ("Instruction",),
}


def _headings(text: str) -> list[Message]:
    """Split ``### Instruction:`` … ``### Input:`` … ``### Response:`` …; an input is joined to its instruction."""
    before, sections = cut(_HEADING, text)
    messages = _before(before)
    previous = ""
    for name, body in sections:
        if name not in _NEXT[previous]:
            raise _unclean("### Instruction", f"'### {name}:' stands behind '### {previous or 'nothing'}:'")
        words = _without_eos(body).strip("\n")
        if name == "Input":
            messages[-1].content = joined(messages[-1].content, words)
        else:
            messages.append(Message({"System": "system", "Instruction": "user"}.get(name, "assistant"), words))
        previous = name
    if previous != "Response":
        raise _unclean("### Instruction", "the last section is no '### Response:'")
    return messages


_SPEAKER = re.compile(r"### (System|Human|User|Assistant):")


def _speakers(text: str) -> list[Message]:
    """Split ``### Human: … ### Assistant: …``, on one line or on several."""
    before, turns = cut(_SPEAKER, text)
    return _before(before) + [Message(role(name, AT), _without_eos(body).strip()) for name, body in turns]


def _without_eos(text: str) -> str:
    """Drop the end-of-text tokens behind a text; without any, it stays as it is."""
    while (bare := text.rstrip()).endswith(_EOS):
        text = next(bare.removesuffix(mark) for mark in _EOS if bare.endswith(mark))
    return text


def _before(words: str) -> list[Message]:
    words = words.strip().removeprefix("<s>").strip()
    return [Message("system", words)] if words and not words.casefold().startswith(PREAMBLE) else []


def _unclean(title: str, why: str) -> UnconvertibleError:
    return UnconvertibleError("T604", f"text in the {title} template does not come apart into turns: {why}", AT)


# What a text must hold to be of a template, and how it is split; the first that fits is taken.
TEMPLATES: tuple[tuple[tuple[str, ...], Callable[[str], list[Message]]], ...] = (
    (("<|im_start|>",), CHATML.messages),
    (("<|start_header_id|>", "<|end_header_id|>"), LLAMA3.messages),
    (("<|user|>", "<|end|>"), PHI.messages),
    (("<|user|>", "<|assistant|>"), PHI.messages),
    (("[INST]", "[/INST]"), _inst),
    (("### Instruction:", "### Response:"), _headings),
    (("### Human:", "### Assistant:"), _speakers),
)


def splitter(text: str) -> Callable[[str], list[Message]] | None:
    """Return the function that splits a text of a known template; None for any other text."""
    return next((split for marks, split in TEMPLATES if all(mark in text for mark in marks)), None)


def recognises(row: Row) -> bool:
    """Tell whether the column `text` holds a known template."""
    text = row.get("text")
    return isinstance(text, str) and splitter(text) is not None


def convert(row: Row) -> list[Conversation]:
    """Convert one rendered text. Raises `UnconvertibleError` (S303, S308, S301 if empty, T604)."""
    columns(row, FORMAT.title, "text")
    text = cell(row["text"], AT)
    if not text or text.isspace():
        raise UnconvertibleError("S301", "the text is empty: there are no messages in it", AT)
    split = splitter(text)
    if split is None:
        raise UnconvertibleError("T604", "the text is in no chat template that is known", AT)
    return [Conversation(split(text))]


FORMAT = Format(
    name="rendered",
    title="rendered text",
    fields=("text",),
    needs=(),
    recognises=recognises,
    convert=convert,
)
