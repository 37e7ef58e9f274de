"""Inputs that cannot be read in place → a plain text file beside the work: decompressed, transcoded, or written out.

Streaming, in bounded memory. The copy is complete or absent (written under another name, then renamed).
"""

from __future__ import annotations

import bz2
import gzip
import json
import lzma
import shutil
import zlib
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from phi3data.errors import InputError, MissingExtraError
from phi3data.sources.files import CHUNK, whole
from phi3data.sources.records import records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from phi3data.sources.inputs import Input


def decompress(item: Input, to: Path) -> None:
    """Write the decompressed bytes of a file. Raises `InputError` for a damaged archive."""
    assert item.path is not None
    try:
        with _decompressed(item) as file, whole(to) as out:
            shutil.copyfileobj(file, out, CHUNK)
    except (EOFError, gzip.BadGzipFile, lzma.LZMAError, zlib.error, ValueError) as error:
        raise InputError(f"{item.name}: the archive is damaged: {error}") from None
    except OSError as error:
        if error.errno is None or "Invalid data stream" in str(error):
            raise InputError(f"{item.name}: the archive is damaged: {error}") from None
        raise


@contextmanager
def _decompressed(item: Input) -> Iterator[Any]:
    assert item.path is not None
    if item.compression == "zstd":
        try:
            import zstandard
        except ImportError:
            raise MissingExtraError(f"reading {item.name}", "data") from None
        try:
            with item.path.open("rb") as raw:
                yield zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        except zstandard.ZstdError as error:
            raise InputError(f"{item.name}: the archive is damaged: {error}") from None
    elif item.compression == "gzip":
        with gzip.open(item.path, "rb") as file:
            yield file
    elif item.compression == "bz2":
        with bz2.open(item.path, "rb") as file:
            yield file
    else:
        with lzma.open(item.path, "rb") as file:
            yield file


def copy_stream(stream: IO[bytes], to: Path) -> None:
    """Write a stream (standard input) to a file."""
    with whole(to) as out:
        shutil.copyfileobj(stream, out, CHUNK)


_MAGIC = {
    b"\x1f\x8b": ("stdin", "gzip"),
    b"\x28\xb5\x2f\xfd": ("stdin", "zstd"),
    b"BZh": ("stdin", "bz2"),
    b"\xfd7zXZ": ("stdin", "xz"),
    b"PK\x03\x04": ("xlsx", None),
    b"PAR1": ("parquet", None),
    b"ARROW1": ("arrow", None),
}


def recognise(item: Input, path: Path) -> Input:
    """Tell what came through a stream, which has no name with an ending, by its first bytes."""
    with path.open("rb") as file:
        head = file.read(8)
    found = next((kind for mark, kind in _MAGIC.items() if head.startswith(mark)), ("stdin", None))
    return replace(item, container=found[0], compression=found[1], path=path, records=None)


def transcode(path: Path, to: Path, encoding: str, name: str, *, line_ends: bool = False) -> None:
    """Write a file anew as UTF-8, with `line_ends` as line feeds.

    Raises `InputError` with the byte where the encoding does not fit.
    """
    try:
        with path.open("r", encoding=encoding, newline=None if line_ends else "") as file, whole(to) as out:
            while text := file.read(CHUNK):
                out.write(text.encode("utf-8"))
    except UnicodeError as error:
        raise InputError(f"{name}: is not {encoding}: {error}") from None
    except LookupError:
        raise InputError(
            f"{name}: unknown encoding '{encoding}': try utf-8, utf-16, cp1252, shift_jis, gb18030"
        ) from None


def write_records(item: Input, to: Path) -> None:
    """Write the records of a binary container or of an object in memory as one JSON object a line."""
    with whole(to) as out:
        for record in records(item):
            out.write(_encoded(record) + b"\n")


_encode = msgspec.json.Encoder().encode


def _encoded(record: Any) -> bytes:
    """Return a record as one line of JSON. What JSON cannot hold is written so that reading it gives a finding."""
    try:
        return _encode(record)
    except (TypeError, ValueError, RecursionError):
        try:
            return json.dumps(record, default=str).encode()  # half a surrogate pair as an escape, NaN, large numbers
        except (TypeError, ValueError, RecursionError) as error:
            return f"unreadable record: {error}".encode("utf-8", "replace").replace(b"\n", b" ")
