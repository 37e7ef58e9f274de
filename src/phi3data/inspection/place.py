"""FILE:LINE → the file and the number of the row."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from phi3data.errors import UsageError

# As `check` prints it, so that a finding's place can be pasted: FILE:LINE, FILE:LINE:COLUMN, perhaps a last colon.
_PLACES = (r"(?s)(.+?):(\d+):\d+:?", r"(?s)(.+):(\d+):?", r"(?s)(.+):")


class Place(msgspec.Struct, frozen=True):
    """A row: the file as the user named it, and the number of the row from 1; None stands for the first row."""

    file: str
    line: int | None = None

    def __str__(self) -> str:
        return self.file if self.line is None else f"{self.file}:{self.line}"


def parse(text: str) -> Place:
    """Read FILE:LINE, FILE:LINE:COLUMN (the column is ignored) or FILE.

    A file whose name has a colon in it is meant as a whole where it exists. Raises `UsageError` for
    a row that is no number from 1 on.
    """
    if _exists(text):
        return Place(text)
    found = [match for match in (re.fullmatch(pattern, text) for pattern in _PLACES) if match]
    # Of the ways to read it the one whose file exists; else the shortest name, whose absence is then the error.
    match = next((match for match in found if match[1] == "-" or _exists(match[1])), found[0] if found else None)
    if match is None:
        file, _, rest = text.rpartition(":")
        if file and _exists(file):
            raise UsageError(f"{text}: expected the number of a row after the last colon, found '{rest}'")
        return Place(text)
    if match.re.groups == 1:
        return Place(match[1])
    line = int(match[2][:18])
    if line < 1:
        raise UsageError(f"{text}: rows are counted from 1")
    return Place(match[1], line)


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except (OSError, ValueError):  # too long for a name, or with a NUL in it
        return False
