"""The command `phi3train`: parse, one call, exit code. A command's module is loaded when the command is called.

Exit codes: 0 done or clean, 1 findings (`check`), 2 bad usage or input that cannot be used, 130 interrupted.
"""

from __future__ import annotations

import sys

import click

from phi3data.cli import run
from phi3data.cli.group import Commands
from phi3data.version import VERSION

COMMANDS = {
    "init": "Write a configuration that fits the data and the model.",
    "schema": "Print the JSON Schema of a configuration.",
    "check": "Hold the data against the model; exit 1 if rows are lost.",
    "preview": "Show what the first steps will train on.",
    "plan": "Say what fits, in how many steps, and how long it takes.",
    "run": "Train: the main job.",
    "eval": "Measure a trained model on held-out rows.",
    "sample": "Let a trained model answer.",
    "compare": "Show what differs between runs, and what it did.",
    "report": "Write the page of a run anew.",
    "export": "Make a bundle to hand over: a job, a model, an adapter.",
    "verify": "Hold a bundle against the runtimes that will load it.",
    "serve": "Let a bundle answer chats on this machine.",
    "test-endpoint": "Ask an endpoint, and measure what it answers.",
    "upload": "Put a bundle into Azure Blob storage.",
}
_MODULES = {"schema": "init"}


@click.group(
    cls=Commands,
    table=COMMANDS,
    modules=_MODULES,
    package=__name__,
    resuming={"upload"},
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(VERSION, prog_name="phi3train")
def group() -> None:
    """Train a Phi model on the data that phi3data prepared, and see everything before it is spent."""


def main(args: list[str] | None = None) -> None:
    """Run a command and end the process with its exit code."""
    sys.exit(run(group, args))
