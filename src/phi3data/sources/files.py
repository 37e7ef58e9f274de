"""Files that are whole or absent, and what identifies their content."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import contextmanager
from hashlib import sha256
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

CHUNK = 2**20


@contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file for writing; it takes the name `path` only when all of it is on the disk."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def digest(path: Path) -> str:
    """Return the sha256 of a file's bytes, or of the names and digests of a directory's files, as hexadecimal text."""
    found = sha256()
    if path.is_dir():
        for file in sorted(item for item in path.rglob("*") if item.is_file()):
            found.update(f"{file.relative_to(path).as_posix()}\0{digest(file)}\n".encode())
        return found.hexdigest()
    with path.open("rb") as opened:
        while chunk := opened.read(CHUNK):
            found.update(chunk)
    return found.hexdigest()


def move(path: Path, to: Path) -> None:
    """Give a finished file another name, on another file system too; the name is never that of half a file."""
    to.parent.mkdir(parents=True, exist_ok=True)
    try:
        path.replace(to)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        with path.open("rb") as source, whole(to) as copy:
            shutil.copyfileobj(source, copy, CHUNK)
