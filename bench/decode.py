"""How fast the typed decode of chat rows is, beside parsers that know no contract.

    python -m bench.decode [FILE.jsonl]

MB/s (1 MB = 10^6 bytes) and rows/s, one thread, best of five over the lines in memory; about 50 MB of chats made by
bench/make_chats.py if no file is given. `of json` is the time as a share of that of a bare json.loads loop. `slow path`
is what a row takes that the fast path does not accept: decode, every rule of the shape, and the conversation.
"""

from __future__ import annotations

import gc
import json
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import msgspec
from bench.make_chats import DATA, write

from phi3data import targets
from phi3data.rules import schema, tools
from phi3data.rules.typed import FastPath
from phi3data.sources.formats.chat import convert
from phi3data.text import jsonline

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = 80_000


def timed(work: Callable[[bytes], Any], lines: list[bytes]) -> float:
    """Return the seconds of the fastest of five runs."""
    best = float("inf")
    for _ in range(5):
        gc.collect()
        start = perf_counter()
        for line in lines:
            work(line)
        best = min(best, perf_counter() - start)
    return best


def main() -> int:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(tempfile.gettempdir()) / f"phi3data-chats-{ROWS}.jsonl"
    if not path.exists():
        if not DATA.is_dir():
            print("bench/decode.py needs a file of chats, or ../shared/data to make one", file=sys.stderr)
            return 2
        write(ROWS, path)
    lines = path.read_bytes().splitlines()
    size = sum(map(len, lines)) / 1e6
    foundry = targets.target("foundry")
    fast = FastPath(foundry)
    fields = [("messages", list[msgspec.defstruct("Turn", [("role", str), ("content", str | None, None)], gc=False)])]  # type: ignore[misc]

    def slow(line: bytes) -> Any:
        row = jsonline.decode(line)
        return [*schema.check_row(row, foundry), *tools.check(row)] or convert(row)

    peers: dict[str, Callable[[bytes], Any]] = {
        "json.loads": json.loads,
        "msgspec, untyped": msgspec.json.Decoder().decode,
        "msgspec, typed, no contract": msgspec.json.Decoder(msgspec.defstruct("Row", fields, gc=False)).decode,
        "jsonline.decode (J rules)": jsonline.decode,
        "fast path (J and S rules)": fast,
        "slow path (J, S and G rules)": slow,
    }
    try:
        import orjson  # type: ignore[import-not-found]  # not among the extras: a peer where it is installed

        peers["orjson"] = orjson.loads
    except ImportError:
        pass
    accepted = sum(fast(line) is not None for line in lines)
    print(f"{len(lines):,} rows, {size:.1f} MB; the fast path takes {accepted / len(lines):.1%}")
    print(f"{'':<32}{'MB/s':>8}{'rows/s':>12}{'of json':>10}")
    base = 0.0
    for name, work in peers.items():
        seconds = timed(work, lines)
        base = base or seconds
        print(f"{name:<32}{size / seconds:>8.0f}{len(lines) / seconds:>12,.0f}{seconds / base:>10.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
