"""All numbers that stand for a person or lead to one. Looked for around long runs of digits only."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from phi3data.text import contact, identity
from phi3data.text.lazy import Lazy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from phi3data.text.spot import Spot

# Seven digits and more with a space, full stop, hyphen or bracket between two: each number has so many, and most texts
# none. What the skeleton takes for digits on end may have words between them.
_SPAN = Lazy("[0-9][0-9 .()-]{6,}")
_RUN = Lazy(r"[0-9](?:(?:[ .-]?\(|\)[ .-]?|[ .-])?[0-9]){6,}")
# What may stand between two of its digits is left out, digits are all one, and other characters too.
_PLAIN, _BETWEEN = bytes(ord("0" if 48 <= code <= 57 else "x") for code in range(256)), b" .-()"
_DIGITS = b"0" * 7
HINTS = contact.NUMBER_HINTS + identity.HINTS  # pieces, of which one stands where there is something to find
_DATE = Lazy(r"(?:19|20)\d\d-[01]\d-[0-3]\d(?:\D|$)(?!.*\d{5})")
_SUM = frozenset("=*/<>$%×÷")
_LONG = 4096  # characters
_AROUND = 36  # characters before and after: a word that says what it is, the letters of an IBAN


def look(text: str) -> bool:
    """A first look: tell whether there is a run of digits that is no date and no part of a sum."""
    if _DIGITS not in text.encode("utf-8", "replace").translate(_PLAIN, _BETWEEN):
        return False
    return any(True for _ in _runs(text))


def find(text: str) -> Iterator[Spot]:
    """Yield telephone, card, account and identity numbers and IP addresses, masked."""
    start = stop = 0
    for first, last in _runs(text):
        if first - _AROUND > stop:
            yield from _between(text, start, stop)
            start = first - _AROUND
        stop = last + _AROUND
    yield from _between(text, start, stop)


def _runs(text: str) -> Iterable[tuple[int, int]]:
    """Return where there are runs of digits that are no date and no part of a sum."""
    return _kept(text) if len(text) <= _LONG else _found(text)


@lru_cache(256)  # texts of a batch, which are looked at first and examined then; no long ones
def _kept(text: str) -> tuple[tuple[int, int], ...]:
    return tuple(_found(text))


def _found(text: str) -> Iterator[tuple[int, int]]:
    for span in _SPAN.finditer(text):  # the plain pattern of spans saves most of the time
        for match in _RUN.finditer(text, *span.span()):
            if not _is_counted(text, *match.span()):
                yield match.span()


def _is_counted(text: str, start: int, stop: int) -> bool:
    """Tell whether a run of digits is a date or part of a sum, as ``= 1000-200-300 =``: most are."""
    before = text[max(0, start - 2) : start].strip()[-1:]
    if before in _SUM:
        return True
    after = text[stop : stop + 2].strip()[:1]
    return after in _SUM or _DATE.match(text[start:stop]) is not None


def _between(text: str, start: int, stop: int) -> Iterator[Spot]:
    """Yield what is between two places. Most long runs of digits are dates and sums, and too short for most numbers."""
    if not stop:
        return
    start = max(0, start)
    yield from contact.phones(text, start, stop)
    if text.count(".", start, stop) >= 3:
        yield from contact.addresses(text, start, stop)
    yield from identity.find(text, start, stop)
