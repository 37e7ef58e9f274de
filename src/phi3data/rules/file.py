"""F, J202 and J203: the bytes of a file, and lines that are no rows.

`unreadable` looks at the path, `check_head` at how the file begins and how large it is, `LineEnds` at lines together,
`beside_rows` and `separator` at a line. A search of two bytes in a block costs 1 ms a megabyte, a sixth of reading the
rows, so there is none for clean rows: a line that is no row is one that the fast path did not take, and a separator can
only be in a text that is not ASCII, which Python knows without looking. Bytes are UTF-8: a file in another encoding is
transcoded first, and reported as F102.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from phi3data.findings import Finding
from phi3data.rules.base import GOOD, Rule
from phi3data.rules.placed import Placed
from phi3data.text.jsonline import BOM, is_blank
from phi3data.text.lazy import Lazy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from phi3data.targets import TargetProfile

RULES = (
    Rule("F101", "unreadable", "error", "a file that cannot be read", "There is nothing to train on."),
    Rule("F102", "not-utf8", "error", "not UTF-8", "Readers stop, or replace the character by U+FFFD in silence."),
    Rule("F103", "bom", "error", "a byte-order mark, or none where one is wanted", "The first row cannot be read."),
    Rule(
        "F104",
        "bom-inside",
        "error",
        "a byte-order mark at the start of a later line",
        "Files were joined: the row after the mark is no JSON.",
        "\ufeff" + GOOD,
        GOOD,
    ),
    Rule("F105", "size-limit", "error", "a file over the size limit", "The upload is refused."),
    Rule("F106", "line-endings", "info", "line ends", "CR before LF is trained as a token of its own."),
    Rule(
        "F107",
        "unicode-line-separator",
        "warning",
        "a raw line or paragraph separator in a row",
        "Readers that split lines as Unicode does break the row in two: write it as an escape.",
        GOOD.replace("Hi", "Hi\u2028there"),
        GOOD.replace("Hi", "Hi\\nthere"),
    ),
    Rule("F108", "not-data", "error", "something else than data", "A pointer, an error page or a conflict was saved."),
    Rule(
        "J202",
        "json-array",
        "error",
        "an array or printed JSON instead of lines",
        "Services read a line at a time: none of them is a row.",
    ),
    Rule("J203", "blank-line", "warning", "a blank line", "Some readers stop there, or count an empty row.", " ", GOOD),
)

_HEAD = 4096  # bytes that tell what a file is
_SEPARATORS = {b"\xe2\x80\xa8": "U+2028", b"\xe2\x80\xa9": "U+2029", b"\xc2\x85": "U+0085"}
_CONFLICT = Lazy(rb"(?:<{7} .*|={7}|>{7} .*)\r?", re.DOTALL)
_MARKUP = Lazy(rb"<(?:!doctype\s+html|html|head|body|\?xml|!--)", re.IGNORECASE)


def unreadable(path: Path) -> Finding | None:
    """Say why a file holds no rows that could be read (F101), None if it can be opened and is not empty or blank."""
    if not path.exists():
        return Finding("F101", "there is no such file")
    if path.is_dir():
        return Finding("F101", "is a directory, not a file")
    if not path.is_file():
        return Finding("F101", "is no regular file")
    if not os.access(path, os.R_OK):
        return Finding("F101", "may not be read: change its permissions")
    if path.stat().st_size == 0:
        return Finding("F101", "the file is empty")
    with path.open("rb") as file:
        while block := file.read(2**20):
            if not is_blank(block.removeprefix(BOM)):
                return None
    return Finding("F101", "holds no rows: nothing but blank lines")


def check_head(head: bytes, size: int, target: TargetProfile) -> Iterator[Placed]:
    """Yield what the first bytes of a .jsonl file (4 KiB are enough) and its `size` in bytes say."""
    if target.size_limit is not None and size > target.size_limit:
        sizes = f"{size / 1e6:,.1f} MB, {target.title} takes {target.size_limit / 1e6:,.0f} MB"
        yield Placed(Finding("F105", f"{sizes}: split the file or use fewer rows"))
    if head.startswith(BOM) and target.bom == "refused":
        problem = f"the file starts with a byte-order mark, which {target.title} refuses: save it as UTF-8 without one"
        yield Placed(Finding("F103", problem, column=1), 1)
    elif not head.startswith(BOM) and target.bom == "wanted":
        yield Placed(Finding("F103", f"the file has no byte-order mark, which {target.title} wants", column=1), 1)
    nature = not_data(head)
    if nature:
        yield Placed(Finding("F108", nature), 1)
    else:
        yield from _layout(head.removeprefix(BOM))


def not_data(head: bytes) -> str | None:
    """Say what a file that is no data at all is, from its first bytes; None if it may be data."""
    text = head.removeprefix(BOM).lstrip()
    if text.startswith(b"version https://git-lfs"):
        return "a Git LFS pointer, not the data: run git lfs pull"
    if text.startswith(b"<") and _MARKUP.match(text):
        return "a web page, perhaps an error page saved under this name: download the file again"
    return None


def _layout(head: bytes) -> Iterator[Placed]:
    """Tell an array, or an object that goes on over several lines, from lines (J202)."""
    text = head.lstrip()
    line = head[: len(head) - len(text)].count(b"\n") + 1
    first, end, rest = text.partition(b"\n")
    first = first.rstrip() if end else b""  # a line that is longer than the head: nobody knows how it ends
    # A list that begins and ends on its line, with others below, is a row that is no object: J211.
    if text[:1] == b"[" and text[1:].lstrip()[:1] in (b"{", b"") and not (first.endswith(b"]") and rest.strip()):
        yield Placed(Finding("J202", "a JSON array, expected an object a line: run phi3data convert"), line)
    elif first == b"{" or (first[:1] == b"{" and first[-1:] in (b"{", b"[", b",", b":")):
        yield Placed(Finding("J202", "JSON over several lines, expected a row a line: run phi3data convert"), line)


def beside_rows(raw: bytes, line: int) -> Finding | None:
    """Say what a line is that holds no row (J203, F104, F108); None if it may be one. `line` is 1-based.

    No such line is ever accepted by the fast path, so that it needs to be asked of the others only.
    """
    if is_blank(raw):
        return Finding("J203", "a blank line: remove it")
    if line > 1 and raw.startswith(BOM):
        return Finding("F104", "a byte-order mark inside the file, at the start of this line: remove it", column=1)
    if _CONFLICT.fullmatch(raw):
        return Finding("F108", "a merge-conflict mark: resolve the conflict")
    return None


def separator(raw: bytes) -> Finding | None:
    """Return the first raw line separator in a line (F107), with its column and how many more there are."""
    places = sorted((at, mark) for mark in _SEPARATORS for at in _places(raw, mark))
    if not places:
        return None
    at, mark = places[0]
    name = _SEPARATORS[mark]
    more = f", and {len(places) - 1:,} more" if len(places) > 1 else ""
    escape = f"\\u{name[2:].lower()}"
    problem = f"a raw {name}{more}: readers that split lines as Unicode does break the row, write {escape}"
    return Finding("F107", problem, column=len(raw[:at].decode("utf-8", "replace")) + 1)


def _places(raw: bytes, mark: bytes) -> Iterator[int]:
    at = raw.find(mark)
    while at >= 0:
        yield at
        at = raw.find(mark, at + 1)


class LineEnds:
    """How the lines of a file end (F106). Parts add up with `merge`, in the order of the file."""

    def __init__(self) -> None:
        self._lines = self._crlf = self._cr = 0
        self._ended = True
        self._first: int | None = None

    def count(self, lines: int, *, ended: bool) -> None:
        """Take in so many lines without a carriage return; `ended` tells whether the last of them had a line feed."""
        if lines:
            self._lines += lines
            self._ended = ended

    def add(self, lines: Sequence[bytes], line: int, *, ended: bool) -> None:
        """Take in lines that were cut at line feeds, the first of which has the number `line`, from 1."""
        self.count(len(lines), ended=ended)
        for number, raw in enumerate(lines, line):
            if b"\r" in raw:
                crlf = raw.endswith(b"\r") and (ended or number < line + len(lines) - 1)
                self._crlf += crlf
                self._cr += raw.count(b"\r") - crlf
                self._first = self._first or number

    def merge(self, later: LineEnds) -> None:
        """Add what a later part of the file holds."""
        if later._lines:
            self._lines += later._lines
            self._crlf += later._crlf
            self._cr += later._cr
            self._ended = later._ended
            self._first = self._first or later._first

    def findings(self) -> Iterator[Placed]:
        """Yield what is wrong with the ends of the lines."""
        if self._crlf:
            every = self._crlf >= self._lines - (not self._ended)
            where = "every line ends" if every else f"{self._crlf:,} of {self._lines:,} lines end"
            yield Placed(Finding("F106", f"{where} in CR LF, expected LF"), self._first)
        if self._cr:
            yield Placed(Finding("F106", f"{self._cr:,} lone CR: some readers end a line there"), self._first)
        if not self._ended:
            yield Placed(Finding("F106", "the last line has no line end"), self._lines)
