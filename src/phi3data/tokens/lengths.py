"""Tokens of conversations, and which of them are supervised, without making ids: equal to what `encode` would give.

What a template writes is counted once per order of roles. Of a conversation only the words are counted, all words of a
batch in one call of the counter.
"""

from __future__ import annotations

from contextlib import suppress
from functools import lru_cache
from itertools import groupby
from typing import TYPE_CHECKING

import msgspec

from phi3data.chat import Conversation, Message
from phi3data.family.template import TemplateError
from phi3data.tokens import count
from phi3data.tokens.encode import encoder, prompt_tail, supervised_turns
from phi3data.tokens.frame import Mark, Part, Span, strip, within_messages

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from phi3data.family import ModelProfile
    from phi3data.family.template import ChatTemplate
    from phi3data.tokens.encode import Encoder, LossOn
    from phi3data.tokens.frame import Controls


class Length(msgspec.Struct, frozen=True):
    """A row in tokens, special tokens included; `spans` are its supervised positions: (start, end), ascending."""

    total: int
    spans: tuple[tuple[int, int], ...]

    @property
    def supervised(self) -> int:
        """How many tokens the loss is computed on."""
        return sum([end - start for start, end in self.spans])


class _Piece(msgspec.Struct, frozen=True):
    """What stands in a row: text with contents, to be counted, or else tokens that are the same in every row."""

    tokens: int  # where there is no `span`; else those that start before its first content
    contents: tuple[int, ...]  # whose words these are, or whose turn they end; none: never supervised
    span: Span | None = None
    whole: bool = True  # whether nothing else stands in it behind its first content


class _Step(msgspec.Struct, frozen=True):
    """A piece, or several fixed ones that are alike, of a row of which it is known what is supervised."""

    tokens: int
    share: float  # of it that is supervised, 0 to 1; between them only where turns share a text
    span: Span | None = None


_REMEMBERED = 4096  # plans; few orders of roles make a data set
_MOST = 0.99  # the share of a text in which something stands that is never supervised
_Slot = tuple[int, bool, bool]  # a message whose content is counted, and whether white space is stripped beside it


class Lengths:
    """Counts the tokens of conversations for one tokenizer and one chat template.

    `encoder` is asked about the rare row in which supervised and other words share a text between control tokens, as
    templates without control tokens make them; without it, what is supervised of such a text is taken to be its end.
    """

    def __init__(
        self, counter: count.Counter, template: ChatTemplate, controls: Controls, encoder: Encoder | None = None
    ) -> None:
        self._counter, self._template, self._controls, self._encoder = counter, template, controls, encoder
        self._prompt = prompt_tail(template, controls)
        self._pieces: dict[tuple[tuple[str, ...], tuple[int, ...]], tuple[_Piece, ...]] = {}
        self._steps: dict[tuple[tuple[str, ...], tuple[bool, ...]], tuple[_Step, ...]] = {}
        self._plain: dict[tuple[tuple[str, ...], LossOn], tuple[tuple[_Step, ...], tuple[_Slot, ...]] | None] = {}

    def of(self, conversations: Iterable[Conversation], loss_on: LossOn = "assistant") -> list[Length]:
        """Count, in one call of the counter.

        A message whose content is missing beside function calls, which no template of the family can render, counts as
        the JSON text of its calls.
        """
        texts: list[str] = []
        plans: list[tuple[Conversation, tuple[_Step, ...]]] = []
        for conversation in conversations:
            turns = conversation.messages
            plain = None
            if not [message for message in turns if message.weight is not None or message.tools is not None]:
                roles = tuple([message.role for message in turns]), loss_on
                plain = self._plain[roles] if roles in self._plain else self._outline(*roles)
            if plain is not None:
                steps, slots = plain
                for index, left, right in slots:
                    text = turns[index].content or _text(turns[index])
                    texts.append(strip(text, left=left, right=right) if left or right else text)
            else:
                literals, contents, messages = self._place(conversation)
                chosen = supervised_turns(conversation, loss_on)
                key = literals, tuple([index in chosen for index in messages])
                if len(self._steps) > _REMEMBERED:  # a template of somebody's own may write other literals every time
                    self._steps.clear()
                    self._pieces.clear()
                steps = self._steps.get(key) or self._plan(*key, within_messages(messages))
                texts += [_joined(step.span, contents) for step in steps if step.span is not None]
            plans.append((conversation, steps))
        counts = iter(self._counter.count(texts, controls=False))
        return [self._length(conversation, steps, counts, loss_on) for conversation, steps in plans]

    def _outline(self, roles: tuple[str, ...], loss_on: LossOn) -> tuple[tuple[_Step, ...], tuple[_Slot, ...]] | None:
        """Plan once for all plain conversations with these roles: no weights, each content alone between controls."""
        outline, found = self._template.outline(roles), None
        if outline is not None:
            chosen = supervised_turns(Conversation([Message(role, "") for role in roles]), loss_on)
            on = tuple([index in chosen for index in outline.messages])
            steps = self._plan(outline.literals, on, within_messages(outline.messages))
            spans = [step.span for step in steps if step.span is not None]
            if all(len(span.parts) == 1 for span in spans):
                found = (
                    steps,
                    tuple([(outline.messages[each.parts[0].number], each.left, each.right) for each in spans]),
                )
        self._plain[roles, loss_on] = found
        return found

    @classmethod
    @lru_cache(4)
    def for_tokenizer(cls, ref: count.TokenizerRef, model: ModelProfile) -> Lengths:
        """Return the one that counts with this tokenizer, made once in a process: it takes a tenth of a second."""
        if ref.estimated:
            return cls(count.load(ref), count.template_of(ref), count.controls_for(ref, model))
        one = encoder(ref, model)
        return cls(count.load(ref), one.template, one.vocabulary.controls, one)

    def _length(
        self, conversation: Conversation, steps: tuple[_Step, ...], counts: Iterator[int], loss_on: LossOn
    ) -> Length:
        spans: list[tuple[int, int]] = []
        at, mixed = 0, False
        for step in steps:
            start = at
            if step.span is None:
                at += step.tokens
            else:
                at += int(next(counts))
                if step.share == 1:
                    start = min(start + step.tokens, at)
                elif step.share:
                    mixed = True
                    start = at - round((at - start) * step.share)
            if step.share and start < at:
                if spans and spans[-1][1] == start:
                    start = spans.pop()[0]
                spans.append((start, at))
        if mixed and self._encoder is not None:
            with suppress(TemplateError):  # what no template can render has no mask
                return Length(at, runs(self._encoder.encode(conversation, loss_on=loss_on).mask))
        return Length(at, tuple(spans))

    def _place(self, conversation: Conversation) -> tuple[tuple[str, ...], list[str], tuple[int, ...]]:
        """Return literals, contents and rendered messages."""
        turns = conversation.messages
        if not any(message.tools is not None for message in turns):
            outline = self._template.outline(tuple([message.role for message in turns]))
            if outline is not None:
                return outline.literals, [_text(turns[index]) for index in outline.messages], outline.messages
        try:
            rendered = self._template.render(conversation)
        except TemplateError:
            whole = [msgspec.structs.replace(message, content=_text(message), tools=None) for message in turns]
            try:
                rendered = self._template.render(msgspec.structs.replace(conversation, messages=whole))
            except TemplateError:  # a template of the user's own that fails on this row: count the words
                return ("",) * (len(turns) + 1), [_text(message) for message in turns], tuple(range(len(turns)))
        return rendered.literals, list(rendered.contents), rendered.messages

    def _plan(self, literals: tuple[str, ...], chosen: tuple[bool, ...], within: tuple[int, ...]) -> tuple[_Step, ...]:
        pieces = self._pieces.get((literals, within)) or self._cut(literals, within)
        steps: list[_Step] = []
        for piece in pieces:
            on = [chosen[number] for number in piece.contents]
            share = sum(on) / len(on) if on else 0
            step = _Step(piece.tokens, share if piece.whole else min(share, _MOST), piece.span)
            if piece.span is None and steps and steps[-1].span is None and steps[-1].share == step.share:
                step = _Step(steps.pop().tokens + step.tokens, step.share)
            steps.append(step)
        self._steps[literals, chosen] = found = tuple(steps)
        return found

    def _cut(self, literals: tuple[str, ...], within: tuple[int, ...]) -> tuple[_Piece, ...]:
        pieces: list[_Piece] = []
        for item in self._controls.frame(literals, self._prompt, within).items:
            if isinstance(item, Mark):
                pieces.append(_Piece(1, () if item.closes is None else (item.closes,)))
                continue
            contents = tuple(part.number for part in item.parts if part.text is None)
            head = [
                part for part in item.parts if not contents or part.number < contents[0] or _is_head(part, contents)
            ]
            text = "".join(part.text or "" for part in head)
            tokens = self._count(strip(text, left=item.left, right=item.right and not contents))
            whole = all(part.closes == contents[0] for part in item.parts[len(head) :]) if contents else True
            pieces.append(_Piece(tokens, contents, item if contents else None, whole))
        self._pieces[literals, within] = found = tuple(pieces)
        return found

    def _count(self, text: str) -> int:
        return int(self._counter.count([text], controls=False)[0]) if text else 0


def _is_head(part: Part, contents: tuple[int, ...]) -> bool:
    return part.number == contents[0] and part.text is not None and part.closes != contents[0]


def _joined(span: Span, contents: list[str]) -> str:
    text = "".join([contents[part.number] if part.text is None else part.text for part in span.parts])
    return strip(text, left=span.left, right=span.right)


def _text(message: Message) -> str:
    if message.content is None and (message.tool_calls or message.function_call):
        return msgspec.json.encode(message.tool_calls or message.function_call).decode()
    return message.content if isinstance(message.content, str) else ""


def runs(mask: Iterable[bool]) -> tuple[tuple[int, int], ...]:
    """Return the (start, end) of each run of True."""
    spans, at = [], 0
    for on, group in groupby(mask):
        end = at + len(list(group))
        if on:
            spans.append((at, end))
        at = end
    return tuple(spans)
