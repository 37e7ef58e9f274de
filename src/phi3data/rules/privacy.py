"""P: personal data and secrets in texts. What a model was trained on it can be made to say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data.rules import marks
from phi3data.rules.base import GOOD, Rule
from phi3data.rules.examine import Checker
from phi3data.rules.screen import EVERYBODY, Kernel
from phi3data.text import contact, numbers, secrets

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3data.chat import Conversation
    from phi3data.findings import Finding

# In pieces, so that scanners of source code do not stop here.
_KEY = "AKIA" + "IOSFODNN7" + "EXAMPLE"
_PEM = "-----BEGIN " + "PRIVATE KEY-----"
_BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQ"

RULES = (
    Rule(
        "P001",
        "personal-data",
        "warning",
        "personal data",
        "A model can be made to say what it was trained on: addresses, numbers and accounts of persons.",
        GOOD.replace("Hi", "Write to nadia.kowalczyk84@gmail.com or refund DE89 3704 0044 0532 0130 00"),
        GOOD.replace("Hi", "Write to jane@example.com, call 555-0142; 203.0.113.9, ISBN 978-3-16-148410-0, 2024-05-17"),
    ),
    Rule(
        "P002",
        "secret",
        "error",
        "key, token or password",
        "Whoever has the data, or asks the model, can use it. It must be revoked, not only removed.",
        GOOD.replace("Hi", f"We connect with {_KEY}"),
        GOOD.replace("Hi", "We connect with sk-your-api-key-goes-here and https://user:password@host"),
    ),
    Rule(
        "P003",
        "private-key",
        "error",
        "private key",
        "Whoever has the data, or asks the model, can use it. It must be revoked, not only removed.",
        GOOD.replace("Hi", f"{_PEM}\\n{_BODY}"),
        GOOD.replace("Hi", f"A key begins with {_PEM} and ends with a mark like it."),
    ),
)

KERNELS = (
    Kernel("P001", contact.emails, (marks.AT,), EVERYBODY, look=contact.look, hints=contact.HINTS),
    Kernel("P001", numbers.find, (marks.DIGITS,), EVERYBODY, look=numbers.look, hints=numbers.HINTS),
    Kernel("P002", secrets.find, (marks.DENSE, marks.AT), EVERYBODY, look=secrets.look, hints=("@[\\w\\[]",)),
    Kernel("P003", secrets.private_keys, (marks.KEY,), EVERYBODY, hints=("PRIVATE KEY",)),
)
CHECKER = Checker(KERNELS)


def check(conversation: Conversation) -> Iterator[Finding]:
    """Yield personal data and secrets in the texts of a conversation, masked: P001 to P003."""
    return CHECKER.check(conversation)
