"""The command `phi3train`: parse, one call, exit code. A command's module is loaded when the command is called.

Exit codes: 0 done or clean, 1 findings (`check`), 2 bad usage or input that cannot be used, 130 interrupted.
"""

from __future__ import annotations

import sys
from importlib import import_module

import click

from phi3data.cli import run
from phi3data.errors import did_you_mean
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
}
_MODULES = {"schema": "init"}


class _Commands(click.Group):
    """Lists the commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's name)
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002 (click's name)
        if name not in COMMANDS:
            return None
        command = getattr(import_module(f"phi3train.cli.{_MODULES.get(name, name)}"), f"{name}_command")
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            raise click.UsageError(f"no such command '{args[0]}'{did_you_mean(args[0], COMMANDS)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(VERSION, prog_name="phi3train")
def group() -> None:
    """Train a Phi model on the data that phi3data prepared, and see everything before it is spent."""


def main(args: list[str] | None = None) -> None:
    """Run a command and end the process with its exit code."""
    sys.exit(run(group, args))
