"""``phi3train init`` and ``schema``."""

from __future__ import annotations

from pathlib import Path

import click

from phi3data.errors import OutputError
from phi3train.cli import options


@click.command("init")
@click.argument("path", type=click.Path(path_type=Path), default="train.toml")
@click.option("--model", metavar="DIR|NAME", help="Folder with the model, or its name in the family.")
@click.option("--data", metavar="DIR|FILE", help="Folder that phi3data prepare wrote, or a file of chats.")
@click.option("--overwrite", is_flag=True, help="Replace a file that exists.")
@options.SETTINGS
def init_command(
    path: Path, model: str | None, data: str | None, settings: tuple[str, ...], *, overwrite: bool
) -> None:
    """Write a configuration with every key and what it does to PATH [train.toml]; - is stdout.

    With --data and a model on this machine the rows are read, and the sizes fit them. Nothing is asked.
    """
    from phi3data.sources.files import whole
    from phi3train.initial import initial
    from phi3train.settings import parse_setting

    if str(path) != "-" and path.exists() and not overwrite:
        raise OutputError(f"{path}: exists: choose another name, or replace it with --overwrite")
    text = initial(model, data, dict(parse_setting(each) for each in settings))
    if str(path) == "-":
        click.echo(text, nl=False)
        return
    with whole(path) as file:
        file.write(text.encode())
    click.echo(f"{path} written: change what you like, then: phi3train run {path}", err=True)


@click.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of a configuration, for editors."""
    import msgspec

    from phi3train.settings import schema

    click.echo(msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode())
