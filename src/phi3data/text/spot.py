"""A place in a text that a kernel finds fault with, and how it is shown to people."""

from __future__ import annotations

import unicodedata
from typing import NamedTuple

_SHOWN = 40  # code points of a piece that a message shows


class Spot(NamedTuple):
    """A piece of a text, start and end in code points. `what` says what it is, `shown` how it is to be shown.

    `shown` is given where the piece itself must not be printed (secrets, personal data); else the piece is quoted.
    """

    start: int
    end: int
    what: str
    shown: str | None = None


def describe(text: str, spot: Spot) -> str:
    """Say what is at a spot and where: ``a placeholder '{{name}}' at character 12`` (code points, from 1)."""
    shown = quoted(text[spot.start : spot.end]) if spot.shown is None else spot.shown
    return f"{spot.what}{' ' if shown else ''}{shown} at character {spot.start + 1}"


def quoted(piece: str) -> str:
    r"""Quote a piece, cut in the middle to 40 code points; what cannot be seen is written as ``\\u200b``."""
    if len(piece) > _SHOWN:
        half = _SHOWN // 2
        piece = f"{piece[:half]}…{piece[-half:]}"
    return "'" + "".join(character if _is_seen(character) else _escaped(character) for character in piece) + "'"


def masked(piece: str, keep: int = 4) -> str:
    """Show a secret by its first `keep` code points and its length; never more than a quarter of it."""
    return f"'{quoted(piece[: min(keep, len(piece) // 4)])[1:-1]}…' ({len(piece)} characters)"


def _is_seen(character: str) -> bool:
    return character == " " or (character.isprintable() and not unicodedata.combining(character))


def _escaped(character: str) -> str:
    named = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    code = ord(character)
    return named or (f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
