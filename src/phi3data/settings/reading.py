"""Finds and reads the configuration."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data import family, targets, toml
from phi3data.errors import UsageError, did_you_mean
from phi3data.findings import Finding, pointer
from phi3data.rules import RULES
from phi3data.rules.options import DEFAULTS, Thresholds
from phi3data.rules.placed import Placed
from phi3data.settings.configured import Settings
from phi3data.settings.keys import Allow, Keys, Splits
from phi3data.text.lazy import Lazy

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NAME = "phi3data.toml"
_PYPROJECT = "pyproject.toml"
_INSIDE: dict[str, type[msgspec.Struct]] = {"splits": Splits, "allow": Allow, "rules": Thresholds}
_ENTRY = Lazy(r"[ \t]*\[\[[ \t]*(?:tool[ \t]*\.[ \t]*phi3data[ \t]*\.[ \t]*)?allow[ \t]*\]\]")
_FINGERPRINT = Lazy(r"[0-9a-f]{64}")


def find(start: Path) -> Settings:
    """Return the settings of the nearest configuration, from the folder `start` upwards; the defaults if there is none.

    In each folder `phi3data.toml` goes before a `pyproject.toml` with `[tool.phi3data]`. The search ends with the
    folder that holds `.git`, or with the home folder. Raises as `load` does.
    """
    start = start.absolute()
    home = Path("~").expanduser()
    for folder in (start, *start.parents):
        own = folder / NAME
        if own.is_file():
            return load(own)
        shared = folder / _PYPROJECT
        if shared.is_file() and b"phi3data" in shared.read_bytes():  # most have nothing to say: no need to parse them
            table = _section(toml.read(shared, "configuration"), shared)
            if table is not None:
                return load(shared)
        if (folder / ".git").exists() or folder == home:
            break
    return Settings(start)


def load(path: Path) -> Settings:
    """Read a configuration; the name `pyproject.toml` means its table `[tool.phi3data]`.

    Raises `InputError` for a file that cannot be read or is no TOML, and `UsageError` for an unknown key and for a
    value that is not allowed. A rule that does not exist is a finding of its own (`Settings.unknown`).
    """
    path = path.absolute()
    parsed = toml.read(path, "configuration")
    table = _section(parsed, path) if path.name == _PYPROJECT else parsed
    if table is None:
        raise UsageError(f"{path}: has no table [tool.phi3data]")
    _refuse_unknown(table, str(path))
    keys = _converted(table, path)
    _refuse_values(keys, str(path))
    lines = path.read_text("utf-8").splitlines()
    entries = [number for number, line in enumerate(lines, 1) if _ENTRY.match(line)]
    whole = len(entries) == len(keys.allow)  # not so for allow = [{…}, {…}]
    return Settings(
        path.parent, keys, path, tuple(_unknown_rules(keys, lines)), tuple(entries if whole else [1] * len(keys.allow))
    )


def _section(parsed: dict[str, Any], path: Path) -> dict[str, Any] | None:
    tool = parsed.get("tool")
    table = tool.get("phi3data") if isinstance(tool, dict) else None
    if table is not None and not isinstance(table, dict):
        raise UsageError(f"{path}: tool.phi3data: expected a table, [tool.phi3data]")
    return table


def _refuse_unknown(table: dict[str, Any], where: str) -> None:
    _refuse_keys(Keys, table, "", where)
    for name, kind in _INSIDE.items():
        value = table.get(name)
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, dict):
                _refuse_keys(kind, inner, f"{name}.", where)
    rules = table.get("rules")
    for code, options in rules.items() if isinstance(rules, dict) else ():
        if isinstance(options, dict):
            _refuse_keys(type(getattr(DEFAULTS, code)), options, f"rules.{code}.", where)


def _refuse_keys(kind: type[msgspec.Struct], table: dict[str, Any], prefix: str, where: str) -> None:
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    for key in table:
        if key not in known:
            near = did_you_mean(key, known) or f"; known: {', '.join(known)}"
            raise UsageError(f"{where}: unknown key '{prefix}{key}'{near}")


def _converted(table: dict[str, Any], path: Path) -> Keys:
    try:
        return msgspec.convert(table, Keys)
    except msgspec.ValidationError as error:
        key, text = toml.wrong_value(error)
        if "matching regex" in text:
            text = "expected some text"
        if key == "fail-on":
            text += ": expected one of error, warning, never"
        raise UsageError(f"{path}: {f'{key}: ' if key else ''}{text}") from None


def _refuse_values(keys: Keys, where: str) -> None:
    try:
        if keys.model is not None:
            family.model(keys.model)
        if keys.target is not None:
            targets.target(keys.target)
    except UsageError as error:
        raise UsageError(f"{where}: {error}") from None
    splits = (keys.splits.train, keys.splits.validation, keys.splits.test)
    allowed = tuple(entry.path for entry in keys.allow if entry.path is not None)
    for pattern in (*keys.exclude, *keys.against, *keys.per_file_ignores, *allowed, *sum(splits, ())):
        if pattern.startswith("!"):
            raise UsageError(f"{where}: '{pattern}': a pattern cannot be turned round with '!'")
    for number, entry in enumerate(keys.allow, 1):
        wrong = _wrong(entry)
        if wrong:
            raise UsageError(f"{where}: allow entry {number} ({entry.code}): {wrong}")


def _wrong(entry: Allow) -> str | None:
    if (entry.fingerprint is None) == (entry.path is None):
        return "needs a fingerprint or a path, and not both"
    if entry.fingerprint is not None:
        if not _FINGERPRINT.fullmatch(entry.fingerprint):
            return "a fingerprint is 64 hexadecimal digits; phi3data check --output json shows it"
        if entry.pointer is not None or entry.text is not None:
            return "pointer and text go with a path; a fingerprint is one finding already"
    return None


def _unknown_rules(keys: Keys, lines: Sequence[str]) -> Iterator[Placed]:
    named: list[tuple[str, str]] = []  # code or beginning of codes, pointer
    for name in ("select", "ignore"):
        named += [(code, pointer(name, index)) for index, code in enumerate(getattr(keys, name))]
    for pattern, codes in keys.per_file_ignores.items():
        named += [(code, pointer("per-file-ignores", pattern, index)) for index, code in enumerate(codes)]
    for code, where in named:
        if not any(known.startswith(code) for known in RULES):
            yield _unknown(code, f"unknown rule '{code}'{did_you_mean(code, RULES)}", where, lines)
    for index, entry in enumerate(keys.allow):
        if entry.code not in RULES:
            several = any(known.startswith(entry.code) for known in RULES)
            near = "; an allow entry names one rule" if several else did_you_mean(entry.code, RULES)
            yield _unknown(entry.code, f"unknown rule '{entry.code}'{near}", pointer("allow", index, "code"), lines)


def _unknown(code: str, message: str, where: str, lines: Sequence[str]) -> Placed:
    quoted = (f'"{code}"', f"'{code}'")
    line = next((number for number, text in enumerate(lines, 1) if any(item in text for item in quoted)), None)
    return Placed(Finding("Z902", message, where), line)
