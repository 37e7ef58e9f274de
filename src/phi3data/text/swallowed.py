"""White space at the start of an answer, which the control token before it swallows."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data.text.spot import Spot, quoted

if TYPE_CHECKING:
    from collections.abc import Iterator

# As tokenizers strips beside a control token with `rstrip`; U+3000, which Japanese paragraphs begin with, among them.
_WHITE = " \t\n\r\xa0\u3000"


def find(text: str) -> Iterator[Spot]:
    """Yield the white space; where it indents the first line of several, the message says that the indentation goes."""
    size = len(text) - len(text.lstrip(_WHITE))
    if size == 0 or size == len(text):
        return
    head = text[:size]
    is_indented = "\n" in text[size:].strip() and head[-1] in " \t"
    what = "the indentation of the first line" if is_indented else "leading white space"
    yield Spot(0, size, f"{what} {quoted(head)} is lost:", "the control token before it swallows it,")
