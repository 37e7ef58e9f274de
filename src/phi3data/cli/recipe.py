"""``phi3data recipe init | show | schema``."""

from __future__ import annotations

from pathlib import Path

import click

from phi3data.cli import options
from phi3data.errors import OutputError


@click.group("recipe")
def recipe_command() -> None:
    """Write, show or describe a recipe."""


@recipe_command.command("init")
@click.argument("path", type=click.Path(path_type=Path), default="recipe.toml")
@options.add(*options.RECIPE[1:], click.option("--overwrite", is_flag=True, help="Replace a file that exists."))
def init_command(path: Path, settings: tuple[str, ...], *, overwrite: bool) -> None:
    """Write a recipe with every key, its default and what it does to PATH [recipe.toml]; - is stdout."""
    resolved = options.recipe_from(None, settings, {})
    from phi3data.engine.recipe import to_toml
    from phi3data.sources.files import whole

    text = to_toml(resolved, comments=True)
    if str(path) == "-":
        click.echo(text, nl=False)
        return
    if path.is_dir():
        raise OutputError(f"{path}: is a folder: give the name of a file")
    if path.exists() and not overwrite:
        raise OutputError(f"{path}: exists: choose another name, or replace it with --overwrite")
    with whole(path) as file:
        file.write(text.encode("utf-8"))
    click.echo(f"{path} written: change what you like, then: phi3data prepare RAW -o OUT --recipe {path}", err=True)


@recipe_command.command("show")
@options.add(*options.RECIPE)
def show_command(recipe: Path | None, settings: tuple[str, ...]) -> None:
    """Print the recipe as it is resolved: the file, --set, and defaults for the rest."""
    resolved = options.recipe_from(recipe, settings, {})
    from phi3data.engine.recipe import to_toml

    click.echo(to_toml(resolved), nl=False)


@recipe_command.command("schema")
def schema_command() -> None:
    """Print the JSON Schema of a recipe, for editors."""
    options.recipe_from(None, (), {})
    import msgspec

    from phi3data.engine.recipe import schema

    click.echo(msgspec.json.format(msgspec.json.encode(schema()), indent=2).decode())
