"""Configuration files: TOML in and out, settings from the command line, and no unknown key that passes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phi3data import family, toml
from phi3data.errors import UsageError
from phi3train.config import Config

if TYPE_CHECKING:
    from pathlib import Path

# What other tools and portals call a key.
_OTHER_NAMES = {
    "lr": "train.learning_rate",
    "n_epochs": "train.epochs",
    "num_train_epochs": "train.epochs",
    "per_device_train_batch_size": "train.micro_batch",
    "max_length": "truncation.max_tokens",
    "max_seq_length": "truncation.max_tokens",
    "lora_r": "method.rank",
    "r": "method.rank",
    "lora_alpha": "method.alpha",
    "target_modules": "method.targets",
    "max_grad_norm": "train.max_gradient_norm",
    "lr_scheduler_type": "train.schedule",
    "bf16": "train.precision",
    "gradient_checkpointing": "train.checkpointing",
}


def load(path: str | Path | None = None, settings: dict[str, Any] | None = None) -> Config:
    """Read a configuration file and apply settings (dotted key → value) over it.

    Paths are as they are written: relative ones start from the working directory.
    Raises `InputError` for a file that cannot be read as TOML, `UsageError` for a key or value that is not allowed.
    """
    table = {} if path is None else toml.read(path, "configuration")
    toml.change(table, settings or {})
    return resolve(table, "configuration" if path is None else str(path))


def resolve(table: dict[str, Any], where: str = "configuration") -> Config:
    """Return the configuration that a table makes. Raises `UsageError` with the key, and the nearest known one."""
    config = toml.convert(table, Config, where, _OTHER_NAMES)
    family.model(config.model.name)
    if not config.method.targets:
        raise UsageError(f"{where}: method.targets: names no layer")
    return config


def parse_setting(text: str) -> tuple[str, Any]:
    """Parse ``section.key=value``; the value is TOML, and text where it is no TOML. Raises `UsageError`."""
    return toml.parse_setting(text, "train.epochs=2")


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of a configuration."""
    return toml.schema(Config)


def to_toml(config: Config, *, comments: bool = False, notes: dict[str, str] | None = None) -> str:
    """Write a configuration as TOML; with comments, every key is explained, and `notes` says more about single ones."""
    return toml.write(config, comments=comments, notes=notes)
