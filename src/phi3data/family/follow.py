"""Where people's words end up in what a foreign template writes: it runs again with marks around them.

Marks stand around the whole of a message. Where that changes the text, the template strips white space or looks at
the words, and each message is tried by itself: without the white space around it, without a tag around it, and from
the end of its thinking on. A message that none of this finds is not followed.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.family.template import Rendered
from phi3data.findings import Finding, pointer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Plain = list[dict[str, Any]]
    Run = Callable[[Plain], str | None]

_MARKS = range(0xF1D00, 0xFFFF0, 2)  # private use: stand around words while these are looked for
_TAGGED = re.compile(r"(<[^<>\s]+>).*(</[^<>\s]+>)", re.DOTALL)
_THOUGHT = re.compile(r".*</think>(\s*)", re.DOTALL)


class Words(msgspec.Struct, frozen=True):
    """A text that a message holds: its content, one part of a content that is a list, or its thinking."""

    message: int
    part: int | None
    text: str
    key: str = "content"


def words_of(messages: Plain) -> Iterator[Words]:
    """Yield the texts of messages; the content of a message that has none is the empty text."""
    for index, message in enumerate(messages):
        if isinstance(thinking := message.get("reasoning_content"), str):
            yield Words(index, None, thinking, "reasoning_content")
        content = message.get("content", "")
        if isinstance(content, str):
            yield Words(index, None, content)
            continue
        for number, part in enumerate(content):
            if isinstance(part, dict) and isinstance(part.get("text"), str):
                yield Words(index, number, part["text"])


def follow(messages: Plain, text: str, run: Run) -> Rendered:
    """Return the text as literals and contents. `run` renders messages; it returns None where the template fails."""
    return _Search(messages, text, run).rendered()


class _Search:
    def __init__(self, messages: Plain, text: str, run: Run) -> None:
        self.messages, self.text, self.run = messages, text, run
        self.words = list(words_of(messages))
        seen = set(text).union(*(words.text for words in self.words))
        self.open, self.close = next(
            (chr(code), chr(code + 1)) for code in _MARKS if not {chr(code), chr(code + 1)} & seen
        )

    def rendered(self) -> Rendered:
        whole = {number: (0, len(words.text)) for number, words in enumerate(self.words)}
        return self._attempt(whole) or self._stripped() or self._one_by_one() or self._unfollowed()

    def _unfollowed(self) -> Rendered:
        rendered = Rendered.of((self.text,), (), ())
        rendered.followed = False
        return rendered

    def _stripped(self) -> Rendered | None:
        """Try the template that strips all messages."""
        bare = self.messages
        for words in self.words:
            if words.text != words.text.strip():
                bare = _put(bare, words, words.text.strip())
        if bare is self.messages or self.run(bare) != self.text:
            return None
        return self._attempt({number: _core(words.text) for number, words in enumerate(self.words)})

    def _one_by_one(self) -> Rendered | None:
        cuts = {}
        for number, words in enumerate(self.words):
            cut = next((cut for cut in _cuts(words.text) if self._attempt({number: cut}) is not None), None)
            if cut is not None:
                cuts[number] = cut
            elif words.text.strip():
                return None
        return self._attempt(cuts)

    def _attempt(self, cuts: dict[int, tuple[int, int]]) -> Rendered | None:
        """Mark these parts of the words; None if that changes the text, or tells nothing."""
        messages = self.messages
        for number, (start, end) in cuts.items():
            words, text = self.words[number], self.words[number].text
            marked = f"{text[:start]}{self.open}{number}{self.open}{text[start:end]}{self.close}{text[end:]}"
            messages = _put(messages, words, marked)
        found = self._read(self.run(messages))
        if found is None:
            return None
        literals, contents, numbers = found
        lost = [
            _lost("the message leaves no trace in what the template writes", self.words[number])
            for number in cuts
            if number not in numbers and self.words[number].text.strip()
        ]
        for place, number in enumerate(numbers):
            text, (start, end) = self.words[number].text, cuts[number]
            before, after = text[:start], text[end:]
            if not before.strip() and not after.strip():
                continue  # white space that the template strips
            if literals[place].endswith(before) and literals[place + 1].startswith(after):
                literals[place] = literals[place].removesuffix(before)
                literals[place + 1] = literals[place + 1].removeprefix(after)
                contents[place] = text
            elif self.run(_put(self.messages, self.words[number], text[start:])) == self.text:
                lost.append(
                    _lost("the template leaves the thinking of this message out", self.words[number], "content")
                )
            else:
                return None
        return Rendered.of(literals, contents, [self.words[number].message for number in numbers], lost)

    def _read(self, marked: str | None) -> tuple[list[str], list[str], list[int]] | None:
        """Read literals, contents and the numbers of these off a marked text; None if it is another text."""
        if marked is None:
            return None
        literals, contents, numbers, rest = [], [], [], marked
        while True:
            literal, mark, rest = rest.partition(self.open)
            literals.append(literal)
            if not mark:
                break
            number, _, rest = rest.partition(self.open)
            content, closed, rest = rest.partition(self.close)
            if not closed or not number.isdecimal() or self.open in content or int(number) in numbers:
                return None  # cut through, or written twice
            contents.append(content)
            numbers.append(int(number))
        text = "".join(part for pair in zip(literals, (*contents, ""), strict=True) for part in pair)
        return (literals, contents, numbers) if text == self.text else None


def _lost(what: str, words: Words, *more: str) -> Finding:
    if words.key != "content":
        what, more = "the template has no place for the thinking of this message", (words.key,)
    return Finding("T606", what, pointer("messages", words.message, *more))


def _core(text: str) -> tuple[int, int]:
    """Return where a text starts and ends without the white space around it."""
    start = len(text) - len(text.lstrip())
    return start, max(start, len(text.rstrip()))


def _cuts(text: str) -> list[tuple[int, int]]:
    """Return the parts of a text that may be written as they are, the best first."""
    start, end = _core(text)
    cuts = [(0, len(text)), (0, end), (start, len(text)), (start, end)]
    if tagged := _TAGGED.fullmatch(text):
        cuts.append((tagged.end(1), tagged.start(2)))
    if thought := _THOUGHT.match(text):
        cuts += [(at, stop) for at in (thought.start(1), thought.end(1)) for stop in (len(text), max(at, end))]
    return [cut for cut in dict.fromkeys(cuts) if cut[0] <= cut[1]]


def _put(messages: Plain, words: Words, text: str) -> Plain:
    """Return the messages with another text in the place of these words."""
    out = list(messages)
    content: Any = text
    if words.part is not None:
        content = list(out[words.message]["content"])
        content[words.part] = {**content[words.part], "text": text}
    out[words.message] = {**out[words.message], words.key: content}
    if words.key != "content":
        out[words.message]["thinking"] = content  # its other name
    return out
