"""Exceptions: the caller's mistakes. Bad *data* is never an exception, it is a `Finding` and a line in dropped.jsonl.

Phi3kitError                 catch this to catch them all; its text is one sentence or two, fit for a user
├── UsageError               an option, recipe key, column, model or path that cannot be used   (exit code 2)
├── InputError               an input that cannot be used at all, with the place and the remedy (exit code 2)
│   └── RefusedError         a row that the recipe says to refuse (`missing.user = "refuse"`)
├── OutputError              the output cannot be written: exists already, disk full, no permission
├── WorkerError              a worker process died; the finished work is kept, run again to go on
└── MissingExtraError        an optional dependency is not installed; says which extra brings it
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Phi3kitError(Exception):
    """Base of all exceptions that this package raises on purpose."""


class UsageError(Phi3kitError):
    """An option, recipe key, column, model name or path that cannot be used."""


class InputError(Phi3kitError):
    """An input that cannot be used at all: unreadable, empty, or of no known format."""


class RefusedError(InputError):
    """A row that the recipe says to refuse rather than to drop."""


class OutputError(Phi3kitError):
    """The output cannot be written."""


class WorkerError(Phi3kitError):
    """A worker process died. Finished shards are kept; the same command goes on from there."""


class MissingExtraError(Phi3kitError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        """`what` is the thing the user asked for, `extra` the name of the extra that brings it."""
        self.what, self.extra = what, extra
        super().__init__(
            f"{what} needs the '{extra}' extra: pip install 'phi3kit[{extra}]' "
            f"(in a pre-commit hook: additional_dependencies: ['phi3kit[{extra}]'])"
        )

    def __reduce__(self) -> tuple[type, tuple[str, str]]:
        return type(self), (self.what, self.extra)


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the nearest known word, or ``""`` when none is near."""
    names = [name for name in known if isinstance(name, str)]
    folded = {name.casefold(): name for name in names}
    from difflib import get_close_matches

    near = get_close_matches(str(word).casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean '{folded[near[0]]}'?" if near else ""
