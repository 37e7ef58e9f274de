"""What each Phi model is. The facts are data (family.toml); code asks the profile and never tests a name."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import msgspec

from phi3data.errors import UsageError, did_you_mean
from phi3data.family.template import Template

DEFAULT = "phi-3-mini-4k-instruct"


class VocabularyProfile(msgspec.Struct, frozen=True, kw_only=True):
    """How a model's text becomes tokens, as far as it is known without the tokenizer itself."""

    name: str
    kind: str
    size: int  # rows of the embedding
    end_of_text: str  # the control token after the last turn
    controls: dict[str, int]  # control token → id
    keeps_space: tuple[str, ...]  # control tokens that keep the white space after them; "*" is all

    def __hash__(self) -> int:
        return hash(self.name)

    def swallows(self, control: str) -> bool:
        """Whether white space right after this control token vanishes."""
        return "*" not in self.keeps_space and control not in self.keeps_space


class ModelProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One model. `context` is in tokens; `eos` are the ids that generation must stop on."""

    name: str
    hub: str
    aliases: tuple[str, ...]
    context: int
    templates: tuple[Template, ...]  # of its revisions, the current one first
    vocabulary: VocabularyProfile
    architecture: str
    rope: str
    eos: tuple[int, ...]
    pad: str
    licence: str

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def template(self) -> Template:
        """The chat template of the current revision."""
        return self.templates[0]


@cache
def _table() -> dict[str, dict[str, dict[str, Any]]]:
    return tomllib.loads(Path(__file__).with_name("family.toml").read_text("utf-8"))


@cache
def templates() -> dict[str, Template]:
    """Return every known chat template by its name."""
    return {name: msgspec.convert({"name": name, **facts}, Template) for name, facts in _table()["templates"].items()}


@cache
def models() -> dict[str, ModelProfile]:
    """Return every known model by its name."""
    vocabularies = {
        name: msgspec.convert({"name": name, **facts}, VocabularyProfile)
        for name, facts in _table()["vocabularies"].items()
    }
    return {
        name: ModelProfile(
            **{
                **facts,
                "name": name,
                "aliases": tuple(facts["aliases"]),
                "eos": tuple(facts["eos"]),
                "templates": tuple(templates()[each] for each in facts["templates"]),
                "vocabulary": vocabularies[facts["vocabulary"]],
            }
        )
        for name, facts in _table()["models"].items()
    }


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
