"""A chat template of the family as jinja2: what runtimes read beside a model's weights."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from phi3data.family.template import Template

_ROLE = "message['role']"


def to_jinja(template: Template) -> str:
    """Return jinja2 source that renders every conversation as the template does.

    It needs nothing of the tokenizer (no `bos_token`), and leaves no white space that is not the template's own.
    """
    lines = [_out(template.start)]
    gathers = template.gathers
    if gathers is not None:
        inner = _turn(template, (gathers.before, gathers.after), may_have_tools=gathers.role == "system")
        lines += [f"{{%- for message in messages if {_ROLE} == {_text(gathers.role)} -%}}", *inner, "{%- endfor -%}"]
        lines += [_out(gathers.end)]
    rest = f" if {_ROLE} != {_text(gathers.role)}" if gathers is not None else ""
    lines += [f"{{%- for message in messages{rest} -%}}", *_turns(template), "{%- endfor -%}"]
    if template.prompt:
        lines += ["{%- if add_generation_prompt -%}", _out(template.prompt), "{%- else -%}", _out(template.end)]
        lines += ["{%- endif -%}"]
    else:
        lines += [_out(template.end)]
    return "\n".join(line for line in lines if line) + "\n"


def _turns(template: Template) -> list[str]:
    lines: list[str] = []
    for role, around in template.turns.items():
        some = " and message['content']" if role in template.skips_empty else ""
        lines += [f"{{%- {'elif' if lines else 'if'} {_ROLE} == {_text(role)}{some} -%}}"]
        lines += _turn(template, around, may_have_tools=role == "system")
    if template.other is None:
        return [*lines, "{%- endif -%}"]
    other = _turn(template, template.other, may_have_tools=True)
    return [*lines, "{%- else -%}", *other, "{%- endif -%}"] if lines else other


def _turn(template: Template, around: tuple[str, str], *, may_have_tools: bool) -> list[str]:
    before, after = _parts(around[0]), _parts(around[1])
    if template.tools is None or not may_have_tools:
        return [_joined(*before, "message['content']", *after)]
    opened, closed = template.tools
    return [
        _joined(*before, "message['content']"),
        f"{{%- if {_ROLE} == 'system' and 'tools' in message and message['tools'] is not none -%}}",
        _joined(_text(opened), "message['tools']", _text(closed)),
        "{%- endif -%}",
        *([_joined(*after)] if after else []),
    ]


def _parts(text: str) -> list[str]:
    """Return the expressions that make a text in which {role} stands for the role of the message."""
    texts = [[_text(part)] if part else [] for part in text.split("{role}")]
    return texts[0] + [part for after in texts[1:] for part in (_ROLE, *after)]


def _joined(*parts: str) -> str:
    return f"{{{{- {' + '.join(parts)} -}}}}"


def _out(text: str) -> str:
    return _joined(_text(text)) if text else ""


def _text(text: str) -> str:
    return json.dumps(text)
