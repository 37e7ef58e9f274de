"""What each destination accepts. The facts are data (table.py); code asks the profile and never tests a name."""

from __future__ import annotations

from phi3data.errors import UsageError, did_you_mean
from phi3data.targets.profile import TargetProfile
from phi3data.targets.table import TARGETS

__all__ = ["DEFAULT", "TARGETS", "TargetProfile", "target"]
DEFAULT = "foundry"


def target(name: str) -> TargetProfile:
    """Return the destination with this name. Raises `UsageError` with a suggestion."""
    found = TARGETS.get(name.casefold())
    if found is None:
        raise UsageError(f"unknown target '{name}'{did_you_mean(name, TARGETS)}; known: {', '.join(TARGETS)}")
    return found
