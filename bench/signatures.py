"""MinHash signatures: how near the truth and how fast, beside datasketch and Daft.

    python -m bench.signatures [ROWS]        default: 20000

Each peer runs in an environment of its own, whose python an environment variable names; without one it is left out:

    PHI3KIT_DATASKETCH=…/bin/python          datasketch: MinHash(num_perm=128).update_batch of the 5-word shingles
    PHI3KIT_DAFT=…/bin/python                Daft: expression minhash(num_hashes=128, ngram_size=5)

All get the same normalised texts and one processor; the first call, which loads or compiles, is not timed; "as they
are" includes normalising. Accuracy: pairs of texts whose exact Jaccard index of 5-word shingles is known, made by
edits, by cutting off (prefixes), by appending, and by mixing two texts in all shares. Prints rows per second and, for
the share of equal values of two signatures against the exact index, the mean error (bias), the root mean square error,
and the share of the pairs from 0.8 on whose estimate is at least 0.7.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
from bench.make_duplicates import planted

from phi3data.similarity.bands import keys
from phi3data.similarity.texts import signatures

if TYPE_CHECKING:
    from numpy.typing import NDArray

PEERS = {
    "datasketch": """
import json, sys, time, os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import numpy as np
from datasketch import MinHash

def signature(text):
    words = text.split()
    shingles = {" ".join(words[n:n + 5]).encode() for n in range(max(1, len(words) - 4))}
    found = MinHash(num_perm=128)
    found.update_batch(list(shingles))
    return found.hashvalues

texts = json.load(open(sys.argv[1]))
signature(texts[0])
began = time.perf_counter()
found = [signature(text) for text in texts]
print(time.perf_counter() - began)
np.save(sys.argv[2], np.array(found))
""",
    "daft": """
import json, sys, time, os
os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
import numpy as np, daft
from daft import col

texts = json.load(open(sys.argv[1]))
def signatures(texts):
    frame = daft.from_pydict({"text": texts})
    return frame.select(col("text").minhash(num_hashes=128, ngram_size=5)).to_arrow()
signatures(texts[:10])
began = time.perf_counter()
found = signatures(texts)
print(time.perf_counter() - began)
np.save(sys.argv[2], np.array(found["text"].to_pylist(), np.uint32))
""",
}


def shingles(text: str) -> set[tuple[str, ...]]:
    words = text.split()
    return {tuple(words[n : n + 5]) for n in range(max(1, len(words) - 4))}


def pairs(rng: random.Random) -> list[tuple[str, str, str]]:
    """Return (kind, text, other text)."""
    words = [f"w{n}" for n in range(5000)]
    out = []
    for number in range(1200):
        one = rng.choices(words, k=rng.randrange(40, 200))
        other = list(one)
        kind = ("edits", "prefix", "append", "mixed")[number % 4]
        if kind == "edits":
            for _ in range(rng.randrange(1, 6)):
                other[rng.randrange(len(other))] = rng.choice(words)
        elif kind == "prefix":
            other = one[: rng.randrange(len(one) // 2, len(one))]
        elif kind == "append":
            other += rng.choices(words, k=rng.randrange(1, 60))
        else:
            other = one[rng.randrange(len(one)) :] + rng.choices(words, k=rng.randrange(100))
        out.append((kind, " ".join(one), " ".join(other)))
    return out


def accuracy(name: str, values: NDArray[np.uint32], made: list[tuple[str, str, str]]) -> None:
    """Print how near the estimates of the pairs are to the truth."""
    truth = np.array([len(a & b) / len(a | b) for a, b in ((shingles(x), shingles(y)) for _, x, y in made)])
    estimate = (values[0::2] == values[1::2]).mean(axis=1)
    kinds = np.array([kind for kind, _, _ in made])
    error = estimate - truth
    by_kind = "".join(f"{kind} {np.sqrt((error[kinds == kind] ** 2).mean()):.3f}  " for kind in sorted(set(kinds)))
    high = truth >= 0.8
    print(
        f"{name:12} bias {error.mean():+.4f}  RMSE {np.sqrt((error**2).mean()):.4f} ({by_kind.strip()})  "
        f"recall {(estimate[high] >= 0.7).mean():.4f} of {high.sum()}"
    )


def peer(name: str, texts: list[str], folder: Path) -> tuple[float, NDArray[np.uint32]] | None:
    """Return the seconds and the signatures of a peer; None where it is not installed."""
    python = os.environ.get(f"PHI3KIT_{name.upper()}")
    if not python:
        print(f"{name}: left out: PHI3KIT_{name.upper()} names no python that has it")
        return None
    (folder / "texts.json").write_text(json.dumps(texts))
    command = [python, "-c", PEERS[name], str(folder / "texts.json"), str(folder / "out.npy")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"{name}: failed: {done.stderr.strip().splitlines()[-1]}")
        return None
    return float(done.stdout.split()[-1]), np.load(folder / "out.npy")


def main(rows: int) -> None:
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    english = [" ".join(text for turn in item.turns for text in turn) for item in planted(rows)]
    texts = [text for text in english if text.isascii()][:rows]
    made = pairs(random.Random(0))
    tested = [text for _, *both in made for text in both]
    normalised = [" ".join(text.casefold().split()) for text in texts]
    size = sum(map(len, texts)) / len(texts)
    print(f"{len(texts):,} texts of {size:.0f} characters")
    signatures(texts[:10], kernel=True)
    as_array = pa.array(texts)
    speeds = {}
    for name, given in (("phi3data", normalised), ("as they are", as_array)):
        best = 1e9
        for _ in range(3):
            began = time.perf_counter()
            signatures(given, kernel=True)
            best = min(best, time.perf_counter() - began)
        speeds[name] = len(texts) / best
    began = time.perf_counter()
    keys(signatures(normalised, kernel=True))
    speeds["with bands"] = len(texts) / (time.perf_counter() - began)
    found = {"phi3data": signatures(tested, kernel=True).values}
    with tempfile.TemporaryDirectory() as folder:
        for name in PEERS:
            timed = peer(name, normalised, Path(folder))
            measured = peer(name, tested, Path(folder)) if timed else None
            if timed and measured:
                speeds[name], found[name] = len(texts) / timed[0], measured[1]
    for name, speed in speeds.items():
        print(f"{name:12} {speed:>10,.0f} rows/s   phi3data is {speeds['phi3data'] / speed:.1f} times as fast")
    for name, values in found.items():
        accuracy(name, values, made)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
