"""C and D: what a text is like. Most are found here, message by message; some by the steps of `prepare`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from phi3data.rules import marks
from phi3data.rules.base import GOOD, Rule
from phi3data.rules.examine import Checker
from phi3data.rules.screen import ANSWERS, EVERYBODY, SPEAKERS, USER, Kernel, Mark, Pair, View
from phi3data.text import (
    attachment,
    boilerplate,
    copying,
    export,
    language,
    markup,
    mojibake,
    placeholder,
    repetition,
    swallowed,
    transcript,
    truncation,
    unseen,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3data.chat import Conversation
    from phi3data.findings import Finding


def _row(question: str, answer: str) -> str:
    asked, answered = (msgspec.json.encode(text).decode() for text in (question, answer))
    return f'{{"messages": [{{"role": "user", "content": {asked}}}, {{"role": "assistant", "content": {answered}}}]}}'


_STEPS = "First empty the tray. Then rinse the brewing group under warm water and let it dry"

RULES = (
    Rule(
        "C501",
        "empty-content",
        "error",
        "message without text",
        "The model learns to say nothing, or services drop the row in silence.",
        GOOD.replace("Hello!", "\\u200b"),
        GOOD,
    ),
    Rule(
        "C502",
        "null-like",
        "error",
        "message that stands for nothing (nan, N/A)",
        "A missing value that an export turned into text is trained as an answer.",
        GOOD.replace("Hello!", "nan"),
        GOOD.replace("Hello!", "No"),
    ),
    Rule(
        "C503",
        "mojibake",
        "warning",
        "UTF-8 that was read in another encoding",
        "The model learns to write Ã¼ for ü: letters that it knows become pairs of rare tokens.",
        _row("Wie geht es?", "Danke, schÃ¶n, dass du fragst."),
        _row("Wie geht es?", "Danke, schön. „Ä“ ist ein Buchstabe, MAÇÃO und São Paulo sind Orte."),
    ),
    Rule(
        "C504",
        "replacement-char",
        "warning",
        "a character was lost (U+FFFD)",
        "What stood there is gone, and the model learns to write U+FFFD in its place.",
        _row("Wie geht es?", "Sch\ufffdn, dass du fragst."),
        _row("Wie geht es?", "Schön, dass du fragst."),
    ),
    Rule(
        "C505",
        "control-char",
        "warning",
        "control characters",
        "Rare tokens that nobody sees, learned as part of the words around them.",
        _row("Ring?", "Ring\x07!"),
        _row("Ring?", "Ring!\n\tTabs and line ends are fine."),
    ),
    Rule(
        "C506",
        "invisible-char",
        "warning",
        "invisible characters",
        "Rare tokens that nobody sees split words in two, or hide text from the reader that the model is trained on.",
        _row("Reset?", "Press re\u200bset."),
        _row("Family?", "👨\u200d👩\u200d👧 and ❤\ufe0f, می\u200cخواهم, क्\u200dष"),
    ),
    Rule(
        "C507",
        "leading-space-lost",
        "info",
        "white space that the token before it swallows",
        "Phi-3's <|assistant|> swallows it: the first line of code is trained without its indentation.",
        _row("Indent it.", "    return 1\n    # done"),
        _row("Indent it.", "def one():\n    return 1"),
    ),
    Rule(
        "C508",
        "placeholder",
        "warning",
        "placeholder that nobody filled in",
        "The model learns to write {{name}} or [Your Name] where a name should stand.",
        _row("Who are you?", "I am {{name}}, made by {{author}}."),
        _row("How do I show it in a Jinja template?", "Write {{ name }}."),
    ),
    Rule(
        "C509",
        "embedded-transcript",
        "warning",
        "further turns inside one message",
        "The model learns not to stop: it answers, and then asks the next question itself.",
        _row("How often?", "Once a week.\nUser: And in winter?\nAssistant: Just the same."),
        _row("What is a prompt?", 'A text such as "User: Hello", with\nQuestion: and Answer: before its parts.'),
    ),
    Rule(
        "C510",
        "repetition",
        "warning",
        "one thing said over and over",
        "Loops are learned fast: a few of them teach the model to fall into one.",
        _row("What is it?", "It is a pump. " + "Please check the hose again. " * 8),
        _row("Sing!", "Row, row, row your boat\nGently down the stream.\nMerrily, merrily, merrily, merrily."),
    ),
    Rule(
        "C511",
        "truncated-answer",
        "info",
        "answer that stops in the middle",
        "The token that ends the turn is learned in the middle of a sentence or of code: answers become cut off.",
        _row("How do I clean it?", _STEPS),
        _row("How do I clean it?", _STEPS + "."),
    ),
    Rule(
        "C512",
        "csv-damage",
        "warning",
        "traces of a careless export",
        "Doubled quotes and spelled-out line ends are learned as the way to write.",
        _row("Where is it?", 'Look for ""Care"" in the menu.'),
        _row("How do I quote in CSV?", 'Double them: ""Care"".'),
    ),
    Rule(
        "C513",
        "html-residue",
        "info",
        "HTML tags or entities",
        "The model learns to write markup where it should write text.",
        _row("Is it safe?", "<p>Yes, it is.</p><p>Rinse &amp; dry it.</p>"),
        _row("How do I write bold in HTML?", "<b>Yes</b>"),
    ),
    Rule(
        "C514",
        "assistant-boilerplate",
        "info",
        "refusals and phrases of assistants",
        "A few rows teach the model to refuse, and to speak of itself as another model.",
        _row("Which one is best?", "As an AI language model, I have no taste."),
        _row("What is an AI language model?", "A program that continues texts."),
    ),
    Rule(
        "C515",
        "missing-attachment",
        "info",
        "speaks of a picture or file that is not there",
        "The model learns to make up what it cannot see.",
        _row("Please see the attached photo. What is broken?", "The seal."),
        _row("How do I take a photo?", "Press the button."),
    ),
    Rule(
        "C516",
        "not-nfc",
        "info",
        "not in Unicode NFC",
        "One letter has two spellings: other tokens for equal text, and duplicates that are not found.",
        _row("Wie?", "Scho\u0308n."),
        _row("Wie?", "Schön."),
    ),
    Rule(
        "C517",
        "language-outlier",
        "info",
        "answer in another language than the question",
        "The model learns to change the language in the middle of a chat.",
        _row(
            "Wie oft muss ich die Maschine entkalken und was brauche ich für das Gerät?",
            "You have to do it once a month, and the tray is to be cleaned with water.",
        ),
        _row(
            "Wie heißt „die Maschine ist für mich“ auf Englisch?", "It is: the machine is for me. That is all you need."
        ),
    ),
    Rule(
        "R411",
        "answer-copies-prompt",
        "warning",
        "answer that repeats the question",
        "The model learns to say back what it was asked.",
        _row(
            "My machine leaks since Monday, what should I do now?",
            "My machine leaks since Monday, what should I do now?",
        ),
        _row("Say yes.", "yes."),
    ),
    Rule("trailing-space", "trailing-space", "info", "white space at the end", "Trains on tokens that say nothing."),
    Rule("D802", "exact-duplicate", "warning", "duplicate of another row", "Counted twice, and learned by heart."),
)


def _pieces(view: View, *pieces: str) -> tuple[Mark, ...]:
    return tuple(Mark(view, piece) for piece in pieces)


def _bytes(pieces: tuple[bytes, ...]) -> tuple[Mark, ...]:
    """Return marks of pieces of UTF-8 whose first byte stands for itself."""
    said = [piece.decode("latin-1") for piece in pieces]
    return tuple(Mark("bytes", piece[0], f"(?={piece[1:]})") for piece in said)


_HIDDEN = Mark("hidden")
_PLACEHOLDERS = (*marks.TAGS, marks.FIELD, marks.BRACE, marks.BRACKET, marks.LOREM, *_pieces("wide", "["))
_ITSELF = (marks.AI, *_pieces("text", *boilerplate.ITSELF), *_pieces("wide", *boilerplate.ITSELF_WIDE))
_LABELS = (marks.REPLY, *_pieces("wide", *transcript.WIDE))
_LABELS_AND_HEADINGS = (*transcript.HINTS, *transcript.HEADINGS)

KERNELS = (
    Kernel("C503", mojibake.find, _bytes(mojibake.BYTES), EVERYBODY),
    Kernel("C504", unseen.replacement, _pieces("wide", "\ufffd"), EVERYBODY),
    Kernel("C505", unseen.controls, (marks.CONTROL, _HIDDEN), EVERYBODY, hints=unseen.CONTROLS),
    Kernel("C506", unseen.invisible, (_HIDDEN, *_bytes(unseen.BYTES)), EVERYBODY),
    Kernel("C507", swallowed.find, marks.SPACE_FIRST, ANSWERS),
    Kernel("C508", placeholder.find, _PLACEHOLDERS, SPEAKERS, alone=False,
           look=placeholder.look, hints=placeholder.HINTS),
    Kernel("C509", transcript.in_answer, (*_LABELS, marks.HEADING), ANSWERS, alone=False, hints=_LABELS_AND_HEADINGS),
    Kernel("C509", transcript.in_prompt, _LABELS, USER, hints=transcript.HINTS),
    Kernel("C510", repetition.find, (Mark("loop"),), ANSWERS, alone=False),
    Kernel("C511", truncation.find, (marks.LETTER_LAST, marks.FENCE, Mark("letter")), ANSWERS, hints=("```",)),
    Kernel("C512", export.find, (marks.QUOTES, marks.BACKSLASH), SPEAKERS, alone=False,
           look=export.look, hints=export.HINTS),
    Kernel("C513", markup.find, (*marks.TAGS, marks.ENTITY), SPEAKERS, alone=False,
           look=markup.look, hints=markup.HINTS),
    Kernel("C514", boilerplate.refusal, _pieces("first", *boilerplate.STARTS), ANSWERS, hints=boilerplate.REFUSALS),
    Kernel("C514", boilerplate.itself, _ITSELF, ANSWERS, alone=False,
           look=boilerplate.look, hints=boilerplate.HINTS),
    Kernel("C515", attachment.find, (*_pieces("user", *attachment.WORDS), *_pieces("wide", *attachment.WIDE)), USER),
    Kernel("C516", unseen.decomposed, (Mark("nfc"),), EVERYBODY),
)  # fmt: skip
PAIRS = (
    Pair("C517", language.change, _pieces("user", *[word.rstrip() for word in language.FOREIGN_WORDS])),
    Pair("R411", copying.find),
)

CHECKER = Checker(KERNELS, PAIRS)


def check(conversation: Conversation) -> Iterator[Finding]:
    """Yield what is wrong with the texts of a conversation: C503 to C517 and R411."""
    return CHECKER.check(conversation)
