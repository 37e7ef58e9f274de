"""What the rows of a file show together. The facts of its parts add up, in the order of the file."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from phi3data.rules.balance import SystemPrompts
from phi3data.rules.dataset import Columns, ExtraKeys, Formats, PartialKeys
from phi3data.rules.length import Sizes
from phi3data.rules.preference import Lengths

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3data.chat import Conversation
    from phi3data.lint.project import RowKeys
    from phi3data.rules.file import LineEnds
    from phi3data.rules.options import Thresholds
    from phi3data.rules.placed import Placed
    from phi3data.targets import TargetProfile


def _row_keys() -> RowKeys:
    from phi3data.lint.project import RowKeys  # and with it all that tells rows apart

    return RowKeys()


class FileFacts:
    """The facts of one file, or of a part of it."""

    def __init__(self, target: TargetProfile, *, project: bool) -> None:
        self.rows = 0
        self.keys = _row_keys() if project else None
        self._plain_rows = self._plain_first = 0  # rows of nothing but messages are counted here, and added once
        self.line_ends: LineEnds | None = None  # None where rows are not lines of the file
        self.formats, self.extra_keys, self.columns = Formats(), ExtraKeys(), Columns()
        self.partial_keys, self.systems = PartialKeys(target), SystemPrompts()
        self.pairs, self.sizes = Lengths(), Sizes()

    def add_plain(self, line: int, rows: int = 1) -> None:
        """Count chat rows that have no other key than their messages, the first of them at `line`."""
        if not self._plain_rows:
            self._plain_first = line
        self._plain_rows += rows

    def add_row(self, row: dict[str, Any], format_name: str, line: int) -> None:
        """Count a decoded row."""
        self.formats.add(format_name, line)
        self.columns.add_row(row, line)
        self.partial_keys.add([key for key, value in row.items() if value is not None], line)

    def add(self, conversation: Conversation, line: int, record: int, source: Any = None) -> None:
        """Take in the conversation of the row at `line` and `record`, from 1; `source` is what the row says of it."""
        self.columns.add_turns(conversation, line)
        first = conversation.messages[0]
        if first.role == "system" and first.content is not None:
            self.systems.add(first.content, line)
        if self.keys is not None:
            self.keys.add(conversation, source, line, record)

    def close(self) -> None:
        """Add what was counted apart. Before `merge` and `findings`."""
        if self._plain_rows:
            self.formats.add("chat", self._plain_first, self._plain_rows)
            self.partial_keys.add((), self._plain_first, self._plain_rows)
            self._plain_rows = 0

    def merge(self, later: FileFacts) -> None:
        """Add what a later part of the file holds."""
        self.rows += later.rows
        self.formats.merge(later.formats)
        self.extra_keys.merge(later.extra_keys)
        self.columns.merge(later.columns)
        self.partial_keys.merge(later.partial_keys)
        self.systems.merge(later.systems)
        self.pairs.merge(later.pairs)
        self.sizes.merge(later.sizes)
        if self.keys is not None and later.keys is not None:
            self.keys.merge(later.keys)
        if self.line_ends is None:
            self.line_ends = later.line_ends
        elif later.line_ends is not None:
            self.line_ends.merge(later.line_ends)

    def findings(self, options: Thresholds) -> Iterator[Placed]:
        """Yield what is wrong with the file as a whole."""
        if self.line_ends is not None:
            yield from self.line_ends.findings()
        yield from self.formats.findings()
        yield from self.extra_keys.findings(self.rows)
        yield from self.columns.findings()
        yield from self.partial_keys.findings()
        yield from self.systems.findings(options.R410.characters)
        yield from self.pairs.findings(options.X003.share)
        yield from self.sizes.findings(options.L704.times)
