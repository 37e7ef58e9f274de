"""A split as the trainer gets it: rows, packed or not, and the account of what was lost on the way."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from phi3data.errors import InputError
from phi3data.sources.files import digest
from phi3train.config import under_head
from phi3train.data.labelled import refuse_unlabelled, row_maker, source_config
from phi3train.data.pack import best_fit_decreasing, efficiency
from phi3train.data.prepared import Split, files, verify
from phi3train.data.rows import IGNORED, Lost, Row, RowMaker, read

if TYPE_CHECKING:
    from phi3train.config import Config
    from phi3train.models import Model

PACKED = 4096  # tokens per packed row where none are configured: long enough to fill, short enough for any GPU


class Data(msgspec.Struct, frozen=True, kw_only=True):
    """One split. `packs` are the rows of the trainer: numbers of the conversations in each, one each if not packed.

    `capacity` is in tokens per row, None if not packed; `over` tells per pack whether its longest conversation is over
    the model's LongRoPE window.
    """

    path: Path
    sha256: str
    rows: list[Row]
    lost: list[Lost]
    packs: list[list[int]]
    capacity: int | None
    over: list[bool]

    @property
    def tokens(self) -> int:
        """Tokens of all conversations."""
        return sum(len(row) for row in self.rows)

    @property
    def supervised(self) -> int:
        """Tokens that are learned."""
        return sum(row.supervised for row in self.rows)

    @property
    def efficiency(self) -> float:
        """Part of the trainer's rows that is tokens and no empty room, fraction 0–1; 1 if not packed."""
        if self.capacity is None:
            return 1.0
        return efficiency([len(row) for row in self.rows], self.packs, self.capacity)

    def ready(self, pack: int) -> dict[str, list[int]]:
        """Return a row as TRL's SFTTrainer takes it: input_ids, labels, and seq_lengths if packed."""
        rows = [self.rows[index] for index in self.packs[pack]]
        made = {
            "input_ids": np.concatenate([row.ids for row in rows]).tolist(),
            "labels": np.concatenate([row.labels for row in rows]).tolist(),
        }
        return made if self.capacity is None else {**made, "seq_lengths": [len(row) for row in rows]}

    def blank(self) -> dict[str, list[int]]:
        """Return a row of which nothing is learned, for a process that has none left in an epoch."""
        made = self.ready(
            min(range(len(self.packs)), key=lambda pack: sum(len(self.rows[at]) for at in self.packs[pack]))
        )
        return {**made, "labels": [IGNORED] * len(made["labels"])}

    def ids(self, pack: int) -> list[str]:
        """Return the ids of the conversations in a row of the trainer."""
        return [self.rows[index].id for index in self.packs[pack]]

    def account(self) -> dict[str, Any]:
        """Return what data.json says of this split: file, counts, packing, and every lost row with its reason."""
        return {
            "path": str(self.path),
            "sha256": self.sha256,
            "rows": len(self.rows),
            "tokens": self.tokens,
            "supervised_tokens": self.supervised,
            "longest": max((len(row) for row in self.rows), default=0),
            "trimmed": {row.id: row.trimmed for row in self.rows if row.trimmed},
            "classes": dict(sorted(Counter(row.label for row in self.rows if row.label is not None).items())),
            "packed_rows": None if self.capacity is None else len(self.packs),
            "packing_efficiency": None if self.capacity is None else round(self.efficiency, 4),
            "dropped": dict(sorted(Counter(each.reason for each in self.lost).items())),
            "dropped_rows": [msgspec.to_builtins(each) for each in self.lost],
        }


def load(config: Config, model: Model, splits: tuple[Split, ...] = ("train", "validation")) -> dict[Split, Data]:
    """Read and encode the splits that there are; only train is packed.

    Raises `InputError` for a prepared folder that is not what its manifest says or is for another model, for a file
    that cannot be read and for one with no row to train on; `UsageError` for data that is not there.
    """
    named = files(config.data)
    folder = Path(config.data.train)
    if folder.is_dir():
        verify(folder, model)
    maker = row_maker(config, model)
    return {split: _split(config, model, maker, split, named[split]) for split in splits if split in named}


def packing_length(config: Config, limit: int) -> int:
    """Return the tokens per packed row, for conversations of at most `limit` tokens."""
    return config.packing.length or min(limit, PACKED)


def _split(config: Config, model: Model, maker: RowMaker, split: Split, path: Path) -> Data:
    rows: list[Row] = []
    lost: list[Lost] = []
    for placed in read(path, source_config(config)):
        made = maker.row(placed)
        if isinstance(made, Row):
            rows.append(made)
        else:
            lost.append(made)
    if not rows:
        refuse_unlabelled(f"data.{split}", rows, lost, ())
        reasons = ", ".join(f"{name}: {number:,}" for name, number in Counter(each.reason for each in lost).items())
        raise InputError(f"{path}: no row can be trained on ({reasons or 'there is none'})")
    packed = under_head(config).packing.enabled and split == "train"
    capacity = packing_length(config, maker.limit) if packed else None
    over = [model.window is not None and len(row) > model.window for row in rows]
    packs = _packs([len(row) for row in rows], over, capacity)
    return Data(
        path=path,
        sha256=digest(path),
        rows=rows,
        lost=lost,
        packs=packs,
        capacity=capacity,
        over=[over[pack[0]] for pack in packs],
    )


def _packs(lengths: list[int], over: list[bool], capacity: int | None) -> list[list[int]]:
    """Pack rows over the LongRoPE window apart from the others: a batch has one kind of factors."""
    if capacity is None:
        return [[index] for index in range(len(lengths))]
    packs: list[list[int]] = []
    for kind in (False, True):
        members = [index for index, each in enumerate(over) if each is kind]
        bins = best_fit_decreasing([lengths[index] for index in members], capacity)
        packs += [[members[index] for index in each] for each in bins]
    return packs
