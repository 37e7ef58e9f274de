"""Check digits, against published examples; one wrong digit must always fail."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data.text import identity

VALID = [
    (identity.luhn, "4111111111111111"),
    (identity.luhn, "378282246310005"),
    (identity.luhn, "79927398713"),
    (identity.egn, "7523169263"),  # example of the register of citizens
    (identity.egn, "0041010002"),
    (identity.german_tax_id, "86095742719"),  # example of the tax office
    (identity.german_tax_id, "65929970489"),
    (identity.nhs, "9434765919"),
    (identity.chinese_id, "11010519491231002X"),  # example of GB 11643-1999
]


@pytest.mark.parametrize(("check", "number"), VALID)
def test_good_numbers_pass_and_a_wrong_digit_fails(check, number: str) -> None:  # type: ignore[no-untyped-def]
    assert check(number)
    for at, digit in enumerate(number):
        if digit.isdigit():
            wrong = number[:at] + str((int(digit) + 1) % 10) + number[at + 1 :]
            assert not check(wrong), wrong


@given(st.text("0123456789", min_size=10, max_size=10))
def test_checks_never_fail_on_digits(number: str) -> None:
    assert identity.egn(number) in {True, False}
    assert identity.nhs(number) in {True, False}
    assert identity.luhn(number) in {True, False}
    assert identity.german_tax_id(number + "0") in {True, False}
    assert identity.chinese_id(number + "00000000") in {True, False}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("DE89 3704 0044 0532 0130 00 und", 27),
        ("DE89370400440532013000", 22),
        ("NL91ABNA0417164300", 18),
        ("BG80BNBG96611020345678", 22),
        ("FR14 2004 1010 0505 0001 3M02 606", 33),
        ("MT84MALT011000012345MTLCAST001S", 31),
    ],
)
def test_ibans_of_several_countries(text: str, shown: int) -> None:
    (spot,) = identity.find(text, 0, len(text))
    assert (spot.start, spot.end, spot.what) == (0, shown, "an IBAN")
