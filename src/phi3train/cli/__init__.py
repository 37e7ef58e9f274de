"""The command `phi3train`."""

from __future__ import annotations

import sys

import click

from phi3data.cli import run
from phi3data.version import VERSION


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="phi3train")
def group() -> None:
    """Train a Phi model on prepared data. This version has no commands yet: prepare data with phi3data."""


def main(args: list[str] | None = None) -> None:
    """Run a command and end the process with its exit code."""
    sys.exit(run(group, args))
