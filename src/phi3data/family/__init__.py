"""What each Phi model is. The facts are data (models.toml); code asks the profile and never tests a name."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

import msgspec

from phi3data.errors import UsageError, did_you_mean

DEFAULT = "phi-3-mini-4k-instruct"


class ModelProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One model. `context` is in tokens; the two overheads are the chat template's special tokens."""

    name: str
    hub: str
    aliases: tuple[str, ...]
    context: int
    tokens_per_message: int
    tokens_per_row: int


@cache
def models() -> dict[str, ModelProfile]:
    """Return every known model by its name."""
    table = tomllib.loads(resources.files(__package__).joinpath("models.toml").read_text("utf-8"))
    return {name: msgspec.convert({"name": name, **facts}, ModelProfile) for name, facts in table.items()}


def model(name: str) -> ModelProfile:
    """Return the model with this name, alias or hub id, whatever its case. Raises `UsageError` with a suggestion."""
    known = {
        spelling.casefold(): profile
        for profile in models().values()
        for spelling in (profile.name, profile.hub, *profile.aliases)
    }
    found = known.get(name.casefold())
    if found is None:
        raise UsageError(f"unknown model '{name}'{did_you_mean(name, known)}; known: {', '.join(models())}")
    return found
