"""``phi3data convert``, ``clean``, ``missing``, ``dedup`` and so on: the steps one by one, on the same engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phi3data.cli import options
from phi3data.errors import OutputError, UsageError
from phi3data.sources.inputs import container_of

if TYPE_CHECKING:
    from collections.abc import Callable

_FILES = (
    click.argument("inputs", nargs=-1, required=True),
    click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="File for the rows (.jsonl)."),
    click.option("--dropped", type=click.Path(path_type=Path), help="File for the dropped rows, with reasons."),
    click.option("--ledger", type=click.Path(path_type=Path), help="File for what became of each row (.parquet)."),
    *options.RECIPE,
    *options.READING,
    *options.RUNNING,
)


def _run_step(
    steps: tuple[str, ...],
    inputs: tuple[str, ...],
    output: Path,
    dropped: Path | None,
    ledger: Path | None,
    chosen: dict[str, Any],
) -> None:
    if chosen.get("threshold") is not None and chosen.get("match") in ("exact", "normalised"):
        raise UsageError(f"--near: goes with --match near, not with {chosen['match']}: equal rows have no threshold")
    settings = (*_balancing(chosen), *chosen["settings"])
    resolved = options.recipe_from(chosen["recipe"], settings, chosen)
    if "balance" in steps and not resolved.balance.active:
        raise UsageError(
            "balance: give --cap, --floor, --rows, --share or --temperature: how many rows a group is to have"
        )
    from phi3data import api
    from phi3data.cli.progress import Bar
    from phi3data.report.terminal import brief

    named = {"train.jsonl": output, "dropped.jsonl": dropped, "ledger.parquet": ledger}
    wanted = {name: path for name, path in named.items() if path is not None}
    against = chosen.get("against_files", ())
    _check_names([*wanted.values()], inputs, against, overwrite=chosen["overwrite"])
    with Bar() as bar:
        tally = api.files(
            list(inputs),
            api.only(steps, resolved),
            wanted,
            workers=options.jobs(chosen["jobs"]),
            online=chosen["online"],
            progress=bar,
            against=list(against) or None,
        )
    click.echo(brief(tally, str(output)), err=True)
    for name, rows in tally.unread.items():
        could = f"{rows:,} row{'' if rows == 1 else 's'} could not be read, and nothing goes for"
        click.echo(
            f"{click.style('warning', fg='yellow', bold=True)}: {name}: {could} {'it' if rows == 1 else 'them'}",
            err=True,
        )


def _balancing(chosen: dict[str, Any]) -> list[str]:
    """Return the settings that the options of `balance` stand for."""
    wanted = {name: chosen.get(name) for name in ("by", "cap", "floor", "rows", "temperature")}
    settings = [f"balance.{name}={value}" for name, value in wanted.items() if value is not None]
    shares: list[str] = []
    for text in chosen.get("share", ()):
        group, _, share = text.rpartition("=")
        try:
            shares.append(f"{json.dumps(group)} = {float(share)}")
        except ValueError:
            raise UsageError(f"--share {text}: expected GROUP=SHARE, for example --share billing=0.4") from None
    return [*settings, f"balance.shares={{{', '.join(shares)}}}"] if shares else settings


def _check_names(outputs: list[Path], inputs: tuple[str, ...], held: tuple[str, ...], *, overwrite: bool) -> None:
    """Refuse names that would lose something before any work is done; chat rows may become what they were made from."""
    if len({path.absolute() for path in outputs}) < len(outputs):
        raise UsageError("-o, --dropped and --ledger: two of them name the same file")
    for path in outputs:
        if str(path) == "-":
            raise UsageError("-o -: rows are written to a file only: give a name that ends in .jsonl")
        if path.is_dir():
            raise OutputError(f"{path}: is a folder: give the name of a file")
        if path.exists() and not overwrite:
            raise OutputError(f"{path}: exists: choose another name, or replace it with --overwrite")
        in_place = path.suffix in {".jsonl", ".ndjson"} and path == outputs[0]
        spared = held if in_place else (*inputs, *held)
        if path.absolute() in {Path(name).absolute() for name in spared}:
            raise UsageError(f"{path}: would replace the input: choose another name")
    written, compression = container_of(outputs[0])
    if compression or written not in {"jsonl", None}:
        raise UsageError(f"-o {outputs[0]}: rows are written as JSON lines: give a name that ends in .jsonl")


def _step(name: str, steps: tuple[str, ...], text: str, *extra: Callable[..., Any]) -> click.Command:
    def command(
        inputs: tuple[str, ...], output: Path, dropped: Path | None, ledger: Path | None, **chosen: Any
    ) -> None:
        _run_step(steps, inputs, output, dropped, ledger, chosen)

    return click.command(name, help=text)(options.add(*_FILES, *extra)(command))


convert_command = _step("convert", (), "Turn rows of any format into chat rows, and change nothing else.")
clean_command = _step(
    "clean", ("clean",), "Repair how texts are stored: Unicode form, control and invisible characters, HTML residue."
)
missing_command = _step(
    "missing", ("missing",), "Drop, remove or fill messages that say nothing (--set missing.assistant=remove)."
)
dedup_command = _step(
    "dedup",
    ("dedup",),
    "Remove rows that say what another row says: equal, almost equal, or the beginning of it.",
    click.option(
        "--match",
        type=click.Choice(["exact", "normalised", "near"]),
        help="Equal to the letter, but for case and white space, or by similarity.  [default: near]",
    ),
    click.option(
        "--near",
        "--threshold",
        "threshold",
        type=float,
        metavar="0.7..1",
        help="How similar near-duplicates are.  [default: 0.8]",
    ),
    click.option(
        "--scope",
        type=click.Choice(["conversation", "prompt", "answer", "last-turn"]),
        help="What is compared.  [default: conversation]",
    ),
    click.option("--keep", metavar="WHICH", help="first (default), longest, newest, or best:COLUMN."),
    click.option(
        "--conflicts",
        type=click.Choice(["keep", "best", "drop"]),
        help="What becomes of different answers to one prompt.  [default: keep]",
    ),
    click.option(
        "--against",
        "against_files",
        multiple=True,
        metavar="FILE",
        help="Rows that are not to be said again: what is in FILE goes, and FILE is not written; repeatable.",
    ),
)

balance_command = _step(
    "balance",
    ("balance",),
    "Choose how many rows each group has: rows are dropped, and with --floor, --share or --temperature repeated.",
    click.option(
        "--by",
        metavar="WHAT",
        help="What makes a group: label (default), source, language, system, length, column:NAME.",
    ),
    click.option("--cap", type=int, metavar="N", help="Rows that a group has at most."),
    click.option("--floor", type=int, metavar="N", help="Rows that a group has at least."),
    click.option("--rows", type=int, metavar="N", help="Rows in all."),
    click.option("--share", multiple=True, metavar="GROUP=SHARE", help="Share of all rows, 0 to 1; repeatable."),
    click.option("--temperature", type=float, metavar="T", help="1 leaves the groups, 100 makes them equal."),
)

decontaminate_command = _step(
    "decontaminate",
    ("decontaminate",),
    "Drop rows that give away what a benchmark asks: copies and rephrasings.",
    click.option(
        "--against",
        multiple=True,
        required=True,
        metavar="FILE",
        help="What is asked; repeatable.",
    ),
    click.option("--action", type=click.Choice(["drop", "flag"]), help="What becomes of a row.  [default: drop]"),
)


@click.command("split")
@click.argument("inputs", nargs=-1, required=True)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder for the splits.")
@options.add(
    click.option("--validation", type=float, help="Fraction of rows for validation [default: 0.1]."),
    click.option("--test", type=float, help="Fraction of rows for test [default: 0]."),
    click.option("--seed", type=int, help="Seed of the split."),
    click.option("--group-by", metavar="NAME", help="Column whose equal values stay in one split."),
    *options.RECIPE,
    *options.READING,
    *options.RUNNING,
)
def split_command(inputs: tuple[str, ...], output: Path, **chosen: Any) -> None:
    """Divide rows into train, validation and test; rows with one prompt are never separated."""
    resolved = options.recipe_from(chosen["recipe"], chosen["settings"], chosen)
    from phi3data import api
    from phi3data.cli.progress import Bar
    from phi3data.report.terminal import brief

    with Bar() as bar:
        prepared = api.split(
            list(inputs),
            resolved,
            output=output,
            workers=options.jobs(chosen["jobs"]),
            overwrite=chosen["overwrite"],
            online=chosen["online"],
            progress=bar,
        )
    click.echo(brief(prepared.profile, str(output)), err=True)
