"""What each destination accepts. The facts are data (targets.toml); code asks the profile and never tests a name."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from phi3data.errors import UsageError, did_you_mean
from phi3data.findings import Severity

DEFAULT = "foundry"


class TargetProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One destination.

    `label_key` is the key that rows may carry their label under, "" for messages only. Rows are counted as they are in
    one file; `size_limit` is in bytes, None where there is none. `severities` are the codes that this destination
    takes more or less seriously than the catalogue does.
    """

    name: str
    title: str
    label_key: str
    minimum_rows: int
    advised_rows: int
    ample_rows: int
    size_limit: int | None = None
    bom: Literal["refused", "either", "wanted"]
    keys: tuple[str, ...] = ()
    extra_keys: Literal["refused", "dropped", "kept"]
    partial_rows: Literal["dropped", "kept"]
    reads_weight: bool
    splits_in_order: bool
    severities: dict[str, Severity] = {}

    def severity(self, code: str, default: Severity) -> Severity:
        """Return how serious a code is here, `default` where this destination says nothing of its own."""
        return self.severities.get(code, default)


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
