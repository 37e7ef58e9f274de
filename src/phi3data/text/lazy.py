"""Regular expressions that are compiled when they are first used.

Compiling those of all kernels takes 150 ms, and most runs meet none of them: `check` on one clean row is to take 80 ms.
"""

from __future__ import annotations

import re
import sys
from functools import cached_property
from typing import TYPE_CHECKING, AnyStr, Generic

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Lazy(Generic[AnyStr]):
    """A pattern with the methods of `re.Pattern` that kernels use; a call costs 0.1 µs more."""

    def __init__(self, source: AnyStr | Callable[[], AnyStr], flags: int = 0) -> None:
        """`source` is a pattern, or what makes one where that takes time too."""
        self.source: AnyStr | Callable[[], AnyStr] = source
        self.flags = flags

    @cached_property
    def pattern(self) -> re.Pattern[AnyStr]:
        """The compiled pattern."""
        return re.compile(self.source() if callable(self.source) else self.source, self.flags)

    def search(self, text: AnyStr, start: int = 0, stop: int = sys.maxsize) -> re.Match[AnyStr] | None:
        """Do what `re.Pattern.search` does."""
        return self.pattern.search(text, start, stop)

    def match(self, text: AnyStr, start: int = 0) -> re.Match[AnyStr] | None:
        """Do what `re.Pattern.match` does."""
        return self.pattern.match(text, start)

    def fullmatch(self, text: AnyStr) -> re.Match[AnyStr] | None:
        """Do what `re.Pattern.fullmatch` does."""
        return self.pattern.fullmatch(text)

    def finditer(self, text: AnyStr, start: int = 0, stop: int = sys.maxsize) -> Iterator[re.Match[AnyStr]]:
        """Do what `re.Pattern.finditer` does."""
        return self.pattern.finditer(text, start, stop)

    def findall(self, text: AnyStr) -> list[AnyStr]:
        """Do what `re.Pattern.findall` does."""
        return self.pattern.findall(text)

    def sub(self, by: AnyStr | Callable[[re.Match[AnyStr]], AnyStr], text: AnyStr) -> AnyStr:
        """Do what `re.Pattern.sub` does."""
        return self.pattern.sub(by, text)
