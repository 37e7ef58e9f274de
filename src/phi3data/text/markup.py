"""HTML in a chat that is not about markup: what the step `clean` turns into text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data.text.lazy import Lazy
from phi3data.text.spot import Spot

if TYPE_CHECKING:
    from collections.abc import Iterator

_PIECE = Lazy(r"</?[A-Za-z][^<>]*>|&#?\w{1,31};")
# The tags of prose, of which an open one stands in each text that is HTML, if no entity does.
TAGS = "a b blockquote br div em font h1 h2 h3 h4 h5 h6 hr i li ol p small span strong table tbody td th tr u ul"
#: Pieces, as `rules.hints` reads them, of which each text in HTML has one.
HINTS = (
    *["<" + "".join([f"[{letter}{letter.upper()}]" for letter in tag]) + "[\\s/>]" for tag in TAGS.split()],
    *("&#[0-9xX]", "&[A-Za-z][A-Za-z0-9]"),
)


def look(text: str) -> bool:
    """A first look: tell whether a text is HTML, whatever the rest of the chat speaks of."""
    from phi3data.text import html

    return html.is_html(text)


def find(text: str, said: str) -> Iterator[Spot]:
    """Yield tags and entities, unless the chat speaks of markup or code: then they are meant."""
    from phi3data.text import html

    if html.is_html(text) and not html.speaks_of_markup(text) and not html.speaks_of_markup(said):
        for match in _PIECE.finditer(text):
            yield Spot(match.start(), match.end(), "HTML")
