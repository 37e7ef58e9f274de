"""How fast the rules over texts are beside a bare `json.loads` loop, and how many rows pass their screen.

    python -m bench.rules

Reads every row of ../shared/data through the sources, repeats them as chat lines until there are 50 MB, and times over
the same lines (one process, processor time, best of five rounds that take the candidates in turn): `json.loads`;
msgspec's typed decoding; the screen alone; `check_many`, 64 conversations at a time, and `check`, one by one, both
without decoding. MB/s are of the lines, 1 MB = 10^6 bytes. Then the same on the rows that have no finding. Exits with 2
where ../shared is absent.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from typing import TYPE_CHECKING

import msgspec

from phi3data.chat import Conversation
from phi3data.rules import texts
from phi3data.rules.examine import Turns
from phi3data.sources.inputs import find
from phi3data.sources.open import open_source, read_all
from phi3data.sources.reader import Reader, SourceConfig

if TYPE_CHECKING:
    from collections.abc import Callable

DATA = Path(__file__).parents[2] / "shared" / "data"
SIZE = 50_000_000


def conversations(folder: Path) -> list[Conversation]:
    """Return every conversation of the data."""
    out: list[Conversation] = []
    with TemporaryDirectory() as work:
        for number, item in enumerate(find(str(folder / "*.json*"))):
            source = open_source(item, number, SourceConfig(), Path(work))
            reader = Reader(source, SourceConfig())
            for raw in read_all(source):
                found = reader.conversations(raw.value)
                out += found if isinstance(found, list) else []
    return out


def timed(works: dict[str, Callable[[], object]], rounds: int = 5) -> dict[str, float]:
    """Return the seconds of processor time of the fastest round of each; a round takes all in turn."""
    best = dict.fromkeys(works, float("inf"))
    for _ in range(rounds):
        for name, work in works.items():
            start = process_time()
            work()
            best[name] = min(best[name], process_time() - start)
    return best


def batches(rows: list[Conversation]) -> list[list[Conversation]]:
    return [rows[at : at + texts.BATCH] for at in range(0, len(rows), texts.BATCH)]


def turns(group: list[Conversation]) -> Turns:
    return Turns([row.messages for row in group])


def check_all(groups: list[list[Conversation]]) -> None:
    for group in groups:
        for _ in texts.check_many(group):
            pass


def check_each(rows: list[Conversation]) -> None:
    for row in rows:
        for _ in texts.check(row):
            pass


def measure(name: str, rows: list[Conversation]) -> None:
    """Print the speeds over some rows, repeated to 50 MB."""
    one = [msgspec.json.encode(row) for row in rows]
    times = max(1, SIZE // sum(map(len, one)))
    lines, rows = one * times, rows * times
    size = sum(map(len, lines)) / 1e6
    decode = msgspec.json.Decoder(Conversation).decode
    groups = batches(rows)
    results = timed(
        {
            "json.loads": lambda: [json.loads(line) for line in lines],
            "msgspec, typed": lambda: [decode(line) for line in lines],
            "screen, 64 rows at once": lambda: [texts.CHECKER.suspects(turns(group)) for group in groups],
            "rules, 64 rows at once": lambda: check_all(groups),
            "rules, row by row": lambda: check_each(rows),
        }
    )
    print(f"\n{name}: {len(rows):,} rows, {size:.0f} MB, {size * 1e6 / len(rows):.0f} bytes a row")
    for what, seconds in results.items():
        ratio = seconds / results["json.loads"]
        print(f"  {what:<26}{size / seconds:>7.0f} MB/s {1e6 * seconds / len(rows):>7.2f} µs/row {ratio:>6.2f} x")


def passed(rows: list[Conversation]) -> None:
    """Print how many rows and texts no kernel had to look at, and which kernels looked at most."""
    looks: Counter[str] = Counter()
    clean = 0
    for group in batches(rows):
        suspects, compared = texts.CHECKER.suspects(turns(group))
        clean += len(group) - len(compared.union([row for row, _ in suspects]))
        looks["pairs"] += len(compared)
        for _, kernels in suspects.values():
            looks.update({kernel.code for kernel in kernels})
    print(f"\n{clean / len(rows):.1%} of {len(rows):,} rows pass the screen; texts that met the kernels of a rule:")
    print("  " + ", ".join(f"{code} {count:,}" for code, count in looks.most_common()))


def main() -> int:
    if not DATA.is_dir():
        print("bench/rules.py needs ../shared/data", file=sys.stderr)
        return 2
    rows = conversations(DATA)
    passed(rows)
    measure("all rows", rows)
    measure("rows without a finding", [row for row in rows if next(texts.check(row), None) is None])
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
