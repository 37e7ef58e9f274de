"""P: personal data and secrets are masked by what they are: ``[email address]``. None is safe: the words change.

A mask is the same for all of a kind, so that nothing of the original can be told from it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3data.fixes.base import on_texts
from phi3data.fixes.words import replaced
from phi3data.text import contact, numbers, repair, secrets

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from phi3data.text.spot import Spot

_KINDS = {
    "an e-mail address": "[e-mail address]",
    "a telephone number": "[telephone number]",
    "a public IP address": "[IP address]",
    "an IBAN": "[account number]",
    "a card number": "[card number]",
}
_KEY = re.compile(
    r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[^-]*(?:-(?!----)[^-]*)*-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
    r"|(?:[A-Za-z0-9+/=]{16,})?(?:(?:\s|\\[nr])+[A-Za-z0-9+/=]{16,})*(?:(?:\s|\\[nr])+[A-Za-z0-9+/]{1,15}={1,2})?)"
)


def personal(text: str) -> Iterator[Spot]:
    """Yield personal data (P001)."""
    yield from contact.emails(text)
    yield from numbers.find(text)


def keys(text: str) -> Iterator[Spot]:
    """Yield private keys (P003), each to its end mark, or as far as its lines go where there is none."""
    for spot in secrets.private_keys(text):
        whole = _KEY.match(text, spot.start)
        yield spot._replace(end=max(spot.end, whole.end() if whole else 0))


def hidden(text: str) -> str:
    """Return a text to be shown to people: personal data and secrets as the linter shows them, ``'n…@gmail.com'``."""
    for find in _FINDERS:
        text = replaced(text, find(text), lambda _, spot: spot.shown or f"⟨{spot.what}⟩")
    return text


def hides(before: str, after: str) -> bool:
    """Tell whether a text holds something to hide that cannot be seen for what stands within it.

    A zero-width space in a key keeps it from being found, and once the two halves are printed anybody can join them.
    """
    return max(map(_count, (after, repair.control(repair.invisible(before))))) > _count(before)


def _count(text: str) -> int:
    return sum(1 for find in _FINDERS for _ in find(text))


_FINDERS = (keys, secrets.find, personal)


def _masking(find: Callable[[str], Iterator[Spot]], otherwise: str) -> Callable[[str], str]:
    return lambda text: replaced(text, find(text), lambda _, spot: _KINDS.get(spot.what, otherwise))


FIXES = (
    on_texts("P003", "Puts [private key] in its place.", _masking(keys, "[private key]"), safe=False),
    on_texts("P002", "Puts [secret] in its place.", _masking(secrets.find, "[secret]"), safe=False),
    on_texts(
        "P001",
        "Puts what it is in its place: [e-mail address], [telephone number], …",
        _masking(personal, "[identity number]"),
        safe=False,
    ),
)
