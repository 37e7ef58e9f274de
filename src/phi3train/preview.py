"""The rows that the first steps will train on, as `phi3data inspect` shows rows: ids, mask, and what they spell."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from phi3data.inspection.rows import Row as Inspected
from phi3data.inspection.view import Inspection, Inspector, Settings
from phi3train.data.labelled import row_maker, source_config
from phi3train.data.rows import IGNORED, read

if TYPE_CHECKING:
    from phi3train.data.rows import Row
    from phi3train.job import Job


def preview(job: Job, number: int) -> list[Inspection]:
    """Return the first `number` conversations in the order in which they are trained on.

    Each is checked against the row that the trainer gets: what is shown is what is trained, or this raises.
    """
    data, maker = job.train, row_maker(job.config, job.model)
    first = (index for batch in job.order().epoch(0) for pack in batch for index in data.packs[pack])
    wanted = [data.rows[index] for _, index in zip(range(number), first, strict=False)]
    model = job.model
    inspector = Inspector(
        Settings(
            model=model.profile.name,
            tokenizer=model.tokenizer,
            loss_on=job.config.data.loss_on,
            control_text=job.config.data.control_text,
            limit=maker.limit,
        ),
        model.profile,
    )
    missing = {row.id: row for row in wanted}
    found: dict[str, Inspection] = {}
    for placed in read(data.path, source_config(job.config)):
        row = missing.pop(placed.id, None)
        if row is not None:
            conversation = maker.shown(placed)
            assert conversation is not None, "a row was made of it"
            path, _, place = placed.id.rpartition(":")
            record, _, sub = place.partition(".")
            inspected = Inspected(path=path, number=int(record), line=None, format="chat", conversations=[conversation])
            (found[placed.id],) = inspector.inspect(inspected)
            found[placed.id].sub = int(sub or 0)
            if row.label is not None:
                _unlearned(found[placed.id], len(row))
            _compare(found[placed.id], row)
        if not missing:
            break
    return [found[row.id] for row in wanted]


def _unlearned(shown: Inspection, length: int) -> None:
    """Take away what a head does not know: that tokens are learned, and those after the one that it reads."""
    replace = msgspec.structs.replace
    shown.tokens = [replace(token, supervised=False) for token in (shown.tokens or [])[:length]]
    for turn in shown.turns:
        turn.supervised = False
    if shown.counts is not None:
        shown.counts = replace(shown.counts, total=length, supervised=0)


def _compare(shown: Inspection, row: Row) -> None:
    tokens = shown.tokens or []
    ids, mask = [token.id for token in tokens], [token.supervised for token in tokens]
    if ids != row.ids.tolist() or mask != (row.labels != IGNORED).tolist():
        raise AssertionError(f"{row.id}: the preview is not what would be trained on")
