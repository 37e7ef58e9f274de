"""How to reach a person or their machine: e-mail addresses, telephone numbers, public IP addresses.

Addresses and numbers that are kept free for examples are none: RFC 2606 and 6761 for names, RFC 5737 for IP addresses,
555 in North America, Ofcom's numbers for drama in the United Kingdom.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from phi3data.text.lazy import Lazy
from phi3data.text.skeleton import has_digits
from phi3data.text.spot import Spot, masked

if TYPE_CHECKING:
    from collections.abc import Iterator

_EMAIL = Lazy(r"(?<![\w.+/:-])([A-Za-z0-9][\w.+-]{0,63})@((?:[A-Za-z0-9-]{1,63}\.)+[A-Za-z]{2,18})(?![\w@]|\.\w|\()")
_MIDDLE = Lazy(r"@(?<=[\w.+-]@)[A-Za-z0-9-]{1,63}\.")
HINTS = ("[\\w.+-]@[A-Za-z0-9-]",)  # pieces, as `rules.hints` reads them, of which each address has one
# Names kept free, and those that stand for one: people write john@domain.com without knowing that it is somebody's.
_EXAMPLE_DOMAIN = Lazy(
    r"(?:.*\.)?(?:example|test|invalid|localhost|local|internal)|"
    r"(?:.*\.)?(?:example\d*|examples|sample|test|testing|domain|mydomain|yourdomain|(?:your|my)?(?:company|business|"
    r"organi[sz]ation|site|website|email|mail|school|university|store|shop|app|brand|server)(?:name)?"
    r"|company(?:name|domain)?|"
    r"email(?:address|provider)?|provider|xyz|abc|acme|foo|bar|fake\w*|placeholder|host|hostname"
    r"|corp)\.[a-z]{2,4}(?:\.[a-z]{2})?",
    re.IGNORECASE,
)
# Names of nobody, and of functions rather than persons.
_EXAMPLE_NAME = Lazy(
    r"(?:your|my|user|users?name|name|first|last|firstname|lastname|full|email|e-?mail|mail|address|someone|somebody|"
    r"john|jane|johnny|j|doe|smith|jdoe|johndoe|janedoe|johnsmith|janesmith|jsmith|alice|bob|foo|bar|test\w*"
    r"|example\w*|sample|"
    r"recipient|sender|receiver|customer|client|info|contact|support|help|hello|sales|admin\w*|root|webmaster"
    r"|postmaster|"
    r"service|team|office|hr|jobs|careers|press|media|news|newsletter|billing|orders|feedback|no-?reply"
    r"|do-?not-?reply|"
    r"you|me|him|her|git|xxx+|abc|[._+-]|\d)+",
    re.IGNORECASE,
)
_FREE_MAIL = Lazy(r"(?:gmail|googlemail|yahoo|hotmail|outlook|live|icloud|aol|gmx)\.", re.IGNORECASE)

_SEPARATED = r"(?:[ .-]?\(?\d{1,5}\)?){2,6}"
_INTERNATIONAL = Lazy(rf"(?<![\w+.*/=-])(?<!\d )\+[1-9]\d{{0,2}}{_SEPARATED}(?![\w%*/=]|[-.]\d)")
_CUE = (
    r"(?:\b(?:[Tt]el(?:ephone|efon)?|[Pp]hone|[Cc]all(?: me| us)?(?: at| on)?|[Mm]obile|[Cc]ell(?:phone)?|[Ff]ax"
    r"|[Hh]andy|"
    r"[Rr]ufnummer|WhatsApp|[Tt]ext me at)\b|电话|電話|手机|手機|联系方式|тел\.?|[Тт]елефон|телефонен номер)"
)
_WITH_CUE = Lazy(
    rf"{_CUE}(?: (?:number|no\.?|nr\.?|is))*[^\w\n+(]{{0,4}}((?:\+?\d|\(\d)[\d .()/-]{{6,20}}\d)(?![\w%*=])"
)
_ANY_CUE = Lazy(
    r"[Tt]el[.: ]|elephon|elefon|[Pp]hone|[Cc]all(?: me| us)? (?:at|on|[\d+(])|obile|[Cc]ell|[Ff]ax|andy|ufnummer"
    r"|WhatsApp|ext me|电话|電話|手机|手機|联系|тел|Тел"
)
_FREE_NUMBERS = Lazy(
    # North America's 555; the same number with a country code; Ofcom's ranges for drama.
    r"(?:1?\d{3}|1)?555\d{4}|1?(\d)\1{9}|1?\d{3}5550?1\d\d|44(?:1632960|7700900|2079460|1144960|1174960|1184960"
    r"|1214960|1314960|1414960|"
    r"1514960|1614960|1134960|1154960|1164960|1914980|8081570|9098790|3069990)\d{3}|0?1?234567\d*"
    r"|\d{0,4}(?:1234567|0123456|9876543|0000000)\d*"
)

# Digits of ASCII: no other makes an address.
_IPV4 = Lazy(
    r"(?<![\w.-])(?<![vV] )(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])\.){3}"
    r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?![\w-]|\.\w|/\d)"
)
_OCTETS = ("[0-9]", "[0-9][0-9]", "[0-9][0-9][0-9]")
# Pieces, as `rules.hints` reads them, of which each telephone number, or what is before it, and each address has one.
NUMBER_HINTS = (
    r"\+[1-9]",
    *(cue + r"\W" for cue in ("[Tt]el", "elephone", "elefon", "[Pp]hone", "[Cc]all", "obile", "[Cc]ell", "[Ff]ax")),
    *(cue + r"\W" for cue in ("andy", "ufnummer", "WhatsApp", "ext me at")),
    *("电话", "電話", "手机", "手機", "联系方式", "тел", "Тел"),
    *(f"[0-9].{second}.{third}.[0-9]" for second in _OCTETS for third in _OCTETS),
)
_VERSION = Lazy(r"\b(?:[Vv]ersion|[Rr]elease|[Ff]irmware|[Cc]hrome|[Ss]ection|[Bb]uild|版本)\W{0,3}$")


def look(text: str) -> bool:
    """A first look: tell whether there is the middle of an e-mail address, as "a@b."."""
    return _MIDDLE.search(text) is not None


def emails(text: str) -> Iterator[Spot]:
    """Yield e-mail addresses of persons; the name is masked."""
    for match in _EMAIL.finditer(text):
        is_example = _EXAMPLE_DOMAIN.fullmatch(match[2]) or _EXAMPLE_NAME.fullmatch(match[1])
        # alice@gmail.com and dan@gmail.com: who really has such a short address would not give it away.
        is_short = len(match[1]) <= 5 and match[1].isalpha() and _FREE_MAIL.match(match[2])
        if not is_example and not is_short:
            yield Spot(match.start(), match.end(), "an e-mail address", f"'{match[1][0]}…@{match[2]}'")


def phones(text: str, start: int, stop: int) -> Iterator[Spot]:
    """Yield telephone numbers in international form, or after a word that says so."""
    end = 0
    found = list(_INTERNATIONAL.finditer(text, start, stop)) if text.find("+", start, stop) >= 0 else []
    if _ANY_CUE.search(text, start, stop):
        found += _WITH_CUE.finditer(text, start, stop)
    for match in sorted(found, key=lambda match: match.span(match.lastindex or 0)):
        group = match.lastindex or 0
        digits = re.sub(r"\D", "", match[group])
        if (
            match.start(group) >= end
            and 7 <= len(digits) <= 15
            and not _FREE_NUMBERS.fullmatch(digits)
            and _is_dialled(match[group])
        ):
            end = match.end(group)
            yield Spot(match.start(group), end, "a telephone number", masked(match[group], keep=3))


def _is_dialled(number: str) -> bool:
    """Whether brackets are closed and not all digits stand alone, as in sums and lists."""
    groups = re.findall(r"\d+", number)
    closed = number.count("(") == number.count(")")
    return closed and sum(len(group) for group in groups) >= 2 * len(groups) and has_digits(number)


def addresses(text: str, start: int, stop: int) -> Iterator[Spot]:
    """Yield public IPv4 addresses of seven digits or more: shorter ones are mostly versions, or known to everybody."""
    for match in _IPV4.finditer(text, start, stop):
        if sum(character.isdigit() for character in match[0]) < 7 or _VERSION.search(
            text, max(0, match.start() - 16), match.start()
        ):
            continue
        from ipaddress import IPv4Address

        address = IPv4Address(match[0])
        if (
            len(set(match[0].split("."))) == 4
            and match[0] != "123.45.67.89"
            and address.is_global
            and not address.is_multicast
            and not match[0].startswith(("255.", "0."))
        ):
            yield Spot(match.start(), match.end(), "a public IP address", f"'{match[0].rsplit('.', 2)[0]}.…'")
