"""The recipe: everything that decides what `prepare` does. TOML, every key with a default, no unknown key passes."""

from __future__ import annotations

import tomllib
import typing
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from phi3data import family, targets
from phi3data.chat import ROLES
from phi3data.errors import InputError, UsageError, did_you_mean
from phi3data.sources.reader import SourceConfig
from phi3data.steps.check import CheckConfig
from phi3data.steps.clean import CleanConfig
from phi3data.steps.decontaminate import DecontaminateConfig
from phi3data.steps.dedup import DedupConfig
from phi3data.steps.length import LengthConfig
from phi3data.steps.missing import MissingConfig
from phi3data.steps.split import SplitConfig


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `prepare` does, step by step, in this order."""

    model: Annotated[str, Meta(description="The model to train: its context and template decide.")] = family.DEFAULT
    target: Annotated[str, Meta(description="Where the data goes: foundry, azure-openai, openai or trl.")] = (
        targets.DEFAULT
    )
    source: Annotated[SourceConfig, Meta(description="How raw files are read.")] = SourceConfig()
    clean: Annotated[CleanConfig, Meta(description="Repairs that do not change what a text says.")] = CleanConfig()
    missing: Annotated[MissingConfig, Meta(description="Messages that say nothing.")] = MissingConfig()
    check: Annotated[CheckConfig, Meta(description="Rows that cannot be trained on.")] = CheckConfig()
    decontaminate: Annotated[DecontaminateConfig, Meta(description="Rows that give away what a benchmark asks.")] = (
        DecontaminateConfig()
    )
    length: Annotated[LengthConfig, Meta(description="Tokens per row.")] = LengthConfig()
    dedup: Annotated[DedupConfig, Meta(description="Duplicate rows.")] = DedupConfig()
    split: Annotated[SplitConfig, Meta(description="Train, validation and test.")] = SplitConfig()


def load(path: str | Path | None = None, settings: dict[str, Any] | None = None) -> Recipe:
    """Read a recipe file and apply settings (dotted key → value) over it.

    Raises `InputError` for a file that is no TOML, `UsageError` for a key or value that is not allowed.
    """
    table: dict[str, Any] = {}
    if path is not None:
        try:
            table = tomllib.loads(Path(path).read_text("utf-8"))
        except OSError as error:
            raise InputError(f"{path}: the recipe cannot be read: {error.strerror}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise InputError(f"{path}: the recipe is no TOML: {error}") from None
    for key, value in (settings or {}).items():
        _set(table, key, value)
    return resolve(table, str(path) if path is not None else "recipe")


def resolve(table: dict[str, Any], where: str = "recipe") -> Recipe:
    """Return the recipe that a table of settings makes. Raises `UsageError` with the key, and the nearest known one."""
    _refuse_unknown(Recipe, table, "", where)
    try:
        recipe = msgspec.convert(table, Recipe)
    except msgspec.ValidationError as error:
        text, _, at = str(error).partition(" - at ")
        key = at.strip("`").removeprefix("$.")
        text = text[0].lower() + text[1:].replace("`", "")
        raise UsageError(f"{where}: {key or 'recipe'}: {text}{_choices(key)}") from None
    _refuse_splits(recipe.split, where)
    try:
        msgspec.json.encode(recipe)
    except UnicodeEncodeError:
        raise UsageError(f"{where}: holds text that is not UTF-8") from None
    for role in ROLES:
        if getattr(recipe.missing, role) == "fill" and not recipe.missing.fill_with.get(role):
            raise UsageError(f'{where}: missing.{role} = "fill" needs a text in missing.fill_with.{role}')
    family.model(recipe.model)
    targets.target(recipe.target)
    return recipe


def _refuse_splits(split: SplitConfig, where: str) -> None:
    sizes = {"validation": split.validation, "test": split.test}
    for name, size in sizes.items():
        if size >= 1 and size != int(size):
            raise UsageError(f"{where}: split.{name}: {size} is neither a fraction below 1 nor a whole number of rows")
    if sum(size for size in sizes.values() if size < 1) >= 1:
        raise UsageError(f"{where}: split: validation and test together leave nothing for train")
    if split.stable and (split.time is not None or max(sizes.values()) >= 1):
        raise UsageError(f"{where}: split.stable: goes with fractions only, not with a number of rows or a time")


def parse_setting(text: str) -> tuple[str, Any]:
    """Parse ``section.key=value``; the value is TOML, and text where it is no TOML. Raises `UsageError`."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise UsageError(f"--set {text}: expected section.key=value, for example --set split.validation=0.2")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return key.strip(), value.strip()


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
            near = did_you_mean(f"{prefix}{key}", [*(prefix + name for name in known), *_keys(Recipe)])
            last = {name.rpartition(".")[2]: name for name in _keys(Recipe)}
            exact = f"; did you mean '{last[key]}'?" if key in last else ""
            raise UsageError(f"{where}: unknown key '{prefix}{key}'{exact or near}")
        section = _section(known[key])
        if section is not None and isinstance(value, dict):
            _refuse_unknown(section, value, f"{prefix}{key}.", where)


def _choices(dotted: str) -> str:
    """Return the values that a key of a recipe can have, where they are a list."""
    kind: Any = Recipe
    for name in dotted.partition("[")[0].split("."):
        hints = typing.get_type_hints(kind) if isinstance(kind, type) else {}
        kind = hints.get(name)
    while kind is not None and typing.get_origin(kind) is tuple:
        kind = typing.get_args(kind)[0]
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


def to_toml(recipe: Recipe, *, comments: bool = False) -> str:
    """Write a recipe as TOML; with comments, every key is explained by its own description."""
    lines: list[str] = []
    _write(recipe, "", lines, comments=comments)
    return "\n".join(lines).strip() + "\n"


def _write(section: msgspec.Struct, name: str, lines: list[str], *, comments: bool) -> None:
    inner: list[tuple[str, str, msgspec.Struct]] = []
    for field in msgspec.structs.fields(type(section)):
        value = getattr(section, field.name)
        text = _description(type(section), field.name)
        if isinstance(value, msgspec.Struct):
            inner.append((f"{name}.{field.name}".strip("."), text, value))
            continue
        if comments:
            lines += ["", f"# {text}"] if name == "" else [f"# {text}"]
        if value is None:
            if comments:
                lines.append(f'# {field.name} = "…"')
        else:
            lines.append(f"{field.name} = {_toml(value)}")
    for path, text, value in inner:
        lines += ["", *([f"# {text}"] if comments else []), f"[{path}]"]
        _write(value, path, lines, comments=comments)


def _description(kind: type[msgspec.Struct], field: str) -> str:
    hint = typing.get_type_hints(kind, include_extras=True)[field]
    meta = next((item for item in typing.get_args(hint)[1:] if isinstance(item, Meta)), None)
    return (meta.description if meta else None) or field


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml_key(key)} = {_toml(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return msgspec.json.encode(value).decode().replace("\x7f", "\\u007f")


def _toml_key(key: str) -> str:
    bare = key.isascii() and key.replace("-", "").replace("_", "").isalnum()
    return key if bare else msgspec.json.encode(key).decode()


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a recipe."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Recipe)}
