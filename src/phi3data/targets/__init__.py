"""What each destination accepts. The facts are data (targets.toml); code asks the profile and never tests a name."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path

import msgspec

from phi3data.errors import UsageError, did_you_mean

DEFAULT = "foundry"


class TargetProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One destination. `label_key` is the key that rows may carry their label under, "" for messages only."""

    name: str
    title: str
    label_key: str
    minimum_rows: int
    advised_rows: int


@cache
def targets() -> dict[str, TargetProfile]:
    """Return every known destination by its name."""
    table = tomllib.loads(Path(__file__).with_name("targets.toml").read_text("utf-8"))
    return {name: msgspec.convert({"name": name, **facts}, TargetProfile) for name, facts in table.items()}


def target(name: str) -> TargetProfile:
    """Return the destination with this name. Raises `UsageError` with a suggestion."""
    found = targets().get(name.casefold())
    if found is None:
        raise UsageError(f"unknown target '{name}'{did_you_mean(name, targets())}; known: {', '.join(targets())}")
    return found
