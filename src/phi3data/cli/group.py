"""A program of commands whose modules are loaded when they are called."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from phi3data.errors import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

INTERRUPTED = 130  # exit code, as shells have it


class Commands(click.Group):
    """Lists the commands of `table` (name → what it does) without importing them.

    The function of a command is NAME_command in the module NAME of `package`, or in the one that `modules` names; in
    both a dash of the name is an underscore. An interrupted command ends with exit code 130; one of `resuming` goes on
    from there when it is called again.
    """

    def __init__(
        self,
        *args: Any,
        table: Mapping[str, str],
        modules: Mapping[str, str],
        package: str,
        resuming: Collection[str] = (),
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self._table, self._in, self._package, self._resuming = table, modules, package, resuming

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command, and say what comes after an interruption of it."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            then = ": the same command goes on from here" if ctx.invoked_subcommand in self._resuming else ""
            click.echo(f"\ninterrupted{then}", err=True)  # below the ^C of a terminal
            ctx.exit(INTERRUPTED)

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's name)
        """Return the names."""
        return list(self._table)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:  # noqa: ARG002 (click's name)
        """Load a command; None where there is no such one."""
        if name not in self._table:
            return None
        word = name.replace("-", "_")
        command = getattr(import_module(f"{self._package}.{self._in.get(name, word)}"), f"{word}_command")
        assert isinstance(command, click.Command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that is called. Raises `UsageError` with a suggestion."""
        if args and args[0] not in self._table and not args[0].startswith("-"):
            raise click.UsageError(f"no such command '{args[0]}'{did_you_mean(args[0], self._table)}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the names and what they do."""
        with formatter.section("Commands"):
            formatter.write_dl(list(self._table.items()))
