"""Function definitions and calls, as the formats spell them, in the one spelling that chat data has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.sources.formats.base import UnconvertibleError, kind

if TYPE_CHECKING:
    from phi3data.sources.formats.base import Row

# What msgspec raises for text that is not JSON: malformed, nested too deep, or with a lone surrogate.
NOT_JSON = (msgspec.DecodeError, RecursionError, UnicodeEncodeError)


def definitions(row: Row, at: str = "", *, wrap: bool = False) -> list[Any] | None:
    """Return the row's function definitions, from `tools` or the legacy `functions`; None where there are none.

    Both may be a list or the JSON text of one; null, "" and an empty list mean none. Bare function objects are wrapped
    as ``{"type": "function", "function": {...}}``: those in `functions` always, those in `tools` only on `wrap`. Raises
    `UnconvertibleError` (G901).
    """
    tools = _listed(row.get("tools"), f"{at}/tools")
    if tools:
        return [_wrapped(tool) for tool in tools] if wrap else tools
    functions = _listed(row.get("functions"), f"{at}/functions")
    return [_wrapped(function) for function in functions] if functions else None


def _listed(value: Any, at: str) -> list[Any] | None:
    if value is None:
        return None
    if isinstance(value, str):
        if not value.strip():
            return None
        try:
            value = msgspec.json.decode(value)
        except NOT_JSON:
            raise UnconvertibleError("G901", "the function definitions are text that is not JSON", at) from None
    if value is None:
        return None
    if not isinstance(value, list):
        raise UnconvertibleError("G901", f"expected a list of function definitions, found {kind(value)}", at)
    for index, tool in enumerate(value):
        if not isinstance(tool, dict):
            raise UnconvertibleError("G901", f"a function definition is {kind(tool)}", f"{at}/{index}")
    return value


def _wrapped(tool: dict[str, Any]) -> dict[str, Any]:
    return tool if "function" in tool else {"type": "function", "function": tool}


class _Call(msgspec.Struct):
    name: str
    arguments: msgspec.Raw


_decode_call = msgspec.json.Decoder(_Call).decode


def call(text: str, number: int) -> dict[str, Any] | None:
    """Read ``{"name": …, "arguments": …}`` as the row's call number `number`; None if the text is no such object.

    `arguments` stay the very characters of the source, so that nothing is re-spelled; arguments that are JSON text
    already are taken out of their quotes.
    """
    try:
        found = _decode_call(text)
        arguments = bytes(found.arguments).decode()
        if arguments.startswith('"'):
            arguments = msgspec.json.decode(arguments, type=str)
    except NOT_JSON:
        return None
    return {"id": f"call_{number}", "type": "function", "function": {"name": found.name, "arguments": arguments}}
