"""What is known of a destination. `table.py` has it for each."""

from __future__ import annotations

from typing import Literal

import msgspec

from phi3data.findings import Severity


class TargetProfile(msgspec.Struct, frozen=True, kw_only=True):
    """One destination. Rows are counted as they are in one file."""

    name: str
    title: str
    label_key: str = ""  # the row may carry its label under this key; "": services drop or refuse other keys
    minimum_rows: int  # fewer are refused
    advised_rows: int  # fewer seldom train well
    ample_rows: int  # fewer may still be too few to see an effect
    size_limit: int | None = None  # bytes of one file; None where there is no limit
    bom: Literal["refused", "either", "wanted"]  # a UTF-8 byte-order mark at the start of a file
    keys: tuple[str, ...] = ()  # that a row may have beside messages, tools and the legacy functions
    # What happens to other keys of a row: the file is refused, the column is dropped, or kept and not read.
    extra_keys: Literal["refused", "dropped", "kept"]
    # What happens to rows without a key that the destination keeps (tools) and other rows have.
    partial_rows: Literal["dropped", "kept"]
    reads_weight: bool  # whether weight = 0 keeps an assistant turn from training
    splits_in_order: bool  # whether an automatic validation split takes the end of the file, without a shuffle
    severities: dict[str, Severity] = {}  # code → where a rule is more or less serious than the catalogue says

    def severity(self, code: str, default: Severity) -> Severity:
        """Return how serious a code is here, `default` where this destination says nothing of its own."""
        return self.severities.get(code, default)
