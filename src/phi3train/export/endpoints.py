"""What Azure Machine Learning's managed online endpoints take: names, machines, limits, dated (endpoints.toml)."""

from __future__ import annotations

import math
import re
import tomllib
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from phi3data.errors import UsageError

MODEL_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,254}")
ENDPOINT_NAME = re.compile(r"(?=.{3,32}$)[A-Za-z](-?[A-Za-z0-9])*")  # and of a deployment
_LONGEST = 32
_SHORTEST = 3


class Machine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine that a deployment can run on. `weights` is in GB."""

    name: str
    kind: Literal["cpu", "gpu"]
    has: str
    weights: float
    cores: int
    family: str
    spare: bool

    def quota(self, instances: int) -> int:
        """Return the cores of its family that the quota must have for so many of it."""
        return self.cores * (math.ceil(1.2 * instances) if self.spare else instances)


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """All that is known, with its date."""

    as_of: str
    request_timeout_ms: int
    python: str
    requirements: dict[str, str]
    images: dict[str, str]
    machines: list[Machine]


@cache
def table() -> Table:
    """Return what endpoints take."""
    text = Path(__file__).with_name("endpoints.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Table)


def machine(weights: int, *, gpu: bool = False) -> Machine:
    """Return the machine for so many bytes of weights, one with a `gpu` at choice. Raises `UsageError` for too many."""
    machines = [each for each in table().machines if each.kind == "gpu" or not gpu]
    found = next((each for each in machines if weights / 1e9 <= each.weights), None)
    if found is None:
        raise UsageError(
            f"weights of {weights / 1e9:.1f} GB: no machine of an endpoint holds more than {machines[-1].weights:g} GB "
            f"(as of {table().as_of}): --dtype bfloat16 halves those in float32"
        )
    return found


def pins() -> list[str]:
    """Return what score.py needs, as pip takes it."""
    return [f"{name}=={version}" for name, version in table().requirements.items()]


def refuse_name(name: str) -> None:
    """Raise `UsageError` for a name that no model can have in Azure, with one that it can have."""
    if MODEL_NAME.fullmatch(name):
        return
    mended = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip("-._")[:255] or "support"
    raise UsageError(f"--name '{name}': Azure takes letters, digits, '-', '_' and '.' only: --name {mended}")


def endpoint_name(name: str) -> str:
    """Return the name of an endpoint for a model: 3 to 32 letters, digits and single dashes, a letter first."""
    made = re.sub(r"[^A-Za-z0-9]+", "-", name).strip("-")
    if not made[:1].isalpha():
        made = f"m-{made}".rstrip("-")
    made = made[:_LONGEST].rstrip("-")
    return made if len(made) >= _SHORTEST else f"{made}-model"
