"""Balance: how often each training row stands, from the facts; after the split, so that no copy crosses it.

A few numbers a training row are held in memory (about 100 bytes), and only where something is to be balanced.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import numpy as np

from phi3data import arrow
from phi3data.engine.signed import Signed
from phi3data.errors import UsageError, did_you_mean
from phi3data.similarity.bands import BANDS
from phi3data.steps import balance as step
from phi3data.steps.balance import NONE, Balance

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import duckdb
    from numpy.typing import NDArray

    from phi3data.sources.source import Source
    from phi3data.steps.balance import BalanceConfig

_SHOWN = 50  # groups that a report can show: there may be as many as rows


class Balanced(msgspec.Struct, frozen=True):
    """What was done to the groups. `balance` holds the largest of the `groups`, the largest first.

    Of the training rows `before`, `gone` were dropped and `added` are copies.
    """

    balance: Balance
    groups: int
    before: int
    gone: int
    added: int


def balance(
    connection: duckdb.DuckDBPyConnection,
    config: BalanceConfig,
    examined: Path,
    given: list[int],
    sources: Sequence[Source],
) -> Balanced | None:
    """Make the table `balanced` of the training rows that do not stand just once, from the views of `decide`.

    It holds how many times a row stands, and how many rows its group has before and after. `examined` is the folder of
    the shards, `given` the place of the rows of each in `GIVEN`. Raises `UsageError` where no row has the column, or a
    share is one of no group.
    """
    connection.execute("CREATE TEMP TABLE balanced (seq BIGINT, times INTEGER, before BIGINT, after BIGINT)")
    if not config.active:
        return None
    connection.execute(
        f"""
        CREATE TEMP TABLE training AS SELECT seq, same_hi, coalesce(balanced_by, '{NONE}') AS name
        FROM alive
        LEFT JOIN splits ON splits.prompt = alive.prompt AND splits.group_key IS NOT DISTINCT FROM alive.group_key
        WHERE given = 0 AND coalesce(split, 0) = 0
        """  # noqa: S608 (a name of ours)
    )
    connection.execute("CREATE TEMP TABLE groups AS SELECT name FROM training GROUP BY name ORDER BY name")
    names = [name for (name,) in connection.execute("SELECT name FROM groups ORDER BY name").fetchall()]
    if config.column is not None and names == [NONE]:
        near = did_you_mean(config.column, {column for source in sources for column in source.columns})
        raise UsageError(f"balance.by: no row has a value in the column '{config.column}'{near}")
    found = connection.sql(
        """
        SELECT seq, same_hi, number FROM training
        JOIN (SELECT name, row_number() OVER (ORDER BY name) - 1 AS number FROM groups) USING (name) ORDER BY seq
        """
    )
    seq, digests, groups = arrow.fetched(found)
    cluster = _clusters(seq, digests, Signed(examined, given)) if config.spread else None
    times, told = step.balance(groups, names, digests, config, cluster)
    rows = np.flatnonzero(times != 1)
    sizes = {name: np.array([getattr(group, name) for group in told.groups], np.int64) for name in ("before", "after")}
    chosen = {name: values[groups[rows]] for name, values in sizes.items()}
    connection.register("chosen_rows", arrow.table({"seq": seq[rows], "times": times[rows], **chosen}))
    connection.execute("INSERT INTO balanced SELECT seq, times, before, after FROM chosen_rows")
    largest = sorted(told.groups, key=lambda group: (-group.before, group.name))[:_SHOWN]
    return Balanced(
        msgspec.structs.replace(told, groups=largest),
        groups=len(names),
        before=len(seq),
        gone=int((times == 0).sum()),
        added=int(np.maximum(times - 1, 0).sum()),
    )


def _clusters(seq: NDArray[np.int64], digests: NDArray[np.uint64], rows: Signed) -> NDArray[np.uint64]:
    """Return the cluster of each row, by the keys that near-duplicates are found by; rows without keys are their own.

    One column of keys is in memory at a time. `seq` is sorted.
    """
    mine = rows.numbers(seq)
    place = np.searchsorted(seq, rows.column("seq", mine))
    out = digests.copy()
    out[place] = step.clusters((rows.keys_of(band, mine) for band in range(BANDS)), digests[place])
    return out
