"""Further turns inside one message: "User: … Assistant: …", "## 18. Instruction: …"."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3data.text.code import is_code
from phi3data.text.lazy import Lazy
from phi3data.text.spot import Spot

if TYPE_CHECKING:
    from collections.abc import Iterator

ASKS = ("User", "Human", "Benutzer", "Nutzer", "用户", "用戶", "ユーザー", "Потребител")
REPLIES = ("Assistant", "AI", "Bot", "ChatGPT", "GPT", "Assistent", "助手", "助理", "アシスタント", "Асистент")
_LABEL = Lazy(rf"^(?:(?P<asks>{'|'.join(ASKS)})|{'|'.join(REPLIES)})[:：]", re.MULTILINE)
_HEADING = Lazy(r"^#{1,4} (?:\d+\. )?Instruction:", re.MULTILINE)
# Of texts that are not ASCII: a label of replies stands in each finding.
WIDE = ("助手", "助理", "アシスタント", "Асистент", "nt：", "AI：", "Bot：", "GPT：")
#: Pieces, as `rules.hints` reads them: a label of replies is never the first one, and so a line ends before it.
HINTS = tuple(f"\n{reply}{colon}" for reply in REPLIES for colon in ":：")
HEADINGS = ("# Instruction:", "\\. Instruction:")
_WANTED = Lazy(
    r"\b(?:dialog(?:ue)?s?|conversations?|transcripts?|scripts?|chats?|chatbots?|interviews?|screenplay|skit|scenes?|"
    r"exchange|gespräch|dialoge?|unterhaltung|prompts?|few-shot)\b|对话|對話|聊天|剧本|会話|対話|диалог|разговор",
    re.IGNORECASE,
)


def in_answer(text: str, said: str) -> Iterator[Spot]:
    """Yield where an answer goes on with the user's next turn, unless a dialogue was asked for."""
    heading = _HEADING.search(text)
    if heading is not None and not is_code(text):
        yield Spot(heading.start(), heading.end(), "a further instruction")
    labels = list(_LABEL.finditer(text))
    first = next((n for n, label in enumerate(labels) if label["asks"]), None)
    if first is None or all(label["asks"] for label in labels[first:]) or _WANTED.search(said) or is_code(text):
        return
    yield Spot(labels[first].start(), labels[first].end(), "a further turn")


def in_prompt(text: str) -> Iterator[Spot]:
    """Yield where a prompt holds a whole chat and ends with the label of the answer to come."""
    labels = list(_LABEL.finditer(text))
    if len(labels) >= 2 and not labels[-1]["asks"] and not text[labels[-1].end() :].strip():
        asks = next((label for label in labels if label["asks"]), None)
        if asks is not None:
            yield Spot(asks.start(), asks.end(), "a whole chat in one message, from")
