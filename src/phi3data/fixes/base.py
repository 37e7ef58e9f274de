"""What a fix is: a pure function of a line and of what one rule says about it, to the lines that stand in its place."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec

from phi3data.findings import Finding
from phi3data.fixes import style

Row = dict[str, Any]
Lines = Callable[[bytes, Sequence[Finding]], list[bytes]]
Rows = Callable[[Row, Sequence[Finding]], list[Row]]


class Fix(msgspec.Struct, frozen=True):
    """The fix of one rule.

    `apply` takes a line without its end and all findings of the rule in it, and gives the lines to be written instead:
    the same line where there is nothing that it could do, several, or none to drop the row. `safe` says that no trained
    token changes. `does` is one sentence for people.
    """

    code: str
    safe: bool
    does: str
    apply: Lines


class FileFix(msgspec.Struct, frozen=True):
    """The fix of a rule about a whole file, which `fixes.file` does while it copies the file. Otherwise as `Fix`."""

    code: str
    safe: bool
    does: str


def on_row(code: str, does: str, mend: Rows, *, safe: bool) -> Fix:
    """Return a fix that works on the decoded row, which it may change in place; the row keeps its style."""

    def apply(raw: bytes, found: Sequence[Finding]) -> list[bytes]:
        document = style.parse(raw)
        if document is None or not isinstance(document.value, dict):
            return [raw]
        return [document.write(row) for row in mend(document.value, found)]

    return Fix(code, safe, does, apply)


def on_texts(code: str, does: str, mend: Callable[[str], str], *, safe: bool) -> Fix:
    """Return a fix that works on the text of each message that was found fault with."""

    def rows(row: Row, found: Sequence[Finding]) -> list[Row]:
        for _, message in pointed(row, found):
            if isinstance(message.get("content"), str):
                message["content"] = mend(message["content"])
        return [row]

    return on_row(code, does, rows, safe=safe)


def messages(row: Row) -> list[Any]:
    """Return the messages of a row if findings about its conversation can be matched with them, else none of them.

    With a system prompt beside the messages the conversation has one message more than the row.
    """
    found = row.get("messages")
    return found if isinstance(found, list) and not row.get("system") else []


def pointed(row: Row, found: Sequence[Finding]) -> Iterator[tuple[int, Row]]:
    """Yield each message that the findings point at or into, once, with its index."""
    listed = messages(row)
    seen: set[int] = set()
    for finding in found:
        parts = parts_of(finding.pointer)
        if len(parts) < 2 or parts[0] != "messages" or not parts[1].isdecimal():
            continue
        index = int(parts[1])
        if index < len(listed) and isinstance(listed[index], dict) and index not in seen:
            seen.add(index)
            yield index, listed[index]


def parts_of(pointer: str) -> list[str]:
    """Return the parts of an RFC 6901 pointer, unescaped."""
    return [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]


def renamed(mapping: Row, old: str, new: str) -> None:
    """Give a value another key in its place."""
    items = list(mapping.items())
    mapping.clear()
    mapping.update((new if key == old else key, value) for key, value in items)
