"""What each Phi model is. The facts are data (table.py); code asks the profile and never tests a name."""

from __future__ import annotations

from phi3data.errors import UsageError, did_you_mean
from phi3data.family.profile import ModelProfile, VocabularyProfile
from phi3data.family.table import MODELS, TEMPLATES

__all__ = ["DEFAULT", "MODELS", "TEMPLATES", "ModelProfile", "VocabularyProfile", "model"]
DEFAULT = "phi-3-mini-4k-instruct"


def model(name: str) -> ModelProfile:
    """Return the model with this name, alias or hub id, whatever its case. Raises `UsageError` with a suggestion."""
    known = {
        spelling.casefold(): profile
        for profile in MODELS.values()
        for spelling in (profile.name, profile.hub, *profile.aliases)
    }
    found = known.get(name.casefold())
    if found is None:
        raise UsageError(f"unknown model '{name}'{did_you_mean(name, known)}; known: {', '.join(MODELS)}")
    return found
