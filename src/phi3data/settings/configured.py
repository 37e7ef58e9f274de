"""What a configuration wants of each path."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from phi3data.errors import UsageError
from phi3data.rules import RULES
from phi3data.rules.placed import Placed
from phi3data.settings.keys import Keys
from phi3data.settings.patterns import files, matches, relative

if TYPE_CHECKING:
    from collections.abc import Iterable


DEFAULT_BASELINE = "phi3data-baseline.json"
NOTHING = Keys()


class Settings(msgspec.Struct, frozen=True):
    """A configuration and where it stands: its patterns and paths count from the folder `root`.

    `file` is None where there is no configuration. `unknown` are the findings about it (Z902), and `allow_lines` the
    lines of its `[[allow]]` entries.
    """

    root: Path
    keys: Keys = NOTHING
    file: Path | None = None
    unknown: tuple[Placed, ...] = ()
    allow_lines: tuple[int, ...] = ()

    def over(self, select: Iterable[str] = (), ignore: Iterable[str] = ()) -> Settings:
        """Return these settings under a command line: its `select` replaces theirs, its `ignore` is added."""
        select = tuple(select) or self.keys.select
        ignore = (*self.keys.ignore, *ignore)
        return msgspec.structs.replace(self, keys=msgspec.structs.replace(self.keys, select=select, ignore=ignore))

    def codes(self, path: str) -> frozenset[str]:
        """Return the codes of the rules wanted for a path; `ignore` goes before `select`, however precise that is."""
        where = relative(path, self.root)
        ignored = self.keys.ignore
        for pattern, codes in self.keys.per_file_ignores.items():
            if matches((pattern,), where):
                ignored += codes
        chosen = self.keys.select or ("",)
        return frozenset(code for code in RULES if code.startswith(chosen) and not code.startswith(ignored))

    def wants(self, code: str, path: str) -> bool:
        """Tell whether a rule is wanted for a path."""
        return code in self.codes(path)

    def excluded(self, path: str) -> bool:
        """Tell whether a path is left out where a folder is looked through (or where `--force-exclude` says so)."""
        return matches(self.keys.exclude, relative(path, self.root))

    def split_files(self) -> dict[str, list[Path]]:
        """Return the files of each split that the configuration names, without the excluded ones.

        Raises `UsageError` where a file is of two splits, or a pattern that was given matches no file.
        """
        found: dict[str, list[Path]] = {}
        for name in ("train", "validation", "test"):
            patterns: tuple[str, ...] = getattr(self.keys.splits, name)
            if patterns:
                found[name] = [path for path in files(patterns, self.root) if not self.excluded(str(path))]
                if not found[name]:
                    raise UsageError(f"{self.file}: splits.{name}: no file matches {', '.join(patterns)}")
        for one, other in combinations(found, 2):
            both = sorted(set(found[one]) & set(found[other]))
            if both:
                raise UsageError(f"{self.file}: splits: {both[0].relative_to(self.root)} is in {one} and in {other}")
        return found

    def against_files(self) -> list[Path]:
        """Return the configured files of benchmarks. Raises `UsageError` where a pattern matches no file."""
        for pattern in self.keys.against:
            if not files([pattern], self.root):
                raise UsageError(f"{self.file}: against: no file matches {pattern}")
        return files(self.keys.against, self.root)

    @property
    def baseline(self) -> Path:
        """Where the baseline is, or would be: as configured, else `phi3data-baseline.json` beside the configuration."""
        return self.root / (self.keys.baseline or DEFAULT_BASELINE)

    @property
    def tokenizer(self) -> str | None:
        """The tokenizer: a folder from the folder of the configuration, where there is one, else a hub name."""
        name = self.keys.tokenizer
        return str(self.root / name) if name is not None and (self.root / name).exists() else name
