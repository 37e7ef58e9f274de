"""Frames: what a chat template writes around people's words, cut at its control tokens.

A tokenizer cuts text at its control tokens first and encodes what lies between them on its own. So the literals of a
template are cut once, and of a conversation only its words are left to encode. Counting and encoding both walk a frame,
and so they agree.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.findings import Finding, pointer
from phi3data.text.lazy import Lazy

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from phi3data.chat import Conversation
    from phi3data.family import VocabularyProfile

# Unicode's White_Space, which tokenizers strips; Python's str.strip would take U+001C to U+001F as well.
WHITE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)

_BRACKETED = Lazy(r"<[^\s<>]+>|\[[^\s\[\]]+\]")  # </s>, <|tool|>, [INST]: not marked as special in some files
LOOKS_LIKE_CONTROL = Lazy(r"<\|[^\s|<>]{1,40}\|>")  # how this family, and most others, spell control tokens

NOT_FOLLOWED = Finding(
    "T605", "the chat template changes the words of messages: it cannot be told what to train on", "/messages"
)
_SENTENCE_MARKS = {"<s>", "</s>", "<unk>"}


def is_control(token: Mapping[str, Any]) -> bool:
    """Tell whether an added token, as tokenizer files describe it, is a control token.

    Others are words that somebody added to the vocabulary: text that may stand in a message and is encoded with it.
    """
    if token.get("normalized") or token.get("single_word") or not token.get("content"):
        return False
    return bool(token.get("special")) or _BRACKETED.fullmatch(token["content"]) is not None


class Control(msgspec.Struct, frozen=True):
    """A control token. It swallows the white space before it (`lstrip`) and after it (`rstrip`)."""

    text: str
    id: int
    lstrip: bool = False
    rstrip: bool = False


class Mark(msgspec.Struct, frozen=True):
    """A control token in a literal; `closes` is the number of the content whose turn it ends, if any."""

    control: Control
    literal: int  # number of the literal
    offset: int  # in the literal, in code points
    closes: int | None


class Part(msgspec.Struct, frozen=True):
    """A piece of a literal, or a content (`text` is None); `number` is the literal's or the content's."""

    number: int
    text: str | None = None
    offset: int = 0
    closes: int | None = None


class Span(msgspec.Struct, frozen=True):
    """What stands between two control tokens, and whether they swallow the white space beside them."""

    parts: tuple[Part, ...]
    left: bool
    right: bool


class Frame(msgspec.Struct, frozen=True):
    """The control tokens and spans of a conversation, in order; without spans that the tokens beside them swallow."""

    items: tuple[Mark | Span, ...]


class Controls:
    """The control tokens of a vocabulary; `ends` are those that can stand after the last turn and end the text."""

    def __init__(self, controls: Mapping[str, Control], ends: Iterable[str] = ()) -> None:
        self.by_text = {text: control for text, control in controls.items() if text}
        self.ends = frozenset(ends)
        # Leftmost, then longest, as tokenizers finds them.
        words = sorted(self.by_text, key=len, reverse=True)
        self._begin = {word[0] for word in words}
        self._words = Lazy("|".join(map(re.escape, words)) or r"(?!)")
        self.frame = lru_cache(4096)(self._frame)  # few orders of roles, and of literals, make a data set

    def find(self, text: str) -> Iterator[tuple[Control, int, int]]:
        """Yield the control tokens that stand in a text, with start and end in code points."""
        if not any(character in text for character in self._begin):
            return
        for match in self._words.finditer(text):
            yield self.by_text[match[0]], match.start(), match.end()

    def cut(self, text: str) -> Iterator[str | Control]:
        """Yield text and control tokens in turn, beginning and ending with text, which may be empty."""
        at = 0
        for control, start, end in self.find(text):
            yield text[at:start]
            yield control
            at = end
        yield text[at:]

    def segments(self, text: str) -> Iterator[str | Control]:
        """Yield what a tokenizer encodes apart: control tokens, and the texts between them as far as they are left."""
        pieces = list(self.cut(text))
        for number in range(0, len(pieces), 2):
            before = pieces[number - 1] if number else None
            after = pieces[number + 1] if number + 1 < len(pieces) else None
            left = isinstance(before, Control) and before.rstrip
            right = isinstance(after, Control) and after.lstrip
            between = pieces[number]
            assert isinstance(between, str)
            stripped = strip(between, left=left, right=right)
            if stripped:
                yield stripped
            if isinstance(after, Control):
                yield after

    def tail(self, literal: str) -> str:
        """Return the text after the last control token of a literal."""
        return [piece for piece in self.cut(literal) if isinstance(piece, str)][-1]

    def _frame(self, literals: tuple[str, ...], prompt: str = "", within: tuple[int, ...] = ()) -> Frame:
        """Cut literals. `prompt` is the text after the last control token where the model is asked to go on.

        Literals numbered in `within` stand between two contents of one message, and belong to its turn as a whole.
        White space that the template writes before a content is part of that content's turn, unless it is part of the
        prompt: the model has to produce it.
        """
        items: list[Mark | Span] = []
        parts: list[Part] = []
        left = False
        for number, literal in enumerate(literals):
            last, at = number == len(literals) - 1, 0
            pieces = list(self.cut(literal))
            # The content whose turn is still open; without a control token to end it, the turn ends with its words.
            turn = number - 1 if number and (len(pieces) > 1 or number in within) else None
            ending = last and turn is not None  # whether the end of the text can still come
            for piece in pieces:
                if isinstance(piece, str):
                    if piece:
                        parts.append(Part(number, piece, at, turn))
                    at += len(piece)
                    continue
                _close(items, parts, left=left, right=piece.lstrip)
                # The first control token after a content ends its turn; after the last turn comes the end of the text.
                ending = ending and (turn is not None or piece.text in self.ends)
                items.append(Mark(piece, number, at, number - 1 if ending else turn))
                parts, left, turn = [], piece.rstrip, turn if number in within else None
                at += len(piece.text)
            if not last:
                parts = _before_content(parts, number, prompt, left=left)
        _close(items, parts, left=left, right=False)
        return Frame(tuple(items))


def within_messages(messages: tuple[int, ...]) -> tuple[int, ...]:
    """Return the numbers of the literals that stand between two contents of one message."""
    return tuple([number for number in range(1, len(messages)) if messages[number] == messages[number - 1]])


def _before_content(parts: list[Part], number: int, prompt: str, *, left: bool) -> list[Part]:
    """Add a content to the parts of a span; swallowed white space goes, what the model has to produce is its own."""
    content = Part(number, closes=number)
    if left and not strip("".join(part.text or "x" for part in parts), left=True, right=False):
        return [content]
    head = parts[-1] if parts else None
    if head is None or not head.text:
        return [*parts, content]
    given, white = _white_end(prompt), _white_end(head.text)
    own = white.removeprefix(given)  # all of it where the template cannot write a prompt
    if not own:
        return [*parts, content]
    cut = len(head.text) - len(own)
    before = [msgspec.structs.replace(head, text=head.text[:cut])] if cut else []
    return [*parts[:-1], *before, Part(number, own, head.offset + cut, number), content]


def _white_end(text: str) -> str:
    return text[len(text.rstrip(WHITE)) :]


def _close(items: list[Mark | Span], parts: list[Part], *, left: bool, right: bool) -> None:
    literal = all(part.text is not None for part in parts)
    if not literal or strip("".join(part.text or "" for part in parts), left=left, right=right):
        items.append(Span(tuple(parts), left, right))


def strip(text: str, *, left: bool, right: bool) -> str:
    """Strip white space as tokenizers does beside a control token that swallows it."""
    if left:
        text = text.lstrip(WHITE)
    return text.rstrip(WHITE) if right else text


def control_text(conversation: Conversation, controls: Controls) -> Iterator[Finding]:
    """Yield a finding for each spelling of a control token in the words of a message.

    T602 for the old marks of sentences (``<s>``, ``</s>``, ``<unk>``), which are HTML as well, T601 for all others.
    """
    for index, message in enumerate(conversation.messages):
        for control, start, _ in controls.find(message.content or ""):
            yield Finding(
                "T602" if control.text in _SENTENCE_MARKS else "T601",
                f"the text contains the control token {control.text} (id {control.id}) at character {start + 1}",
                pointer("messages", index, "content"),
                character=start + 1,
                length=len(control.text),
            )


@lru_cache(16)
def controls_of(known: VocabularyProfile | None) -> Controls:
    """Return the control tokens that the family's table knows of a model's vocabulary."""
    if known is None:
        return Controls({})
    return Controls(
        {text: Control(text, id_, rstrip=known.swallows(text)) for text, id_ in known.controls.items()},
        {known.end_of_text},
    )
