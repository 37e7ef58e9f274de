"""Whether a tokenizer's own chat template is one of the family's: that one is data, and faster.

Both render a dozen conversations that together show everything in which templates of the family differ. And the source
may only read and compare what these conversations show: who looks at anything else may do anything with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jinja2 import nodes
from jinja2.meta import find_undeclared_variables

from phi3data.chat import Conversation, Message
from phi3data.family.template import TemplateError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from phi3data.family.jinja import JinjaTemplate
    from phi3data.family.template import Template


def _chat(*turns: tuple[str, str], tools: list[Any] | None = None) -> Conversation:
    return Conversation([Message(role, content) for role, content in turns], tools)


_CALL = [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
_TOOLS = [{"type": "function", "function": {"name": "f"}}]
_LONG = "<b>word</b> https://example.org & more; " * 300

# Together they show every property that a template of the family can have.
_PROBES = (
    _chat(),
    _chat(("system", " Be\tkind. \n"), ("user", "\n Hi \n"), ("assistant", " Hi! "), ("user", "u"), ("assistant", "")),
    _chat(("system", ""), ("user", ""), ("assistant", "")),
    _chat(("user", "1"), ("user", "2"), ("assistant", "3"), ("assistant", "4"), ("system", "5"), ("user", "6")),
    _chat(("assistant", "first"), ("user", "second")),
    _chat(("user", "u"), ("assistant", "a"), ("tool", "t"), ("narrator", "n"), ("Assistant", "A"), ("assistant", "b")),
    _chat(("system", "one"), ("system", "two"), ("user", "<|end|>{{ x }}"), ("assistant", "<think>z</think>w")),
    _chat(("user", "u"), ("assistant", "<think>z</think>w"), ("user", "v"), ("assistant", "<think>\ny\n</think>\n\nx")),
    _chat(("system", "s"), ("user", "u"), ("assistant", "a"), tools=_TOOLS),
    _chat(("user", "u"), ("assistant", "a"), tools=_TOOLS),
    _chat(*(("user", "\nq\r\n"), ("assistant", " a ")) * 12),
    _chat(("system", _LONG), ("user", _LONG), ("assistant", _LONG), ("user", "u"), ("assistant", "a")),
    _chat(*((role, role) for role in ("developer", "function", "ipython", "tool_response", "observation", "model"))),
    Conversation([Message("system", "s", tools="[]"), Message("user", "u", tools="[]"), Message("assistant", "a")]),
    Conversation([Message("user", "u"), Message("assistant", "a", tool_calls=[{"function": {"name": "f"}}])]),
    Conversation(
        [
            Message("user", "u", name="Ann"),
            Message("assistant", "a", tool_calls=_CALL, weight=0),
            Message("tool", "t", tool_call_id="1", name="f"),
            Message("assistant", "b", function_call={"name": "f", "arguments": "{}"}),
            Message("function", "g", name="f"),
            Message("assistant", "c"),
        ]
    ),
    Conversation([Message("user", None), Message("assistant", "a")]),
    Conversation([Message("user", "u"), Message("assistant", None)]),
    Conversation([Message("user", "u"), Message("assistant", None, tool_calls=_CALL)]),
    Conversation([Message("user", "u"), Message("assistant", "a"), Message("tool", None)]),
)  # fmt: skip

_READS = {"messages", "add_generation_prompt", "bos_token", "eos_token"}
_KEYS = {"role", "content", "tools", "first", "last", "index0", "index", "strip"}  # of messages, of loop, of text
_COMPARED = {"system", "user", "assistant", "tool", "", "role", "content", "tools"}
_CALLS = {"trim", "length", "defined", "undefined", "none", "string", "in", "eq", "ne"}
_NODES = (
    nodes.Template, nodes.Output, nodes.TemplateData, nodes.For, nodes.If, nodes.CondExpr, nodes.Name, nodes.NSRef,
    nodes.Getattr, nodes.Getitem, nodes.Slice, nodes.Compare, nodes.Operand, nodes.Const, nodes.And, nodes.Or,
    nodes.Not, nodes.Add, nodes.Sub, nodes.Concat, nodes.Filter, nodes.Test, nodes.Call, nodes.Assign, nodes.List,
    nodes.Tuple, nodes.Neg,
)  # fmt: skip
_FEW = range(3)  # a template that counts further may treat long rows in another way than the probes


def recognise(own: JinjaTemplate, known: Iterable[Template]) -> Template | None:
    """Return the first of the known templates that renders every probe as this one does."""
    if not _is_plain(own.tree):
        return None
    wanted = _behaviour(own.text)
    return next((template for template in known if _behaviour(_text(template)) == wanted), None)


def _text(template: Template) -> Callable[[Conversation, bool], str]:
    return lambda conversation, prompt: str(template.render(conversation, add_generation_prompt=prompt))


def _behaviour(render: Callable[[Conversation, bool], str]) -> list[str | None]:
    out: list[str | None] = []
    for probe in _PROBES:
        for prompt in (False, True):
            try:
                out.append(render(probe, prompt))
            except TemplateError:
                out.append(None)
    return out


def _is_plain(tree: nodes.Template) -> bool:
    """Whether a template looks at nothing but what the probes show."""
    written = {id(const) for output in tree.find_all(nodes.Output) for const in _written(output)}
    plain = all(_is_known(node, written=id(node) in written) for node in tree.find_all(nodes.Node))
    return plain and find_undeclared_variables(tree) <= _READS  # which folds the tree's constants: it comes last


def _written(node: nodes.Node) -> Iterable[nodes.Node]:
    """Yield the constants that come out as they are, so that the probes show them."""
    if isinstance(node, nodes.Const):
        yield node
    elif isinstance(node, nodes.Output | nodes.Add | nodes.Concat):
        for child in node.iter_child_nodes():
            yield from _written(child)
    elif isinstance(node, nodes.CondExpr):
        for branch in (node.expr1, node.expr2):
            if branch is not None:
                yield from _written(branch)


def _is_known(node: nodes.Node, *, written: bool) -> bool:
    if isinstance(node, nodes.Const):
        value = node.value
        if isinstance(value, bool | None) or written:
            return True
        return value in _COMPARED if isinstance(value, str) else value in _FEW
    if isinstance(node, nodes.Getattr):
        return node.attr in _KEYS
    if isinstance(node, nodes.Filter | nodes.Test):
        return node.name in _CALLS
    return isinstance(node, _NODES)
