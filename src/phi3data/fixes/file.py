"""One file of lines, fixed: read line by line, written under another name, and renamed when all of it is there.

Memory is bounded by a line. Lines with nothing to fix are copied byte by byte, and a file in which nothing was fixed is
not touched at all. A compressed file is written again in its compression. A line over 16 MiB is passed on as it is.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec

from phi3data.errors import InputError, MissingExtraError
from phi3data.findings import Finding
from phi3data.fixes import FILE_FIXES, columns, style
from phi3data.fixes.change import Change, changes
from phi3data.fixes.line import carriage_return
from phi3data.fixes.row import fix_row
from phi3data.fixes.shuffle import shuffle
from phi3data.rules.file import not_data, unreadable
from phi3data.sources.files import Scratch, whole
from phi3data.sources.open import laid_out, read_all, readable
from phi3data.sources.source import MAX_RECORD
from phi3data.targets import TargetProfile
from phi3data.text.jsonline import BOM

if TYPE_CHECKING:
    from collections.abc import Iterator
    from collections.abc import Set as AbstractSet

    from phi3data.fixes.row import Lint
    from phi3data.sources.inputs import Input
    from phi3data.sources.source import Source


class LineFix(msgspec.Struct, frozen=True):
    """What was fixed in one line: its number in the old file, from 1, and the lines that stand in its place.

    Where it is about the whole file `line` is None, and there are no lines.
    """

    line: int | None
    done: tuple[Change, ...]
    before: bytes = b""
    after: tuple[bytes, ...] = ()


class FixPlan(msgspec.Struct, frozen=True):
    """What to fix: the codes that may be, with unsafe fixes or without, and for which destination.

    `drops` are the lines of this file that go because of other rows, each with the finding that says so; `order` is
    what is wrong with the order of its rows, if anything is.
    """

    codes: frozenset[str]
    unsafe: bool
    target: TargetProfile
    drops: dict[int, Finding] = {}
    order: Finding | None = None

    def wants(self, code: str) -> bool:
        """Tell whether a file may be fixed for this code."""
        return code in self.codes and (self.unsafe or FILE_FIXES[code].safe)


def fix_file(item: Input, lint: Lint, plan: FixPlan, *, write: bool = True) -> Iterator[LineFix]:
    """Fix a file of lines, yielding what is fixed as it is done; without `write` nothing is written.

    The file is replaced when the last fix was taken: whoever stops before leaves the old file. It keeps its
    permissions, and a link stays a link to it. `lint` is as for `fix_row`.

    Raises `InputError` for what is no .jsonl file, or a damaged archive, and `OSError` where it cannot be written.
    """
    if item.container != "jsonl" or item.path is None:
        raise InputError(f"{item.name}: fix writes .jsonl files only: run phi3data convert to make one of it")
    with Scratch() as work:
        path, notes = readable(item, 0, None, work)
        if _holds_nothing(path):
            return
        source = laid_out(item, 0, path, notes)
        file = _File(source, lint, plan, transcoded=any("(F102)" in note for note in notes))
        if not file.can_be_fixed():
            return
        order = plan.order if plan.order and plan.wants(plan.order.code) else None
        reordered = (LineFix(None, (Change(order.code, "", order.message, "in random order"),)),) if order else ()
        if not write:
            yield from file.fixes(None)
            yield from reordered
            return
        real = item.path.resolve()
        try:
            with whole(real) as out:
                Path(out.name).chmod(stat.S_IMODE(real.stat().st_mode))
                with _compressed(out, item.compression) as packed:
                    if order:
                        with (work / "in-order.jsonl").open("w+b") as lines:
                            yield from file.fixes(lines)
                            yield from reordered
                            shuffle(lines, packed)
                    else:
                        yield from file.fixes(packed)
                        file.require_change()
        except _UnchangedError:
            return


def _holds_nothing(path: Path) -> bool:
    """Tell a file without rows, or one that is no data at all: there is nothing to fix in it."""
    if unreadable(path):
        return True
    with path.open("rb") as file:
        return not_data(file.read(4096)) is not None


class _UnchangedError(Exception):
    """There was nothing to fix: the new file is not needed."""


@contextmanager
def _compressed(out: IO[bytes], compression: str | None) -> Iterator[Any]:
    """Give a stream whose bytes arrive compressed; no time and no name goes into it."""
    if compression is None:
        yield out
    elif compression == "zstd":
        try:
            import zstandard
        except ImportError:
            raise MissingExtraError("writing .zst", "data") from None
        with zstandard.ZstdCompressor().stream_writer(out, closefd=False) as packed:
            yield packed
    elif compression == "gzip":
        with gzip.GzipFile(filename="", mode="wb", fileobj=out, mtime=0) as packed:
            yield packed
    else:
        with bz2.BZ2File(out, "wb") if compression == "bz2" else lzma.LZMAFile(out, "wb") as packed:
            yield packed


class _File:
    """One file while it is fixed."""

    def __init__(self, source: Source, lint: Lint, plan: FixPlan, *, transcoded: bool) -> None:
        self._source, self._lint, self._plan = source, lint, plan
        self._transcoded = transcoded
        self._is_array = source.layout == "array"
        self._ends: Counter[str] = Counter()
        self._keys: frozenset[str] = frozenset()
        self._numbers: frozenset[str] = frozenset()
        self.changed = False

    def require_change(self) -> None:
        """Raise where nothing was fixed, so that the new file does not take the place of the old one."""
        if not self.changed:
            raise _UnchangedError

    def can_be_fixed(self) -> bool:
        """Tell whether the file is one of lines, or may be made one without losing a row."""
        if self._transcoded and not self._plan.wants("F102"):
            return False
        if not self._is_array:
            return self._source.layout == "lines"
        # Of records inside an object, what stands beside them would be lost.
        return (
            self._plan.wants("J202")
            and self._source.depth <= 1
            and all(style.parse(raw) is not None for _, raw, _ in self._rows())
        )

    def fixes(self, out: Any) -> Iterator[LineFix]:
        """Yield what is fixed, writing the lines to `out` if there is one."""
        self._keys = self._partial_keys() if self._plan.wants("S313") else frozenset()
        self._numbers = columns.of_numbers(self._whole_lines) if self._plan.wants("S312") else frozenset()
        for each in self._at_once(out):
            self.changed = True
            yield each
        for number, raw, end in self._rows():
            written = raw
            if end is not None:
                goes = self._plan.drops.get(number)
                done = LineFix(None, tuple(changes(raw, (), [goes])), raw) if goes else self._line(raw)
                if done.done:
                    self.changed = True
                    yield msgspec.structs.replace(done, line=number)
                written = b"\n".join(done.after) + self._end(raw, end) if done.after else b""
            if out is not None:
                out.write(written)
        if self._ends:
            self.changed = True
            was = ", ".join(f"{count:,} {'line' if count == 1 else 'lines'} {how}" for how, count in self._ends.items())
            yield LineFix(None, (Change("F106", "", was, "every line ends in LF"),))

    def _at_once(self, out: Any) -> Iterator[LineFix]:
        """Yield what concerns the file as a whole, and write how it begins."""
        had, bom = self._source.start > 0, self._plan.target.bom
        wants = {"refused": False, "wanted": True, "either": had}[bom] if self._plan.wants("F103") else had
        if out is not None and wants:
            out.write(BOM)
        if had != wants:
            yield LineFix(None, (Change("F103", "", *("byte-order mark", "none")[:: -1 if wants else 1]),))
        if self._transcoded:
            yield LineFix(None, (Change("F102", "", "UTF-16", "UTF-8"),))
        if self._is_array:
            yield LineFix(None, (Change("J202", "", "JSON over several lines, or an array", "a row a line"),))
        for key in sorted(self._numbers):
            yield LineFix(None, (Change("S312", f"/{key}", f"'{key}' as text", "as numbers"),))
        for key in sorted(self._keys):
            yield LineFix(None, (Change("S313", f"/{key}", f"'{key}' on some rows", "on no row"),))

    def _line(self, raw: bytes) -> LineFix:
        """Return a line as it is to be written, and what was done."""
        bare = raw
        if self._plan.wants("F106"):
            (bare,) = carriage_return(raw, ())
            if bare != raw:
                self._ends["ended in CR LF" if raw.endswith(b"\r") else "held CR"] += 1
        if self._is_array:
            document = style.parse(raw)
            assert document is not None  # `can_be_fixed` has looked
            bare = document.write(document.value).strip()
        fixed = fix_row(bare, self._lint, self._plan.codes, unsafe=self._plan.unsafe)
        lines = tuple(columns.as_numbers(_without(line, self._keys), self._numbers) for line in fixed.lines)
        return LineFix(None, fixed.done, bare, lines)

    def _end(self, raw: bytes, end: bytes) -> bytes:
        """Return how the line ends: as it did, unless it did not."""
        if end or not self._plan.wants("F106"):
            return end
        if raw:
            self._ends["had no line end"] += 1
        return b"\n"

    def _rows(self) -> Iterator[tuple[int, bytes, bytes | None]]:
        """Yield each line with its number and its end; None for the pieces of a line that is too long to be fixed."""
        with Path(self._source.path).open("rb") as file:
            if self._is_array:
                for row in read_all(self._source):
                    file.seek(row.offset)
                    yield row.line + 1, b"" if isinstance(row.value, Finding) else file.read(row.length), b"\n"
                return
            file.seek(self._source.start)
            number, within = 1, False
            while piece := file.readline(MAX_RECORD + 2):
                bare = piece.removesuffix(b"\n")
                within = within or len(bare) > MAX_RECORD
                yield (number, piece, None) if within else (number, bare, piece[len(bare) :])
                if len(bare) < len(piece):
                    number, within = number + 1, False

    def _whole_lines(self) -> Iterator[bytes]:
        return (raw for _, raw, end in self._rows() if end is not None)

    def _partial_keys(self) -> frozenset[str]:
        """Return the keys that some rows have, others not, and none needs (S313), as the rows will be when fixed."""
        if self._plan.target.partial_rows != "dropped":
            return frozenset()
        keys = ("tools", *self._plan.target.keys)
        spelled = [f'"{key}"'.encode() for key in (*keys, "functions")]
        if not any(key in raw for _, raw, _ in self._rows() for key in spelled):
            return frozenset()
        having, rows, needed = Counter[str](), 0, set[str]()
        for _, raw, end in self._rows():
            for line in self._line(raw).after if end is not None else ():
                document = style.parse(line)
                if document is None or not isinstance(document.value, dict):
                    continue
                rows += 1
                for key in keys:
                    if document.value.get(key) is not None:
                        having[key] += 1
                        if key not in needed and self._breaks(line, key):
                            needed.add(key)
        self._ends.clear()
        return frozenset(key for key in keys if 0 < having[key] < rows and key not in needed)

    def _breaks(self, line: bytes, key: str) -> bool:
        """Tell whether a row that loses a key has a new finding."""
        before = {(found.code, found.pointer) for found in self._lint(line)}
        return any((found.code, found.pointer) not in before for found in self._lint(_without(line, {key})))


def _without(line: bytes, keys: AbstractSet[str]) -> bytes:
    document = style.parse(line) if keys else None
    if document is None or not isinstance(document.value, dict) or keys.isdisjoint(document.value):
        return line
    return document.write({key: value for key, value in document.value.items() if key not in keys})


def ledger(name: str, fix: LineFix) -> Iterator[bytes]:
    """Yield a line of the ledger for each change: JSON with path, line, code, pointer, before and after."""
    for change in fix.done:
        yield msgspec.json.encode({"path": name, "line": fix.line, **msgspec.to_builtins(change)}) + b"\n"
