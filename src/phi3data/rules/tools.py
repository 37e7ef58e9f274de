"""G: function definitions and calls, on the decoded row as it stands in the file.

`shape` is what a JSON Schema can say (the same as ``chat.schema.json``); what is beyond one, `rules.references`.
Neither asks for a row that is right elsewhere: what is no list or object is passed over, as the S rules report it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phi3data.findings import Finding
from phi3data.rules import references
from phi3data.rules.base import GOOD, Rule
from phi3data.rules.schema import kind
from phi3data.text.lazy import Lazy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_FUNCTION = '{"name":"time","parameters":{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}}'
_CALL = '{"id":"c1","type":"function","function":{"name":"time","arguments":"{\\"city\\":\\"Oslo\\"}"}}'
_RESULT = '{"role":"tool","tool_call_id":"c1","content":"14:05"}'
EXAMPLE = (
    f'{{"messages":[{{"role":"user","content":"What time is it in Oslo?"}},'
    f'{{"role":"assistant","content":null,"tool_calls":[{_CALL}]}},{_RESULT},'
    '{"role":"assistant","content":"Five past two."}],'
    f'"tools":[{{"type":"function","function":{_FUNCTION}}}]}}'
)

RULES = (
    Rule(
        "G901",
        "bad-tools",
        "error",
        "functions or calls that are no list of functions",
        "The row cannot be rendered, and services refuse the file.",
        EXAMPLE.replace('"name":"time","parameters"', '"parameters"'),
        GOOD,
    ),
    Rule(
        "G902",
        "unknown-function",
        "error",
        "a call of a function that the row does not define",
        "The model learns to call functions that it was never offered.",
        EXAMPLE.replace('"function":{"name":"time","arg', '"function":{"name":"clock","arg'),
        GOOD,
    ),
    Rule(
        "G903",
        "bad-arguments",
        "error",
        "arguments that are no JSON text",
        "The model learns to write calls that nobody can parse.",
        EXAMPLE.replace('"{\\"city\\":\\"Oslo\\"}"', "\"{'city': 'Oslo'}\""),
        GOOD,
    ),
    Rule(
        "G904",
        "arguments-violate-schema",
        "warning",
        "arguments that the function's schema does not allow",
        "The model learns to call the function in a way that fails.",
        EXAMPLE.replace('\\"Oslo\\"', "7"),
        GOOD,
    ),
    Rule(
        "G905",
        "call-result-mismatch",
        "error",
        "a call without a result, or a result without a call",
        "Services refuse the row, and the model learns to answer without waiting for the result.",
        EXAMPLE.replace('"tool_call_id":"c1"', '"tool_call_id":"c2"'),
        GOOD,
    ),
    Rule(
        "G908",
        "legacy-functions",
        "warning",
        "functions and function_call, the older spelling",
        "Templates read tools and tool_calls only: the functions and calls are lost.",
        GOOD[:-1] + f',"functions":[{_FUNCTION}]}}',
        GOOD,
    ),
)

_NAME = Lazy(r"[A-Za-z0-9_-]{1,64}")
_KEYS = {"tool_calls", "tool_call_id", "function_call", "tools"}


def check(row: dict[str, Any]) -> Iterator[Finding]:
    """Yield every problem of a row's functions and calls."""
    if concerns(row):
        yield from shape(row)
        yield from references.check(row)


def concerns(row: dict[str, Any]) -> bool:
    """Tell whether a row has anything that the rules of this module look at."""
    return (
        "tools" in row
        or "functions" in row
        or any(message.keys() & _KEYS or message.get("role") == "tool" for _, message in references.messages(row))
    )


def shape(row: dict[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong with the shapes of definitions, calls and ids (G901, G902, G903, G905)."""
    yield from _each(row.get("tools"), "/tools", "function definitions", _tool)
    yield from _each(row.get("functions"), "/functions", "function definitions", _function)
    for at, message in references.messages(row):
        yield from _each(message.get("tool_calls"), f"{at}/tool_calls", "calls", _call)
        if message.get("function_call") is not None:
            yield from _called(message["function_call"], f"{at}/function_call")
        if not isinstance(message.get("tool_call_id"), str | None):
            problem = f"the id of the call is {kind(message['tool_call_id'])}, expected text"
            yield Finding("G905", problem, f"{at}/tool_call_id")
        if not isinstance(message.get("tools"), str | None):
            problem = f"the function definitions of a message are {kind(message['tools'])}, expected JSON text"
            yield Finding("G901", problem, f"{at}/tools")


def _each(value: Any, at: str, what: str, one: Callable[[Any, str], Iterator[Finding]]) -> Iterator[Finding]:
    if value is None:
        return
    if not isinstance(value, list) or not value:
        found = "an empty list: leave the key out" if value == [] else kind(value)
        remedy = ": parse the JSON text" if isinstance(value, str) and value.lstrip().startswith("[") else ""
        yield Finding("G901", f"expected a list of {what}, found {found}{remedy}", at)
        return
    for index, item in enumerate(value):
        yield from one(item, f"{at}/{index}")


def _tool(tool: Any, at: str) -> Iterator[Finding]:
    if not isinstance(tool, dict):
        yield Finding("G901", f"expected a function definition, found {kind(tool)}", at)
    elif "function" not in tool and "name" in tool:
        yield Finding("G901", 'a bare function: wrap it as {"type": "function", "function": {…}}', at)
    else:
        yield from _type(tool, at)
        if isinstance(tool.get("function"), dict):
            yield from _function(tool["function"], f"{at}/function", at)
        else:
            yield Finding("G901", "the tool has no 'function' object", at)


def _type(value: dict[str, Any], at: str) -> Iterator[Finding]:
    if value.get("type") != "function":
        where, what = (f"{at}/type", "is another than") if "type" in value else (at, "is missing, expected")
        yield Finding("G901", f"the type {what} 'function'", where)


def _function(function: Any, at: str, tool: str | None = None) -> Iterator[Finding]:
    if not isinstance(function, dict):
        yield Finding("G901", f"expected a function definition, found {kind(function)}", at)
        return
    if "name" not in function:
        yield Finding("G901", "the function has no 'name'", tool or at)
    else:
        yield from _name(function["name"], f"{at}/name")
    if not isinstance(function.get("description"), str | None):
        yield Finding("G901", f"the description is {kind(function['description'])}", f"{at}/description")
    if not isinstance(function.get("parameters"), dict | None):
        problem = f"the parameters are {kind(function['parameters'])}, expected a JSON Schema object"
        yield Finding("G901", problem, f"{at}/parameters")


def _name(name: Any, at: str) -> Iterator[Finding]:
    if not isinstance(name, str):
        yield Finding("G902", f"the name of the function is {kind(name)}, expected text", at)
    elif not _NAME.fullmatch(name):
        problem = f"{name[:40]!r} is no name of a function: 1 to 64 of A-Z, a-z, 0-9, _ and -"
        yield Finding("G902", problem, at)


def _call(call: Any, at: str) -> Iterator[Finding]:
    if not isinstance(call, dict):
        yield Finding("G901", f"expected a call, found {kind(call)}", at)
        return
    yield from _type(call, at)
    if not isinstance(call.get("id"), str) or not call["id"]:
        yield Finding("G905", "the call has no id, a text that its result refers to", at)
    if isinstance(call.get("function"), dict):
        yield from _called(call["function"], f"{at}/function")
    else:
        yield Finding("G901", "the call has no 'function' object", at)


def _called(function: Any, at: str) -> Iterator[Finding]:
    if not isinstance(function, dict):
        yield Finding("G901", f"expected a called function, found {kind(function)}", at)
        return
    if "name" not in function:
        yield Finding("G902", "the call does not name its function", at)
    else:
        yield from _name(function["name"], f"{at}/name")
    arguments = function.get("arguments")
    if "arguments" not in function:
        yield Finding("G903", "the call has no 'arguments': write \"{}\" for none", at)
    elif not isinstance(arguments, str):
        yield Finding("G903", f"the arguments are {kind(arguments)}, expected JSON text", f"{at}/arguments")
