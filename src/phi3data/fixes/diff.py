"""What would be fixed, as a unified diff for people: of each change only the piece that changed, and a little around.

A row of chat data is a line of thousands of characters: a diff of whole lines shows nothing to anybody.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING

from phi3data.text.visible import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from phi3data.fixes.file import LineFix


_MARK = re.compile("[\u0300-\u036f]")  # what combines with the letter before it, and looks as one with it


def _code(match: re.Match[str]) -> str:
    return f"⟨U+{ord(match[0]):04X}⟩"


def unified(name: str, fixes: Iterable[LineFix]) -> Iterator[str]:
    """Yield the lines of a diff, without line ends; none if nothing is fixed.

    Characters that cannot be seen are written as ⟨U+200B⟩, accents too where they are all that changed, line ends
    within a text as ⏎. The numbers are those of the lines in the old and in the new file.
    """
    moved = 0
    for number, fix in enumerate(fixes):
        if not number:
            yield f"--- {name}"
            yield f"+++ {name} (fixed)"
        where = "the whole file" if fix.line is None else f"-{fix.line} +{fix.line + moved}"
        for change in fix.done:
            yield f"@@ {where} @@ {change.code} {change.pointer}".rstrip()
            alike = unicodedata.normalize("NFC", change.before) == unicodedata.normalize("NFC", change.after)
            for sign, text in (("-", change.before), ("+", change.after)):
                if text:
                    yield sign + one_line(_MARK.sub(_code, text) if alike else text)
        if fix.line is not None:
            moved += len(fix.after) - 1
