"""S312: columns beside the messages whose every text is a number, written as the numbers that loaders make of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.fixes import style
from phi3data.rules.schema import ROW_KEYS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from collections.abc import Set as AbstractSet

_NUMBER = re.compile(rb'"\s*:\s*"-?[0-9]')  # the value of some key, perhaps
_LARGEST = 2**53  # whole numbers up to here are the same for every reader


def of_numbers(lines: Callable[[], Iterable[bytes]]) -> frozenset[str]:
    """Return the keys of rows whose values, two at least, are texts that spell a number in the one way JSON does.

    "007" and "1.50" are spelled in another way: written as numbers they would lose something. The lines are asked for a
    second time if there may be such a value.
    """
    counts: dict[str, int] = {}
    refused: set[str] = set()
    for line in lines() if any(_NUMBER.search(line) for line in lines()) else ():
        try:
            row = msgspec.json.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            continue
        for key, value in row.items() if isinstance(row, dict) else ():
            if key in ROW_KEYS or value is None:
                continue
            counts[key] = counts.get(key, 0) + 1
            if not isinstance(value, str) or _number(value) is None:
                refused.add(key)
    return frozenset(key for key, count in counts.items() if count > 1 and key not in refused)


def as_numbers(line: bytes, keys: AbstractSet[str]) -> bytes:
    """Return a row with the values of these keys as numbers."""
    document = style.parse(line) if keys else None
    if document is None or not isinstance(document.value, dict) or keys.isdisjoint(document.value):
        return line
    return document.write(
        {key: _number(value) if key in keys and value is not None else value for key, value in document.value.items()}
    )


def _number(text: Any) -> int | float | None:
    if not isinstance(text, str):
        return None
    try:
        found = msgspec.json.decode(text, type=int | float)
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None
    return found if abs(found) <= _LARGEST and msgspec.json.encode(found) == text.encode() else None
