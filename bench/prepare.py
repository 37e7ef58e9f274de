"""`prepare` on made chats: rows per second, growth and memory, beside two peers doing less.

    python -m bench.prepare [ROWS ...]        default: 300000

Prints for each size the rows per second of `prepare` (clean, missing, check, estimates, exact and normalised
duplicates, split, report) with one and two workers, the largest memory of all its processes together (PSS, sampled),
and in the same run the time of

    json      json.loads and json.dumps of every line, nothing else, one process
    datasets  Hugging Face `datasets` with two processes: load, strip white space, drop empty and exactly equal rows,
              count characters, split, write JSONL

The made files and outputs lie in a temporary folder (about three times the input).
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
from bench.make_chats import DATA, write

_PEER = """
import sys, hashlib
from datasets import load_dataset, disable_progress_bars
disable_progress_bars()

def clean(row):
    return {"messages": [{"role": m["role"], "content": m["content"].strip()} for m in row["messages"]]}

def facts(row):
    text = "".join(m["content"] for m in row["messages"])
    return {"digest": hashlib.blake2b(text.encode(), digest_size=16).hexdigest(), "size": len(text)}

if __name__ == "__main__":
    source, out = sys.argv[1:]
    rows = load_dataset("json", data_files=source, split="train", cache_dir=out + "/cache")
    rows = rows.map(clean, num_proc=2).map(facts, num_proc=2).filter(lambda row: row["size"] > 0, num_proc=2)
    seen = set()
    rows = rows.select([n for n, d in enumerate(rows["digest"]) if not (d in seen or seen.add(d))])
    parts = rows.remove_columns(["digest", "size"]).train_test_split(0.1, seed=0)
    for name, part in parts.items():
        part.to_json(out + "/" + name + ".jsonl", num_proc=2)
"""


def memory_of(process: psutil.Process) -> int:
    """Return the memory of a process and its children in bytes, shared pages counted once (PSS)."""
    total = 0
    for item in [process, *process.children(recursive=True)]:
        try:
            total += item.memory_full_info().pss
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return total


def timed(command: list[str]) -> tuple[float, int]:
    """Run a command; return its seconds and the largest memory of it and its children in bytes."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    watched, most = psutil.Process(process.pid), 0
    while process.poll() is None:
        try:
            most = max(most, memory_of(watched))
        except psutil.NoSuchProcess:
            break
        time.sleep(0.25)
    _, error = process.communicate()
    if process.returncode:
        sys.exit(error.decode())
    return time.perf_counter() - began, most


def json_loop(path: Path) -> float:
    began = time.perf_counter()
    with path.open(encoding="utf-8") as file:
        for line in file:
            json.dumps(json.loads(line), ensure_ascii=False)
    return time.perf_counter() - began


def main(sizes: list[int]) -> None:
    if not DATA.is_dir():
        sys.exit(f"{DATA}: the real data that the chats are made from is not there")
    folder = Path(tempfile.mkdtemp(prefix="phi3kit-bench-"))
    try:
        print(f"{'':34}{'rows':>10}{'MB':>7}{'s':>8}{'rows/s':>9}{'MB of memory':>14}")
        for rows in sizes:
            path = write(rows, folder / f"{rows}.jsonl")
            size = path.stat().st_size / 1e6

            def show(name: str, seconds: float, memory: int = 0, rows: int = rows, size: float = size) -> None:
                used = f"{memory / 1e6:>14,.0f}" if memory else ""
                print(f"{name:34}{rows:>10,}{size:>7,.0f}{seconds:>8.1f}{rows / seconds:>9,.0f}{used}", flush=True)

            for jobs in (2, 1) if rows <= 500_000 else (2,):
                out = folder / "out"
                command = [sys.executable, "-m", "phi3data", "prepare", str(path), "-o", str(out), "-j", str(jobs)]
                show(f"phi3data prepare -j {jobs}", *timed(command))
                shutil.rmtree(out)
            if rows <= 500_000:
                show("json.loads + json.dumps", json_loop(path))
                peer = folder / "peer"
                peer.mkdir()
                show("datasets, 2 processes, doing less", *timed([sys.executable, "-c", _PEER, str(path), str(peer)]))
                shutil.rmtree(peer)
            path.unlink()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main([int(size) for size in sys.argv[1:]] or [300_000])
