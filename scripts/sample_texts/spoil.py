"""Damage to a text: what copy and paste, exports, encodings and careless tools do to it."""

from __future__ import annotations

import html
import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable


@dataclass(frozen=True)
class Damage:
    """A kind of damage. `side` is whose text it hits, `languages` those in which it makes sense (none: all)."""

    code: str
    expect: str
    side: str
    note: str
    change: Callable[[random.Random, str], str]
    languages: tuple[str, ...] = ()


def _inside(text: str, extra: str, share: float = 0.5) -> str:
    """Put `extra` between two letters near that share of the text."""
    start = int(len(text) * share)
    at = next((at for at in range(start, len(text) - 1) if text[at - 1].isalpha() and text[at].isalpha()), start)
    return text[:at] + extra + text[at:]


def _constant(value: str) -> Callable[[random.Random, str], str]:
    return lambda _rng, _text: value


def _mojibake(_rng: random.Random, text: str) -> str:
    return text.encode().decode("cp1252")


def _mojibake_cyrillic(_rng: random.Random, text: str) -> str:
    # The second UTF-8 byte of a capital "И" has no character in cp1251.
    return text.replace("И", "и").encode().decode("cp1251")


def _replacement(_rng: random.Random, text: str) -> str:
    letter = next((char for char in text if char.isalpha() and not char.isascii()), None)
    return text.replace(letter, "\ufffd") if letter else text


def _loop(rng: random.Random, text: str) -> str:
    sentence = text.splitlines()[0][:80].rstrip()
    return "\n".join([text, *[sentence] * rng.randint(14, 20)])


def _truncated(_rng: random.Random, text: str) -> str:
    cut = int(len(text) * 0.6)
    while not (text[cut - 1].isalpha() and text[cut].isalpha()):
        cut -= 1
    return text[:cut]


def _paragraphs(_rng: random.Random, text: str) -> str:
    return "".join(f"<p>{html.escape(line, quote=False)}</p>" for line in text.splitlines())


def _breaks(_rng: random.Random, text: str) -> str:
    return (
        html.escape(text, quote=False).replace("\n", "<br>").replace(" ", "&nbsp;", 2) + "<br><b>Kaldermoor R&amp;D</b>"
    )


def _decomposed(_rng: random.Random, text: str) -> str:
    return unicodedata.normalize("NFD", text)


def _rendered(_rng: random.Random, text: str) -> str:
    return f"<|system|>\nYou are a helpful assistant.<|end|>\n<|user|>\n{text}<|end|>\n<|assistant|>"


def _contact(rng: random.Random, text: str) -> str:
    # All made up: a reserved domain, a number range kept free for films, a card number that payment firms publish for
    # tests (its check digit is right).
    phone = f"+44 1632 960{rng.randint(100, 999)}"
    return f"{text}\nYou reach me at jana.petrova@example.com or {phone}. I paid with card 4111 1111 1111 1111."


def _bank(_rng: random.Random, text: str) -> str:
    # The IBAN is the example of the German banks' own documentation; the address is from a range for documentation.
    return f"{text}\nBitte auf DE89 3704 0044 0532 0130 00 erstatten. Bestellt habe ich von 203.0.113.42 aus."


# The example key of the vendor's documentation, in pieces so that scanners of source code do not stop at it.
_EXAMPLE_KEY = "AKIA" + "IOSFODNN7" + "EXAMPLE"

DAMAGES = {
    "empty": Damage("C501", "dropped", "assistant", "the answer is empty", _constant("")),
    "empty question": Damage("C501", "dropped", "user", "the question is white space only", _constant("   ")),
    "invisible only": Damage(
        "C501", "dropped", "assistant", "the answer is zero-width characters only", _constant("\u200b\u200b\u2060")
    ),
    "nan": Damage("C502", "dropped", "assistant", "the whole answer is 'nan'", _constant("nan")),
    "N/A": Damage("C502", "dropped", "assistant", "the whole answer is 'N/A'", _constant("N/A")),
    "TBD": Damage("C502", "dropped", "assistant", "the whole answer is 'TBD'", _constant("TBD")),
    "null question": Damage("C502", "dropped", "user", "the whole question is 'null'", _constant("null")),
    "mojibake": Damage("C503", "kept", "assistant", "UTF-8 read as cp1252", _mojibake, ("de",)),
    "mojibake cyrillic": Damage("C503", "kept", "assistant", "UTF-8 read as cp1251", _mojibake_cyrillic, ("bg",)),
    "replacement": Damage("C504", "kept", "assistant", "a letter became U+FFFD", _replacement, ("de", "bg")),
    "bell": Damage("C505", "changed", "assistant", "a BEL character", lambda _r, text: _inside(text, "\x07")),
    "separator": Damage("C505", "changed", "user", "a unit separator", lambda _r, text: _inside(text, "\x1f")),
    "escape": Damage(
        "C505", "changed", "assistant", "terminal colour codes", lambda _r, text: _inside(text, "\x1b[1m", 0.3)
    ),
    "zero-width": Damage(
        "C506", "changed", "assistant", "zero-width spaces inside words", lambda _r, text: _inside(text, "\u200b", 0.3)
    ),
    "bidi": Damage(
        "C506", "changed", "user", "bidirectional controls", lambda _r, text: _inside(text, "\u202e\u202c", 0.4)
    ),
    "mustache": Damage(
        "C508", "kept", "assistant", "an unfilled {{name}}", lambda _r, text: f"Hello {{{{name}}}},\n{text}", ("en",)
    ),
    "your name": Damage(
        "C508", "kept", "assistant", "[Your Name]", lambda _r, text: f"{text}\n\nBest regards\n[Your Name]", ("en",)
    ),
    "transcript": Damage(
        "C509",
        "kept",
        "assistant",
        "a further exchange inside the answer",
        lambda _r, text: f"{text}\nUser: And how often should I do that?\nAssistant: Once a month will do.",
        ("en",),
    ),
    "loop": Damage("C510", "kept", "assistant", "a sentence in an endless loop", _loop),
    "truncated": Damage("C511", "kept", "assistant", "stops in the middle of a word", _truncated, ("en", "de", "bg")),
    "literal newline": Damage(
        "C512",
        "kept",
        "assistant",
        "line breaks as backslash and n",
        lambda _r, text: text.replace("\n", "\\n").replace(". ", ".\\n"),
        ("en", "de"),
    ),
    "doubled quotes": Damage(
        "C512",
        "kept",
        "assistant",
        "every quotation mark is doubled",
        lambda _r, text: f'{text} Look for ""Care"" in the ""Settings"" menu.',
        ("en",),
    ),
    "paragraphs": Damage("C513", "changed", "assistant", "HTML paragraphs of a CMS export", _paragraphs),
    "breaks": Damage("C513", "changed", "assistant", "HTML line breaks and entities", _breaks, ("en", "de", "bg")),
    "boilerplate": Damage(
        "C514",
        "kept",
        "assistant",
        "speaks as an AI language model",
        lambda _r, text: f"As an AI language model, I cannot touch your machine. {text}",
        ("en",),
    ),
    "attachment": Damage(
        "C515",
        "kept",
        "user",
        "speaks of a picture that is not there",
        lambda _r, text: f"{text}\nPlease see the attached photo.",
        ("en",),
    ),
    "decomposed": Damage("C516", "changed", "assistant", "decomposed (NFD) letters", _decomposed, ("de", "ja", "bg")),
    "end token": Damage("T601", "dropped", "user", "<|end|> in the text", lambda _r, text: f"{text}<|end|>"),
    "bos": Damage("T602", "dropped", "user", "<s> and </s> around the text", lambda _r, text: f"<s>{text}</s>"),
    "inst": Damage("T603", "kept", "user", "[INST] marks", lambda _r, text: f"[INST] {text} [/INST]"),
    "im_start": Damage("T603", "kept", "user", "ChatML marks", lambda _r, text: f"<|im_start|>user\n{text}<|im_end|>"),
    "rendered": Damage("T604", "dropped", "user", "a whole rendered template", _rendered),
    "image": Damage("T607", "kept", "user", "an image token", lambda _r, text: f"<|image_1|>\n{text}"),
    "copied": Damage("R411", "kept", "assistant", "the answer repeats the question", _constant("")),
    "contact": Damage("P001", "kept", "user", "e-mail address, phone and card number", _contact, ("en",)),
    "bank": Damage("P001", "kept", "user", "IBAN and IP address", _bank, ("de",)),
    "key": Damage(
        "P002",
        "dropped",
        "user",
        "a (fake) cloud key",
        lambda _r, text: f"{text}\nOur shop connects with {_EXAMPLE_KEY}, in case you need it.",
        ("en",),
    ),
    "password": Damage(
        "P002",
        "dropped",
        "assistant",
        "a (fake) password in a URL",
        lambda _r, text: (
            f"{text}\nThe log is at https://service:" + "not-a-password" + "@logs.kaldermoor.example/today."
        ),
        ("en",),
    ),
}
