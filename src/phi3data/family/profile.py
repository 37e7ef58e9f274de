"""What is known of a model: its facts, and those of its vocabulary. `table.py` has them for each model."""

from __future__ import annotations

import msgspec

from phi3data.family.template import Template


class VocabularyProfile(msgspec.Struct, frozen=True, kw_only=True):
    """How a model's text becomes tokens, as far as it is known without the tokenizer itself."""

    name: str
    kind: str
    size: int  # rows of the embedding
    end_of_text: str  # the control token after the last turn
    controls: dict[str, int]  # control token → id
    keeps_space: tuple[str, ...]  # control tokens that keep the white space after them (`rstrip` off); "*" is all

    def __hash__(self) -> int:
        return hash(self.name)

    def swallows(self, control: str) -> bool:
        """Whether white space right after this control token vanishes."""
        return "*" not in self.keeps_space and control not in self.keeps_space


class ModelProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One model."""

    name: str
    hub: str
    aliases: tuple[str, ...]  # what else people call it
    context: int  # tokens that fit, prompt and answer together
    templates: tuple[Template, ...]  # of its revisions, that of the current one on the hub first
    vocabulary: VocabularyProfile
    architecture: str  # `model_type` in config.json
    rope: str  # "default", or "longrope": its factors change with the longest position in a batch, at 4,096
    eos: tuple[int, ...]  # ids that generation must stop on
    pad: str  # the padding token; where it is also the end of text, labels must not be masked by id
    licence: str

    def __hash__(self) -> int:
        return hash(self.name)

    @property
    def template(self) -> Template:
        """The chat template of the current revision."""
        return self.templates[0]
