"""The keys of the configuration, as they stand in the file."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from phi3data.rules.options import Thresholds

Words = Annotated[str, Meta(pattern=r"\S")]


class Splits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Patterns of the files of each split, from the folder of the configuration."""

    train: tuple[Words, ...] = ()
    validation: tuple[Words, ...] = ()
    test: tuple[Words, ...] = ()


class Allow(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Findings that are meant to be: of one fingerprint, or of the paths that a pattern matches.

    With `path`, `pointer` is the JSON pointer that a finding must have, and `text` is what its message must contain.
    """

    code: str
    reason: Words
    fingerprint: str | None = None
    path: Words | None = None
    pointer: str | None = None
    text: Words | None = None


class Keys(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="kebab"):
    """What a configuration can say. Everything is optional; None leaves it to the command."""

    select: tuple[Words, ...] = ()  # codes or their beginnings; none means all
    ignore: tuple[Words, ...] = ()
    per_file_ignores: dict[Words, tuple[Words, ...]] = {}
    exclude: tuple[Words, ...] = ()
    target: str | None = None
    model: str | None = None
    tokenizer: Words | None = None
    baseline: Words | None = None
    fail_on: Literal["error", "warning", "never"] | None = None
    max_per_rule: Annotated[int, Meta(ge=1)] | None = None
    splits: Splits = Splits()
    against: tuple[Words, ...] = ()  # patterns of benchmarks, for the whole project
    allow: tuple[Allow, ...] = ()
    rules: Thresholds = Thresholds()
