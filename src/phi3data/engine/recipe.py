"""The recipe: everything that decides what `prepare` does. TOML, every key with a default, no unknown key passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec import Meta

from phi3data import family, targets, toml
from phi3data.chat import ROLES
from phi3data.errors import UsageError, did_you_mean
from phi3data.rules import RULES
from phi3data.sources.reader import SourceConfig
from phi3data.steps.balance import NO_QUOTA, BalanceConfig
from phi3data.steps.check import CheckConfig
from phi3data.steps.clean import CleanConfig
from phi3data.steps.decontaminate import DecontaminateConfig
from phi3data.steps.dedup import DedupConfig
from phi3data.steps.length import LengthConfig
from phi3data.steps.missing import MissingConfig
from phi3data.steps.split import SplitConfig

if TYPE_CHECKING:
    from pathlib import Path


class Recipe(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `prepare` does, step by step, in this order."""

    model: Annotated[str, Meta(description="The model to train: its context and template decide.")] = family.DEFAULT
    target: Annotated[str, Meta(description="Where the data goes: foundry, azure-openai, openai or trl.")] = (
        targets.DEFAULT
    )
    source: Annotated[SourceConfig, Meta(description="How raw files are read.")] = SourceConfig()
    clean: Annotated[CleanConfig, Meta(description="Repairs that do not change what a text says.")] = CleanConfig()
    missing: Annotated[MissingConfig, Meta(description="Messages that say nothing.")] = MissingConfig()
    check: Annotated[CheckConfig, Meta(description="Rows that cannot be trained on.")] = CheckConfig()
    decontaminate: Annotated[DecontaminateConfig, Meta(description="Rows that give away what a benchmark asks.")] = (
        DecontaminateConfig()
    )
    length: Annotated[LengthConfig, Meta(description="Tokens per row.")] = LengthConfig()
    dedup: Annotated[DedupConfig, Meta(description="Duplicate rows.")] = DedupConfig()
    split: Annotated[SplitConfig, Meta(description="Train, validation and test.")] = SplitConfig()
    balance: Annotated[
        BalanceConfig,
        Meta(
            description="How many rows of each group train.jsonl has. Off while cap, floor, temperature, shares and "
            "rows are as they are here."
        ),
    ] = BalanceConfig()

    @property
    def signed(self) -> bool:
        """Whether rows get signatures, by which similar ones are found."""
        return (self.dedup.enabled and self.dedup.match == "near") or (self.balance.active and self.balance.spread)

    @property
    def counted(self) -> bool:
        """Whether tokens are counted: not where duplicates are all that is looked for."""
        others = (self.clean, self.missing, self.check, self.length, self.split)
        return not self.dedup.enabled or self.balance.active or any(step.enabled for step in others)

    @property
    def bare(self) -> bool:
        """Whether duplicates of whole conversations are all that is looked for, as kernels do (`engine.bare`)."""
        return not (self.counted or self.decontaminate.references) and self.dedup.scope == "conversation"

    @property
    def examining(self) -> Recipe:
        """What examining a row depends on: recipes that decide otherwise on what was examined have the same one."""
        dedup, balance = self.dedup, self.balance
        return msgspec.structs.replace(
            self,
            dedup=DedupConfig(enabled=dedup.enabled, match=dedup.match, scope=dedup.scope, keep=dedup.keep),
            split=SplitConfig(enabled=self.counted, time=self.split.time),
            # Any budget: examining only asks whether there is one.
            balance=BalanceConfig(by=balance.by, spread=balance.spread, rows=1) if balance.active else BalanceConfig(),
        )


def load(path: str | Path | None = None, settings: dict[str, Any] | None = None) -> Recipe:
    """Read a recipe file and apply settings (dotted key → value) over it.

    Raises `InputError` for a file that is no TOML, `UsageError` for a key or value that is not allowed.
    """
    table = {} if path is None else toml.read(path, "recipe")
    toml.change(table, settings or {})
    return resolve(table, "recipe" if path is None else str(path))


def resolve(table: dict[str, Any], where: str = "recipe") -> Recipe:
    """Return the recipe that a table of settings makes. Raises `UsageError` with the key, and the nearest known one."""
    recipe = toml.convert(table, Recipe, where)
    _refuse_splits(recipe.split, where)
    for code in recipe.check.ignore:
        if not any(known.startswith(code) for known in RULES):
            raise UsageError(f"{where}: check.ignore: unknown rule '{code}'{did_you_mean(code, RULES)}")
    if recipe.balance.by != BalanceConfig().by and not recipe.balance.active:
        raise UsageError(f"{where}: {NO_QUOTA}")
    try:
        msgspec.json.encode(recipe)
    except UnicodeEncodeError:
        raise UsageError(f"{where}: holds text that is not UTF-8") from None
    for role in ROLES:
        if getattr(recipe.missing, role) == "fill" and not recipe.missing.fill_with.get(role):
            raise UsageError(f'{where}: missing.{role} = "fill" needs a text in missing.fill_with.{role}')
    family.model(recipe.model)
    targets.target(recipe.target)
    return recipe


def _refuse_splits(split: SplitConfig, where: str) -> None:
    sizes = {"validation": split.validation, "test": split.test}
    for name, size in sizes.items():
        if size >= 1 and size != int(size):
            raise UsageError(f"{where}: split.{name}: {size} is neither a fraction below 1 nor a whole number of rows")
    if sum(size for size in sizes.values() if size < 1) >= 1:
        raise UsageError(f"{where}: split: validation and test together leave nothing for train")
    if split.stable and (split.time is not None or max(sizes.values()) >= 1):
        raise UsageError(f"{where}: split.stable: goes with fractions only, not with a number of rows or a time")


def parse_setting(text: str) -> tuple[str, Any]:
    """Parse ``section.key=value``; the value is TOML, and text where it is no TOML. Raises `UsageError`."""
    return toml.parse_setting(text, "split.validation=0.2")


def to_toml(recipe: Recipe, *, comments: bool = False) -> str:
    """Write a recipe as TOML; with comments, every key is explained by its own description."""
    return toml.write(recipe, comments=comments)


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a recipe."""
    return toml.schema(Recipe)
