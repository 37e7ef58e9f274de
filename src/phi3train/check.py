"""The data against the model: what will not be trained on, and why."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import msgspec

from phi3train.data.load import load
from phi3train.data.rows import REASONS
from phi3train.models import find

if TYPE_CHECKING:
    from phi3train.config import Config
    from phi3train.data.load import Data
    from phi3train.data.prepared import Split

_SHOWN = 5  # rows named per reason in the terminal


class Checked(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. `notes` are about the model and its tokenizer."""

    notes: list[str]
    splits: dict[str, dict[str, Any]]

    @property
    def clean(self) -> bool:
        """Whether every row can be trained on as it is."""
        return not self.notes and not any(split["dropped_rows"] or split["trimmed"] for split in self.splits.values())


def check(config: Config) -> Checked:
    """Read every split and encode it. Raises as `models.find` and `data.load` do."""
    model = find(config.model)
    splits: tuple[Split, ...] = ("train", "validation", "test")
    data = load(config, model, splits)
    notes = [model.tokenizer.note] if model.tokenizer.note else []
    highest = max(_highest(each) for each in data.values())
    if highest >= model.vocabulary:
        notes.append(
            f"the tokenizer makes id {highest}, the model's embedding has {model.vocabulary} rows: "
            "they do not belong together"
        )
    return Checked(notes=notes, splits={split: each.account() for split, each in data.items()})


def render(checked: Checked) -> str:
    """Return the findings as lines for the terminal."""
    lines = [f"note: {note}" for note in checked.notes]
    for split, account in checked.splits.items():
        learned = "" if account["classes"] else f", {account['supervised_tokens']:,} learned"
        lines.append(
            f"{split}: {account['rows']:,} rows, {account['tokens']:,} tokens{learned}, longest {account['longest']:,}"
        )
        lines += [f"  {number:>7,} of the class {name}" for name, number in account["classes"].items()]
        by_reason: dict[str, list[dict[str, str]]] = defaultdict(list)
        for lost in account["dropped_rows"]:
            by_reason[lost["reason"]].append(lost)
        for reason, rows in by_reason.items():
            lines.append(f"  {len(rows):,} left out: {REASONS[reason]}")
            lines += [f"    {row['id']}: {row['message']}" for row in rows[:_SHOWN]]
            lines += [f"    … and {len(rows) - _SHOWN:,} more"] if len(rows) > _SHOWN else []
        if account["trimmed"]:
            lines.append(f"  {len(account['trimmed']):,} without their oldest turns: too long")
    return "\n".join(lines) + "\n"


def _highest(data: Data) -> int:
    return max(int(row.ids.max()) for row in data.rows)
