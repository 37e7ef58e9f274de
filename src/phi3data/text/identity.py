"""Numbers that stand for a person: payment cards, IBAN, national identity numbers. All proven by their check digits."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from phi3data.text.lazy import Lazy
from phi3data.text.skeleton import has_digits
from phi3data.text.spot import Spot, masked

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Not inside a longer number, a decimal, a name or an address of the web. Digits are those of ASCII.
_BEFORE, _AFTER = r"(?<![\w.,/#=%-])", r"(?![\w%]|[-.,/ ]?\d)"
_CARD = Lazy(
    rf"{_BEFORE}(?a:\d{{13,19}}|\d{{4}}([ -])\d{{4}}\1\d{{4}}\1\d{{4}}|3\d{{3}}([ -])\d{{6}}\2\d{{5}}){_AFTER}"
)
# First digits and lengths that card networks issue (ISO/IEC 7812).
_NETWORKS = Lazy(
    r"4\d{15}(?:\d{3})?|5[1-5]\d{14}|2(?:22[1-9]|2[3-9]\d|[3-6]\d\d|7[01]\d|720)\d{12}|3[47]\d{13}|"
    r"6(?:011|5\d\d|4[4-9]\d)\d{12}|35(?:2[89]|[3-8]\d)\d{12}|3(?:0[0-5]|[68]\d)\d{11}|62\d{14,17}"
)
_IBAN = Lazy(r"(?<!\w)[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?!\w)")
# Lengths by country, from the IBAN registry of SWIFT.
_IBAN_LENGTHS = {
    **dict.fromkeys(("NO",), 15),
    **dict.fromkeys(("BE",), 16),
    **dict.fromkeys(("DK", "FI", "FO", "GL", "NL"), 18),
    **dict.fromkeys(("MK", "SI"), 19),
    **dict.fromkeys(("AT", "BA", "EE", "KZ", "LT", "LU", "XK"), 20),
    **dict.fromkeys(("CH", "HR", "LI", "LV"), 21),
    **dict.fromkeys(("BG", "BH", "CR", "DE", "GB", "GE", "IE", "ME", "RS", "VA"), 22),
    **dict.fromkeys(("AE", "GI", "IL", "IQ"), 23),
    **dict.fromkeys(("AD", "CZ", "ES", "MD", "PK", "RO", "SA", "SE", "SK", "TN", "VG"), 24),
    **dict.fromkeys(("PT",), 25),
    **dict.fromkeys(("IS", "TR"), 26),
    **dict.fromkeys(("FR", "GR", "IT", "MC", "SM"), 27),
    **dict.fromkeys(("AL", "AZ", "CY", "DO", "GT", "HU", "LB", "PL"), 28),
    **dict.fromkeys(("BR", "PS", "QA", "UA"), 29),
    **dict.fromkeys(("JO", "KW", "MU"), 30),
    **dict.fromkeys(("MT",), 31),
}
# Areas 000, 666 and 900-999 are never issued. Without its hyphens such a number is any number.
_SSN = Lazy(rf"{_BEFORE}(?a:(?!000|666|9\d\d)\d{{3}}-(?!00)\d\d-(?!0000)\d{{4}}){_AFTER}")
# Numbers of examples and of cards in purses that were sold with one.
_SSN_EXAMPLES = {"123-45-6789", "078-05-1120", "219-09-9999", "111-11-1111", "555-55-5555"}
_CHINESE = Lazy(rf"{_BEFORE}(?a:[1-8]\d{{5}}(?:19|20)\d{{9}}[\dXx]){_AFTER}")


def find(text: str, start: int, stop: int) -> Iterator[Spot]:
    """Yield the numbers between two places, masked."""
    digits = sum(map(text[start:stop].count, "0123456789"))
    if digits >= 13:
        yield from _long(text, start, stop)
    if digits >= 11:
        for match in _IBAN.finditer(text, start, stop):
            number = _iban(match[0])
            if number and has_digits(number):
                yield Spot(match.start(), match.start() + len(number), "an IBAN", masked(number))
    if digits >= 9 and text.find("-", start, stop) >= 0:
        for match in _SSN.finditer(text, start, stop):
            if match[0] not in _SSN_EXAMPLES:
                yield _spot(match, 0, "a US social security number")
    for what, (pattern, is_valid, cues) in _CUED.items():
        if any(text.find(cue, start, stop) >= 0 for cue in cues):
            for match in pattern.finditer(text, start, stop):
                if is_valid(re.sub("[ -]", "", match[1])):
                    yield _spot(match, 1, what)


def _long(text: str, start: int, stop: int) -> Iterator[Spot]:
    for match in _CARD.finditer(text, start, stop):
        number = re.sub("[ -]", "", match[0])
        if _NETWORKS.fullmatch(number) and luhn(number) and len(set(number)) > 1:
            yield _spot(match, 0, "a card number")
    for match in _CHINESE.finditer(text, start, stop):
        if chinese_id(match[0]):
            yield _spot(match, 0, "a Chinese identity number")


def _spot(match: re.Match[str], group: int, what: str) -> Spot:
    return Spot(match.start(group), match.end(group), what, masked(match[group]))


def luhn(digits: str) -> bool:
    """Check digits of cards (ISO/IEC 7812-1, annex B)."""
    total = sum(int(digit) for digit in digits[-1::-2])
    return (total + sum(sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])) % 10 == 0


def _iban(piece: str) -> str | None:
    """Return the IBAN that a piece begins with, as it is written there."""
    length = _IBAN_LENGTHS.get(piece[:2])
    if length is None:
        return None
    end = taken = 0
    while end < len(piece) and taken < length:
        taken += piece[end] != " "
        end += 1
    number = piece[:end].replace(" ", "")
    if len(number) != length or piece[end : end + 1] not in {"", " "}:
        return None
    # ISO 7064, modulo 97: the first four characters at the end, letters as 10 to 35.
    value = int("".join(str(int(character, 36)) for character in number[4:] + number[:4]))
    return piece[:end] if value % 97 == 1 else None


def chinese_id(number: str) -> bool:
    """Check a resident identity number: a date of birth and ISO 7064, modulo 11-2 (GB 11643-1999)."""
    if not _is_date(int(number[6:10]), int(number[10:12]), int(number[12:14])):
        return False
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(int(digit) * weight for digit, weight in zip(number, weights, strict=False))
    return "10X98765432"[total % 11] == number[17].upper()


def egn(number: str) -> bool:
    """Check a Bulgarian EGN: the month has 20 added before 1900, 40 from 2000 on; weights modulo 11."""
    year, month, day = int(number[:2]), int(number[2:4]), int(number[4:6])
    century = {0: 1900, 1: 1800, 2: 2000}.get((month - 1) // 20, 0)
    if not century or not _is_date(century + year, month % 20, day):
        return False
    weights = (2, 4, 8, 5, 10, 9, 7, 3, 6)
    total = sum(int(digit) * weight for digit, weight in zip(number, weights, strict=False))
    return total % 11 % 10 == int(number[9])


def german_tax_id(number: str) -> bool:
    """Check a German tax number: no leading 0, one digit two or three times in the first ten, ISO 7064 mod 11,10."""
    counts = sorted(number[:10].count(digit) for digit in set(number[:10]))
    if number[0] == "0" or counts[-1] not in {2, 3} or counts[-2] > 1:
        return False
    product = 10
    for digit in number[:10]:
        product = 2 * ((int(digit) + product) % 10 or 10) % 11
    return (11 - product) % 10 == int(number[10])


def nhs(number: str) -> bool:
    """Check a number of the British health service: weights 10 to 2, modulo 11."""
    check = 11 - sum(int(digit) * weight for digit, weight in zip(number, range(10, 1, -1), strict=False)) % 11
    return check % 11 == int(number[9]) and check != 10


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


# Where check digits alone let one number in ten pass, a word must say what it is: pattern, check, beginnings of words.
_CUED: dict[str, tuple[Lazy[str], Callable[[str], bool], tuple[str, ...]]] = {
    "an EGN": (Lazy(r"(?:\bEGN\b|\bЕГН\b)[^\d\n]{0,20}(\d{10})(?!\d)"), egn, ("EGN", "ЕГН")),
    "a German tax number": (
        Lazy(
            r"(?:\b[Ss]teuer-?(?:ID|Id|identifikationsnummer|[Ii]dentnummer)\b|\bIdNr\b|\bTIN\b)[^\d\n]{0,20}"
            r"(\d{2} ?\d{3} ?\d{3} ?\d{3})(?!\d)"
        ),
        german_tax_id,
        ("teuer", "IdNr", "TIN"),
    ),
    "an NHS number": (Lazy(r"\bNHS\b[^\d\n]{0,20}(\d{3}[ -]?\d{3}[ -]?\d{4})(?!\d)"), nhs, ("NHS",)),
}

_FOUR, _GAP = "[0-9]" * 4, "[ -]"
# Pieces, as `rules.hints` reads them, of which each of these numbers, or what is before it, has one.
HINTS = (
    "[0-9]" * 13,
    _FOUR + _GAP + _FOUR + _GAP + _FOUR + _GAP + "[0-9]",
    _FOUR + _GAP + "[0-9]" * 6 + _GAP + "[0-9]" * 5,
    "[A-Z][A-Z][0-9][0-9][ A-Z0-9]",
    "[0-9][0-9][0-9]-[0-9][0-9]-" + _FOUR,
    *(cue for _, _, cues in _CUED.values() for cue in cues),
)
