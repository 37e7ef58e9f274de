"""A tokenizer's own chat template, run in jinja2's sandbox as transformers runs it.

Where it behaves as a template of the family does, that one is used: it is data, and faster. To tell, both render a
dozen conversations that together show everything in which templates of this family differ.

Where people's words end up in the text is found by rendering a second time with marks around them. A template that
changes the words (other than stripping white space around them) cannot be followed, and says so.
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec
from jinja2 import TemplateError as JinjaError
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from phi3data.chat import Conversation, Message
from phi3data.errors import InputError
from phi3data.family.template import Rendered, Template, TemplateError
from phi3data.findings import Finding, pointer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jinja2.parser import Parser

_MARKS = range(0xF1D00, 0xFFFF0, 2)  # private use: stand around a content while it is looked for
_FAILS = (JinjaError, TypeError, ValueError, KeyError, AttributeError, IndexError, OverflowError, RecursionError)


_CANNOT_FOLLOW = TemplateError(
    Finding(
        "T605", "the chat template changes or repeats the words of messages: they cannot be found in what it writes"
    )
)


class _Generation(Extension):
    """``{% generation %}…{% endgeneration %}``, by which transformers knows what to train on: passed through here."""

    tags = {"generation"}  # noqa: RUF012 (jinja2 declares it so)

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _tojson(value: Any, ensure_ascii: bool = False, indent: int | None = None, **options: Any) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, **options)


def _raise_exception(message: str) -> None:
    raise JinjaError(message)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)  # local time, as transformers gives it


@lru_cache(1)
def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
    )
    environment.filters["tojson"] = _tojson
    environment.globals["raise_exception"] = _raise_exception
    environment.globals["strftime_now"] = _strftime_now
    return environment


class JinjaTemplate:
    """A chat template written in jinja2. `tokens` are the special tokens it may name: bos_token, eos_token, …"""

    def __init__(self, source: str, tokens: Mapping[str, str] | None = None) -> None:
        """Compile it. Raises `InputError` for a template that is no jinja2."""
        self.source, self.tokens = source, dict(tokens or {})
        try:
            self._template = _environment().from_string(source)
        except JinjaError as error:
            raise InputError(f"the chat template is not valid jinja2: {error}") from None

    @property
    def name(self) -> str:
        """What to call it: its own digest."""
        return f"custom {sha256(self.source.encode()).hexdigest()[:12]}"

    def render(self, conversation: Conversation, *, add_generation_prompt: bool = False) -> Rendered:
        """Render a conversation. Raises `TemplateError` where the template fails, or changes the words of a message."""
        text = self._run(conversation.messages, conversation, add_generation_prompt)
        around = _marks(text)
        messages, marked = [], []
        for index, message in enumerate(conversation.messages):
            core = (message.content or "").strip()
            if core:
                before, _, after = (message.content or "").partition(core)
                content = f"{before}{around[0]}{index}{around[0]}{core}{around[1]}{after}"
                messages.append(msgspec.structs.replace(message, content=content))
                marked.append(index)
            else:
                messages.append(message)
        found = self._run(messages, conversation, add_generation_prompt) if marked else text
        rendered = _located(found, text, marked, around)
        if any(message.content != (message.content or "").strip() for message in conversation.messages):
            bare = [
                msgspec.structs.replace(message, content=message.content and message.content.strip())
                for message in conversation.messages
            ]
            if self._run(bare, conversation, add_generation_prompt) != text:  # else the template strips it itself
                rendered = _with_space(rendered, conversation)
        if conversation.tools:
            without = msgspec.structs.replace(conversation, tools=None)
            if self._run(conversation.messages, without, add_generation_prompt) == text:
                rendered.lost += (Finding("G906", "the template has no place for tools: they vanish", "/tools"),)
        return rendered

    def outline(self, roles: tuple[str, ...]) -> None:
        """Return None: what this template writes may depend on anything."""

    def _run(self, messages: Iterable[Message], conversation: Conversation, prompt: bool) -> str:
        try:
            return self._template.render(
                messages=[_plain(message) for message in messages],
                tools=conversation.tools,
                documents=None,
                add_generation_prompt=prompt,
                **self.tokens,
            )
        except _FAILS as error:
            raise TemplateError(Finding("T605", f"the chat template fails: {error}", "/messages")) from None


def _plain(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(message)
    found.setdefault("content", None)
    return found


def _marks(text: str) -> tuple[str, str]:
    """Return two characters that the text does not contain."""
    return next((chr(code), chr(code + 1)) for code in _MARKS if chr(code) not in text and chr(code + 1) not in text)


def _located(marked: str, text: str, expected: list[int], around: tuple[str, str]) -> Rendered:
    """Read literals and contents off the marked text. `expected` are the messages that were marked."""
    literals, contents, messages = [], [], []
    rest = marked
    while True:
        literal, mark, rest = rest.partition(around[0])
        literals.append(literal)
        if not mark:
            break
        index, _, rest = rest.partition(around[0])
        if not index.isdecimal():
            raise _CANNOT_FOLLOW  # the template cut through the marks
        content, _, rest = rest.partition(around[1])
        contents.append(content)
        messages.append(int(index))
    lost = [
        Finding("T606", "the message leaves no trace in what the template writes", pointer("messages", index))
        for index in expected
        if index not in messages
    ]
    rendered = Rendered.of(literals, contents, messages, lost)
    if rendered != text or len(set(messages)) < len(messages):
        raise _CANNOT_FOLLOW
    return rendered


def _with_space(rendered: Rendered, conversation: Conversation) -> Rendered:
    """Give white space around a content back to it, where the template left it in."""
    literals, contents = list(rendered.literals), list(rendered.contents)
    for number, index in enumerate(rendered.messages):
        whole, core = conversation.messages[index].content or "", contents[number]
        if core not in whole:
            continue
        before, _, after = whole.partition(core)
        if before and literals[number].endswith(before):
            literals[number] = literals[number].removesuffix(before)
            contents[number] = before + contents[number]
        if after and literals[number + 1].startswith(after):
            literals[number + 1] = literals[number + 1].removeprefix(after)
            contents[number] += after
    return Rendered.of(literals, contents, rendered.messages, rendered.lost)


def _chat(*turns: tuple[str, str], tools: list[Any] | None = None) -> Conversation:
    return Conversation([Message(role, content) for role, content in turns], tools)


# Together they show every property that a template of the family can have.
_PROBES = (
    _chat(),
    _chat(("system", " Be\tkind. \n"), ("user", "\n Hi \n"), ("assistant", " Hi! "), ("user", "u"), ("assistant", "")),
    _chat(("system", ""), ("user", ""), ("assistant", "")),
    _chat(("user", "1"), ("user", "2"), ("assistant", "3"), ("assistant", "4"), ("system", "5"), ("user", "6")),
    _chat(("assistant", "first"), ("user", "second")),
    _chat(("user", "u"), ("assistant", "a"), ("tool", "t"), ("narrator", "n"), ("Assistant", "A"), ("assistant", "b")),
    _chat(("system", "one"), ("system", "two"), ("user", "<|end|>{{ x }}"), ("assistant", "<think>z</think>w")),
    _chat(("system", "s"), ("user", "u"), ("assistant", "a"), tools=[{"type": "function", "function": {"name": "f"}}]),
    Conversation([Message("system", "s", tools="[]"), Message("user", "u", tools="[]"), Message("assistant", "a")]),
    Conversation([Message("user", "u"), Message("assistant", "a", tool_calls=[{"function": {"name": "f"}}])]),
    Conversation([Message("user", None), Message("assistant", "a")]),
)  # fmt: skip


def recognise(own: JinjaTemplate, known: Iterable[Template]) -> Template | None:
    """Return the first of the known templates that renders every probe as this one does."""
    wanted = _behaviour(own)
    return next((template for template in known if _behaviour(template) == wanted), None)


def _behaviour(template: JinjaTemplate | Template) -> list[str | None]:
    out: list[str | None] = []
    for probe in _PROBES:
        for prompt in (False, True):
            try:
                if isinstance(template, JinjaTemplate):
                    out.append(template._run(probe.messages, probe, prompt))
                else:
                    out.append(str(template.render(probe, add_generation_prompt=prompt)))
            except TemplateError:
                out.append(None)
    return out
