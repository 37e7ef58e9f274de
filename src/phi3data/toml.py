"""Settings as TOML: read, with settings from the command line over them, checked key by key, and written with comments.

The shape of a file is a tree of frozen Structs whose fields are annotated with a description.
"""

from __future__ import annotations

import typing
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta

from phi3data.errors import InputError, UsageError, did_you_mean

_Struct = TypeVar("_Struct", bound=msgspec.Struct)


def read(path: str | Path, noun: str) -> dict[str, Any]:
    """Return the table that a file holds; `noun` is what messages call it. Raises `InputError`."""
    import tomllib

    try:
        return tomllib.loads(Path(path).read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: the {noun} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the {noun} is no TOML: {error}") from None


def parse_setting(text: str, example: str) -> tuple[str, Any]:
    """Parse ``section.key=value``; the value is TOML, and text where it is no TOML. Raises `UsageError`."""
    import tomllib

    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {text}: expected section.key=value, for example --set {example}")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def change(table: dict[str, Any], settings: dict[str, Any]) -> None:
    """Put settings (dotted key → value) into a table. Raises `UsageError` where a value stands for a section."""
    for dotted, value in settings.items():
        *sections, key = dotted.split(".")
        inner: Any = table
        for section in sections:
            inner = inner.setdefault(section, {})
            if not isinstance(inner, dict):
                raise UsageError(f"--set {dotted}: '{section}' is a value, not a section")
        inner[key] = value


def convert(
    table: dict[str, Any], kind: type[_Struct], where: str, other_names: dict[str, str] | None = None
) -> _Struct:
    """Return the Struct that a table makes. `where` begins a message; `other_names` maps what others call a key.

    Raises `UsageError` with the key that is unknown, and the nearest known one, or whose value is not allowed.
    """
    every = keys(kind)
    last = {name.rpartition(".")[2]: name for name in every} | (other_names or {})
    for key, known in _unknown(kind, table, ""):
        name = key.rpartition(".")[2]
        near = f"; did you mean '{last[name]}'?" if name in last else did_you_mean(key, [*known, *every])
        raise UsageError(f"{where}: unknown key '{key}'{near}")
    try:
        return msgspec.convert(table, kind)
    except msgspec.ValidationError as error:
        key, text = wrong_value(error)
        if "matching regex" in text:
            text = f"is none of its values: {_told(kind, key)}"
        raise UsageError(f"{where}: {key or 'the file'}: {text}{_choices(kind, key)}") from None


def wrong_value(error: msgspec.ValidationError) -> tuple[str, str]:
    """Return the dotted key of a value that is not allowed (empty for the whole table), and why."""
    text, _, at = str(error).partition(" - at ")
    return at.strip("`").removeprefix("$").removeprefix("."), text[0].lower() + text[1:].replace("`", "")


@cache
def _fields(kind: type[msgspec.Struct]) -> tuple[msgspec.structs.FieldInfo, ...]:
    return msgspec.structs.fields(kind)  # which compiles every annotation again: 20 ms for a recipe


def keys(kind: type[msgspec.Struct], prefix: str = "") -> list[str]:
    """Return the dotted keys of all values."""
    out: list[str] = []
    for field in _fields(kind):
        section = _section(field.type)
        out += keys(section, f"{prefix}{field.name}.") if section else [f"{prefix}{field.name}"]
    return out


def schema(kind: type[msgspec.Struct]) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(kind)}


def write(settings: msgspec.Struct, *, comments: bool = False, notes: dict[str, str] | None = None) -> str:
    """Write a Struct as TOML; with comments, every key is explained by its description.

    `notes` says more about single keys (dotted), on a line of its own.
    """
    lines: list[str] = []
    _write(settings, "", lines, notes or {}, comments=comments)
    return "\n".join(lines).strip() + "\n"


def _unknown(kind: type[msgspec.Struct], table: dict[str, Any], prefix: str) -> typing.Iterator[tuple[str, list[str]]]:
    """Yield each key that is unknown, and the known ones beside it."""
    known = {field.name: field.type for field in _fields(kind)}
    for key, value in table.items():
        if key not in known:
            yield f"{prefix}{key}", [prefix + name for name in known]
        elif isinstance(value, dict) and (section := _section(known[key])) is not None:
            yield from _unknown(section, value, f"{prefix}{key}.")


def _choices(kind: Any, dotted: str) -> str:
    """Return the values that a key can have, where they are a list."""
    for name in dotted.partition("[")[0].split("."):
        kind = typing.get_type_hints(kind).get(name) if isinstance(kind, type) else None
    while kind is not None and typing.get_origin(kind) is tuple:
        kind = typing.get_args(kind)[0]
    return f": expected one of {', '.join(typing.get_args(kind))}" if typing.get_origin(kind) is Literal else ""


def _told(kind: Any, dotted: str) -> str:
    """Return what a key means, in its own words."""
    hint: Any = kind
    for name in dotted.partition("[")[0].split("."):
        hint = typing.get_type_hints(_section(hint) or hint, include_extras=True)[name]
    return _description(hint) or "see its description"


def _section(hint: Any) -> type[msgspec.Struct] | None:
    kind = typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint
    return kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None


def _write(section: msgspec.Struct, name: str, lines: list[str], notes: dict[str, str], *, comments: bool) -> None:
    inner: list[tuple[str, str, msgspec.Struct]] = []
    for field in _fields(type(section)):
        value, key = getattr(section, field.name), f"{name}.{field.name}".strip(".")
        text = _description(field.type) or field.name
        if isinstance(value, msgspec.Struct):
            inner.append((key, text, value))
            continue
        if comments:
            lines += [*([] if name else [""]), f"# {text}"]
            lines += [f"# {notes[key]}"] if key in notes else []
        if value is not None:
            lines.append(f"{field.name} = {_toml(value)}")
        elif comments:
            lines.append(f"# {field.name} =")
    for key, text, value in inner:
        lines += ["", *([f"# {text}"] if comments else []), f"[{key}]"]
        _write(value, key, lines, notes, comments=comments)


def _description(hint: Any) -> str | None:
    known = (item.description for item in typing.get_args(hint)[1:] if isinstance(item, Meta))
    return next((text for text in known if text), None)


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def _toml_key(key: str) -> str:
    bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else msgspec.json.encode(key).decode()
