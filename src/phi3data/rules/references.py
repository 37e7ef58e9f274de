"""G: what a call refers to: the function that it means, the schema its arguments must fit, the result that answers."""

from __future__ import annotations

import re
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.chat import ROLE_ALIASES
from phi3data.errors import did_you_mean
from phi3data.findings import Finding

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

_NOT_JSON = (msgspec.MsgspecError, RecursionError, UnicodeEncodeError)
_decode = msgspec.json.Decoder().decode
_SHOWN = 40  # characters of the user's own words in a message


def check(row: dict[str, Any]) -> Iterator[Finding]:
    """Yield what is wrong between definitions, calls and results (G901 to G905, G908)."""
    functions = yield from _functions(row)
    described = " ".join(
        message["content"]
        for _, message in messages(row)
        if message.get("role") == "system" and isinstance(message.get("content"), str)
    )
    for at, message in messages(row):
        if message.get("function_call") is not None:
            yield Finding("G908", "function_call is the older spelling of tool_calls", f"{at}/function_call")
            yield from _use(message["function_call"], f"{at}/function_call", functions, described)
        for at_call, call in _calls(message, at):
            yield from _use(call.get("function"), f"{at_call}/function", functions, described)
    yield from _results(row)


def messages(row: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the messages that are objects, each with its pointer."""
    found = row.get("messages")
    for index, message in enumerate(found if isinstance(found, list) else ()):
        if isinstance(message, dict):
            yield f"/messages/{index}", message


def _calls(message: dict[str, Any], at: str) -> Iterator[tuple[str, dict[str, Any]]]:
    found = message.get("tool_calls")
    for index, call in enumerate(found if isinstance(found, list) else ()):
        if isinstance(call, dict):
            yield f"{at}/tool_calls/{index}", call


def _functions(row: dict[str, Any]) -> Generator[Finding, None, dict[str, Any] | None]:
    """Return the parameters of each function by its name; None if a definition cannot be read."""
    if row.get("functions") is not None:
        yield Finding("G908", "functions is the older spelling of tools", "/functions")
    whole = True
    written = [row.get("tools"), row.get("functions")]
    for at, message in messages(row):
        if isinstance(message.get("tools"), str):
            try:
                written.append(_decode(message["tools"]))
            except _NOT_JSON:
                yield Finding("G901", "the function definitions are text that is not JSON", f"{at}/tools")
                whole = False
    found: dict[str, Any] = {}
    for definitions in written:
        whole = whole and isinstance(definitions, list | None)
        for tool in definitions if isinstance(definitions, list) else ():
            function = tool.get("function", tool) if isinstance(tool, dict) else None
            if isinstance(function, dict) and isinstance(function.get("name"), str):
                found[function["name"]] = function.get("parameters")
            else:
                whole = False
    return found if whole else None


def _use(function: Any, at: str, functions: dict[str, Any] | None, described: str) -> Iterator[Finding]:
    """Yield what is wrong with one call. A function that the system prompt names counts as offered in words."""
    if not isinstance(function, dict):
        return
    name, arguments = function.get("name"), function.get("arguments")
    parameters: Any = None
    if isinstance(name, str) and functions is not None:
        parameters = functions.get(name)
        if name not in functions and not (name and name in described):
            hint = did_you_mean(name[:_SHOWN], functions) if functions else ": the row defines no functions"
            yield Finding("G902", f"the function {name[:_SHOWN]!r} is not defined{hint}", f"{at}/name")
    if not isinstance(arguments, str):
        return
    try:
        value = _decode(arguments)
    except _NOT_JSON:
        hint = " (single quotes: JSON takes double quotes only)" if arguments.lstrip().startswith("{'") else ""
        yield Finding("G903", f"the arguments are not JSON text{hint}", f"{at}/arguments")
        return
    if not isinstance(value, dict):
        yield Finding("G903", "the arguments are JSON, but no object", f"{at}/arguments")
    elif isinstance(parameters, dict):
        yield from _violations(parameters, value, str(name), f"{at}/arguments")


def _results(row: dict[str, Any]) -> Iterator[Finding]:
    """Match results to calls (G905). A row may end with a call: that is what the model is to learn."""
    pending: dict[str, str] = {}
    seen: set[str] = set()
    legacy = ends_in_call = False
    for at, message in messages(row):
        role = message.get("role")
        if isinstance(role, str) and ROLE_ALIASES.get(role) == "tool":
            ends_in_call = False
            if message.get("tool_call_id") is None and legacy:
                continue
            yield from _result(message, at, pending, seen)
            continue
        yield from _unanswered(pending)
        pending.clear()
        legacy = message.get("function_call") is not None
        for at_call, call in _calls(message, at):
            identity = call.get("id")
            if isinstance(identity, str) and identity:
                if identity in seen:
                    yield Finding("G905", f"the id {identity[:_SHOWN]!r} names another call too", f"{at_call}/id")
                seen.add(identity)
                pending[identity] = at_call
        ends_in_call = bool(pending)
    if not ends_in_call:
        yield from _unanswered(pending)


def _result(message: dict[str, Any], at: str, pending: dict[str, str], seen: set[str]) -> Iterator[Finding]:
    identity = message.get("tool_call_id")
    if identity is None:
        yield Finding("G905", "the result has no 'tool_call_id': which call does it answer?", at)
    elif isinstance(identity, str) and pending.pop(identity, None) is None:
        shown = repr(identity[:_SHOWN])
        if identity in seen:
            problem = f"a second result, or a late one, for the call {shown}"
        else:
            expected = next(iter(pending), None)
            problem = f"no call has the id {shown}" + (f": expected {expected[:_SHOWN]!r}" if expected else "")
        yield Finding("G905", problem, f"{at}/tool_call_id")


def _unanswered(pending: dict[str, str]) -> Iterator[Finding]:
    for identity, at in pending.items():
        yield Finding("G905", f"the call {identity[:_SHOWN]!r} has no result", at)


def can_validate() -> bool:
    """Tell whether G904 can run: it needs jsonschema, which the plain install does not bring."""
    return _library() is not None


@cache
def _library() -> tuple[Any, Any] | None:
    try:
        import jsonschema
        import referencing
    except ImportError:
        return None
    return jsonschema, referencing


@lru_cache(256)
def _validator(parameters: bytes) -> Any:
    """Return a validator, or a sentence on why there is none. A data set has few functions and many calls of each.

    An empty registry, so that no `$ref` of the data is ever fetched.
    """
    library = _library()
    assert library is not None
    jsonschema, referencing = library
    schema = _decode(parameters)
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    try:
        kind.check_schema(schema)
    except (jsonschema.SchemaError, RecursionError, re.error) as error:
        return str(getattr(error, "message", error))[:80]
    return kind(schema, registry=referencing.Registry())


def _violations(parameters: dict[str, Any], arguments: Any, name: str, at: str) -> Iterator[Finding]:
    """Yield where arguments violate the schema of their function (G904), at most one a property."""
    library = _library()
    if library is None:
        return
    validator = _validator(msgspec.json.encode(parameters))
    if isinstance(validator, str):
        yield Finding("G904", f"the parameters of {name[:_SHOWN]!r} are no JSON Schema: {validator}", at)
        return
    try:
        errors = list(validator.iter_errors(arguments))
    except (library[1].exceptions.Unresolvable, RecursionError, re.error):
        return  # a schema with a reference that is not in the row, or that no engine can follow: nothing can be said
    for error in errors:
        where = "".join(f"/{part}" for part in error.absolute_path)
        yield Finding("G904", f"{name[:_SHOWN]!r}{where and ' at ' + where}: {error.message[:120]}", at)
