"""Regular expressions that are compiled when they are first used.

Compiling those of all kernels takes 150 ms, and most runs meet none of them: `check` on one clean row is to take 80 ms.
"""

from __future__ import annotations

import re
import sys
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Lazy:
    """A pattern with the methods of `re.Pattern` that kernels use; a call costs 0.1 µs more."""

    def __init__(self, source: str, flags: int = 0) -> None:
        self.source, self.flags = source, flags

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        """The compiled pattern."""
        return re.compile(self.source, self.flags)

    def search(self, text: str, start: int = 0, stop: int = sys.maxsize) -> re.Match[str] | None:
        """Do what `re.Pattern.search` does."""
        return self.pattern.search(text, start, stop)

    def match(self, text: str, start: int = 0) -> re.Match[str] | None:
        """Do what `re.Pattern.match` does."""
        return self.pattern.match(text, start)

    def fullmatch(self, text: str) -> re.Match[str] | None:
        """Do what `re.Pattern.fullmatch` does."""
        return self.pattern.fullmatch(text)

    def finditer(self, text: str, start: int = 0, stop: int = sys.maxsize) -> Iterator[re.Match[str]]:
        """Do what `re.Pattern.finditer` does."""
        return self.pattern.finditer(text, start, stop)

    def findall(self, text: str) -> list[str]:
        """Do what `re.Pattern.findall` does."""
        return self.pattern.findall(text)

    def sub(self, by: str | Callable[[re.Match[str]], str], text: str) -> str:
        """Do what `re.Pattern.sub` does."""
        return self.pattern.sub(by, text)
