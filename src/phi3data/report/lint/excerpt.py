"""The stretch of a line around a finding, with a caret under the place; and how lines are read again for it."""

from __future__ import annotations

import bisect
from pathlib import Path
from typing import IO, TYPE_CHECKING

from phi3data.sources.source import MAX_RECORD
from phi3data.text.jsonline import BOM
from phi3data.text.locate import locate
from phi3data.text.visible import cells, one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from phi3data.lint import Located
    from phi3data.report.lint.results import RawOf
    from phi3data.sources.source import Source

AROUND = 40  # characters shown on each side of the place, and at most this many of the place itself
_CHUNK = 2**20


def excerpt(text: str, column: int, end_column: int | None = None, *, room: int = 0) -> tuple[str, str]:
    """Return ±40 characters around a place in a line, unseen characters made visible, and the line of the caret.

    Columns are 1-based, in code points, the end exclusive; the caret is as wide as the place. Where there is `room` for
    fewer, so many cells of a terminal, less is shown.
    """
    start = min(max(column, 1) - 1, len(text))
    wanted = start + 1 if end_column is None else max(end_column - 1, start + 1)
    end = start + _fitting(text[start : min(wanted, start + AROUND)], room // 2)
    side = (room - cells(one_line(text[start:end])) - 2) // 2  # without the two dots
    first = start - _fitting(text[max(0, start - AROUND) : start][::-1], side)
    last = end + (_fitting(text[end : end + AROUND], side) if end == wanted else 0)
    before = ("…" if first else "") + one_line(text[first:start])
    here, after = one_line(text[start:end]), one_line(text[end:last]) + ("…" if last < len(text) else "")
    return before + here + after, " " * cells(before) + "^" + "~" * (cells(here) - 1)


def _fitting(text: str, room: int) -> int:
    """Return how many characters of a text fit; all of them where there is no end of room, one at least."""
    most = len(text)
    while room > 0 and most > 1 and cells(one_line(text[:most])) > room:
        most -= 1
    return most


class Excerpts:
    """Makes excerpts of findings; a line is read and decoded once for findings that follow one another.

    A text in which a rule of family P found something (secrets, personal data) must not end in a log: it is blacked
    out, in the excerpts of all findings of its line.
    """

    def __init__(self, raw_of: RawOf | None, findings: Iterable[Located] = (), room: int = 0) -> None:
        """`findings` are all of the run, not only those that are shown; `room` is as for `excerpt`."""
        self._raw_of, self._room = raw_of, room
        self._private: dict[tuple[str, int], list[Located]] = {}
        for found in findings:
            if found.code.startswith("P"):
                self._private.setdefault((found.path, found.line), []).append(found)
        self._last: tuple[str, int] | None = None
        self._raw: bytes | None = None
        self._text = ""

    def of(self, found: Located) -> tuple[str, str] | None:
        """Return the excerpt and the line of its caret ("" where the place is not known); None for no line."""
        if self._raw_of is None:
            return None
        if found.record is None and found.column is None and not found.pointer:  # of the file, not of its first line
            return None
        if self._last != (found.path, found.line):
            self._last = found.path, found.line
            self._raw = self._raw_of(*self._last)
            self._text = "" if self._raw is None else self._raw.decode("utf-8", "replace").rstrip("\r\n")
            for private in self._private.get(self._last, ()):
                self._black_out(private)
        if self._raw is None or not self._text.strip():
            return None
        if found.column is not None:
            return excerpt(self._text, found.column, found.end_column, room=self._room)
        place = self._by_pointer(found)
        line, caret = excerpt(self._text, *(place or (1, None)), room=self._room)
        return line, caret if place else ""

    def _by_pointer(self, found: Located) -> tuple[int, int] | None:
        """Rows of tables have no columns to report, but as JSON, as they are kept, they can be shown."""
        assert self._raw is not None
        place = locate(self._raw, found.pointer) if found.pointer else None
        return None if place is None or place.line != place.end_line else (place.column, place.end_column)

    def _black_out(self, found: Located) -> None:
        """Hide the whole text, since a finding tells the first secret of a text only; the line if it is not found."""
        first, end = self._by_pointer(found) or (1, len(self._text) + 1)
        self._text = f"{self._text[: first - 1]}{'█' * (end - first)}{self._text[end - 1 :]}"


class Lines:
    """Reads lines again by their numbers, from files that are UTF-8 and may be larger than memory.

    Where the lines begin is remembered once a MiB, so that findings in the order of the file cost one more pass over
    it at most.
    """

    def __init__(self, files: Mapping[str, str | Path]) -> None:
        """`files` says for each name that findings give as their path which file to read."""
        self._files = {name: Path(path) for name, path in files.items()}
        self._marks: dict[str, list[tuple[int, int]]] = {}  # name → (line, offset) of known places, in order

    @classmethod
    def of(cls, sources: Iterable[Source]) -> Lines:
        """Return the reader of a run's sources; tables of cells have no lines that hold a row."""
        return cls({source.name: source.path for source in sources if source.layout != "delimited"})

    def __call__(self, path: str, line: int) -> bytes | None:
        """Return a line (from 1) without its end; None where there is none, or none that is short enough to show."""
        if path not in self._files or line < 1:
            return None
        try:
            with self._files[path].open("rb") as file:
                found = self._read(file, path, line)
        except OSError:  # the file went away, or was a copy that is no longer needed: findings are shown without it
            return None
        # Columns do not count the mark that the file begins with.
        return found.removeprefix(BOM) if found is not None and line == 1 else found

    def _read(self, file: IO[bytes], path: str, line: int) -> bytes | None:
        # A mark (n, offset) says that the offset lies in line n; where that begins only the first mark knows.
        marks = self._marks.setdefault(path, [(1, 0)])
        at, offset = marks[max(bisect.bisect_left(marks, (line, 0)) - 1, 0)]
        file.seek(offset)
        while chunk := file.read(_CHUNK):
            ends = chunk.count(b"\n")
            if at + ends >= line:
                file.seek(offset + _nth_line(chunk, line - at))
                found = file.readline(MAX_RECORD + 1)
                return found.removesuffix(b"\n") if 0 < len(found) <= MAX_RECORD else None
            at, offset = at + ends, offset + len(chunk)
            if marks[-1] < (at, offset):
                marks.append((at, offset))
        return None


def _nth_line(chunk: bytes, count: int) -> int:
    """Return where the text after the n-th line end begins."""
    at = 0
    for _ in range(count):
        at = chunk.index(b"\n", at) + 1
    return at
