"""``phi3data baseline write|prune|show``: the findings that were there when the linter came."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from phi3data.cli.linting import CHECKING, Linting
from phi3data.cli.options import add
from phi3data.errors import OutputError

if TYPE_CHECKING:
    from phi3data.lint import Located

_FILE = click.option(
    "--baseline",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The baseline.  [default: as configured, else phi3data-baseline.json beside the configuration]",
)
# Without --select and --ignore: what was not looked for would be taken for mended.
_LOOK = (click.argument("paths", nargs=-1), _FILE, *CHECKING[2:])


@click.group("baseline")
def baseline_command() -> None:
    """Keep old findings in a file, so that check speaks of new ones only."""


@baseline_command.command("write")
@add(*_LOOK)
@click.option("--overwrite", is_flag=True, help="Replace a baseline that exists: new findings are taken in, too.")
def write_command(paths: tuple[str, ...], file: Path | None, *, overwrite: bool, **options: Any) -> int:
    """Write down every finding in PATHS."""
    from phi3data.report.lint.results import plural
    from phi3data.settings import Baseline

    linting = Linting(paths, select="", ignore="", **options)
    file = file or linting.settings.baseline
    if file.exists() and not overwrite:
        raise OutputError(
            f"{file}: exists; phi3data baseline prune takes out what is mended, --overwrite takes in what is new"
        )
    made = Baseline.of(_findings(linting))
    made.save(file)
    click.echo(f"{file}: {plural(made.total, 'finding')}")
    return 0


@baseline_command.command("prune")
@add(*_LOOK)
def prune_command(paths: tuple[str, ...], file: Path | None, **options: Any) -> int:
    """Take out what is no longer found in PATHS, and take nothing in.

    PATHS must be all that the baseline was written for: what is not looked at is not found.
    """
    from phi3data.report.lint.results import plural
    from phi3data.settings import Baseline

    linting = Linting(paths, select="", ignore="", **options)
    file = file or linting.settings.baseline
    old = Baseline.load(file)
    left = old.prune(_findings(linting))
    if left.total < old.total:
        left.save(file)
    click.echo(f"{file}: {plural(old.total - left.total, 'finding')} taken out, {left.total:,} left")
    return 0


@baseline_command.command("show")
@add(_FILE)
def show_command(file: Path | None) -> int:
    """Show how many findings of each rule the baseline holds."""
    from phi3data.report.lint.results import plural
    from phi3data.rules import RULES, title
    from phi3data.settings import Baseline, find

    file = file or find(Path.cwd()).baseline
    baseline = Baseline.load(file)
    counts = baseline.by_code()
    codes = max(map(len, counts), default=0)
    names = max((len(RULES[code].name) for code in counts if code in RULES), default=0)
    for code, count in counts.items():
        name = RULES[code].name if code in RULES else "unknown"
        text = title(code) if code in RULES else "no rule of this version"
        click.echo(f"{count:>9,}  {click.style(f'{code:<{codes}}', bold=True)}  {name:<{names}}  {text}")
    click.echo(f"{file}: {plural(baseline.total, 'finding')}")
    return 0


def _findings(linting: Linting) -> list[Located]:
    """Return what `check` finds without a baseline; what is wrong with the configuration is never an old finding."""
    from phi3data.sources.files import Scratch

    with Scratch() as work:
        result = linting.check(work, baseline=False)
    for note in result.notes:
        click.echo(f"note: {note}", err=True)
    return [found for found in result.findings if not found.code.startswith("Z")]
