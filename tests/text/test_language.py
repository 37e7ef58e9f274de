from __future__ import annotations

import pytest

from phi3data.text import language

TEXTS = {
    "English": "You have to clean the tray once a month, and then it will be fine for the next weeks.",
    "German": "Sie müssen die Schale einmal im Monat reinigen, und dann ist das Gerät wieder wie neu.",
    "French": "Vous devez nettoyer le bac une fois par mois, et les pièces sont à sécher avec soin.",
    "Spanish": "Usted tiene que limpiar la bandeja una vez al mes, y las piezas se secan con un paño.",
    "Bulgarian": "Трябва да почиствате тавата веднъж на месец и след това машината ще е като нова за Вас.",
    "Russian": "Нужно чистить поддон раз в месяц, и тогда машина будет как новая, если вы не забудете.",
    "Chinese": "您需要每个月清洁一次托盘，然后机器就会像新的一样。",
    "Japanese": "トレイは月に一度洗ってください。そうすれば機械は新品のようになります。",
    "Korean": "한 달에 한 번 트레이를 청소해야 합니다. 그러면 기계가 새것처럼 됩니다.",
}


@pytest.mark.parametrize(("name", "text"), TEXTS.items())
def test_plain_texts_have_their_language(name: str, text: str) -> None:
    assert language.language(text) == name


@pytest.mark.parametrize(
    "text", ["", "OK", "Kaldermoor Tarn 2", "E04", "x = y + 1", "Hello 你好 мир", "1 2 3", "print('hello world')"]
)
def test_what_is_not_plain_has_none(text: str) -> None:
    assert language.language(text) is None


@pytest.mark.parametrize("other", [name for name in TEXTS if name not in {"German", "French", "Spanish"}])
def test_an_answer_in_another_language_than_a_german_question_is_told(other: str) -> None:
    message = language.change(TEXTS["German"], TEXTS[other])
    assert message == f"the question is in German, the answer in {other}"


@pytest.mark.parametrize(("name", "text"), TEXTS.items())
def test_the_same_language_is_silent(name: str, text: str) -> None:
    assert language.change(text, text) is None
    assert language.change("Please translate into " + name + ": " + TEXTS["English"], text) is None
