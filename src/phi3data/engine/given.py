"""Rows that are given: a validation or test file of the user's own, or rows that others must not say again.

They stay, whatever is similar to them; what says or asks the same goes for them. The column `given` of the facts has
the place of a row's input in `GIVEN`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb

#: What an input is: prepared and split, a split as it is, or only compared with. The first ones are those of `SPLITS`.
GIVEN = ("", "validation", "test", "against")
AGAINST = GIVEN.index("against")
#: The code of a row that goes for one of a given split: the same question would stand in two splits.
LEAK = "D805"
#: What a row shares with a given one that it goes for.
KINDS = ("group", "prompt")


def drop_groups(connection: duckdb.DuckDBPyConnection) -> None:
    """Put the rows of a given row's group into the table `removed`.

    This comes first: what equals such a row, or contradicts it, belongs to another group and must not go for it.
    """
    connection.execute(f"INSERT INTO removed SELECT seq, keeper, 'group', NULL FROM ({_sharing('group_key')})")  # noqa: S608


def find_leaks(connection: duckdb.DuckDBPyConnection, *, given: bool) -> None:
    """Make the table `leaks` of the rows that ask what a row of a given split asks.

    They go in any case (`drop_leaks`): no other row may go for one of them, but for those that equal it. Without
    `given` rows there are none, and the facts are not read for them.
    """
    connection.execute("CREATE TEMP TABLE leaks (seq BIGINT, keeper BIGINT)")
    if given:
        connection.execute(f"INSERT INTO leaks {_sharing('prompt')}")


def _sharing(key: str) -> str:
    return f"""
        WITH held AS (SELECT {key}, min(seq) AS keeper FROM facts
                      WHERE given IN (1, 2) AND NOT dropped AND {key} IS NOT NULL GROUP BY {key})
        SELECT seq, keeper FROM alive JOIN held USING ({key}) WHERE given = 0
        """  # noqa: S608 (names of ours)


def drop_leaks(connection: duckdb.DuckDBPyConnection) -> None:
    """Put the leaks into the table `removed`, but for those that go because they say what a given row says."""
    connection.execute("DELETE FROM removed USING leaks WHERE removed.seq = leaks.seq AND removed.kind <> 'near'")
    connection.execute(
        "INSERT INTO removed SELECT seq, keeper, 'prompt', NULL FROM leaks ANTI JOIN removed USING (seq)"
    )
