"""What makes two texts the same: case, white space and compatibility forms do not count."""

from __future__ import annotations

import unicodedata


def normalise(text: str) -> str:
    """Return `text` in Unicode NFKC, casefolded, with runs of white space as one space and none at the ends.

    Two texts with equal results are duplicates "after normalisation". Punctuation counts: "2.5" is not "25".
    """
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    return " ".join(text.casefold().split())
