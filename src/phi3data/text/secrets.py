"""Secrets: keys and tokens by their well-known shapes, passwords in addresses, private keys. Always shown masked.

The body of a token must be dense (`skeleton.is_dense`): random ones of 20 characters have twelve capitals and digits,
placeholders such as ``sk-your-key-goes-here`` none, and the screen sees no more of a text than its dense runs.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3data.text.lazy import Lazy
from phi3data.text.skeleton import CAPITALS, DIGITS, SMALL, is_dense
from phi3data.text.spot import Spot, masked

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHAPES = {
    "an AWS access key": r"(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])",
    "a GitHub token": r"(?<!\w)(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{50,})",
    "a GitLab token": r"(?<![\w-])glpat-[\w-]{20,}",
    "a Slack token": r"(?<![\w-])xox[abeprs]-[A-Za-z0-9-]{20,}",
    "a Google API key": r"(?<![\w-])AIza[\w-]{35}(?![\w-])",
    "a Stripe key": r"(?<!\w)(?:sk|rk)_(?:live|test)_[A-Za-z0-9]{20,}",
    "an API key": r"(?<![\w-])sk-(?:proj-|svcacct-|ant-(?:api\d\d-)?|or-v1-)?[A-Za-z0-9_-]{32,}",
    "a Hugging Face token": r"(?<!\w)hf_[A-Za-z0-9]{30,}",
    "an npm token": r"(?<!\w)npm_[A-Za-z0-9]{36}(?!\w)",
    "a SendGrid key": r"(?<![\w.])SG\.[\w-]{20,}\.[\w-]{30,}",
    "a storage account key": r"(?i:AccountKey|SharedAccessKey)=[A-Za-z0-9+/]{40,}={0,2}",
    "a shared access signature": r"[?&;]sig=[A-Za-z0-9%+/]{30,}(?:=|%3D)*",
}
_LEAST = 20  # characters of the shortest of them, and of the word around it
# What tokens are made of is all one letter, and other characters a space.
_OF_TOKENS = frozenset(f"{SMALL}{CAPITALS}{DIGITS}+/_.%=-".encode()).union(range(0x80, 0x100))
_LETTERS = bytes(ord("x" if code in _OF_TOKENS else " ") for code in range(256))
_WORD = b"x" * _LEAST
_BEFORE = 48  # characters before a word that may say what is assigned
_ANY = Lazy("|".join(f"(?P<shape{number}>{shape})" for number, shape in enumerate(_SHAPES.values())))
# One of these is in each; a look for them takes a hundredth of what the shapes take.
_HINTS = (
    *(
        "AKIA",
        "ASIA",
        "ghp_",
        "gho_",
        "ghu_",
        "ghs_",
        "ghr_",
        "github_pat_",
        "glpat-",
        "xox",
        "AIza",
        "k_live_",
        "k_test_",
    ),
    *("sk-", "hf_", "npm_", "SG.", "sig=", "ey=", "eyJ"),
)
_ASSIGNED = Lazy(
    r"(?i:(?:api|secret|access|auth|private)_?(?:key|token)|client_?secret|password|passwd)"
    r"""["']?\s{0,3}[:=]\s{0,3}["']([A-Za-z0-9+/_-]{24,}={0,2})["']"""
)
_QUOTED = Lazy("[\"'][A-Za-z0-9+/_-]{24}")
_NAMES = list(_SHAPES)
_JWT = Lazy(r"(?<![\w-])eyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{16,}")
_URL_PASSWORD = Lazy(r"://[^\s/:@'\"<>{}\[\]]{1,60}:([^\s/@:'\"<>]{3,80})@(?=[\w\[])")
_NO_PASSWORD = Lazy(
    r"(?:your|my|the|user|db|mysql|postgres|root|admin|secret|some)?[_-]?(?:password|passwd|pass|pwd|pw|secret"
    r"|token|port|api_?key|key)\d{0,3}"
    r"|\$.*|%.*|\{.*|\[.*|\*+|x+|\.+|<.*|user(?:name)?|guest|test\d*|admin|root|postgres|mysql|hunter2|s3cret"
    r"|p[a@]ssw[o0]rd\W?",
    re.IGNORECASE,
)
_PEM = Lazy(
    r"-----BEGIN ((?:[A-Z0-9]+ )*)PRIVATE KEY(?: BLOCK)?-----(?:\\n|\\r"
    r"|\s)*(?:[A-Za-z-]+: [^\n]*\s+)*[A-Za-z0-9+/=]{32,}"
)


def look(text: str) -> bool:
    """A first look: tell whether there is a word as long as a token, or an address."""
    return _WORD in text.encode("utf-8", "replace").translate(_LETTERS) or "://" in text


def find(text: str) -> Iterator[Spot]:
    """Yield keys, tokens and passwords in addresses."""
    end = 0
    for word in text.split():  # 2 µs for 270 characters, a tenth of what the shapes take
        if len(word) < _LEAST or not is_dense(word):
            continue
        at = text.index(word, end)
        end = at + len(word)
        yield from _in_word(text, at, end)
    if "://" in text:
        for match in _URL_PASSWORD.finditer(text):
            if not _NO_PASSWORD.fullmatch(match[1]):
                yield Spot(match.start(1), match.end(1), "a password in an address", masked(match[1], keep=1))


def _in_word(text: str, at: int, end: int) -> Iterator[Spot]:
    """Yield the tokens in one word; what it is assigned to may stand before it."""
    word = text[at:end]
    if any(hint in word for hint in _HINTS):
        for match in _ANY.finditer(text, at, end):
            body = re.split("[=:]", match[0], maxsplit=1)[-1]
            if _is_random(body):
                name = _NAMES[int((match.lastgroup or "shape0").removeprefix("shape"))]
                yield Spot(match.start(), match.end(), name, masked(match[0]))
        for match in _JWT.finditer(text, at, end):
            if is_dense(match[0]) and _is_jwt(match[0]):
                yield Spot(match.start(), match.end(), "a JSON web token", masked(match[0]))
    elif _QUOTED.search(word):
        for match in _ASSIGNED.finditer(text, max(0, at - _BEFORE), end):
            # Names of constants are dense as well: "YOUR_API_KEY_GOES_HERE".
            if match.end() > at and _is_random(match[1]) and len(re.findall("[0-9]", match[1])) >= 3:
                yield Spot(match.start(1), match.end(1), "a secret in code", masked(match[1]))


def _is_random(body: str) -> bool:
    return len(set(body)) >= 10 and is_dense(body)


def private_keys(text: str) -> Iterator[Spot]:
    """Yield private keys in PEM; the marks alone, or dots between them, are no key."""
    for match in _PEM.finditer(text):
        kind = match[1].strip().lower().replace("rsa", "RSA").replace("ec", "EC").replace("dsa", "DSA")
        yield Spot(match.start(), match.end(), f"a private key{f' ({kind})' if kind else ''}", "")


def _is_jwt(token: str) -> bool:
    import base64
    import binascii
    import json

    header = token.split(".", maxsplit=1)[0]
    try:
        value = json.loads(base64.urlsafe_b64decode(header + "=" * (-len(header) % 4)))
    except (binascii.Error, ValueError):
        return False
    return isinstance(value, dict) and "alg" in value
