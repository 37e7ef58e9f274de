"""``phi3train check``: the data against the model."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from phi3train.cli import options

if TYPE_CHECKING:
    from pathlib import Path


@click.command("check")
@options.CONFIG
@options.SETTINGS
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object: counts, and every row that is left out.")
def check_command(config: Path, settings: tuple[str, ...], *, as_json: bool) -> int:
    """Read and encode the data of CONFIG, and say which rows will not be trained on and why.

    \b
    Exit code 0: all rows can be trained on.
              1: some are left out, or lose their oldest turns.
              2: the data cannot be used: it changed since it was prepared, or was
                 prepared for another model or chat template.
    """
    resolved = options.config_from(config, settings)
    import msgspec

    from phi3train.check import check, render

    checked = check(resolved)
    click.echo(msgspec.json.encode(checked) if as_json else render(checked).encode(), nl=as_json)
    return int(not checked.clean)
