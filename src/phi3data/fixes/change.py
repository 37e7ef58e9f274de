"""What a fix did, for people and for the ledger: the piece that changed, before and after, with a little around it.

Personal data and secrets never stand in it in clear: texts are masked first, and compared then.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.fixes.privacy import hidden, hides

if TYPE_CHECKING:
    from collections.abc import Sequence

    from phi3data.findings import Finding

_STRING = re.compile(r'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
_NOT_SHOWN = "⟨personal data or a secret, in pieces⟩", "⟨personal data or a secret⟩"
_AROUND = 20  # code points shown on either side of what changed
_MOST = 120  # code points of a piece that are shown


class Change(msgspec.Struct, frozen=True):
    """What was done about the findings of a rule at one place.

    `before` and `after` are excerpts; `after` is "" where the row was dropped.
    """

    code: str
    pointer: str
    before: str
    after: str


def changes(raw: bytes, lines: Sequence[bytes], found: Sequence[Finding]) -> list[Change]:
    """Return what a fix, with the findings of its rule, did to a line: a change for each place they point at."""
    old, new = _value(raw), _value(lines[0]) if len(lines) == 1 else None
    alike = _turns(old) == _turns(new)  # else a pointer leads to another message now
    done: list[Change] = []
    of_line: tuple[str, str] | None = None
    for pointer, code in {finding.pointer: finding.code for finding in found}.items():
        before, after = _text(old, pointer), _text(new, pointer) if alike else None
        if before is not None and after is not None and before != after:
            done.append(Change(code, pointer, *excerpts(before, after)))
            continue
        of_line = of_line or excerpts(_masked(raw), "\n".join([_masked(line) for line in lines]))
        done.append(Change(code, pointer, *of_line))
    return done


def _value(raw: bytes) -> Any:
    try:
        return msgspec.json.decode(raw)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None


def _masked(raw: bytes) -> str:
    """Return a line with its strings masked; those with nothing to mask keep their spelling.

    In the spelling of JSON a secret may not be known: in `\\nAKIA…` a letter stands before it.
    """
    return _STRING.sub(_masked_string, raw.decode("utf-8", "replace"))


def _masked_string(match: re.Match[str]) -> str:
    try:
        text = json.loads(match[0], strict=False)
    except ValueError:
        return match[0]
    masked = hidden(text)
    return match[0] if masked == text else json.dumps(masked, ensure_ascii=False)


def _turns(value: Any) -> int:
    turns = value.get("messages") if isinstance(value, dict) else None
    return len(turns) if isinstance(turns, list) else -1


def _text(value: Any, pointer: str) -> str | None:
    """Return the text that a pointer leads to, None where there is none."""
    for part in pointer.split("/")[1:]:
        if isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        elif isinstance(value, dict):
            value = value.get(part.replace("~1", "/").replace("~0", "~"))
        else:
            return None
    return value if isinstance(value, str) else None


def excerpts(before: str, after: str) -> tuple[str, str]:
    """Return what differs between two texts, each from the first difference on, with a little around it."""
    if hides(before, after):
        return _NOT_SHOWN
    before, after = hidden(before), hidden(after)
    most = min(len(before), len(after))
    start = next((at for at in range(most) if before[at] != after[at]), most)
    rest = most - start
    end = next((at for at in range(rest) if before[-1 - at] != after[-1 - at]), rest)
    return _cut(before, start, len(before) - end), _cut(after, start, len(after) - end)


def _cut(text: str, start: int, end: int) -> str:
    start, end = max(0, start - _AROUND), min(len(text), end + _AROUND)
    piece = text[start:end]
    if len(piece) > _MOST:
        piece, end = piece[:_MOST], 0
    return f"{'…' if start else ''}{piece}{'…' if end < len(text) else ''}"
