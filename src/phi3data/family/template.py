"""Chat templates: how a conversation becomes the text that a model reads.

A rendered conversation is literals and contents in turn: ``literal, content, literal, content, …, literal``. Literals
are what the template writes, contents what people wrote. Everything after this (counting, ids, the loss mask, what is
shown to people) walks that alternation, so nobody has to find a message again inside a text.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Protocol

import msgspec

from phi3data.chat import Conversation, Message
from phi3data.errors import InputError
from phi3data.findings import Finding, pointer

if TYPE_CHECKING:
    from collections.abc import Sequence


class TemplateError(InputError):
    """A conversation that a chat template cannot render; `finding` says where (T605)."""

    def __init__(self, finding: Finding) -> None:
        self.finding = finding
        super().__init__(f"{finding.pointer or 'the row'}: {finding.message}")

    def __reduce__(self) -> tuple[type, tuple[Finding]]:
        return type(self), (self.finding,)


class Rendered(str):
    """The text that a model reads, equal to what `apply_chat_template` of transformers gives, and how it came about.

    ``literals[0] + contents[0] + literals[1] + … + literals[-1]`` is the text; `messages` tells for each content the
    index of its message. `lost` are the messages, or parts of them, that the template drops or mangles without a word.
    `followed` is False where a tokenizer's own template changes people's words so that they cannot be found in what it
    writes: the text is one literal then, and nobody can say what of it to train on.
    """

    literals: tuple[str, ...]
    contents: tuple[str, ...]
    messages: tuple[int, ...]
    lost: tuple[Finding, ...]
    followed: bool

    __slots__ = ("contents", "followed", "literals", "lost", "messages")

    @classmethod
    def of(
        cls, literals: Sequence[str], contents: Sequence[str], messages: Sequence[int], lost: Sequence[Finding] = ()
    ) -> Rendered:
        """Join literals and contents; there is one literal more."""
        text = [literals[0]]
        for content, literal in zip(contents, literals[1:], strict=True):
            text += [content, literal]
        self = cls("".join(text))
        self.literals, self.contents, self.messages = tuple(literals), tuple(contents), tuple(messages)
        self.lost, self.followed = tuple(lost), True
        return self


class ChatTemplate(Protocol):
    """What renders a conversation: a template of the family, or a tokenizer's own."""

    @property
    def name(self) -> str:
        """Its name in the family, or what to call it."""
        ...

    def render(self, conversation: Conversation, *, add_generation_prompt: bool = False) -> Rendered:
        """Render a conversation. Raises `TemplateError` where the template itself would fail."""
        ...

    def outline(self, roles: tuple[str, ...]) -> Rendered | None:
        """Render a conversation of empty messages; None where what is written depends on more than the roles."""
        ...


class Gathers(msgspec.Struct, frozen=True):
    """Messages of one role that a template collects at the start of the row, and what closes the collection."""

    role: str
    before: str
    after: str
    end: str


class Template(msgspec.Struct, frozen=True, kw_only=True):
    """A chat template of the family, as data."""

    name: str
    start: str = ""  # at the start of a row
    end: str = ""  # at its end, where no generation prompt is asked for
    prompt: str = ""  # the generation prompt; where it is missing the template ignores the wish
    turns: dict[str, tuple[str, str]] = {}  # role → what stands before and after the content
    other: tuple[str, str] | None = None  # for every other role, {role} stands for it; else such messages vanish
    skips_empty: tuple[str, ...] = ()  # roles whose messages vanish when they are empty
    gathers: Gathers | None = None
    tools: tuple[str, str] | None = None  # what stands around the text under `tools` of a system message

    def __hash__(self) -> int:
        return hash(self.name)

    def around(self, role: str) -> tuple[str, str] | None:
        """Return what stands before and after a message of this role; None where the template drops it."""
        if role in self.turns or self.other is None:
            return self.turns.get(role)
        return self.other[0].replace("{role}", role), self.other[1].replace("{role}", role)

    def render(self, conversation: Conversation, *, add_generation_prompt: bool = False) -> Rendered:
        """Render a conversation. Raises `TemplateError` where a content is no text."""
        # A template that ignores the wish for a generation prompt writes its end in any case.
        end = self.prompt if add_generation_prompt and self.prompt else self.end
        walk = _Walk(self)
        messages = list(enumerate(conversation.messages))
        if self.gathers is not None:
            for index, message in messages:
                if message.role == self.gathers.role:
                    walk.add(index, message, self.gathers.before, self.gathers.after)
            walk.literal += self.gathers.end
            messages = [(index, message) for index, message in messages if message.role != self.gathers.role]
        for index, message in messages:
            around = self.around(message.role)
            if around is None:
                walk.lose(index, message)
            elif message.content or message.role not in self.skips_empty:
                walk.add(index, message, *around)
        if conversation.tools:
            walk.lost.append(_tools_lost(self))
        return Rendered.of((*walk.literals, walk.literal + end), walk.contents, walk.messages, walk.lost)

    def outline(self, roles: tuple[str, ...]) -> Rendered | None:
        """Render a conversation of empty messages with these roles; None where the literals depend on more than roles.

        Literals, messages and losses are those of every conversation with these roles that has words and nothing else.
        They are found once per order of roles: a data set has few orders and many rows of each.
        """
        if self.skips_empty and set(self.skips_empty) & set(roles):
            return None
        return _outline(self, roles)


@lru_cache(4096)
def _outline(template: Template, roles: tuple[str, ...]) -> Rendered:
    return template.render(Conversation([Message(role, "") for role in roles]))


class _Walk:
    """Gathers literals and contents while a template goes over the messages."""

    def __init__(self, template: Template) -> None:
        self.template = template
        self.literal = template.start  # since the last content
        self.literals: list[str] = []
        self.contents: list[str] = []
        self.messages: list[int] = []
        self.lost: list[Finding] = []
        self.previous: str | None = None  # role; its turn may have written the header of the next

    def add(self, index: int, message: Message, before: str, after: str) -> None:
        self._content(index, message.content, before, "content")
        if self.template.tools is not None and message.role == "system" and message.tools is not None:
            self._content(index, message.tools, self.template.tools[0], "tools")
            self.literal = self.template.tools[1]
        elif message.tools is not None:
            self._lose("G906", "the template has no place for the tools of this message", index, "tools")
        self.literal += after
        calls = "tool_calls" if message.tool_calls else "function_call" if message.function_call else None
        if calls:
            self._lose("T606", "the template leaves no trace of the function calls", index, calls)
        if not before and self.previous in {None, message.role}:
            self._lose("R407", f"the template writes no header before this {message.role} message", index, "role")
        self.previous = message.role

    def lose(self, index: int, message: Message) -> None:
        self._lose("R407", f"the template drops {message.role} messages without a word", index, "role")

    def _lose(self, code: str, message: str, *parts: str | int) -> None:
        self.lost.append(Finding(code, message, pointer("messages", *parts)))

    def _content(self, index: int, text: object, before: str, key: str) -> None:
        if not isinstance(text, str):
            what = "null" if text is None else type(text).__name__
            raise TemplateError(
                Finding("T605", f"the chat template fails: {key} is {what}, no text", pointer("messages", index, key))
            )
        self.literals.append(self.literal + before)
        self.literal = ""
        self.contents.append(text)
        self.messages.append(index)


def _tools_lost(template: Template) -> Finding:
    if template.tools is None:
        return Finding("G906", "the template has no place for tools: the model never sees them", "/tools")
    return Finding(
        "G907", "the template reads tools from the system message only, as text: these are never seen", "/tools"
    )
