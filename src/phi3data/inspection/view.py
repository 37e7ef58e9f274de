"""A row and everything that there is to show of it: what all renderers read."""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data import family
from phi3data.chat import Conversation
from phi3data.family.template import TemplateError
from phi3data.findings import Finding
from phi3data.inspection.pieces import Piece, cut, marks_of, starts_of, swallowed
from phi3data.inspection.spelling import shown
from phi3data.tokens import count
from phi3data.tokens.encode import (
    ControlText,
    ControlTokenError,
    LossOn,
    encoder,
    supervised_turns,
)
from phi3data.tokens.frame import control_text
from phi3data.tokens.lengths import Lengths

if TYPE_CHECKING:
    from phi3data.chat import Message
    from phi3data.family import ModelProfile
    from phi3data.family.template import Rendered
    from phi3data.inspection.rows import Row
    from phi3data.tokens.encode import Encoded


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """How a row is looked at. `limit` is in tokens."""

    model: str
    tokenizer: count.TokenizerRef
    loss_on: LossOn
    control_text: ControlText
    limit: int


class Turn(msgspec.Struct, kw_only=True):
    """One message. In `pieces` a control token is only spelled; `control_text` says what becomes of it.

    `extras` are its other parts by name, such as function calls, as JSON. `tokens` are those of what the template
    renders of it, None where nothing was counted.
    """

    role: str
    pieces: list[Piece] | None  # None where the content is no text
    extras: dict[str, str]
    supervised: bool
    rendered: bool
    tokens: int | None = None
    spelled: dict[str, dict[str, int]] = {}  # code of the finding → control tokens in its text, and how often
    notes: list[Finding] = []


class Token(msgspec.Struct, frozen=True):
    """One token: `start` and `end` are code points of the rendered text; `completes` as `spelling.shown` says."""

    id: int
    name: str  # as the vocabulary writes it
    shown: str
    completes: str
    start: int
    end: int
    supervised: bool
    control: bool


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of a row, special tokens included. None is what an estimate cannot tell."""

    total: int
    supervised: int
    control: int
    longest: int | None  # index of the longest message, None in a row without any or of empty ones
    over: int  # tokens past the limit
    over_supervised: int | None


class Inspection(msgspec.Struct, kw_only=True):
    """One conversation as the model will see it.

    `problem` is why it cannot be read (no turns then), rendered (no text then) or encoded (no tokens then). `findings`
    are all findings, `notes` those that belong to no message.
    """

    path: str
    number: int
    line: int | None
    sub: int  # from 1, where a raw row holds several conversations; else 0
    format: str
    settings: Settings
    template: str
    several: bool = False  # as in `Row`
    label: str | None = None
    turns: list[Turn] = []
    tools: str | None = None
    rendered: str | None = None
    pieces: list[Piece] = []
    tokens: list[Token] | None = None
    counts: Counts | None = None
    problem: Finding | None = None
    excerpt: str = ""
    cut: int = 0
    notes: list[Finding] = []
    findings: list[Finding] = []

    @property
    def place(self) -> str:
        """FILE:LINE as elsewhere, with the number of the conversation where the row holds several."""
        line = self.number if self.line is None else self.line
        return f"{self.path}:{line}" + (f".{self.sub}" if self.sub else "")

    @property
    def usable(self) -> bool:
        """Whether the row could be read at all."""
        return self.problem is None or bool(self.turns)


class Inspector:
    """Looks at conversations with one tokenizer and one chat template."""

    def __init__(self, settings: Settings, model: ModelProfile) -> None:
        """Load tokenizer and template. Raises `InputError` for a file that cannot be read."""
        self.settings = settings
        ref = settings.tokenizer
        self._encoder = None if ref.estimated else encoder(ref, model)
        self._template = self._encoder.template if self._encoder else count.template_of(ref)
        self._controls = self._encoder.vocabulary.controls if self._encoder else count.controls_for(ref, model)

    def inspect(self, row: Row) -> list[Inspection]:
        """Return what there is to show of a row: one inspection for each conversation in it."""
        if row.finding is not None:
            found = self._new(row)
            found.problem, found.excerpt, found.cut = row.finding, row.excerpt, row.cut
            found.findings = [row.finding]
            return [found]
        several = len(row.conversations) > 1
        return [
            self._conversation(self._new(row, sub if several else 0), conversation)
            for sub, conversation in enumerate(row.conversations, start=1)
        ]

    def _new(self, row: Row, sub: int = 0) -> Inspection:
        return Inspection(
            path=row.path,
            number=row.number,
            line=row.line,
            sub=sub,
            format=row.format,
            settings=self.settings,
            template=self._template.name,
            several=row.several,
        )

    def _conversation(self, found: Inspection, conversation: Conversation) -> Inspection:
        chosen = supervised_turns(conversation, self.settings.loss_on)
        found.label = conversation.label
        found.tools = _json(conversation.tools) if conversation.tools else None
        found.turns = [self._turn(message, index in chosen) for index, message in enumerate(conversation.messages)]
        found.findings = list(control_text(conversation, self._controls))
        try:
            rendered = self._template.render(conversation)
            found.rendered = str(rendered)
            found.findings += rendered.lost
            self._words(found, rendered)
            self._tokens(found, rendered, conversation)
        except (TemplateError, ControlTokenError) as error:
            found.problem = error.finding
            found.findings = [error.finding, *(each for each in found.findings if each != error.finding)]
        for finding in found.findings:
            turn = _turn_of(finding, found.turns)
            if turn is None or finding.code not in turn.spelled:  # these are shown together
                (found.notes if turn is None else turn.notes).append(finding)
        return found

    def _turn(self, message: Message, chosen: bool) -> Turn:
        extras = {
            name: value if isinstance(value, str) else _json(value)
            for name in ("name", "weight", "tools", "tool_calls", "function_call", "tool_call_id")
            if (value := getattr(message, name)) is not None
        }
        if not isinstance(message.content, str):
            return Turn(role=message.role, pieces=None, extras=extras, supervised=chosen, rendered=True)
        spelled: dict[str, dict[str, int]] = {}
        alone = control_text(Conversation([message]), self._controls)
        for (control, _, _), finding in zip(self._controls.find(message.content), alone, strict=True):
            names = spelled.setdefault(finding.code, {})
            names[control.text] = names.get(control.text, 0) + 1
        pieces = [
            Piece("text", part) if isinstance(part, str) else Piece("control", part.text)
            for part in self._controls.cut(message.content)
            if part
        ]
        return Turn(role=message.role, pieces=pieces, extras=extras, supervised=chosen, rendered=True, spelled=spelled)

    def _words(self, found: Inspection, rendered: Rendered) -> None:
        """Fill in what the text alone tells: which messages are in it, and its control tokens."""
        for index, turn in enumerate(found.turns):
            turn.rendered = index in rendered.messages or not rendered.followed
            turn.supervised = turn.supervised and turn.rendered
        found.pieces = cut(rendered, marks_of(rendered, self._controls, self.settings.control_text == "keep"))
        found.findings += swallowed(found.pieces, rendered)

    def _tokens(self, found: Inspection, rendered: Rendered, conversation: Conversation) -> None:
        """Fill in tokens and counts."""
        settings = self.settings
        spelled = next(control_text(conversation, self._controls), None)
        if settings.control_text == "error" and spelled is not None:
            raise ControlTokenError(spelled)
        if self._encoder is None:
            self._estimate(found, rendered, conversation)
            return
        encoded = self._encoder.encode(
            conversation,
            loss_on=settings.loss_on,
            control_text=settings.control_text,
            spans=True,
            rendered=rendered,
        )
        found.tokens = self._cells(rendered, encoded)
        starts = starts_of(rendered)
        sizes = [0] * len(found.turns)
        for token in found.tokens:
            number = bisect_right(starts, (token.start, len(starts))) - 1
            if number >= 0 and token.start < starts[number][0] + len(rendered.contents[number]):
                sizes[rendered.messages[number]] += 1
        _measure(found, sizes)
        past = found.tokens[settings.limit :]
        found.counts = Counts(
            total=len(found.tokens),
            supervised=encoded.supervised,
            control=sum(token.control for token in found.tokens),
            longest=_longest(found.turns),
            over=len(past),
            over_supervised=sum(token.supervised for token in past),
        )

    def _cells(self, rendered: Rendered, encoded: Encoded) -> list[Token]:
        assert self._encoder is not None
        vocabulary = self._encoder.vocabulary
        names = [vocabulary.spelled(id_) for id_ in encoded.ids]
        ids = {control.text: control.id for control in self._controls.by_text.values()}
        cells = zip(encoded.ids, names, encoded.spans, encoded.mask, shown(rendered, encoded.spans, names), strict=True)
        return [
            Token(id_, name, text, completes, start, end, supervised, ids.get(rendered[start:end]) == id_)
            for id_, name, (start, end), supervised, (text, completes) in cells
        ]

    def _estimate(self, found: Inspection, rendered: Rendered, conversation: Conversation) -> None:
        counter = count.load(self.settings.tokenizer)
        lengths = Lengths.for_tokenizer(self.settings.tokenizer, family.model(self.settings.model))
        (length,) = lengths.of([conversation], self.settings.loss_on)
        sizes = [0] * len(found.turns)
        for index, tokens in zip(rendered.messages, counter.count(rendered.contents), strict=True):
            sizes[index] += int(tokens)
        _measure(found, sizes)
        found.counts = Counts(
            total=length.total,
            supervised=length.supervised,
            control=sum(piece.kind == "control" for piece in found.pieces),
            longest=_longest(found.turns),
            over=max(length.total - self.settings.limit, 0),
            over_supervised=None,
        )


def _json(value: Any) -> str:
    return msgspec.json.format(msgspec.json.encode(value), indent=0).decode()  # with spaces, where a line can end


def _turn_of(finding: Finding, turns: list[Turn]) -> Turn | None:
    parts = finding.pointer.split("/")
    if len(parts) < 3 or parts[1] != "messages" or not parts[2].isdigit() or int(parts[2]) >= len(turns):
        return None
    return turns[int(parts[2])]


def _measure(found: Inspection, sizes: list[int]) -> None:
    for turn, size in zip(found.turns, sizes, strict=True):
        turn.tokens = size if turn.rendered else None


def _longest(turns: list[Turn]) -> int | None:
    counted = [index for index, turn in enumerate(turns) if turn.tokens]
    return max(counted, key=lambda index: turns[index].tokens or 0, default=None)
