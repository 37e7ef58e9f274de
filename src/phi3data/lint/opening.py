"""What the user named → sources to read row by row, and what is wrong with the files before any row is read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from phi3data.errors import InputError
from phi3data.findings import Finding
from phi3data.rules import file
from phi3data.rules.placed import Placed
from phi3data.sources.inputs import Input, find
from phi3data.sources.open import format_of, laid_out, readable
from phi3data.sources.source import Source
from phi3data.text.jsonline import BOM

if TYPE_CHECKING:
    from phi3data.settings import Settings
    from phi3data.sources.files import Scratch
    from phi3data.targets import TargetProfile

_HEAD = 4096
_JSON = {"jsonl", "json", "stdin", "text"}


class Opened(msgspec.Struct):
    """A file: its name as the user gave it, how its rows are read (None if there are none), and what is wrong."""

    name: str
    source: Source | None
    findings: list[Placed]


def inputs(
    source: Any, settings: Settings, *, force_exclude: bool = False, stdin_filename: str | None = None
) -> list[Input]:
    """Return the inputs that `source` names; of a directory only those that hold JSON lines, or chats in JSON.

    What the settings exclude is left out of directories and patterns, with `force_exclude` also where it is named, and
    with it .json files that hold something else.
    Raises as `sources.inputs.find` does.
    """
    if isinstance(source, str | Path):
        source = [source]
    if not (isinstance(source, list | tuple) and source and all(isinstance(item, str | Path) for item in source)):
        return find(source, empty=True)
    found: list[Input] = []
    for name in source:
        stream = str(name) == "-"
        items = [replace(item, name=stdin_filename or item.name) for item in find(name)] if stream else _named(name)
        if force_exclude or not (stream or Path(name).is_file()):
            items = [item for item in items if not settings.excluded(item.name)]
        if force_exclude:  # hooks name every .json file of a repository
            items = [item for item in items if item.container != "json" or _holds_chats(item)]
        found += items
    return found


def _named(name: str | Path) -> list[Input]:
    found = find(name, empty=True)
    if not Path(name).is_dir():
        return found
    found = [item for item in found if item.container in {"jsonl", "dataset"} or _holds_chats(item)]
    if not found:
        raise InputError(f"{name}: the directory holds no chat data (.jsonl, .ndjson, or .json with chats)")
    return found


def _holds_chats(item: Input) -> bool:
    """Tell a .json file of chats from all the other things that are kept in such files."""
    if item.container != "json" or item.compression or item.path is None:
        return False
    try:
        return format_of(laid_out(item, 0, item.path, [])) == "chat"
    except InputError:
        return False


def open_input(item: Input, index: int, encoding: str | None, work: Path | Scratch, target: TargetProfile) -> Opened:
    """Open an input. Copies go to `work` where it cannot be read in place.

    Raises `InputError` for what cannot be read at all: a damaged archive, a table that holds no chats.
    """
    if item.container not in _JSON and item.container != "memory":
        return _table(item, index, encoding, work)
    if item.path is not None and not item.compression:
        problem = file.unreadable(item.path)
        if problem:
            return Opened(item.name, None, [Placed(problem)])
    path, notes = readable(item, index, encoding, work)
    problem = file.unreadable(path)
    if problem:
        return Opened(item.name, None, [Placed(problem)])
    with path.open("rb") as opened:
        head = opened.read(_HEAD)
    found = [Placed(_another_encoding(note), 1) for note in notes if "F102" in note and not encoding]
    if item.container == "json":
        nature = file.not_data(head)
        found += [Placed(Finding("F108", nature), 1)] if nature else []
    elif item.container != "memory":
        found += file.check_head(head, path.stat().st_size, target)
    if any(placed.finding.code == "F108" for placed in found):
        return Opened(item.name, None, found)
    if item.container == "json" and head.removeprefix(BOM).lstrip()[:1] not in (b"[", b"{"):
        found.append(Placed(Finding("J201", "the file is no JSON: it begins with neither [ nor {"), 1))
        return Opened(item.name, None, found)
    source = laid_out(item, index, path, notes)
    if source.layout == "delimited":
        return _table(item, index, encoding, work)
    return Opened(item.name, msgspec.structs.replace(source, format="chat"), found)


def _another_encoding(note: str) -> Finding:
    return Finding("F102", f"{note.removesuffix(' (F102)')}, expected UTF-8: save it anew")


def _table(item: Input, index: int, encoding: str | None, work: Path | Scratch) -> Opened:
    """Open a table: its rows may be chats, as in Parquet; else they are to be converted first."""
    path, notes = readable(item, index, encoding, work)
    source = laid_out(item, index, path, notes)
    found = format_of(source)
    if found != "chat":
        what = f"the rows are {found}" if found else "the rows are no chats"
        raise InputError(f"{item.name}: {what}; check reads chat rows: run phi3data convert first")
    return Opened(item.name, msgspec.structs.replace(source, format="chat"), [])
