"""Files of safetensors, as far as their headers tell."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path


def header(path: Path) -> tuple[dict[str, Any], int]:
    """Return the tensors of a safetensors file by name, and the size in bytes that the file must have.

    The format: eight bytes with the length of the header, the header as JSON, the tensors. Raises `InputError`.
    """
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else -1
        if not 0 < length < path.stat().st_size:
            raise InputError(f"{path.name}: is no safetensors file")
        try:
            held = msgspec.json.decode(file.read(length), type=dict[str, Any])
        except msgspec.DecodeError:
            raise InputError(f"{path.name}: its header is no JSON: the file is damaged") from None
    held.pop("__metadata__", None)
    return held, 8 + length + max((tensor["data_offsets"][1] for tensor in held.values()), default=0)


def total(folder: Path) -> int:
    """Return the bytes of the weights of a model's folder."""
    return sum(path.stat().st_size for path in folder.glob("*.safetensors"))
