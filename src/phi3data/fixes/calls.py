"""G: fixes of function definitions and calls. Safe: no answer changes, only how programs find definitions and calls."""

from __future__ import annotations

import ast
import json
from typing import TYPE_CHECKING, Any

from phi3data.chat import ROLE_ALIASES
from phi3data.fixes.base import Row, messages, on_row, renamed
from phi3data.rules.references import messages as objects

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from phi3data.findings import Finding


def arguments(row: Row, _: Sequence[Finding]) -> list[Row]:
    """Write arguments as the JSON text of an object where it is certain which object is meant."""
    for function in _called(row):
        meant = _meant(function.get("arguments"))
        if meant is not None:
            function["arguments"] = meant
    return [row]


def _called(row: Row) -> Iterator[Row]:
    for _, message in objects(row):
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict) and isinstance(call.get("function"), dict):
                yield call["function"]
        if isinstance(message.get("function_call"), dict):
            yield message["function_call"]


def _meant(value: Any) -> str | None:
    """Return the JSON text of the object that arguments stand for; None where they are right, or anybody's guess."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return "{}"
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = _literal(value)
        else:
            if isinstance(value, dict):
                return None
            return value if isinstance(value, str) and _is_object(value) else None
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else None


def _literal(text: str) -> Any:
    """Return the dictionary that a text is in Python, if JSON can hold it."""
    try:
        value = ast.literal_eval(text.strip())
        return value if json.loads(json.dumps(value, allow_nan=False)) == value else None
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def into_system(row: Row, _: Sequence[Finding]) -> list[Row]:
    """Move the definitions to the system message, as the JSON text of bare functions that Phi-4-mini was trained on.

    A row without a system message has no fix: which one to write is the author's decision.
    """
    turns, tools = messages(row), row.get("tools")
    first = turns[0] if turns and isinstance(turns[0], dict) else {}
    if not isinstance(tools, list) or first.get("role") != "system" or first.get("tools") is not None:
        return [row]
    first["tools"] = as_text(tools)
    del row["tools"]
    return [row]


def as_text(tools: Sequence[Any]) -> str:
    """Return definitions as the JSON text of bare functions."""
    bare = [tool.get("function", tool) if isinstance(tool, dict) else tool for tool in tools]
    return json.dumps(bare, ensure_ascii=False)


def legacy(row: Row, _: Sequence[Finding]) -> list[Row]:
    """Write `functions` as `tools`, and `function_call` as `tool_calls` with an id that its result refers to."""
    functions = row.get("functions")
    if isinstance(functions, list) and row.get("tools") is None:
        row.pop("tools", None)
        row["functions"] = [_wrapped(function) for function in functions]
        renamed(row, "functions", "tools")
    turns = [message for _, message in objects(row)]
    for number, message in enumerate(turns):
        call = message.get("function_call")
        if not isinstance(call, dict) or message.get("tool_calls") is not None:
            continue
        name = f"call_{number}"
        message.pop("tool_calls", None)
        message["function_call"] = [{"id": name, "type": "function", "function": call}]
        renamed(message, "function_call", "tool_calls")
        result = turns[number + 1] if number + 1 < len(turns) else {}
        if ROLE_ALIASES.get(str(result.get("role"))) == "tool" and result.get("tool_call_id") is None:
            result["role"] = "tool"
            result["tool_call_id"] = name
    return [row]


def _wrapped(function: Any) -> Any:
    is_bare = isinstance(function, dict) and "function" not in function
    return {"type": "function", "function": function} if is_bare else function


FIXES = (
    on_row(
        "G903",
        "Writes arguments as JSON text where they are an object, or one in Python's spelling.",
        arguments,
        safe=True,
    ),
    on_row("G908", "Writes functions as tools, and function_call as tool_calls.", legacy, safe=True),
    on_row(
        "G907",
        "Moves the definitions to the system message, if there is one, as Phi-4-mini reads them.",
        into_system,
        safe=True,
    ),
)
