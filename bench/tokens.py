"""Exact token counts: how fast ours are beside the libraries', and that they are equal on every row.

    python -m bench.tokens [MB]

100 MB (10^6 bytes of UTF-8) of message texts unless another size is given: the chats of bench/make_chats.py, real rows
whose numbers change, and here one letter in every 300 characters too. So words that were never seen before keep coming,
3 in a thousand bytes, as in the last quarter of a real file (2 to 5), and no row is there twice. One thread each. Ours
and the library that its counts are compared with take all of it, the other peers the first 10 MB. Then the rows of
../shared/data once each, with a new counter: everything is seen for the first time. Then what a start costs, and
memory. Exits with 2 where ../shared is absent.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
from itertools import count
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

import numpy as np
import pyarrow as pa
import tiktoken
from bench.make_chats import DATA, chats, turns
from scripts.calibrate_estimator import read_rows
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from phi3data.tokens.exact.counter import ExactCounter
from phi3data.tokens.exact.kinds import CL100K
from phi3data.tokens.exact.library import read_ranks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

TOKENIZERS = DATA.parent / "tokenizers"
MINI, SMALL = TOKENIZERS / "phi-3-mini/tokenizer.json", TOKENIZERS / "phi-3-small/cl100k_base.tiktoken"
SAMPLE = 10_000_000  # bytes that a peer is timed on where all would take minutes
EVERY = 300  # code points between letters that are changed
BATCH = 1000  # texts a call


class Peer(NamedTuple):
    """A way to count, and whether it counts all texts or a sample."""

    name: str
    tokens: Callable[[Sequence[str]], Iterable[int]]
    all: bool = False


def messages(size: int) -> list[str]:
    """Return message texts of `size` bytes."""
    contents = (message["content"] for line in chats(10**9) for message in json.loads(line)["messages"])
    return list(upto(size, varied(contents)))


def chinese(size: int) -> list[str]:
    """Return Chinese texts of `size` bytes."""
    pool = [text for pair in turns(DATA / "alpaca_zh_demo.json") for text in pair]
    rng = random.Random(7)
    return list(upto(size, varied(rng.choice(pool) for _ in count())))


def varied(texts: Iterable[str], seed: int = 7) -> Iterator[str]:
    """Yield the texts with one letter changed in each 300 characters, each text once."""
    rng = random.Random(seed)
    letters: list[str] = ["e"]
    seen: set[int] = set()
    for text in texts:
        if len(letters) < 100_000:
            letters += filter(str.isalpha, text)
        parts = []
        for start in range(0, len(text), EVERY):
            part = text[start : start + EVERY]
            place = rng.randrange(len(part))
            if part[place].isalpha():
                part = part[:place] + rng.choice(letters) + part[place + 1 :]
            parts.append(part)
        new = "".join(parts)
        if hash(new) not in seen:
            seen.add(hash(new))
            yield new


def upto(size: int, texts: Iterator[str]) -> Iterator[str]:
    """Yield texts until they are `size` bytes."""
    for text in texts:
        if size <= 0:
            return
        size -= len(text.encode())
        yield text


def table(title: str, texts: list[str], ours: ExactCounter, peers: list[Peer]) -> None:
    """Time the ways to count and print them, the fastest peer as 1."""
    sizes = np.cumsum([len(text.encode()) for text in texts])
    some = texts[: int(np.searchsorted(sizes, SAMPLE)) + 1]
    print(f"\n{title}: {len(texts):,} texts, {sizes[-1] / 1e6:.1f} MB; {ours.method}")
    speeds, notes = {}, {}
    start = perf_counter()
    expected = ours.count(texts)
    speeds["ours, first time"] = sizes[-1] / 1e6 / (perf_counter() - start)
    start = perf_counter()
    again = ours.count(texts)
    speeds["ours, again"] = sizes[-1] / 1e6 / (perf_counter() - start)
    array = pa.array(texts, pa.large_string())
    start = perf_counter()
    of_array = ours.count(array)
    speeds["ours, an Arrow array"] = sizes[-1] / 1e6 / (perf_counter() - start)
    assert (again == expected).all()
    assert (of_array == expected).all()
    for peer in peers:
        part = texts if peer.all else some
        start = perf_counter()
        found = np.fromiter(peer.tokens(part), np.int64, len(part))
        speeds[peer.name] = sizes[len(part) - 1] / 1e6 / (perf_counter() - start)
        equal = int((found == expected[: len(part)]).sum())
        notes[peer.name] = f"{equal:,} of {len(part):,} rows equal ours"
    best = max(speeds[peer.name] for peer in peers)
    for name, speed in speeds.items():
        print(f"  {name:<46}{speed:>8.1f} MB/s{speed / best:>8.2f} x   {notes.get(name, '')}")


def batched(tokens: Callable[[list[str]], Iterable[int]]) -> Callable[[Sequence[str]], Iterator[int]]:
    """Return a count that takes a thousand texts a call: encodings are large."""

    def run(texts: Sequence[str]) -> Iterator[int]:
        for start in range(0, len(texts), BATCH):
            yield from tokens(list(texts[start : start + BATCH]))

    return run


def mini_peers() -> list[Peer]:
    """Return the peers for Phi-3-mini."""
    tokenizer = Tokenizer.from_file(str(MINI))
    fast: Any = PreTrainedTokenizerFast(tokenizer_file=str(MINI))  # type: ignore[no-untyped-call]
    return [
        Peer(
            "tokenizers encode_batch_fast",
            batched(lambda part: [len(e.ids) for e in tokenizer.encode_batch_fast(part, add_special_tokens=False)]),
            all=True,
        ),
        Peer(
            "tokenizers encode_batch",
            batched(lambda part: [len(e.ids) for e in tokenizer.encode_batch(part, add_special_tokens=False)]),
        ),
        Peer(
            "transformers PreTrainedTokenizerFast.__call__",
            batched(lambda part: [len(ids) for ids in fast(part, add_special_tokens=False)["input_ids"]]),
        ),
    ]


def small_peers() -> list[Peer]:
    """Return the peers for Phi-3-small."""
    ranks = tiktoken.Encoding("cl100k", pat_str=CL100K, mergeable_ranks=read_ranks(SMALL), special_tokens={})
    return [
        Peer("tiktoken encode_ordinary", lambda texts: [len(ranks.encode_ordinary(text)) for text in texts], all=True),
        Peer(
            "tiktoken encode_ordinary_batch(num_threads=1)",
            batched(lambda part: [len(ids) for ids in ranks.encode_ordinary_batch(part, num_threads=1)]),
        ),
    ]


_START = """
import sys, time
from pathlib import Path
start = time.perf_counter()
from phi3data.tokens.exact.counter import ExactCounter
counter = ExactCounter.from_file(Path(sys.argv[1]), small=int(sys.argv[2]))
counter.count(["Hello world, 你好"] * 9)
print(time.perf_counter() - start)
"""


def starts() -> None:
    """Print what it takes from nothing to the first count, in a new process each."""
    print("\nfrom the import to the first count, seconds")
    for name, path in (("Phi-3-mini", MINI), ("cl100k", SMALL)):
        with tempfile.TemporaryDirectory() as folder:
            cold, warm = (start(path, 0, folder) for _ in range(2))
            library = start(path, 1000, folder)
        print(f"  {name:<12} kernels compiled {cold:.2f}, kernels from the disk {warm:.2f}, the library {library:.2f}")


def start(path: Path, small: int, folder: str) -> float:
    environment = {**os.environ, "NUMBA_CACHE_DIR": folder}
    done = subprocess.run(
        [sys.executable, "-c", _START, str(path), str(small)], env=environment, check=True, capture_output=True
    )
    return float(done.stdout)


def memory(texts: list[str]) -> None:
    """Print by how much the first count raises the peak of this process, which has not imported numba yet."""
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts again from what is in use
    before = status("VmRSS")
    counter = ExactCounter.from_file(MINI, small=0)
    counter.count(texts[:10])
    ready = status("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")
    counter.count(texts)
    peak = status("VmHWM")
    print(f"memory: numba and the tables {ready - before:.0f} MB, counting another {peak - ready:.0f} MB at the peak")


def status(field: str) -> float:
    """Return a field of this process's status, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1]) / 1e3


def main() -> int:
    if not DATA.is_dir() or not MINI.is_file():
        print("bench/tokens.py needs ../shared/data and ../shared/tokenizers", file=sys.stderr)
        return 2
    size = int(float(sys.argv[1]) * 1e6) if len(sys.argv) > 1 else 100_000_000
    texts = messages(size)
    memory(texts)
    starts()
    real = [text for path in sorted(DATA.iterdir()) for row in read_rows(path) for text in row if text]
    zh = [text for pair in turns(DATA / "alpaca_zh_demo.json") for text in pair]
    for name, path, peers in (("Phi-3-mini", MINI, mini_peers()), ("cl100k", SMALL, small_peers())):
        for title, part in (
            ("chats", texts),
            ("Chinese", chinese(min(size, SAMPLE))),
            ("real rows, once each", real),
            ("real Chinese rows, once each", zh),
        ):
            ours = ExactCounter.from_file(path, small=0)
            ours.count(["the kernels are loaded"])
            table(f"{name}, {title}", part, ours, peers)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
