"""What `check`, `fix` and `baseline` share: their options, the configuration, and which files are meant."""

from __future__ import annotations

import os
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from phi3data.cli.options import JOBS
from phi3data.errors import UsageError

if TYPE_CHECKING:
    from phi3data.lint import CheckResult
    from phi3data.lint.run import FindSimilar
    from phi3data.settings import Settings
    from phi3data.sources.files import Scratch

OPTIONS = (
    click.option("--select", default="", metavar="CODES", help="Only these codes or prefixes, comma-separated."),
    click.option("--ignore", default="", metavar="CODES", help="Not these codes or prefixes, comma-separated."),
    click.option("--model", metavar="NAME", help="Model that will read the rows.  [default: phi-3-mini-4k-instruct]"),
    click.option("--target", metavar="NAME", help="Where the data goes: foundry, azure-openai, openai, trl."),
    click.option(
        "--tokenizer", metavar="DIR|NAME", help="Tokenizer: exact lengths, its control tokens and chat template."
    ),
    click.option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Configuration; else the nearest phi3data.toml, or pyproject.toml with [tool.phi3data].",
    ),
    click.option(
        "--force-exclude",
        is_flag=True,
        help="Leave out excluded files, and .json that holds no chats, even where they are named (for hooks).",
    ),
)
PROJECT = click.option(
    "--project",
    is_flag=True,
    help="Look at all rows beside each other, as one data set; without PATHS at the configured splits.",
)
AGAINST = click.option(
    "--against",
    multiple=True,
    metavar="FILE",
    help="Benchmark, or test set of your own, in any format: rows that say what it asks are named; repeatable.",
)
CHECKING = (
    *OPTIONS,
    click.option("--encoding", metavar="NAME", help="Encoding of the files, for example cp1252."),
    PROJECT,
    AGAINST,
    JOBS,
)


class Linting:
    """What a command line and the configuration ask for."""

    def __init__(
        self,
        paths: tuple[str, ...],
        *,
        select: str,
        ignore: str,
        model: str | None,
        target: str | None,
        tokenizer: str | None,
        config: Path | None,
        force_exclude: bool,
        encoding: str | None = None,
        project: bool = False,
        against: tuple[str, ...] = (),
        jobs: int | None = None,
        stdin_filename: str | None = None,
    ) -> None:
        self.select, self.ignore, self.force_exclude = select, ignore, force_exclude
        self.project = project
        self._paths, self._config, self._stdin = paths, config, stdin_filename
        self._model, self._target, self._tokenizer = model, target, tokenizer
        self._encoding, self._jobs = encoding, jobs
        self._against = against

    @cached_property
    def settings(self) -> Settings:
        """The configuration, as it stands in the file."""
        from phi3data.settings import find, load

        return load(self._config) if self._config else find(Path.cwd())

    @property
    def model(self) -> str:
        """The name of the model: as asked, as configured, else the default."""
        from phi3data import family

        return self._model or self.settings.keys.model or family.DEFAULT

    @property
    def target(self) -> str:
        """The name of the destination, likewise."""
        from phi3data import targets

        return self._target or self.settings.keys.target or targets.DEFAULT

    @property
    def tokenizer(self) -> str | None:
        """The tokenizer, likewise; None where there is none."""
        return self._tokenizer or self.settings.tokenizer

    @cached_property
    def against(self) -> list[str]:
        """The files of benchmarks: as named, else the configured ones where the whole project is looked at."""
        configured = self.settings.against_files() if self.project and not self._against else []
        return list(self._against) or [os.path.relpath(path) for path in configured]

    @cached_property
    def splits(self) -> dict[str, list[Path]]:
        """The files of the configured splits, where the whole project is looked at."""
        return self.settings.split_files() if self.project else {}

    @property
    def paths(self) -> list[str]:
        """What to look at: as named, else the configured splits, else the folder of the configuration.

        Raises `UsageError` where nothing is named and it is not the whole project.
        """
        if self._paths:
            return list(self._paths)
        if not self.project:
            raise UsageError("no PATHS: name files or folders, - for standard input, or --project for the configured")
        named = [path for paths in self.splits.values() for path in paths]
        return [os.path.relpath(path) for path in named or [self.settings.root]]

    def check(self, work: Path | Scratch, baseline: Path | Literal[False] | None = None) -> CheckResult:
        """Lint, and pass over what the baseline holds: the one named, else the configured one; False is none."""
        from phi3data.lint import check
        from phi3data.settings import Baseline

        options: dict[str, Any] = {"select": self.select, "ignore": self.ignore, "encoding": self._encoding}
        result = check(
            self.paths,
            **options,
            model=self.model,
            tokenizer=self.tokenizer,
            target=self.target,
            project=self.project,
            splits=self.splits,
            similar=self._similar() if self.project and "-" not in self._paths else None,
            against=self.against,
            settings=self.settings,
            force_exclude=self.force_exclude,
            stdin_filename=self._stdin,
            workers=self._jobs,
            work=work,
        )
        if baseline is None and self.settings.keys.baseline is not None:
            baseline = self.settings.baseline
        if baseline:
            result.findings = list(Baseline.load(baseline).filter(result.findings))
        return result

    def _similar(self) -> FindSimilar | None:
        """Return what finds similar texts; None where it is not installed."""
        from phi3data.lint.run import can_compare

        if not can_compare():
            return None
        from phi3data.api import similar

        return partial(similar, threshold=self.settings.keys.rules.D803.similarity)
