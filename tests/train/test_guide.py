"""docs/training.md names only what there is."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import click

from phi3train import settings
from phi3train.cli import COMMANDS, group
from phi3train.config import Config
from phi3train.report.tables import keys

GUIDE = (Path(__file__).parents[2] / "docs" / "training.md").read_text("utf-8")


def test_every_command_and_option_of_the_guide_exists() -> None:
    lines = re.findall(r"phi3train ([a-z]+)((?: [^`\n#]+)?)", GUIDE)
    assert {name for name, _ in lines} >= {"init", "run", "eval", "compare", "report"}
    for name, rest in lines:
        assert name in COMMANDS
        command = group.get_command(click.Context(group), name)
        assert command is not None
        known = {option for parameter in command.params for option in (*parameter.opts, "--help")}
        assert {word for word in rest.split() if word.startswith("-")} <= known


def test_every_key_of_the_guide_is_one() -> None:
    tables = [tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", GUIDE, re.DOTALL)]
    assert settings.resolve(tables[0]).method.kind == "classify"
    named = re.findall(r"`((?:train|method|classify|packing|samples|evaluation)\.(?!jsonl)[a-z_]+)`", GUIDE)
    assert "train.batch_tokens" in named
    assert set(named) <= {key for key, _ in keys(Config())}
