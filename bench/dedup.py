"""`phi3data dedup` end to end on chats with planted duplicates, beside peers: rows per second, recall, precision.

    python -m bench.dedup [ROWS]        default: 200000

Each peer runs in an environment of its own, whose python an environment variable names; without one it is left out:

    PHI3KIT_DATASKETCH=…/bin/python     MinHash(num_perm=128) and MinHashLSH(threshold=0.8), as its documentation shows:
                                        a row goes if the index finds an earlier one; not verified; one process
    PHI3KIT_DAFT=…/bin/python           minhash(num_hashes=128, ngram_size=5), 25 bands of 5 exploded and grouped: a row
                                        goes if it shares a band with an earlier one; not verified; all processors
    PHI3KIT_DATATROVE=…/bin/python      its four steps of MinHash deduplication in their defaults (14 bands of 8, words
                                        by spaCy), two tasks at a time; clusters are closed over unverified pairs

The peers get the whole text of a row, system prompt left out, as their documentation does with documents.
All read JSON lines and write the rows that stay.

Recall is the share of the planted copies with a similarity of at least 0.85 to their source which are no longer
beside it in the output: the exact Jaccard index of 5-word shingles, of questions with questions and of answers with
answers, whichever is smaller. Precision is the share of the removed rows that are copies or sources of copies (of any
similarity). "twins" are removed rows that only look like duplicates: filled templates, one answer to several questions
and the like.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from bench.make_duplicates import COPIES, LOOKALIKES, planted, write
from bench.prepare import timed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.make_duplicates import Planted

_READ = """
import json, sys
def text(row):
    return " ".join(" ".join(m["content"] for m in row["messages"] if m["role"] != "system").casefold().split())
source, out = sys.argv[1:]
"""
_PEERS = {
    "datasketch": """
from datasketch import MinHash, MinHashLSH
index = MinHashLSH(threshold=0.8, num_perm=128)
with open(source) as rows, open(out + "/kept.jsonl", "w") as kept:
    for number, line in enumerate(rows):
        words = text(json.loads(line)).split()
        found = MinHash(num_perm=128)
        found.update_batch(list({" ".join(words[n:n + 5]).encode() for n in range(max(1, len(words) - 4))}))
        if not index.query(found):
            index.insert(number, found)
            kept.write(line)
""",
    "daft": """
import daft
from daft import col
lines = open(source).read().splitlines()
frame = daft.from_pydict({"row": list(range(len(lines))), "text": [text(json.loads(line)) for line in lines]})
frame = frame.select(col("row"), col("text").minhash(num_hashes=128, ngram_size=5).alias("hashes"))
hashes = col("hashes").cast(daft.DataType.list(daft.DataType.uint32()))
bands = [hashes.slice(5 * n, 5 * n + 5).hash() for n in range(25)]
gone = set()
for n, band in enumerate(bands):
    if n == 0:
        frame = frame.collect()
    keyed = frame.select(col("row"), band.alias("key"))
    first = keyed.groupby("key").agg(col("row").min().alias("first"))
    pairs = keyed.join(first, on="key").where(col("row") != col("first")).select("row").to_pydict()
    gone.update(pairs["row"])
with open(out + "/kept.jsonl", "w") as kept:
    kept.writelines(line + "\\n" for number, line in enumerate(lines) if number not in gone)
""",
    "datatrove": """
import glob, gzip
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupSignature, MinhashDedupBuckets, MinhashDedupCluster, MinhashDedupFilter
from datatrove.pipeline.dedup.minhash import MinhashConfig
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.hashing import HashConfig

def adapter(self, data, path, place):
    return {"text": text(data), "id": f"{path}/{place}", "metadata": {"line": json.dumps(data)}}

def run(pipeline, tasks):
    LocalPipelineExecutor(pipeline=pipeline, tasks=tasks, workers=2, logging_dir=None, skip_completed=False).run()

if __name__ == "__main__":
    import os
    folder = os.path.dirname(source)
    parts = out + "/parts"
    os.mkdir(parts)
    lines = open(source).read().splitlines()
    for n in range(2):
        with open(f"{parts}/{n}.jsonl", "w") as part:
            part.writelines(line + "\\n" for line in lines[n * len(lines) // 2 : (n + 1) * len(lines) // 2])
    config = MinhashConfig(hash_config=HashConfig(precision=64))
    reader = JsonlReader(parts, adapter=adapter)
    run([reader, MinhashDedupSignature(output_folder=out + "/signatures", config=config)], 2)
    run([MinhashDedupBuckets(input_folder=out + "/signatures", output_folder=out + "/buckets", config=config)],
        config.num_buckets)
    run([MinhashDedupCluster(input_folder=out + "/buckets", output_folder=out + "/remove", config=config)], 1)
    run([reader, MinhashDedupFilter(input_folder=out + "/remove"),
         JsonlWriter(out + "/kept", output_filename="${rank}.jsonl.gz")], 2)
    with open(out + "/kept.jsonl", "w") as kept:
        for name in sorted(glob.glob(out + "/kept/*.gz")):
            for line in gzip.open(name, "rt"):
                kept.write(json.loads(line)["metadata"]["line"] + "\\n")
""",
}
_TOKEN = re.compile(r"[一-鿿]|[^\s一-鿿]+")


def _shingles(texts: Iterable[str]) -> set[tuple[str, ...]]:
    tokens = _TOKEN.findall(" ".join(texts).casefold())
    width = min(5, len(tokens))
    return {tuple(tokens[n : n + width]) for n in range(len(tokens) - width + 1)}


def similarity(one: Planted, other: Planted) -> float:
    """Return the smaller exact Jaccard index of the two sides of two rows."""
    sides = [[_shingles(turn[n] for turn in item.turns) for item in (one, other)] for n in (0, 1)]
    return min(len(a & b) / len(a | b) for a, b in sides)


def judge(rows: list[Planted], path: Path) -> str:
    """Return recall, precision and twins of the rows that are left in a file, which say which of equal ones stayed."""
    left = Counter(json.dumps(json.loads(line)["messages"], sort_keys=True) for line in path.open())
    stays = []
    for item in rows:
        key = json.dumps(item.row["messages"], sort_keys=True)
        stays.append(left[key] > 0)
        left[key] -= 1
    sources = {item.source for item in rows if item.kind in COPIES}
    wanted = found = 0
    for number, item in enumerate(rows):
        if item.kind in COPIES and item.kind != "beginning" and similarity(item, rows[item.source]) >= 0.85:
            wanted += 1
            found += not (stays[number] and stays[item.source])
    gone = [number for number, stay in enumerate(stays) if not stay]
    right = sum(number in sources or rows[number].kind in COPIES for number in gone)
    twins = sum(rows[number].kind in LOOKALIKES for number in gone)
    return f"{found / wanted:>8.4f}{right / max(len(gone), 1):>11.4f}{twins:>8,}{len(gone):>10,}"


def main(count: int) -> None:
    with tempfile.TemporaryDirectory(prefix="phi3kit-bench-") as name:
        folder = Path(name)
        rows = planted(count)
        path = write(rows, folder / "rows.jsonl")
        size = path.stat().st_size / 1e6
        print(f"{len(rows):,} rows, {size:,.0f} MB, {np.mean([len(item.turns) for item in rows]):.2f} turns a row")
        print(f"{'':24}{'s':>8}{'rows/s':>9}{'MB':>7}{'recall':>8}{'precision':>11}{'twins':>8}{'removed':>10}")
        runs = {
            f"phi3data dedup -j {jobs}": [
                *(sys.executable, "-m", "phi3data", "dedup", str(path), "-o", str(folder / f"{jobs}.jsonl")),
                *("-j", str(jobs), "--overwrite"),
            ]
            for jobs in (2, 1)
        }
        for title, command in runs.items():
            seconds, memory = timed(command)
            judged = judge(rows, folder / f"{command[-2]}.jsonl")
            print(f"{title:24}{seconds:>8.1f}{len(rows) / seconds:>9,.0f}{memory / 1e6:>7,.0f}{judged}", flush=True)
        for peer, script in _PEERS.items():
            python = os.environ.get(f"PHI3KIT_{peer.upper()}")
            if not python:
                print(f"{peer}: left out: PHI3KIT_{peer.upper()} names no python that has it")
                continue
            out = folder / peer
            out.mkdir()
            (out / "run.py").write_text(_READ + script)
            began = time.perf_counter()
            done = subprocess.run(
                [python, str(out / "run.py"), str(path), str(out)],
                capture_output=True,
                text=True,
                check=False,
                cwd=out,  # datatrove leaves a folder of logs
            )
            seconds = time.perf_counter() - began
            if done.returncode:
                print(f"{peer}: failed: {done.stderr.strip().splitlines()[-1]}")
                continue
            print(
                f"{peer:24}{seconds:>8.1f}{len(rows) / seconds:>9,.0f}{'':7}{judge(rows, out / 'kept.jsonl')}",
                flush=True,
            )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
