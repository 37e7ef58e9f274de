"""Questions about a picture or file that is not in the conversation."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3data.text.code import is_code
from phi3data.text.lazy import Lazy
from phi3data.text.spot import Spot

if TYPE_CHECKING:
    from collections.abc import Iterator

_PICTURE = "(?:image|picture|photo|photograph|screenshot)"
_FILE = f"(?:{_PICTURE}s?|files?|documents?|pdf|spreadsheet|recording|invoice|receipt)"
_POINTS = Lazy(
    rf"\b(?:[Ss]ee|[Ff]ind|[Uu]se|[Rr]ead|[Rr]eview|[Oo]pen|[Ll]ook at|[Cc]heck|in|on) (?:the |my "
    rf"|your )?attached {_FILE}"
    rf"|\b[Aa]ttached (?:is|are|you(?:['’]ll| will)? find) (?:an? |the |my |some )?{_FILE}"
    rf"|\bI(?:['’]ve| have)? attached (?:an? |the |my |some |\w+ )?{_FILE}"
    rf"|\b(?:[Tt]he|this|[Ff]ollowing|[Aa]ttached) {_PICTURE} (?:above|below|attached|shown below|I (?:sent"
    rf"|attached|uploaded))"
    rf"|\b(?:[Ww]hat(?:['’]s| is| are| do you see)|[Ww]ho is|[Dd]escribe|[Cc]aption|[Aa]naly[sz]e|[Ll]ook at|in|on)"
    rf"(?: \w+){{0,2}} this {_PICTURE}(?=[?.,!:;]|$| and\b| in\b)"
)
_POINTS_ELSEWHERE = Lazy(
    r"(?:[Ii]m|siehe|[Ss]iehe) (?:beigefügten?|angehängten?) (?:Bild|Foto|Datei|Dokument|Anhang)"
    r"|\b[Ss]iehe (?:das )?(?:Foto|Bild|Anhang|Screenshot)\b|\b[Ii]m Anhang (?:finden|sehen|ist|sind)"
    r"|\b[Aa]uf dem (?:beigefügten |angehängten )?(?:Foto|Bild|Screenshot) (?:sehen|sieht|ist|sind)"
    r"|(?:见|见下|请看|查看|参见)(?:附件|附图|上图|下图)|(?:如|见|看)(?:上|下|附)?图(?:所示|中|，|。|：)"
    r"|(?:这|该)(?:张|幅|个)(?:图|图片|照片|截图|图像)(?:中|里|上|的|是|有)|(?:上面|下面|以下|附件)(?:的|中的)(?:图片|照片|截图)"
    r"|添付(?:した|の|された)?(?:写真|画像|ファイル|スクリーンショット)|(?:この|上の|下の|次の)(?:写真|画像)(?:は|に|を|の)"
    r"|(?:[Вв]ижте|[Вв]иж) (?:прикачен|приложен)|[Пп](?:рикачен|риложен)(?:ата|ия|ият|ото|ите|а|и)? (?:снимк|файл"
    r"|документ|изображ)"
    r"|[Нн]а снимката (?:се|има|е|долу|горе)"
)
_THERE = Lazy(r"https?://|!\[[^\]]*\]\(|<img\b|<\|?image|data:image/", re.IGNORECASE)
# Those who have something written, or a program, speak of pictures that nobody sends.
_MADE_UP = Lazy(
    r"\b(?:imagine|pretend|story|poem|role-?play|write|compose|draft|function|program|script|code|app|website"
    r"|implement|e-?mail)\b",
    re.IGNORECASE,
)

WORDS = ("ttached", "this image", "this picture", "this photo", "screenshot")
# German is looked for in texts with an umlaut or another such letter only.
WIDE = (
    "附",
    "图",
    "照片",
    "截图",
    "添付",
    "写真",
    "画像",
    "рикачен",
    "риложен",
    "снимка",
    "Foto",
    "Bild",
    "Anhang",
    "Screenshot",
)


_ANY_WORD = Lazy("|".join(WORDS))
_BEFORE, _AFTER = 48, 56  # characters around such a word that a phrase may have


def _near_word(text: str) -> re.Match[str] | None:
    found = (_POINTS.search(text, max(0, at.start() - _BEFORE), at.end() + _AFTER) for at in _ANY_WORD.finditer(text))
    return next((match for match in found if match), None)


def find(text: str) -> Iterator[Spot]:
    """Yield where a question points to a picture or file that is not there."""
    match = _near_word(text) or (None if text.isascii() else _POINTS_ELSEWHERE.search(text))
    if match is None or _THERE.search(text) or _MADE_UP.search(text) or is_code(text):
        return
    yield Spot(match.start(), match.end(), "what is spoken of is not there:")
