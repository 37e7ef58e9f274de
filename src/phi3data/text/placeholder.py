"""Placeholders that nobody filled in: ``{{name}}``, ``{name}``, ``<INSERT DATE>``, ``[Your Name]``, lorem ipsum."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3data.text.code import is_code
from phi3data.text.lazy import Lazy
from phi3data.text.spot import Spot

if TYPE_CHECKING:
    from collections.abc import Iterator

# What single braces must hold to be a placeholder: braces hold sets, formulas, keys and fields of code far more often.
_FIELDS = (
    "(?:(?:your|user|first|last|full|customer|client|company|product|agent|bot|model|assistant|recipient|sender|city|"
    "country|order|account|brand|team|project|event|author|organi[sz]ation|current|today)[_ ]?)?"
    "(?:name|names|number|date|address|email|e-mail|company|city|country|title|topic|author|organi[sz]ation|question|"
    "answer|instruction|input|output|context|response|persona|username|firstname|lastname|vorname|nachname|datum|ort)"
)
# By the character that it begins with, which is looked for first; and what must not stand before it.
_KINDS = (
    ("{{", Lazy(r"\{\{ ?[^\W\d][\w.\- ]{0,40} ?\}\}(?!\})"), Lazy(r"[{$\\\w]")),
    ("{", Lazy(rf"\{{{_FIELDS}\}}(?![\w{{}}^_/])"), Lazy(r"[\w\\{}$^_/:]")),
    (
        "<",
        Lazy(
            r"<(?:insert|your|enter|add|fill|placeholder|INSERT|YOUR|ENTER|ADD|FILL"
            r"|PLACEHOLDER)[ _-][^<>\n=/\"']{1,40}>"
        ),
        None,
    ),
    (
        "[",
        Lazy(
            r"\[(?:(?:your|insert|enter|add|fill in|Your|Insert|Enter|Add|Fill in|YOUR|INSERT|ENTER) [^\[\]\n]{1,60}"
            r"|(?:Recipient|Customer|Company|Client|Sender|Hiring Manager|Employer|Landlord|Friend|Manager|First|Last"
            r"|Full|"
            r"Business|Product|Event|Job|Phone|Email|Street|University|School|Team|Brand"
            r"|Contact)(?:['’]s)? [A-Z][a-z]+"
            r"(?: [A-Z][a-z]+)?|Name|Date|Address|Company|City|Ihr Name|Ihre [A-Z][a-z]+|Datum|Вашето име|Вашите "
            r"[^\[\]\n]{1,30}|Име|[您你]的[^\[\]\n]{1,12}|姓名|日期|公司名称|お名前)\](?![(\w\[:])"
        ),
        None,
    ),
    ("Lorem", Lazy(r"Lorem ipsum dolor sit amet,"), None),
)
# Those who ask for a template, or for text to fill a page with, want them.
_WANTED = Lazy(
    r"\b(?:templates?|placeholders?|fill[- ]in|boilerplate|lorem|mustache|handlebars|jinja2?|liquid|vue|angular"
    r"|svelte|"
    r"django|helm|ansible|latex|blanks?|vorlagen?|platzhalter)\b|模板|範本|占位|テンプレ|雛形|шаблон|образец",
    re.IGNORECASE,
)
_SPAN = Lazy(r"```.*?(?:```|\Z)|`[^`\n]*`", re.DOTALL)

_WORDS = "your insert enter add fill YOUR INSERT ENTER ADD FILL"
_FIELD_ENDS = (
    "name names number date address mail company city country title topic author sation zation question answer "
    "instruction input output context response persona datum ort"
)
_NAMED = (
    "Recipient Customer Company Client Sender Hiring Employer Landlord Friend Manager First Last Full Business Product "
    "Event Job Phone Email Street University School Team Brand Contact Ihre Вашите"
)
_WHOLE = "Name Date Address Company City Datum Име 姓名 日期 公司名称 お名前"
#: Pieces, as `rules.hints` reads them, of which each placeholder has one.
HINTS = (
    "{{[ \\w]",
    *[field + "}" for field in _FIELD_ENDS.split()],
    *[f"<{word}[ _-]" for word in f"{_WORDS} placeholder PLACEHOLDER".split()],
    *[f"\\[{word} " for word in f"{_WORDS} Your Insert Enter Add Fill {_NAMED}".split()],
    *[f"\\[{name}{of}s " for name in _NAMED.split() for of in "'’"],
    *[f"\\[{name}\\]" for name in _WHOLE.split()],
    *("\\[Ihr Name", "\\[Вашето име", "\\[您的", "\\[你的", "Lorem ipsum"),
)


def look(text: str) -> bool:
    """A first look: tell whether there is a placeholder of any kind, meant or not."""
    return any([begin in text and pattern.search(text) is not None for begin, pattern, _ in _KINDS])  # noqa: C419


def find(text: str, said: str) -> Iterator[Spot]:
    """Yield placeholders outside of code, unless `said`, the rest of the chat, asks for them or has them too."""
    found = [
        match
        for begin, pattern, before in _KINDS
        if begin in text
        for match in pattern.finditer(text)
        if match[0] not in said and not (before and before.match(text, match.start() - 1) and match.start())
    ]
    if not found or _WANTED.search(said) or is_code(_SPAN.sub("", text)) or is_code(said):
        return
    spans = [match.span() for match in _SPAN.finditer(text)]
    for match in found:
        if not any(start <= match.start() < end for start, end in spans):
            yield Spot(match.start(), match.end(), "the placeholder")
