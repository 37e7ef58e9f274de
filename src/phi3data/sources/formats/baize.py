"""Baize: a whole dialogue in one string.

Example: ``{"input": "The conversation between human and AI assistant.\\n[|Human|] Hi\\n[|AI|] Hello!\\n[|Human|] "}``

The string is in `input`, `text` or `conversation`. The sentence "The conversation between …" before the first turn is
the frame of the transcript, not an instruction: it is left out, as is the empty ``[|Human|]`` that Baize puts at the
end to stop the model. Any other words before the first turn become the system message, so that none are lost.
"""

from __future__ import annotations

import re

from phi3data.chat import Conversation, Message
from phi3data.sources.formats.base import Format, Row, UnconvertibleError, cell
from phi3data.sources.formats.transcript import cut, trimmed

KEYS = ("input", "text", "conversation")
ROLES = {"Human": "user", "AI": "assistant"}
MARKER = re.compile(r"\[\|(Human|AI)\|\]")
FRAME = "the conversation between"


def recognises(row: Row) -> bool:
    """Tell whether one of the keys holds text with both markers."""
    values = [row.get(key) for key in KEYS]
    return any(isinstance(value, str) and "[|Human|]" in value and "[|AI|]" in value for value in values)


def convert(row: Row) -> list[Conversation]:
    """Convert one row of Baize. Raises `UnconvertibleError` (S303 without a known column, S301 without a marker)."""
    keys = [key for key in KEYS if key in row]
    if not keys:
        raise UnconvertibleError("S303", "the row has none of the columns of Baize: 'input', 'text', 'conversation'")
    key = next((key for key in keys if isinstance(row[key], str) and MARKER.search(row[key])), keys[0])
    before, turns = cut(MARKER, cell(row[key], f"/{key}") or "")
    if not turns:
        raise UnconvertibleError("S301", "the text has no [|Human|] and no [|AI|]", f"/{key}")
    if len(turns) > 1 and turns[-1][0] == "Human" and not turns[-1][1].strip():
        turns.pop()
    preamble = before.strip()
    messages = [Message("system", preamble)] if preamble and not preamble.casefold().startswith(FRAME) else []
    messages += [Message(ROLES[name], trimmed(text)) for name, text in turns]
    return [Conversation(messages)]


FORMAT = Format(
    name="baize",
    title="Baize",
    fields=KEYS,
    needs=(),
    recognises=recognises,
    convert=convert,
)
