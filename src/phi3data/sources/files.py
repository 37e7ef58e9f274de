"""Files that are whole or absent, and what identifies their content."""

from __future__ import annotations

import errno
import os
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from tempfile import TemporaryDirectory
    from types import TracebackType

CHUNK = 2**20
_sync = True  # whether a file that is finished is forced to the disk


class Scratch:
    """A temporary folder, for copies of what cannot be read in place: made with the first of them, gone in the end."""

    def __init__(self) -> None:
        self._folder: TemporaryDirectory[str] | None = None

    def __truediv__(self, name: str) -> Path:
        if self._folder is None:
            from tempfile import TemporaryDirectory  # takes 10 ms to import, and most runs need none

            self._folder = TemporaryDirectory(prefix="phi3data-")
        return Path(self._folder.name) / name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._folder is not None:
            self._folder.cleanup()


@contextmanager
def whole(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file for writing; it takes the name `path` only when all of it is on the disk.

    Within `passing` it takes the name when all of it is written.
    """
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with part.open("wb", buffering=CHUNK) as file:
            yield file
            file.flush()
            if _sync:
                os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def placed(path: Path, start: int) -> Iterator[IO[bytes]]:
    """Open a file that is there for writing from `start` on; what is written is on the disk then, but in `passing`."""
    with path.open("r+b", buffering=CHUNK) as file:
        file.seek(start)
        yield file
        file.flush()
        if _sync:
            os.fsync(file.fileno())


@contextmanager
def passing() -> Iterator[None]:
    """Within, this process does not wait for the disk: no file outlasts it but those that `move` gives their names."""
    global _sync  # noqa: PLW0603 (of the whole process: files are written by many threads)
    before, _sync = _sync, False
    try:
        yield
    finally:
        _sync = before


def digest(path: Path) -> str:
    """Return the sha256 of a file's bytes, or of the names and digests of a directory's files, as hexadecimal text."""
    from hashlib import sha256

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
    with path.open("rb+") as file:
        os.fsync(file.fileno())
    try:
        path.replace(to)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        import shutil

        with path.open("rb") as source, whole(to) as copy:
            shutil.copyfileobj(source, copy, CHUNK)
