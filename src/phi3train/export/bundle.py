"""A bundle: a folder that is handed over, with a manifest of every file in it, whole or not there at all."""

from __future__ import annotations

import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from phi3data.errors import InputError, OutputError
from phi3data.sources.files import digest
from phi3data.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Iterator

Kind = Literal["finetune", "model", "adapter", "onnx"]
MANIFEST = "manifest.json"


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file as it was handed over."""

    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a bundle is and what it holds. `facts` say more, by the kind of bundle; no path of this machine is in it."""

    kind: Kind
    name: str
    base_model: str  # on the hub
    phi3kit: str = VERSION
    facts: dict[str, Any] = {}
    files: dict[str, File] = {}


@contextmanager
def building(output: Path, *, overwrite: bool) -> Iterator[Path]:
    """Give a new folder to build in, and put it at `output` when all is done. Raises `OutputError` if that is taken."""
    named, output = output, output.resolve()
    if output.exists() and not (output.is_dir() and not any(output.iterdir())):
        if not _is_bundle(output):
            raise OutputError(f"{named}: exists and is no bundle: choose another folder")
        if not overwrite:
            raise OutputError(f"{named}: exists: --overwrite replaces it")
    output.parent.mkdir(parents=True, exist_ok=True)
    work = Path(mkdtemp(prefix=f".{output.name}.", dir=output.parent))
    try:
        part = work / "new"
        part.mkdir()
        yield part
        if output.exists():
            output.rename(work / "old")
        part.rename(output)
    finally:
        old = work / "old"
        if old.exists() and not output.exists():  # it ended between the two renames
            old.rename(output)
        shutil.rmtree(work, ignore_errors=True)


def _is_bundle(folder: Path) -> bool:
    try:
        read(folder)
    except InputError:
        return False
    return True


def seal(folder: Path, manifest: Manifest) -> Manifest:
    """Write the manifest of a finished folder and return it."""
    mode = 0o666 & ~_mask()
    for _, path in files(folder):
        path.chmod(mode)  # libraries write weights for their owner alone, and servers are other users
    sealed = msgspec.structs.replace(manifest, files=contents(folder))
    write_json(folder / MANIFEST, sealed)
    return sealed


def _mask() -> int:
    """Return which rights this user does not give to others."""
    mask = os.umask(0o022)
    os.umask(mask)
    return mask


def contents(folder: Path) -> dict[str, File]:
    """Return every file of a bundle but its manifest, by its place in it."""
    return {
        name: File(bytes=path.stat().st_size, sha256=digest(path)) for name, path in files(folder) if name != MANIFEST
    }


def files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Yield every file of a folder by its place in it, with that place on this machine."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        yield path.relative_to(folder).as_posix(), path


def read(folder: Path) -> Manifest:
    """Return the manifest of a bundle. Raises `InputError` where there is none that can be read."""
    try:
        return msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    except OSError:
        raise InputError(f"{folder}: is no bundle: {MANIFEST} is not there; phi3train export makes one") from None
    except msgspec.DecodeError as error:
        raise InputError(f"{folder}: is no bundle: {MANIFEST} is that of something else, or damaged: {error}") from None


def write_json(path: Path, value: Any) -> None:
    """Write a file of JSON as people read it."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(value), indent=2) + b"\n")


def write_yaml(path: Path, value: dict[str, Any]) -> None:
    """Write a file of YAML as people read it, its keys in the order in which they stand."""
    import yaml  # type: ignore[import-untyped] # upload and test-endpoint read bundles and do not need it

    path.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=120), "utf-8")


def read_json(path: Path) -> dict[str, Any]:
    """Return a JSON object from a file. Raises `InputError` where there is none."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    except msgspec.DecodeError as error:
        raise InputError(f"{path}: is no JSON object: {error}") from None
