"""What is wrong with a row, as a value: a code, a sentence for people and a pointer for programs."""

from __future__ import annotations

from typing import Literal

import msgspec

Severity = Literal["error", "warning", "info"]


class Finding(msgspec.Struct, frozen=True):
    """One problem in one row.

    `pointer` is an RFC 6901 JSON pointer into the row ("" is the whole row). `column` is 1-based and counts Unicode
    code points; it is None where the problem has no single place in the line. `character` (1-based) and `length`
    say which code points of the text at `pointer` are meant, where it is not the whole text.
    """

    code: str
    message: str
    pointer: str = ""
    column: int | None = None
    character: int | None = None
    length: int = 1


def pointer(*parts: str | int) -> str:
    """Build an RFC 6901 JSON pointer: ``pointer("messages", 2, "role") == "/messages/2/role"``."""
    return "".join("/" + str(part).replace("~", "~0").replace("/", "~1") for part in parts)
