"""What Microsoft Foundry fine-tunes itself, and with which hyperparameters: dated facts (foundry.toml)."""

from __future__ import annotations

import re
import tomllib
from decimal import Decimal
from functools import cache
from pathlib import Path

import msgspec

from phi3data import family
from phi3data.errors import UsageError, did_you_mean


class Asset(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A base model in the registry."""

    asset: str
    version: str = "1"
    retired: str = ""
    replacement: str = ""
    regions: tuple[str, ...] = ()

    def uri(self, version: str | None = None) -> str:
        """Return how a job names it."""
        return f"azureml://registries/azureml/models/{self.asset}/versions/{version or self.version}"


class Range(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The values that a hyperparameter can have, both ends included."""

    default: float
    low: float
    high: float
    whole: bool

    def text(self, value: float) -> str:
        """Return a value as jobs want it: as text."""
        return str(int(value)) if self.whole else f"{Decimal(repr(float(value))):f}"


class _Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    as_of: str
    regions_as_of: str
    new_portal_as_of: str
    uploads_api_from: int  # bytes
    hyperparameters: dict[str, Range]
    models: dict[str, Asset]


@cache
def table() -> _Table:
    """Return all that is known, with its date."""
    text = Path(__file__).with_name("foundry.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), _Table)


def asset(name: str) -> Asset:
    """Return the base model with this name or alias. Raises `UsageError` where Foundry has no fine-tuning for it."""
    known = family.model(name).name
    found = table().models.get(known)
    if found is None:
        others = ", ".join(name for name, about in table().models.items() if not about.retired)
        raise UsageError(f"Foundry fine-tunes no {known} (as of {table().as_of}): --base names another of {others}")
    return found


def region(name: str) -> str:
    """Return a region as az names it: "East US 2" and "eastus2" are one. Raises `UsageError` for what is no name."""
    code = re.sub(r"[\s_-]", "", name).lower()
    if not re.fullmatch(r"[a-z]+[0-9]?", code):
        raise UsageError(f"--region {name}: give the name of an Azure region, such as eastus2")
    return code


def doubt(about: Asset, code: str) -> str:
    """Return why a region may not fine-tune a model, "" where Microsoft's table says that it does."""
    known = [region(name) for name in about.regions]
    if code in known:
        return ""
    if not known:
        return (
            f"the table of regions says nothing of {about.asset}: look at the model's card whether {code} fine-tunes it"
        )
    return (
        f"{code} is not among the regions that fine-tune {about.asset} (as of {table().regions_as_of}): "
        f"{', '.join(known)}{did_you_mean(code, known)}"
    )


def hyperparameter(name: str, value: float) -> str:
    """Return a hyperparameter as jobs want it. Raises `UsageError` for one that is unknown or out of range."""
    ranges = table().hyperparameters
    if name not in ranges:
        raise UsageError(f"unknown hyperparameter '{name}'{did_you_mean(name, ranges)}; known: {', '.join(ranges)}")
    allowed = ranges[name]
    if not allowed.low <= value <= allowed.high or (allowed.whole and value != int(value)):
        kind = "a whole number" if allowed.whole else "a number"
        raise UsageError(f"{name}: {value:g}: Foundry takes {kind} from {allowed.low:g} to {allowed.high:g}")
    return allowed.text(value)
