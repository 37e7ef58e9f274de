"""A bundle into Azure Blob storage: every file whole and proved by its MD5, or not there; what was cut goes on.

A file is staged in blocks whose ids say what is in them, and committed with its MD5 when all are there. Whatever is
there already, a file or a block, is not sent again. No secret is ever shown: an address is told without its signature.
"""

from __future__ import annotations

import base64
from contextlib import contextmanager
from hashlib import md5, sha256
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import msgspec
from azure.core import MatchConditions
from azure.core.exceptions import (
    AzureError,
    HttpResponseError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)
from azure.storage.blob import BlobBlock, ContainerClient, ContentSettings

from phi3data.errors import InputError, OutputError, UsageError
from phi3train.export.bundle import MANIFEST, File, files, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from azure.storage.blob import BlobClient

    from phi3train.export.bundle import Manifest

_BLOCK = 4 * 2**20  # bytes; 50,000 of them are the most of one file, 195 GB
_RETRIES = 2  # of a request that got no answer, within seconds; longer cuts are left to the next call


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a file. `sent` are the bytes that went over the network."""

    name: str
    bytes: int
    sent: int
    state: Literal["uploaded", "already there", "would be uploaded"]


def upload(
    bundle: Path,
    address: str,
    *,
    prefix: str = "",
    credential: Any = None,
    overwrite: bool = False,
    dry_run: bool = False,
    told: Callable[[Sent], None] | None = None,
) -> list[Sent]:
    """Upload the files of a bundle, its manifest last, so that a manifest that is there means that all is.

    `address` is that of a container, with a shared access signature, or without one and with a `credential`. Blobs are
    named `prefix`/file; the prefix is the bundle's name otherwise. `told` hears of each file. Raises `InputError` for
    files that are not those of the manifest, `UsageError` for an address or a signature that does not work,
    `OutputError` where another file is in the way, or the connection was cut.
    """
    manifest = read(bundle)
    digests = _digests(bundle, manifest)
    where = _shown(address, signed=credential is not None)
    names = [*manifest.files, MANIFEST]
    found = []
    with (
        _explained(where),
        ContainerClient.from_container_url(
            address, credential=credential, retry_total=_RETRIES, logging_enable=False
        ) as container,
    ):
        for name in names:
            blob = container.get_blob_client(f"{(prefix or manifest.name).strip('/')}/{name}")
            sent = _file(blob, bundle / name, name, digests[name], overwrite=overwrite, dry_run=dry_run)
            if told is not None:
                told(sent)
            found.append(sent)
    return found


def _digests(bundle: Path, manifest: Manifest) -> dict[str, bytes]:
    """Return the MD5 of each file, in the one reading that holds the files to the manifest."""
    found, digests = {}, {}
    for name, path in files(bundle):
        sha, digests[name] = sha256(), md5(usedforsecurity=False)  # what the service keeps beside a file
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                sha.update(block)
                digests[name].update(block)
        if name != MANIFEST:
            found[name] = File(bytes=path.stat().st_size, sha256=sha.hexdigest())
    if found != manifest.files:
        raise InputError(f"{bundle}: its files are not those of {MANIFEST}: phi3train verify {bundle} says which")
    return {name: made.digest() for name, made in digests.items()}


def _file(blob: BlobClient, path: Path, name: str, digest: bytes, *, overwrite: bool, dry_run: bool) -> Sent:
    size = path.stat().st_size
    there = _there(blob)
    if there == (size, digest):
        return Sent(name=name, bytes=size, sent=0, state="already there")
    if there is not None and not overwrite:
        raise OutputError(f"{blob.container_name}/{blob.blob_name}: another file is there: --overwrite replaces it")
    if dry_run:
        return Sent(name=name, bytes=size, sent=0, state="would be uploaded")
    staged = _staged(blob)
    sent = 0
    ids: list[str] = []
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            # An id tells the place of a block and what is in it; all ids of a blob have one length.
            id_ = f"{len(ids):05d}-{md5(block, usedforsecurity=False).hexdigest()}"
            if staged.get(id_) != len(block):
                blob.stage_block(id_, block, length=len(block), validate_content=True)
                sent += len(block)
            ids.append(id_)
    blob.commit_block_list(
        [BlobBlock(block_id=id_) for id_ in ids],
        content_settings=ContentSettings(content_md5=bytearray(digest)),
        match_condition=None if overwrite else MatchConditions.IfMissing,
    )
    if _there(blob) != (size, digest):
        raise OutputError(
            f"{blob.container_name}/{blob.blob_name}: arrived otherwise than it was sent: upload it again"
        )
    return Sent(name=name, bytes=size, sent=sent, state="uploaded")


def _there(blob: BlobClient) -> tuple[int, bytes] | None:
    """Return size and MD5 of the file that is there, None where there is none."""
    try:
        properties = blob.get_blob_properties()
    except ResourceNotFoundError as error:
        if _code(error) != "BlobNotFound":
            raise
        return None
    return properties.size, bytes(properties.content_settings.content_md5 or b"")


def _staged(blob: BlobClient) -> dict[str, int]:
    """Return the blocks of an upload that was cut, by their ids, with their bytes."""
    try:
        _, waiting = blob.get_block_list("all")
    except ResourceNotFoundError:
        return {}
    return {_id(block.id): block.size for block in waiting}


def _id(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except ValueError:  # as it was given
        return text


def _shown(address: str, *, signed: bool) -> str:
    """Return an address without its signature. Raises `UsageError` for what is none."""
    try:
        parts = urlsplit(address)
        where = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
    except ValueError:  # a host or a port that is none
        parts, where = urlsplit(""), ""
    if parts.scheme not in ("http", "https") or not parts.netloc or not parts.path.strip("/"):
        raise UsageError(
            "--to: expected the address of a container: https://ACCOUNT.blob.core.windows.net/CONTAINER?SAS"
        )
    if not signed and "sig=" not in parts.query:
        raise UsageError(f"--to: {where} has no signature: make one for the container, or sign in with --identity")
    return where


def _code(error: HttpResponseError) -> str:
    """Return the service's own name for what went wrong."""
    code = getattr(error, "error_code", None) or error.status_code
    return str(getattr(code, "value", code))


@contextmanager
def _explained(where: str) -> Iterator[None]:
    """Say what the service says in one line of our own: its own messages repeat signatures."""
    try:
        yield
    except ResourceNotFoundError:
        raise UsageError(f"{where}: there is no such container: create it, or correct the address") from None
    except (ServiceRequestError, ServiceResponseError):
        raise OutputError(
            f"{where}: the connection was cut or never came about: the same command goes on from here"
        ) from None
    except HttpResponseError as error:
        code = _code(error)
        if error.status_code is None:
            raise UsageError(f"{where}: not signed in: az login, or an address with a signature") from None
        if error.status_code in (401, 403) or code == "PublicAccessNotPermitted":
            raise UsageError(
                f"{where}: refused ({code}): the signature is wrong, has run out, or does not allow to read, create "
                "and write: make a new one for this container"
            ) from None
        raise OutputError(f"{where}: refused ({code}): the same command goes on from here") from None
    except AzureError as error:
        raise OutputError(f"{where}: {type(error).__name__}: the same command goes on from here") from None
