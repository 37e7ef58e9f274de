"""What assistants say about themselves, and refusals, in English, German, Chinese, Japanese and Bulgarian."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3data.text.code import is_code
from phi3data.text.lazy import Lazy
from phi3data.text.spot import Spot

if TYPE_CHECKING:
    from collections.abc import Iterator

_SELF = Lazy(
    r"\b(?:[Aa]s|I['’]m(?: just| only)?|I am(?: just| only)?|[Bb]eing) an? (?:AI|artificial intelligence|large)?"
    r"(?: ?(?:text-based|text|chat))? ?(?:language model|(?<=AI )(?:assistant|chatbot|model)(?! (?:aboard|on|in"
    r"|of|who|that|built|developed|trained|created|designed|made|named|called)\b)|(?<=AI),(?= I ))"
    r"|\b[Aa]ls (?:ein )?(?:KI(?:-(?:Sprach)?[Mm]odell|-Assistent(?:in)?)?|großes Sprachmodell"
    r"|künstliche Intelligenz)(?=[ ,])"
    r"|作为(?:一个|一名|一款)?(?:大型)?(?:人工智能|AI|ＡＩ)?(?:语言模型|助手|(?<=人工智能)|(?<=AI))(?=[，,]|我)"
    r"|(?:AI|人工知能|大規模)?言語モデルとして|AI(?:アシスタント)?として(?=[、,]|私)"
    r"|[Кк]ато (?:изкуствен интелект|(?:голям )?езиков модел|AI[ -](?:модел|асистент))"
)
_REFUSAL = Lazy(
    r"(?:(?:I['’]m|I am)(?: very| really| so)? sorry,?(?: but| however)?,? (?:I"
    r"|as an)\b[^.\n]{0,30}?\b(?:can(?:no|['’])t|not able|unable|won['’]t|don['’]t have|do not have|as an)"
    r"|Sorry,?(?: but)? I (?:can(?:no|['’])t|am not able|am unable|won['’]t|don['’]t have)"
    r"|I(?:['’]m| am) (?:unable|not able) to (?:help|assist|provide|fulfil|fulfill|comply|answer|generate|create"
    r"|write)"
    r"|I (?:cannot|can['’]t|won['’]t) (?:help|assist|provide|fulfil|fulfill|comply|answer|generate|create|write"
    r"|engage)\b"
    r"|(?:Es tut mir leid|Entschuldigung|Tut mir leid), (?:aber )?(?:ich kann|das kann ich"
    r"|ich bin nicht)[^.\n]{0,60}(?:nicht|keine?n?)\b"
    r"|(?:很|非常)?(?:抱歉|对不起|對不起)[，,。]?(?:但)?(?:我)?(?:是[^，。]{0,12}[，,])?(?:无法|不能|没有办法|無法)"
    r"|申し訳(?:ありません|ございません)(?:が)?[、。]?[^。\n]{0,40}(?:できません|できかねます|お答えできません)"
    r"|(?:Съжалявам|Извинявам се|Извинете), но (?:не мога|нямам възможност))"
)
# Who has an AI played, or asks for a text by one, gets no phrase of an assistant.
_PLAYED = Lazy(r"\brole-?play|\b[Ii]magine\b|\bpretend\b|\bact as\b|\bas an AI\b|\bsentient\b|扮演|想象", re.IGNORECASE)
# Each finding has one of these in it.
ITSELF = ("language model",)
ITSELF_WIDE = (
    "言語モデル",
    "语言模型",
    "人工智能",
    "人工知能",
    "моде",
    "изкуствен",
    "Sprachmodell",
    "künstliche",
    "ＡＩ",
    "助手",
)
STARTS = (
    "I'",
    "I’",
    "I ",
    "So",
    "Es",
    "En",
    "Tu",
    "很抱",
    "很对",
    "很對",
    "非常",
    "抱歉",
    "对不",
    "對不",
    "申し",
    "Съ",
    "Из",
)  # of refusals
#: Pieces, as `rules.hints` reads them, of which each refusal has one,
REFUSALS = (
    *(
        "^I'm [svrun]",
        "^I’m [svrun]",
        "^I am [svrun]",
        "^Sorry",
        "^I can",
        "^I won",
        "^Es tut mir leid",
        "^Entschuldigung",
        "^Tut mir",
    ),
    *("^抱歉", "^对不", "^對不", "^很抱", "^很对", "^很對", "^非常抱", "^非常对", "^非常對", "^申し訳"),
    *("^Съжалявам, но", "^Извинявам се, но", "^Извинете, но"),
)
#: and each phrase with which an assistant speaks of itself.
HINTS = (
    *("language model", "AI assistant", "AI chatbot", "AI model", "AI, I ", "ls KI", "ls ein KI", "Sprachmodell"),
    *(
        "künstliche Intelligenz",
        "作为一",
        "作为大",
        "作为人",
        "作为AI",
        "作为ＡＩ",
        "作为语言",
        "作为助手",
        "モデルとして",
        "AIとして",
    ),
    *("AIアシスタントとして", "ато изкуствен", "ато голям", "ато езиков", "ато AI"),
)
_WORDS = Lazy("|".join(("AI", "KI", *ITSELF, *ITSELF_WIDE)))
_BEFORE, _AFTER = 48, 40  # characters around such a word that a phrase may have


def refusal(text: str) -> Iterator[Spot]:
    """Yield a refusal at the start of an answer."""
    match = _REFUSAL.match(text)
    if match is not None:
        yield Spot(match.start(), match.end(), "a refusal:")


def look(text: str) -> bool:
    """A first look: tell whether there is a word for what assistants are."""
    return "AI" in text or "KI" in text or ITSELF[0] in text or (not text.isascii() and bool(_WORDS.search(text)))


def itself(text: str, said: str) -> Iterator[Spot]:
    """Yield phrases with which an assistant speaks of itself as one, unless it plays one."""
    end = 0
    found = []
    for word in _WORDS.finditer(text):
        match = _SELF.search(text, max(end, word.start() - _BEFORE), word.end() + _AFTER)
        if match is not None:
            found.append(match)
            end = match.end()
    if found and not _PLAYED.search(said) and not is_code(text):
        for match in found:
            yield Spot(match.start(), match.end(), "the assistant speaks of itself:")
