"""What the user named → files and tables: paths, directories, globs, standard input, hub names, objects in memory."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from phi3data.errors import InputError, UsageError, did_you_mean
from phi3data.text.lazy import Lazy

CONTAINERS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".xlsx": "xlsx",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".txt": "txt",
}
_HUB_NAME = Lazy(r"[\w.-]+/[\w.-]+")
BINARY = frozenset({"parquet", "arrow", "xlsx", "dataset", "memory", "hub"})  # containers whose rows are no text
COMPRESSIONS = {".gz": "gzip", ".zst": "zstd", ".bz2": "bz2", ".xz": "xz"}


class Input(msgspec.Struct, frozen=True):
    """One thing to read: a file, a saved data set (a directory), or an object in memory."""

    name: str
    container: str
    path: Path | None = None
    compression: str | None = None
    records: Any = None  # a DataFrame, an Arrow table, a Dataset or an iterable of dicts


def find(source: Any, *, online: bool = False, without: Path | None = None, empty: bool = False) -> list[Input]:
    """Return the inputs that `source` names, in the order given (the files of a directory or glob by name).

    `source` is a path, "-" for standard input, a directory, a glob, a hub name (only when `online`), a DataFrame, an
    Arrow table, a `datasets.Dataset`, an iterable of dicts, or a list of any of the path-like ones. `without` is a
    folder that is left out where a directory holds it: the output's. A file that is named and empty is refused unless
    `empty`.
    Raises `InputError` for a path that does not exist or cannot be read, `UsageError` for a thing of another kind.
    """
    if isinstance(source, str | Path):
        return _named(str(source), online=online, without=without, empty=empty)
    if isinstance(source, list | tuple) and source and all(isinstance(item, str | Path) for item in source):
        return [found for item in source for found in _named(str(item), online=online, without=without, empty=empty)]
    if _is_table(source):
        return [Input(f"<{type(source).__name__}>", "memory", records=source)]
    if isinstance(source, Mapping) and source and all(_is_table(value) for value in source.values()):
        return [Input(f"<{key}>", "memory", records=value) for key, value in source.items()]  # a DatasetDict
    if isinstance(source, Iterable) and not isinstance(source, Mapping | bytes):
        return [Input("<rows>", "memory", records=source)]
    raise UsageError(
        f"cannot read rows from {type(source).__name__}: give a path, an iterable of dicts, a pandas DataFrame, "
        "an Arrow table or a datasets.Dataset"
    )


def _is_table(thing: Any) -> bool:
    """Tell a table by what it can do, so that none of the libraries has to be imported."""
    return hasattr(thing, "__arrow_c_stream__") or hasattr(thing, "to_dict") or hasattr(thing, "features")


def _named(name: str, *, online: bool, without: Path | None, empty: bool) -> list[Input]:
    if name == "-":
        return [Input("<stdin>", "stdin", records=sys.stdin.buffer)]
    path = Path(name)
    try:
        if path.is_dir():
            return _directory(path, without)
        if path.is_fifo():
            return [Input(shown(name), "stdin", records=path.open("rb"))]
        if path.exists():
            return [_file(path, empty=empty)]
    except OSError as error:
        raise InputError(f"{shown(name)[:80]}: cannot be read: {error.strerror}") from None
    if any(mark in name for mark in "*?["):
        import glob

        matches = sorted(glob.iglob(name, recursive=True))  # noqa: PTH207 (Path.glob takes no absolute patterns)
        found = [_file(Path(item), empty=empty) for item in matches if _readable(Path(item))]
        if not found:
            raise InputError(f"{name}: no file matches")
        return found
    if online and name.count("/") == 1 and not name.startswith((".", "/")):
        return [Input(name, "hub", records=name)]
    if not online and _HUB_NAME.fullmatch(name) and not path.parent.is_dir():
        raise InputError(f"{name}: no such file; a data set of that name is read from the hub only with --online")
    raise InputError(f"{name}: no such file{_nearest(path)}")


def _nearest(path: Path) -> str:
    parent = path.parent
    if not parent.is_dir():
        return f"; there is no directory {parent}"
    return did_you_mean(path.name, (item.name for item in parent.iterdir()))


def shown(name: str) -> str:
    """Return a file's name as text that can be written: names need not be UTF-8."""
    return name.encode("utf-8", "backslashreplace").decode()


def _directory(path: Path, without: Path | None) -> list[Input]:
    if (path / "state.json").exists() and (path / "dataset_info.json").exists():
        return [Input(str(path), "dataset", path)]
    saved = [part for part in sorted(path.iterdir()) if part.is_dir() and (part / "state.json").exists()]
    if (path / "dataset_dict.json").exists() and saved:
        return [Input(str(part), "dataset", part) for part in saved]
    prepared = [path / f"{split}.jsonl" for split in ("train", "validation", "test")]
    if (path / "manifest.json").exists() and prepared[0].exists():  # what `prepare` left: its rows, not its reports
        return [_file(item) for item in prepared if item.exists() and item.stat().st_size]
    files = [item for item in sorted(path.rglob("*")) if _readable(item) and not _hidden(item, path)]
    if without is not None:
        files = [item for item in files if without.absolute() not in item.absolute().parents]
    found = [_file(item) for item in files if item.stat().st_size]
    if not found:
        raise InputError(f"{path}: the directory holds no file that can be read ({', '.join(sorted(CONTAINERS))})")
    return found


def _hidden(item: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in item.relative_to(root).parts)


def _readable(path: Path) -> bool:
    return path.is_file() and container_of(path)[0] is not None


def container_of(path: Path) -> tuple[str | None, str | None]:
    """Return (container, compression) by the endings of a file's name; None where the ending says nothing."""
    endings = [suffix.lower() for suffix in path.suffixes]
    compression = COMPRESSIONS.get(endings[-1]) if endings else None
    rest = endings[:-1] if compression else endings
    return (CONTAINERS.get(rest[-1]) if rest else None), compression


def _file(path: Path, *, empty: bool = False) -> Input:
    try:
        with path.open("rb"):
            pass
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    if path.stat().st_size == 0 and not empty:
        raise InputError(f"{path}: the file is empty (F101)")
    container, compression = container_of(path)
    return Input(shown(str(path)), container or "text", path, compression)
