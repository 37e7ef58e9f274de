"""D807: the lines of a file in an order that follows from nothing in them, the same each time."""

from __future__ import annotations

from array import array
from random import Random
from typing import IO, Any

from phi3data.text.jsonline import BOM


def shuffle(lines: IO[bytes], out: Any) -> None:
    """Copy a file of lines in random order, a byte-order mark first. About 60 bytes of memory a line, not its text."""
    lines.seek(0)
    begin = len(BOM) if lines.read(len(BOM)) == BOM else 0
    out.write(BOM[:begin])
    lines.seek(begin)
    starts = array("Q", [begin])
    for line in lines:
        starts.append(starts[-1] + len(line))
    draw = Random(0).random  # noqa: S311 (nothing secret) the same numbers in every version of Python
    drawn = [draw() for _ in range(len(starts) - 1)]
    for number in sorted(range(len(drawn)), key=drawn.__getitem__):
        lines.seek(starts[number])
        line = lines.read(starts[number + 1] - starts[number])
        out.write(line if line.endswith(b"\n") else line + b"\n")
