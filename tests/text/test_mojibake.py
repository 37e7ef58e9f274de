from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data.text import mojibake

SENTENCES = [
    "Die Maschine läuft nicht, weil der Wasserbehälter leer ist. Bitte prüfen Sie das Gerät.",
    "Le café est prêt à être servi ; l’été, c’est « génial » !",
    "Zażółć gęślą jaźń, proszę sprawdzić urządzenie.",
    "Машината не работи, моля проверете дали има вода.",
    "Рівне і Сіверськ — міста, Сергій і Роман — друзі.",
    "Това е „Kaldermoor“ – машина за кафе.",
    "机器不工作，请检查水箱里有没有水。",
    "マシンが動きません。水タンクを確認してください。",
    "기계가 작동하지 않습니다. 물탱크를 확인하세요.",
    "São Paulo, AMANHÃ… MAÇÃO – “CRIAÇÃO”",
    "„Ä“, „Ö“ und „Ü“: drei Buchstaben.",
]


@pytest.mark.parametrize("text", SENTENCES)
def test_good_text_is_left_alone(text: str) -> None:
    assert list(mojibake.find(text)) == []


@pytest.mark.parametrize("text", SENTENCES)
@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_text_that_was_read_wrongly_is_found(text: str, encoding: str) -> None:
    if encoding == "cp1252":
        wrong = "".join(bytes([byte]).decode("cp1252", "ignore") or chr(byte) for byte in text.encode())
    else:
        wrong = text.encode().decode("latin-1")
    assert list(mojibake.find(wrong)), wrong


@pytest.mark.parametrize("text", SENTENCES[3:5])
def test_cyrillic_that_was_read_as_windows_1251_is_found(text: str) -> None:
    assert list(mojibake.find(text.encode().decode("cp1251", "ignore")))


@given(st.text())
def test_spots_lie_in_the_text_one_after_the_other_by_kind(text: str) -> None:
    for spot in mojibake.find(text):
        assert 0 <= spot.start < spot.end <= len(text)


@given(st.text(st.characters(max_codepoint=0x7F)))
def test_ascii_has_none(text: str) -> None:
    assert not list(mojibake.find(text))
