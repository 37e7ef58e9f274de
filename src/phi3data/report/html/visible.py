"""Make invisible and dangerous characters of the data visible, so that a reader can argue about them.

A zero-width space, a trailing blank or a right-to-left override is often the very thing that a row was dropped or
changed for. `plain` is for attributes and for short texts, `mark` for the texts of examples. Joiners and variation
selectors stay as they are where a script or an emoji needs them, and are shown where they do nothing.
"""

from __future__ import annotations

import re
import unicodedata

from markupsafe import Markup, escape

from phi3data.text.visible import IDLE_JOINER, KEEP, UNSEEN, plain, same

_SIGNS = {" ": "␠", "\n": "⏎", "\r": "␍", "\t": "⇥"}
_NAMES = {" ": "space", "\n": "line end", "\r": "carriage return", "\t": "tab"}

# A run of one sign that is longer than this is shown once, with its length.
_LONGEST_RUN = 4

_ODD_SPACE = "[\t\n\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000]"
_OUTER_SPACE = r"\A\x20+|\x20+\Z|\x20+(?=\n)|\x20{2,}"

_CHANGED = re.compile(f"(?P<keep>{KEEP})|(?P<one>{UNSEEN}|{IDLE_JOINER}|{_ODD_SPACE})(?P=one)*|{_OUTER_SPACE}")


def _code(character: str) -> str:
    return f"U+{ord(character):04X}"


def _tag(run: str) -> Markup:
    character = run[0]
    name = _NAMES.get(character) or unicodedata.name(character, "control character").lower()
    sign = _SIGNS.get(character) or _code(character)
    times = f" × {len(run):,}" if len(run) > _LONGEST_RUN else ""
    one = Markup('<span class="ch{}" title="{}">{}{}</span>').format(
        " sign" if character in _SIGNS else "", f"{_code(character)} {name}", sign, times
    )
    return one if times else one * len(run)


def _tags(run: str) -> Markup:
    if run[0] != "\n":
        return _tag(run)
    return _tag(run) + "\n" if len(run) > _LONGEST_RUN else (_tag("\n") + "\n") * len(run)


def mark(text: str, *, changed: bool) -> Markup:
    """Return `text` as safe HTML with unseen characters as small tags.

    In a changed stretch the blanks at its ends, runs of blanks, tabs, line ends and unusual spaces are shown as well.
    """
    out = Markup()
    position = 0
    for hit in (_CHANGED if changed else same()).finditer(text):
        out += escape(text[position : hit.start()])
        out += hit[0] if hit["keep"] else _tags(hit[0])
        position = hit.end()
    return out + escape(text[position:])


def mark_diff(diff: list[tuple[str, str]]) -> Markup:
    """Return the (operation, text) pairs of an example as safe HTML with ``<del>`` and ``<ins>``.

    A message of nothing but blanks and unseen characters shows all of them, changed or not.
    """
    blank = not same().sub("", "".join(text for _, text in diff)).strip()
    out = Markup()
    for operation, text in diff:
        html = mark(text, changed=blank or operation != "=")
        if operation == "-":
            html = Markup("<del>{}</del>").format(html)
        elif operation == "+":
            html = Markup("<ins>{}</ins>").format(html)
        out += html
    return out


__all__ = ["mark", "mark_diff", "plain"]
