"""Which language a text is in, as far as script and function words tell: for comparing a question with its answer.

Texts whose language is not plain have none (None): short ones, code, texts of two languages.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from phi3data.text.code import is_code
from phi3data.text.lazy import Lazy

_WORD = Lazy(r"[^\W\d_]+(?:['’][^\W\d_]+)?")
_RANGES = {
    "kana": "\u3040-\u30ff",
    "hangul": "\uac00-\ud7a3",
    "han": "\u4e00-\u9fff",
    "cyrillic": "\u0400-\u04ff",
    "arabic": "\u0600-\u06ff",
    "greek": "\u0370-\u03ff",
    "hebrew": "\u0590-\u05ff",
    "devanagari": "\u0900-\u097f",
    "thai": "\u0e00-\u0e7f",
    "latin": "A-Za-z\u00c0-\u024f",
}
_SCRIPTS = tuple((name, Lazy(f"[{ranges}]+")) for name, ranges in _RANGES.items())
# One look for all others: in a text in Chinese or Latin letters they need not be counted one by one.
_COMMON = tuple(script for script in _SCRIPTS if script[0] in {"kana", "han", "latin"})
_RARE = Lazy("[" + "".join(ranges for name, ranges in _RANGES.items() if name not in dict(_COMMON)) + "]")
# Words that make a fifth of any text of a language and are rare in the others.
FUNCTION_WORDS: Final = {
    "English": (
        "the and of to is are was were you your that this with for it not have has be on can will would "
        "which from what how"
    ),
    "German": (
        "der die das und ist nicht ein eine einen den dem mit auf für sie ich wir von zu im auch sich "
        "wird werden kann bei oder wenn ihre"
    ),
    "French": ("le les des une est et vous je pas que qui dans pour sur avec ce cette nous mais plus être sont au du"),
    "Spanish": "el los las una es y que en por para con no su se del como más pero este esta son lo al usted",
    "Italian": "il gli della che di è una per con non sono si nel alla più anche questo questa come delle",
    "Portuguese": "os uma é que não para com por do da dos das em mais como você ele isso são seu sua no na ao",
    "Dutch": "het een van en is dat niet op te zijn met voor je ik wordt kan deze naar ook maar bij",
    "Polish": "nie się na jest że do z w i jak to dla są przez od po czy jego",
    "Bulgarian": "на и да за се от не са е с в ще като по вас ви това или при може",
    "Russian": "и не на что в с как это по для вы он она но из у к же так вас был или если",
    "Ukrainian": "і не на що в з як це для ви та або є до від ми вас якщо",
}


@cache
def _languages_of() -> dict[str, list[str]]:
    languages: dict[str, list[str]] = {}
    for name, words in FUNCTION_WORDS.items():
        for word in words.split():
            languages.setdefault(word, []).append(name)
    return languages


_OF_SCRIPT: Final = {
    "kana": "Japanese",
    "hangul": "Korean",
    "han": "Chinese",
    "arabic": "Arabic or Persian",
    "greek": "Greek",
    "hebrew": "Hebrew",
    "devanagari": "Hindi or Marathi",
    "thai": "Thai",
}
LOOK = 400  # characters from the start that are looked at: 15 µs
LEAST_WORDS = 6
VOTES = 60  # that a word has, shared among its languages: whole numbers for one to six
LEAST_LETTERS = 8  # of scripts whose language follows from the script


def language(text: str) -> str | None:
    """Return the English name of the one language that a text is in, or None where that is not plain."""
    text = text[:LOOK]
    if _kind(text)[0] == 1:
        return _by_words(text)
    rare = _RARE.search(text) is not None
    counts = {name: sum(map(len, pattern.findall(text))) for name, pattern in (_SCRIPTS if rare else _COMMON)}
    total = sum(counts.values())
    # Japanese is written with Chinese characters too: a twentieth of kana tells it from Chinese.
    if 20 * counts["kana"] >= counts["han"] + counts["kana"] and counts["kana"]:
        counts["kana"] += counts.pop("han")
    script, count = max(counts.items(), key=lambda item: item[1])
    if total == 0 or 10 * count < 8 * total:  # four letters in five
        return None
    if script in _OF_SCRIPT:
        return _OF_SCRIPT[script] if count >= LEAST_LETTERS else None
    return _by_words(text)


def _by_words(text: str) -> str | None:
    words = [word.lower() for word in _WORD.findall(text)]
    if len(words) < LEAST_WORDS:
        return None
    languages = _languages_of()
    votes: dict[str, int] = {}
    for names in filter(None, map(languages.get, words)):
        for name in names:
            votes[name] = votes.get(name, 0) + VOTES // len(names)
    ranked = sorted(((share, name) for name, share in votes.items()), reverse=True)
    (most, name), (next_most, _) = [*ranked, (0, ""), (0, "")][:2]
    # Two words and one in eight, and three times the votes of the next language.
    return name if most >= 2 * VOTES and 8 * most >= VOTES * len(words) and most >= 3 * next_most else None


# A question that names a language, or asks for a translation, may be answered in that language.
_ASKS_FOR_LANGUAGE = Lazy(
    r"translat|\blanguages?\b|\b(?:english|german|french|spanish|italian|portuguese|dutch|polish|bulgarian"
    r"|russian|ukrainian|chinese|"
    r"mandarin|japanese|korean|arabic|persian|greek|hebrew|hindi|thai|turkish|latin)\b|übersetz|sprache|englisch"
    r"|deutsch|französisch|"
    r"spanisch|traduc|traduir|traduis|inglés|anglais|翻译|翻譯|译|英文|英语|英語|中文|汉语|日语|日文|法语|德语|俄语|语言|单词|词汇|句子|拼写|语法|"
    r"訳|日本語|中国語|言語|превод|преведи|английски|немски|български|език|перевод|английск|язык",
    re.IGNORECASE,
)


# Words that most questions without accents in German have, and hardly any in English.
FOREIGN_WORDS = (" der ",)


def may_differ(question: str, answer: str) -> bool:
    """Screen: tell whether two texts differ in their scripts, or in whether they have accents (or kana).

    Languages of one script are told apart by words only where one text has accents and the other has none: between
    texts that both have some, or both none, the words are not counted, which takes 15 µs.
    """
    return _kind(question) != _kind(answer)


def _kind(text: str) -> tuple[int, bool]:
    """Return how many bytes most characters take in UTF-8, and whether there are accents (of 1), or kana (of 3).

    They take 1 in Latin, 2 in Cyrillic, Greek and Arabic, 3 in Chinese and others.
    """
    if text.isascii():
        return 1, False
    text = text[:LOOK]
    data = text.encode("utf-8", "surrogatepass")
    size, length = len(data), len(text)
    if 10 * size < 14 * length:
        return 1, size != length and (b"\xc3" in data or b"\xc4" in data or b"\xc5" in data)  # U+00C0 to U+017F
    if 10 * size < 22 * length:
        return 2, False
    return 3, b"\xe3\x81" in data or b"\xe3\x82" in data  # the first bytes of most kana


def change(question: str, answer: str) -> str | None:
    """Say that an answer is in another language than its question; None where it is not, or that may be asked for."""
    if question.isascii() and answer.isascii():
        if not any(word in question for word in FOREIGN_WORDS):
            return None
    elif not may_differ(question, answer):
        return None
    spoken = language(question)
    answered = language(answer) if spoken else None
    if spoken is None or answered is None or spoken == answered or _ASKS_FOR_LANGUAGE.search(question):
        return None
    return None if is_code(answer) else f"the question is in {spoken}, the answer in {answered}"
