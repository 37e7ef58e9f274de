"""The fixes by code: what `phi3data fix` does about a finding. Adding a fix is adding it to the module of its family.

They are in the order in which they are tried: what makes a line readable, its shape, its texts, its turns.
"""

from __future__ import annotations

from phi3data.fixes import calls, control, line, privacy, shape, turns, words
from phi3data.fixes.base import FileFix, Fix

_FAMILIES = (line, shape, calls, control, privacy, words, turns)
FIXES: dict[str, Fix] = {fix.code: fix for family in _FAMILIES for fix in family.FIXES}

FILE_FIXES: dict[str, FileFix] = {
    fix.code: fix
    for fix in (
        FileFix("F102", False, "Writes the file as UTF-8: UTF-16 is detected, other bytes are read as Windows-1252."),
        FileFix("F103", True, "Removes the byte-order mark, or writes one where the destination wants it."),
        FileFix("F106", True, "Ends every line in LF, the last one too."),
        FileFix("J202", True, "Writes each object of the array, or of the printed JSON, on a line of its own."),
        FileFix("D802", True, "Drops the row, if it is equal to an earlier row of its split (with --project)."),
        FileFix("D803", False, "Drops the row, if it is similar to an earlier row of its split (with --project)."),
        FileFix("D805", False, "Drops the row from the split that is held out (with --project)."),
        FileFix("D810", False, "Drops the row, if it says what a benchmark asks (with --against)."),
        FileFix("D807", True, "Puts the rows in random order, if all are in one file (with --project)."),
        FileFix("S312", True, "Writes a column as numbers, if each of its texts spells one as JSON does."),
        FileFix("S313", False, "Removes the key from all rows, if no row needs it."),
    )
}

__all__ = ["FILE_FIXES", "FIXES", "FileFix", "Fix"]
