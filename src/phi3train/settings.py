"""Configuration files: TOML in and out, settings from the command line, and no unknown key that passes."""

from __future__ import annotations

import tomllib
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from phi3data import family
from phi3data.errors import InputError, UsageError, did_you_mean
from phi3train.config import Config

# What other tools and portals call a key.
_OTHER_NAMES = {
    "lr": "train.learning_rate",
    "n_epochs": "train.epochs",
    "num_train_epochs": "train.epochs",
    "per_device_train_batch_size": "train.micro_batch",
    "max_length": "truncation.max_tokens",
    "max_seq_length": "truncation.max_tokens",
    "lora_r": "method.rank",
    "r": "method.rank",
    "lora_alpha": "method.alpha",
    "target_modules": "method.targets",
    "max_grad_norm": "train.max_gradient_norm",
    "lr_scheduler_type": "train.schedule",
    "bf16": "train.precision",
    "gradient_checkpointing": "train.checkpointing",
}


def load(path: str | Path | None = None, settings: dict[str, Any] | None = None) -> Config:
    """Read a configuration file and apply settings (dotted key → value) over it.

    Paths are as they are written: relative ones start from the working directory.
    Raises `InputError` for a file that cannot be read as TOML, `UsageError` for a key or value that is not allowed.
    """
    table: dict[str, Any] = {}
    if path is not None:
        try:
            table = tomllib.loads(Path(path).read_text("utf-8"))
        except OSError as error:
            raise InputError(f"{path}: the configuration cannot be read: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: the configuration is no TOML: {error}") from None
    for key, value in (settings or {}).items():
        _set(table, key, value)
    return resolve(table, str(path) if path is not None else "configuration")


def resolve(table: dict[str, Any], where: str = "configuration") -> Config:
    """Return the configuration that a table makes. Raises `UsageError` with the key, and the nearest known one."""
    _refuse_unknown(Config, table, "", where)
    try:
        config = msgspec.convert(table, Config)
    except msgspec.ValidationError as error:
        text, _, at = str(error).partition(" - at ")
        key = at.strip("`").removeprefix("$.")
        text = text[0].lower() + text[1:].replace("`", "")
        raise UsageError(f"{where}: {key or 'the file'}: {text}{_choices(key)}") from None
    family.model(config.model.name)
    if not config.method.targets:
        raise UsageError(f"{where}: method.targets: names no layer")
    return config


def parse_setting(text: str) -> tuple[str, Any]:
    """Parse ``section.key=value``; the value is TOML, and text where it is no TOML. Raises `UsageError`."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {text}: expected section.key=value, for example --set train.epochs=2")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a configuration."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Config)}


def to_toml(config: Config, *, comments: bool = False, notes: dict[str, str] | None = None) -> str:
    """Write a configuration as TOML; with comments, every key is explained.

    `notes` says more about single keys (dotted), on a line of its own.
    """
    lines: list[str] = []
    _write(config, "", lines, notes or {}, comments=comments)
    return "\n".join(lines).strip() + "\n"


def _set(table: dict[str, Any], dotted: str, value: Any) -> None:
    *sections, key = dotted.split(".")
    for section in sections:
        inner = table.setdefault(section, {})
        if not isinstance(inner, dict):
            raise UsageError(f"--set {dotted}: '{section}' is a value, not a section")
        table = inner
    table[key] = value


def _refuse_unknown(kind: type[msgspec.Struct], table: dict[str, Any], prefix: str, where: str) -> None:
    known = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for key, value in table.items():
        if key not in known:
            every = _keys(Config)
            last = {name.rpartition(".")[2]: name for name in every} | _OTHER_NAMES
            near = did_you_mean(f"{prefix}{key}", [*(prefix + name for name in known), *every])
            exact = f"; did you mean '{last[key]}'?" if key in last else ""
            raise UsageError(f"{where}: unknown key '{prefix}{key}'{exact or near}")
        section = _section(known[key])
        if section is not None and isinstance(value, dict):
            _refuse_unknown(section, value, f"{prefix}{key}.", where)


def _choices(dotted: str) -> str:
    """Return the values that a key can have, where they are a list."""
    kind: Any = Config
    for name in dotted.partition("[")[0].split("."):
        kind = typing.get_type_hints(kind).get(name) if isinstance(kind, type) else None
    return f": expected one of {', '.join(typing.get_args(kind))}" if typing.get_origin(kind) is Literal else ""


def _section(hint: Any) -> type[msgspec.Struct] | None:
    kind = typing.get_args(hint)[0] if typing.get_origin(hint) is Annotated else hint
    return kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None


def _keys(kind: type[msgspec.Struct], prefix: str = "") -> list[str]:
    out: list[str] = []
    for field in msgspec.structs.fields(kind):
        section = _section(field.type)
        out += _keys(section, f"{prefix}{field.name}.") if section else [f"{prefix}{field.name}"]
    return out


def _write(section: msgspec.Struct, name: str, lines: list[str], notes: dict[str, str], *, comments: bool) -> None:
    inner: list[tuple[str, msgspec.Struct, str]] = []
    hints = typing.get_type_hints(type(section), include_extras=True)
    for field in msgspec.structs.fields(type(section)):
        value, key = getattr(section, field.name), f"{name}.{field.name}".strip(".")
        text = _description(hints[field.name])
        if isinstance(value, msgspec.Struct):
            inner.append((key, value, text))
            continue
        if comments:
            lines += [*([""] if not name else []), f"# {text}"]
            lines += [f"# {notes[key]}"] if key in notes else []
        if value is not None:
            lines.append(f"{field.name} = {_toml(value)}")
        elif comments:
            lines.append(f"# {field.name} =")
    for key, value, text in inner:
        lines += ["", *([f"# {text}"] if comments else []), f"[{key}]"]
        _write(value, key, lines, notes, comments=comments)


def _description(hint: Any) -> str:
    return next(item.description for item in typing.get_args(hint)[1:] if isinstance(item, Meta) and item.description)


def _toml(value: Any) -> str:
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")
