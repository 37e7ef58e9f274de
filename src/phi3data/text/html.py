"""Text that came out of a web page or a content management system → plain text.

The hard part is to leave alone what only looks like it: answers about HTML, code, comparisons, templates, formulas. A
text is taken for HTML only if every tag in it is one that prose uses, is well formed and closed, and nothing in it
looks like code; the caller also keeps whole conversations out that talk about markup (`speaks_of_markup`).
"""

from __future__ import annotations

import html
import re
from html.entities import html5
from html.parser import HTMLParser

_BREAKS = frozenset({"br", "hr"})
_BLOCKS = frozenset(
    {"p", "div", "ul", "ol", "li", "h1", "h2", "h3", "h4", "h5", "h6", "blockquote", "table", "tbody", "tr"}
)
# Not <sup> and <sub>: without them 10<sup>6</sup> is 106.
_INLINE = frozenset({"a", "b", "strong", "i", "em", "u", "span", "font", "small", "td", "th"})
_PROSE = _BREAKS | _BLOCKS | _INLINE
_MAY_STAY_OPEN = frozenset({"p", "li", "td", "th", "tr"}) | _BREAKS

_TAG = re.compile(r"""<(/?)([A-Za-z][A-Za-z0-9-]*)(?:\s+[A-Za-z-]+\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>]+))*\s*/?>""")
_AMPERSAND = "\ue0f0"  # of the private use area: stands for an ampersand while a text is parsed
_ANGLE = re.compile(r"<[/!?A-Za-z]")
_ENTITY = re.compile(r"&(?:([A-Za-z][A-Za-z0-9]{1,30});|#[0-9]{1,7};|#[xX][0-9A-Fa-f]{1,6};)")
# An entity that is spoken of: "type &lt; where", "use `&nbsp;`".
_MEANT = re.compile(r"(?:\b(?:type|write|use|insert|enter)\s+|[`'\"(])&#?\w+;", re.IGNORECASE)
# Signs of code in a text: braces, fences, statements' ends, operators.
_CODE = re.compile(
    r"```|[{}`]|;\s*$|=>|==|\|\||&&|\$\w+\s*=|^\s*(?:def|class|import|function|var|let|const)\b", re.MULTILINE
)
_MARKUP_WORDS = re.compile(
    r"\b(?:x?html5?|xml|css|java\s?script|js|jsx|php|svg|markup|regex|tags?|entit(?:y|ies)|react|angular|vue|django|"
    r"flask|source code|code snippet|web\s?pages?|symbols?|formatting|escape[ds]?)\b|网页|代码|标签|コード|タグ",
    re.IGNORECASE,
)


def speaks_of_markup(text: str) -> bool:
    """Tell whether a text is about markup or code, so that tags beside it are likely meant."""
    return _MARKUP_WORDS.search(text) is not None


def may_be_html(text: str) -> bool:
    """A cheap screen: no tag and no entity is possible without one of these characters."""
    return "<" in text or "&" in text


def is_html(text: str) -> bool:
    """Tell whether `text` is prose in HTML: it has tags of prose or entities, no other tag, and no sign of code."""
    if "{" in text or "```" in text:  # most code ends here
        return False
    tags = [(tag[2].lower(), bool(tag[1])) for tag in _TAG.finditer(text)]
    entities = [entity[1] for entity in _ENTITY.finditer(text)]
    if not tags and not entities:
        return False
    if len(tags) != len(_ANGLE.findall(text)) or not _closed(tags):
        return False
    if any(name is not None and f"{name};" not in html5 for name in entities) or _MEANT.search(text):
        return False
    return _CODE.search(_ENTITY.sub("", _TAG.sub("", text))) is None


def _closed(tags: list[tuple[str, bool]]) -> bool:
    """Tell whether all tags are of prose, nested, and closed, but for those that HTML lets stay open."""
    open_tags: list[str] = []
    for name, closing in tags:
        if name not in _PROSE:
            return False
        if not closing:
            open_tags += [] if name in _BREAKS else [name]
            continue
        while open_tags and open_tags[-1] != name and open_tags[-1] in _MAY_STAY_OPEN:
            open_tags.pop()
        if not open_tags or open_tags.pop() != name:
            return False
    return all(name in _MAY_STAY_OPEN for name in open_tags)


def to_text(text: str) -> str:
    """Return the text of prose in HTML: entities decoded, blocks and breaks as line ends, items of lists marked.

    The address of a link stands in parentheses after its text, unless it is the text.
    """
    if "<" not in text:
        return _unescape(text)
    if _AMPERSAND in text:  # a character of nobody's: leave a text alone that has it
        return text
    parser = _Text()
    # The parser takes "R&D" and "?x=1&copy=2" for entities: it sees no ampersand, and they are put back after it.
    parser.feed(text.replace("&", _AMPERSAND))
    parser.close()
    plain = "".join(parser.parts).replace(_AMPERSAND, "&")
    lines = [line.rstrip() for line in _unescape(plain).split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")


def _unescape(text: str) -> str:
    """Decode entities that end in a semicolon; browsers also read `&copy=2` as one, which breaks addresses."""
    return _ENTITY.sub(lambda entity: html.unescape(entity[0]).replace("\xa0", " "), text)


def _number(attrs: list[tuple[str, str | None]], name: str, otherwise: int) -> int:
    value = dict(attrs).get(name) or ""
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else otherwise


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.numbers: list[int | None] = []  # of the open lists: the last number, None for bullets
        self.links: list[tuple[str, int]] = []  # of the open links: address, and where the text begins

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"ul", "ol"}:
            self.numbers.append(_number(attrs, "start", 1) - 1 if tag == "ol" else None)
        if tag == "li":
            if self.numbers and self.numbers[-1] is not None:
                self.numbers[-1] = _number(attrs, "value", self.numbers[-1] + 1) - 1
            self.parts.append(f"\n{self._mark()} ")
        elif tag in _BREAKS or tag in _BLOCKS:
            self.parts.append("\n")
        elif tag in {"td", "th"}:
            self.parts.append(" ")
        elif tag == "a":
            self.links.append((dict(attrs).get("href") or "", len(self.parts)))

    def _mark(self) -> str:
        if not self.numbers or self.numbers[-1] is None:
            return "-"
        self.numbers[-1] += 1
        return f"{self.numbers[-1]}."

    def handle_endtag(self, tag: str) -> None:
        if tag in {"ul", "ol"} and self.numbers:
            self.numbers.pop()
        if tag == "a" and self.links:
            address, start = self.links.pop()
            if address.startswith(("http", "mailto:")) and address not in "".join(self.parts[start:]):
                self.parts.append(f" ({address})")
        elif tag in _BLOCKS and tag not in {"li", "tr"}:
            self.parts.append("\n\n" if tag == "p" else "\n")

    def handle_data(self, data: str) -> None:
        self.parts.append(data)
