"""Patterns of paths, with the meaning that .gitignore gave them."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


def matches(patterns: Iterable[str], path: str) -> bool:
    """Tell whether one of the patterns matches a path (with `/`, as `relative` returns it) or a folder above it.

    `*` and `?` stop at a slash, `**` is any number of folders, `[a-c]` and `[!a-c]` are one character. A pattern with a
    slash before its last character begins at the folder of the configuration; one without matches a name at any depth.
    """
    return any(_compiled(pattern).fullmatch(path) for pattern in patterns)


def relative(path: str, root: Path) -> str:
    """Return a path as it is from the folder `root`, with `/`; as an absolute path where it is not below it."""
    for below, top in (
        (os.path.abspath(path), os.path.abspath(root)),  # noqa: PTH100 (a link to data elsewhere stays where it is)
        (os.path.realpath(path), os.path.realpath(root)),
    ):
        if Path(below).is_relative_to(top):
            return Path(below).relative_to(top).as_posix()
    return Path(path).absolute().as_posix()


def files(patterns: Iterable[str], root: Path) -> list[Path]:
    """Return the files below `root` that the patterns match, sorted.

    Links to folders and hidden folders are looked into only where a pattern names them.
    """
    found: set[Path] = set()
    for pattern in patterns:
        expression = _compiled(pattern)
        start = root / _literal_folder(pattern)
        for folder, inner, names in os.walk(start):
            inner[:] = [name for name in inner if not name.startswith(".")]
            paths = [Path(folder) / name for name in names]
            found |= {path for path in paths if expression.fullmatch(path.relative_to(root).as_posix())}
    return sorted(found)


def _literal_folder(pattern: str) -> str:
    """Return the folders that a pattern begins with and that hold no wildcard: there is no need to look elsewhere."""
    folders = pattern.strip("/").split("/")[:-1]
    wild = next((index for index, name in enumerate(folders) if re.search(r"[*?\[]", name)), len(folders))
    return "/".join(folders[:wild])


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    anchored = "/" in pattern.rstrip("/")
    inner = "/.*" if pattern.endswith("/") else "(?:/.*)?"  # what a folder of that name holds
    body = pattern.strip("/").removeprefix("./")
    parts = [_part(name) for name in body.split("/")]
    joined = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            joined += ".*" if last else "(?:[^/]*/)*"
        else:
            joined += part if last else f"{part}/"
    return re.compile(f"{'' if anchored else '(?:.*/)?'}{joined}{inner}", re.DOTALL)


def _part(name: str) -> str:
    """Return one name between slashes as a regular expression; `**` stays as it is."""
    if name == "**":
        return name
    pieces = re.findall(r"\[[!^]?\]?[^\]]*\]|\*+|\?|\\.|.", name, re.DOTALL)
    return "".join(_piece(piece) for piece in pieces)


def _piece(piece: str) -> str:
    if piece.startswith("*"):
        return "[^/]*"
    if piece == "?":
        return "[^/]"
    if len(piece) > 2 and piece.startswith("["):
        negated = piece[1] in "!^"
        members = piece[1 + negated : -1].replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
        return f"[{'^/' if negated else ''}{members}]"
    return re.escape(piece[-1])
