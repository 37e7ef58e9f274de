"""Conversations to token ids and the loss mask, in one pass: what the model reads, and what it is trained on.

Supervised are the words of the chosen turns, the control token that ends such a turn (``<|end|>``), and the end of text
after the last one: a model that never sees the end of an answer does not learn to stop.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeGuard

import msgspec

from phi3data.chat import Conversation, Message
from phi3data.errors import InputError, UsageError
from phi3data.family.template import TemplateError
from phi3data.findings import Finding
from phi3data.tokens.count import template_of
from phi3data.tokens.frame import NOT_FOLLOWED, Control, Mark, control_text, strip, within_messages
from phi3data.tokens.vocabulary import Vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3data.family import ModelProfile
    from phi3data.family.template import ChatTemplate, Rendered
    from phi3data.tokens.count import TokenizerRef
    from phi3data.tokens.frame import Controls

LossOn = Literal["assistant", "last", "all"]
LOSS_ON: tuple[LossOn, ...] = ("assistant", "last", "all")
ControlText = Literal["escape", "keep", "error"]
CONTROL_TEXT: tuple[ControlText, ...] = ("escape", "keep", "error")


class ControlTokenError(InputError):
    """The spelling of a control token stands in a message, and the caller wants none (T601, T602)."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(
            f"{finding.pointer}: {finding.message}; control_text='escape' reads it as plain text, "
            "'keep' as the control token"
        )

    def __reduce__(self) -> tuple[type, tuple[Finding]]:
        return type(self), (self.finding,)


class Encoded(msgspec.Struct):
    """Token ids and loss mask of one conversation, of one length.

    `mask` is True where the loss is computed. `spans` gives each token's start and end in the rendered text, in code
    points, white space that a control token swallows included; it is empty unless asked for. `lost` says what the
    template dropped, as `Rendered.lost` does.
    """

    ids: list[int]
    mask: list[bool]
    spans: list[tuple[int, int]] = []
    lost: tuple[Finding, ...] = ()

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def supervised(self) -> int:
        """How many tokens the loss is computed on."""
        return sum(self.mask)


class Encoder:
    """Encodes conversations with one tokenizer and one chat template."""

    def __init__(self, vocabulary: Vocabulary, template: ChatTemplate) -> None:
        self.vocabulary, self.template = vocabulary, template
        self._prompt = prompt_tail(template, vocabulary.controls)

    def encode(
        self,
        conversation: Conversation,
        *,
        loss_on: LossOn = "assistant",
        control_text: ControlText = "escape",
        spans: bool = False,
        rendered: Rendered | None = None,
    ) -> Encoded:
        """Encode one conversation.

        `loss_on` says which turns are supervised: every "assistant" turn, the "last" assistant turn, or "all" turns; a
        turn of weight 0 never is. `control_text` says what to do where a message contains the spelling of a control
        token: "escape" reads it as plain text, "keep" as the control token, "error" raises `ControlTokenError`.
        `rendered` spares rendering again.

        Raises `TemplateError` (T605) for a conversation that the template cannot render, and `InputError` (J208) for
        half of a surrogate pair, which no tokenizer can read.
        """
        if rendered is None:
            rendered = self.template.render(conversation)
        if not rendered.followed:
            raise TemplateError(NOT_FOLLOWED)
        _refuse_surrogates(rendered)
        if control_text == "error":
            found = next(self.control_text(conversation), None)
            if found is not None:
                raise ControlTokenError(found)
        chosen = supervised_turns(conversation, loss_on)
        on = [index in chosen for index in rendered.messages]
        walk = _Walk(self.vocabulary, rendered, on, self._prompt, keep=control_text == "keep")
        return walk.encoded(spans=spans)

    def control_text(self, conversation: Conversation) -> Iterator[Finding]:
        """Yield what `control_text` yields for this vocabulary."""
        return control_text(conversation, self.vocabulary.controls)


def prompt_tail(template: ChatTemplate, controls: Controls) -> str:
    """Return the text after the last control token where a template asks the model to go on; "" if it cannot."""
    try:
        asked = template.render(Conversation([Message("user", "x")]), add_generation_prompt=True)
    except TemplateError:
        return ""
    return controls.tail(asked.literals[-1])


def _refuse_surrogates(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"half of a surrogate pair (U+{ord(text[error.start]):04X}) at character {error.start + 1} of the rendered "
            "row cannot be encoded (J208): clean the text first"
        ) from None


class _Text(msgspec.Struct):
    """Text between two control tokens: its pieces, supervised or not, and where it starts in the rendered text."""

    at: int
    left: bool
    pieces: list[tuple[str, bool]] = []
    right: bool = False


class _Token(msgspec.Struct):
    """A control token in its place."""

    control: Control
    at: int
    supervised: bool


class _Walk:
    """Goes over the frame of a rendered conversation: control tokens and the texts between them, then ids."""

    def __init__(
        self, vocabulary: Vocabulary, rendered: Rendered, chosen: list[bool], prompt: str, *, keep: bool
    ) -> None:
        self._keep = keep  # control tokens in contents cut the text too
        self._vocabulary, self._rendered, self._chosen = vocabulary, rendered, chosen
        self._items: list[_Text | _Token] = []
        self._prompt = prompt
        # Where literals and contents start in the rendered text.
        self._literal_at, self._content_at, at = [], [], 0
        for literal, content in zip(rendered.literals, (*rendered.contents, ""), strict=True):
            self._literal_at.append(at)
            self._content_at.append(at + len(literal))
            at += len(literal) + len(content)
        self._cut()

    def _cut(self) -> None:
        within = within_messages(self._rendered.messages)
        for item in self._vocabulary.controls.frame(self._rendered.literals, self._prompt, within).items:
            if isinstance(item, Mark):
                at = self._literal_at[item.literal] + item.offset
                self._items.append(_Token(item.control, at, self._is_chosen(item.closes)))
                continue
            self._items.append(_Text(-1, item.left))
            for part in item.parts:
                if part.text is None:
                    content, at = self._rendered.contents[part.number], self._content_at[part.number]
                    self._content(content, at, supervised=self._chosen[part.number])
                else:
                    self._piece(part.text, self._literal_at[part.number] + part.offset, self._is_chosen(part.closes))
            self._text().right = item.right

    def _is_chosen(self, content: int | None) -> bool:
        return content is not None and self._chosen[content]

    def _text(self) -> _Text:
        last = self._items[-1]
        assert isinstance(last, _Text)
        return last

    def _piece(self, text: str, at: int, supervised: bool) -> None:
        last = self._text()
        last.pieces.append((text, supervised))
        if last.at < 0:
            last.at = at

    def _content(self, content: str, at: int, *, supervised: bool) -> None:
        for piece in self._vocabulary.controls.cut(content) if self._keep else (content,):
            if isinstance(piece, str):
                self._piece(piece, at, supervised)
                at += len(piece)
            else:
                self._text().right = piece.lstrip
                self._items += [_Token(piece, at, supervised), _Text(-1, piece.rstrip)]
                at += len(piece.text)

    def encoded(self, *, spans: bool) -> Encoded:
        """Encode the texts in one call and put everything together."""
        codec = self._vocabulary.codec
        # What starts the row is encoded by itself where the tokenizer treats it in another way.
        apart = codec.apart
        simple = [
            item if not spans and _simple(item) and not (apart and item.at == 0) else None for item in self._items
        ]
        plain = [_stripped(item)[0] for item in simple if item is not None]
        ready = iter(codec.ids(plain))
        out = Encoded([], [], lost=self._rendered.lost)
        for item, plainly in zip(self._items, simple, strict=True):
            if isinstance(item, _Token):
                out.ids.append(item.control.id)
                out.mask.append(item.supervised)
                out.spans.append((item.at, item.at + len(item.control.text)))
            elif plainly is not None:
                ids = next(ready)
                out.ids += ids
                out.mask += [item.pieces[0][1]] * len(ids)
            else:
                text, at = _stripped(item)
                ids, found = codec.spans(text, first=item.at == 0)
                out.ids += ids
                out.mask += _mask(item, at, found)
                out.spans += [(at + start, at + end) for start, end in found]
        if not spans:
            out.spans = []
        return out


def _simple(item: _Text | _Token) -> TypeGuard[_Text]:
    """Whether this is a text that is supervised as a whole or not at all."""
    return isinstance(item, _Text) and len({supervised for _, supervised in item.pieces}) == 1


def _stripped(item: _Text) -> tuple[str, int]:
    """Return the text without the white space that the control tokens beside it swallow, and where it starts."""
    text = "".join(piece for piece, _ in item.pieces)
    kept = strip(text, left=item.left, right=False)
    return strip(kept, left=False, right=item.right), item.at + len(text) - len(kept)


def _mask(item: _Text, at: int, spans: list[tuple[int, int]]) -> list[bool]:
    """A token is supervised if it starts in a supervised piece: one that starts before cannot be asked of the model."""
    chosen: list[bool] = []
    for piece, supervised in item.pieces:
        chosen += [supervised] * len(piece)
    shift = at - item.at
    return [chosen[min(start + shift, len(chosen) - 1)] for start, _ in spans]


def supervised_turns(conversation: Conversation, loss_on: LossOn) -> frozenset[int]:
    """Return the indices of the messages that the loss is computed on; a message of weight 0 never is one."""
    messages = conversation.messages
    chosen = [index for index, message in enumerate(messages) if loss_on == "all" or message.role == "assistant"]
    if loss_on == "last":
        chosen = chosen[-1:]
    return frozenset(index for index in chosen if messages[index].weight != 0)


def encoder(ref: TokenizerRef, model: ModelProfile) -> Encoder:
    """Return the encoder for a tokenizer that was found. Raises `UsageError` where there is none, only estimates."""
    if ref.estimated:
        raise UsageError(
            f"the tokenizer of {model.hub} is not on this machine: give its directory with --tokenizer DIR "
            "(tokenizer.json or *.tiktoken, and tokenizer_config.json), or allow the download with --online"
        )
    return Encoder(Vocabulary(Path(ref.path), model.vocabulary), template_of(ref))
