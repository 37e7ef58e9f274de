"""A tokenizer's own chat template, run in jinja2's sandbox as transformers runs it.

Where it behaves as a template of the family does (recognise.py), that one is used. Where people's words end up in its
text is found by rendering again with marks around them (follow.py).
"""

from __future__ import annotations

import json
from datetime import datetime
from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from jinja2 import TemplateError as JinjaError
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

from phi3data.errors import InputError
from phi3data.family.calls import with_calls
from phi3data.family.follow import follow
from phi3data.family.plain import plain
from phi3data.family.recognise import recognise
from phi3data.family.template import Rendered, TemplateError
from phi3data.findings import Finding, pointer

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jinja2.parser import Parser

    from phi3data.chat import Conversation
    from phi3data.family.follow import Run

__all__ = ["JinjaTemplate", "recognise"]

# What a template may drop without a word, beside the words themselves.
_FIELDS = {
    "tools": ("G906", "the template has no place for the tools of this message"),
    "tool_calls": ("T606", "the template leaves no trace of the function calls"),
    "function_call": ("T606", "the template leaves no trace of the function calls"),
}


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
        except Exception as error:  # noqa: BLE001 (jinja2's own, or whatever Python makes of its code)
            raise InputError(f"the chat template is not valid jinja2: {_said(error)}") from None

    @property
    def name(self) -> str:
        """What to call it: its own digest."""
        return f"custom {sha256(self.source.encode()).hexdigest()[:12]}"

    @property
    def tree(self) -> nodes.Template:
        """The template as jinja2 reads it."""
        return _environment().parse(self.source)

    def render(self, conversation: Conversation, *, add_generation_prompt: bool = False) -> Rendered:
        """Render a conversation. Raises `TemplateError` where the template fails.

        Where it changes the words of a message, the result is one literal, and not `followed`.
        """
        messages = [plain(message) for message in conversation.messages]
        for index, message in enumerate(messages):
            content = message.get("content", "")
            if not isinstance(content, str | list):
                what = f"the chat template fails: content is {type(content).__name__}, no text"
                raise TemplateError(Finding("T605", what, pointer("messages", index, "content")))

        def run(changed: list[dict[str, Any]], tools: list[Any] | None = conversation.tools) -> str | None:
            try:
                return self._run(changed, tools, add_generation_prompt)
            except TemplateError:
                return None

        text = self._run(messages, conversation.tools, add_generation_prompt)
        rendered = follow(messages, text, run)
        rendered.lost += tuple(_lost(messages, text, run))
        if rendered.followed:
            rendered = with_calls(rendered, messages, run)
        if conversation.tools and run(messages, None) == text:
            rendered.lost += (Finding("G906", "the template has no place for tools: they vanish", "/tools"),)
        return rendered

    def outline(self, roles: tuple[str, ...]) -> None:
        """Return None: what this template writes may depend on anything."""

    def text(self, conversation: Conversation, prompt: bool) -> str:
        """Render a conversation to nothing but its text. Raises `TemplateError`."""
        return self._run([plain(message) for message in conversation.messages], conversation.tools, prompt)

    def _run(self, messages: list[dict[str, Any]], tools: list[Any] | None, prompt: bool) -> str:
        try:
            return self._template.render(
                messages=messages, tools=tools, documents=None, add_generation_prompt=prompt, **self.tokens
            )
        except Exception as error:  # noqa: BLE001 (a template can raise anything, MemoryError too)
            raise TemplateError(Finding("T605", f"the chat template fails: {_said(error)}", "/messages")) from None


def _said(error: Exception) -> str:
    return str(error) or type(error).__name__


def _lost(messages: list[dict[str, Any]], text: str, run: Run) -> Iterator[Finding]:
    """Yield the fields of messages without which the template writes the same."""
    for key, (code, what) in _FIELDS.items():
        having = [index for index, message in enumerate(messages) if message.get(key)]
        if not having:
            continue
        if run([_without(message, key) for message in messages]) != text:
            having = (
                []
                if len(having) == 1
                else [
                    index
                    for index in having
                    if run([*messages[:index], _without(messages[index], key), *messages[index + 1 :]]) == text
                ]
            )
        for index in having:
            yield Finding(code, what, pointer("messages", index, key))


def _without(message: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != key}
