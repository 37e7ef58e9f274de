"""What commands share: the configuration and settings over it, and the check that the extras are there."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from phi3data.errors import MissingExtraError

if TYPE_CHECKING:
    from phi3train.config import Config

CONFIG = click.argument("config", type=click.Path(path_type=Path))
SETTINGS = click.option(
    "--set", "settings", multiple=True, metavar="KEY=VALUE", help="Set a key of the configuration; repeatable."
)


def config_from(path: Path, settings: tuple[str, ...]) -> Config:
    """Return the configuration of a command line: the file, then --set."""
    from phi3train.settings import load, parse_setting

    return load(path, dict(parse_setting(text) for text in settings))


_EXTRAS = {
    "train": ("torch", "transformers", "trl", "peft"),
    "onnx": ("onnx", "onnx_ir", "onnxruntime", "onnxruntime_genai"),
}


def need_extra(command: str, extra: str = "train") -> None:
    """Raise `MissingExtraError` where the libraries of an extra, those that train else, are not installed."""
    if any(find_spec(name) is None for name in _EXTRAS[extra]):
        raise MissingExtraError(f"phi3train {command}", extra)
