"""``phi3data prepare``: the main job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from phi3data.cli import options


@click.command("prepare")
@click.argument("raw", nargs=-1, required=True)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for the outputs.")
@options.add(
    *options.RECIPE,
    *options.READING,
    click.option("--group-by", metavar="NAME", help="Column whose equal values stay in one split."),
    click.option("--system", metavar="TEXT", help="System prompt for rows that have none."),
    click.option("--model", metavar="NAME", help="Model to train, for example phi-3-mini."),
    click.option("--tokenizer", metavar="DIR|NAME", help="Tokenizer for exact counts."),
    click.option("--target", metavar="NAME", help="Where the data goes: foundry, azure-openai, openai, trl."),
    click.option(
        "--against", multiple=True, metavar="FILE", help="Benchmark whose questions must not be trained on; repeatable."
    ),
    click.option(
        "--validation",
        "validation_files",
        multiple=True,
        metavar="FILE",
        help="Your own validation set: its rows stay, and RAW is cleaned of what they say or ask; repeatable.",
    ),
    click.option("--test", "test_files", multiple=True, metavar="FILE", help="Your own test set, likewise."),
    click.option("--seed", type=int, help="Seed of the split."),
    click.option(
        "--keep-work",
        is_flag=True,
        help="Keep what was examined in the output folder: the same command with other settings of dedup, split or "
        "balance then starts from there.",
    ),
    click.option("--engine", type=click.Choice(["local"]), default="local", show_default=True, help="Where it runs."),
    *options.RUNNING,
)
def prepare_command(
    raw: tuple[str, ...],
    output: Path,
    recipe: Path | None,
    settings: tuple[str, ...],
    jobs: int | None,
    *,
    overwrite: bool,
    online: bool,
    keep_work: bool,
    validation_files: tuple[str, ...],
    test_files: tuple[str, ...],
    **chosen: Any,
) -> int:
    """Turn RAW files into training data, with a report.

    RAW is a file, directory, glob or - (JSONL, JSON, CSV, TSV, XLSX, Parquet, Arrow; also .gz, .zst, .bz2, .xz) in any
    chat, question/answer, instruction, preference or completion format.
    """
    resolved = options.recipe_from(recipe, settings, chosen)
    from phi3data import api
    from phi3data.cli.progress import Bar
    from phi3data.report.terminal import summary

    with Bar() as bar:
        prepared = api.prepare(
            list(raw),
            resolved,
            output,
            workers=options.jobs(jobs),
            overwrite=overwrite,
            online=online,
            progress=bar,
            validation=list(validation_files) or None,
            test=list(test_files) or None,
            keep_work=keep_work,
        )
    click.echo(summary(prepared.profile, str(output)))
    return 0 if prepared.profile.outputs.get("train.jsonl") else 2
