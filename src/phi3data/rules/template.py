"""T, L and G: what a model's chat template and context make of a row. What one model reads another never sees."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from phi3data.family.template import TemplateError
from phi3data.findings import Finding, pointer
from phi3data.rules.base import GOOD, Rule
from phi3data.tokens.frame import LOOKS_LIKE_CONTROL, NOT_FOLLOWED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3data.chat import Conversation, Message
    from phi3data.family.template import ChatTemplate
    from phi3data.tokens.frame import Controls

_CALL = '{"id":"c1","type":"function","function":{"name":"time","arguments":"{}"}}'
_TOOLS = '"tools":[{"type":"function","function":{"name":"time"}}]'

RULES = (
    Rule(
        "T601",
        "control-token",
        "error",
        "a control token of the model inside the text",
        "Read as the token itself it ends the turn in the middle: the model learns to stop there.",
        GOOD.replace("Hi", "What does <|end|> mean?"),
        GOOD.replace("Hi", "What do <|END|> and <| end |> mean?"),
    ),
    Rule(
        "T602",
        "bos-eos-markup",
        "error",
        "<s>, </s> or <unk> inside the text",
        "For Phi-3 these are control tokens, though they look like HTML: strike-through starts a new text.",
        GOOD.replace("Hi", "<s>old</s> new"),
        GOOD.replace("Hi", "<del>old</del> new"),
    ),
    Rule(
        "T605",
        "template-error",
        "error",
        "the chat template fails on the row",
        "Training stops, or the row is skipped.",
        GOOD.replace('"Hello!"', f'null,"tool_calls":[{_CALL}]'),
        GOOD,
    ),
    Rule(
        "T606",
        "message-lost",
        "error",
        "a message, or a part of it, leaves no trace in the rendered text",
        "The model is trained on a conversation in which this was never said.",
        GOOD.replace('"Hello!"', f'"Let me see.","tool_calls":[{_CALL}]'),
        GOOD,
    ),
    Rule(
        "G906",
        "tools-vanish",
        "error",
        "function definitions that the template does not write",
        "The model is trained to call functions that it has never been told of.",
        GOOD[:-1] + f",{_TOOLS}}}",
        GOOD,
    ),
    Rule(
        "G907",
        "tools-in-wrong-place",
        "error",
        "function definitions where the template does not look for them",
        "Phi-4-mini reads them as text under `tools` of the system message only.",
        GOOD[:-1] + f",{_TOOLS}}}",
        GOOD.replace('[{"role":"user"', '[{"role":"system","content":"Be kind.","tools":"[]"},{"role":"user"'),
        "phi-4-mini-instruct",
    ),
)


def check(conversation: Conversation, template: ChatTemplate, controls: Controls) -> Iterator[Finding]:
    """Yield what the template drops, mangles or cannot render; `tokens.frame.control_text` looks into the words."""
    messages = conversation.messages
    if not conversation.tools and not any(_is_special(message) for message in messages):
        outline = template.outline(tuple([message.role for message in messages]))
        if outline is not None:
            yield from _outlined(outline.literals, outline.messages, outline.lost, controls)
            return
    try:
        rendered = template.render(conversation)
    except TemplateError as error:
        yield error.finding
        return
    if not rendered.followed:
        yield NOT_FOLLOWED
    yield from _outlined(rendered.literals, rendered.messages, rendered.lost, controls)


@lru_cache(4096)
def _outlined(
    literals: tuple[str, ...], messages: tuple[int, ...], lost: tuple[Finding, ...], controls: Controls
) -> tuple[Finding, ...]:
    """Return what is lost, and roles whose header is no control token of the vocabulary."""
    known = controls.by_text
    return lost + tuple(
        Finding("R407", f"the role is written as the plain text {text}: no such control token", _role(index))
        for literal, index in zip(literals, messages, strict=False)
        for text in LOOKS_LIKE_CONTROL.findall(literal)
        if text not in known
    )


def _role(index: int) -> str:
    return pointer("messages", index, "role")


def _is_special(message: Message) -> bool:
    """Whether rendering the message depends on more than its role and words."""
    return bool(message.content is None or message.tools is not None or message.tool_calls or message.function_call)
