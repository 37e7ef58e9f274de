"""`phi3data check` on a clean chat file of 190 MB beside a bare `json.loads` loop and other checks of such files.

    python -m bench.check [FILE]

Without a file, one of rows of `bench.make_chats` that have no finding is made in the temporary folder, and kept for the
next run. Prints each time as a ratio to that of `for line in lines: json.loads(line)` over the same lines, bytes as
they are read from the file, results dropped at once: processor time of all threads and processes, and wall-clock time.
Five rounds take the candidates in turn: times are medians, and so are ratios, each to the loop of the same round, since
a shared machine is slower in one minute than in the next. `check` looks at the file with all rules that concern its
rows and includes reading it; the others get the lines. The whole command, loading included, is timed too, then its peak
memory at one and four times the file, and its processor time for a file of one row, in as many turns as `STARTS`.

Two things run in environments of their own, whose python an environment variable names:

    PHI3KIT_CHECK_JSONSCHEMA=…/bin/python   the command check-jsonschema; left out without one
    PHI3KIT_PLAIN=…/bin/python              phi3kit without extras, for the file of one row; else this python

The OpenAI cookbook ("Data preparation and analysis for chat model fine-tuning") is written anew from its description.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from functools import partial
from importlib.resources import files
from itertools import islice
from pathlib import Path
from statistics import median
from time import perf_counter, process_time
from typing import TYPE_CHECKING, Any

from bench.make_chats import chats

from phi3data.lint import check, iter_findings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SIZE = 200_000_000
ROUNDS = 5
SAMPLE = 4000  # rows for what is too slow for all
STARTS = 15
PEER, PLAIN = "PHI3KIT_CHECK_JSONSCHEMA", "PHI3KIT_PLAIN"
_KEYS = frozenset({"role", "content", "name", "function_call", "weight"})
_ROLES = frozenset({"system", "user", "assistant", "function"})


def clean_file(size: int = SIZE) -> Path:
    """Return a file of at least `size` bytes whose rows have no finding; made if it is not there."""
    path = Path(tempfile.gettempdir()) / f"phi3kit-bench-clean-{size}.jsonl"
    if path.exists() and path.stat().st_size >= size:
        return path
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder, "raw.jsonl")
        with raw.open("w", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in until(chats(sys.maxsize), size + size // 50))
        wrong = {found.line for found in iter_findings(raw)}
        with raw.open("rb") as file, Path(folder, "clean.jsonl").open("wb") as kept:
            kept.writelines(line for number, line in enumerate(file, 1) if number not in wrong)
        shutil.move(kept.name, path)
    return path


def until(lines: Iterator[str], size: int) -> Iterator[str]:
    """Yield lines until they take `size` bytes."""
    for line in lines:
        yield line
        size -= len(line.encode()) + 1
        if size <= 0:
            return


def loads(lines: Sequence[bytes] | Sequence[str]) -> None:
    for line in lines:
        json.loads(line)


def cookbook(lines: Sequence[bytes]) -> Counter[str]:
    """Look at rows as the cookbook describes it: types, messages, keys, roles, contents, an assistant's message."""
    wrong: Counter[str] = Counter()
    for line in lines:
        row = json.loads(line)
        if not isinstance(row, dict):
            wrong["data type"] += 1
            continue
        messages = row.get("messages")
        if not messages:
            wrong["no messages"] += 1
            continue
        for message in messages:
            if "role" not in message or "content" not in message:
                wrong["key is missing"] += 1
            if any(key not in _KEYS for key in message):
                wrong["unknown key"] += 1
            if message.get("role") not in _ROLES:
                wrong["unknown role"] += 1
            content = message.get("content")
            if (not content and not message.get("function_call")) or not isinstance(content, str):
                wrong["no content"] += 1
        if not any(message.get("role") == "assistant" for message in messages):
            wrong["no assistant's message"] += 1
    return wrong


def schema() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((files("phi3data") / "chat.schema.json").read_bytes())
    return found


def validated(lines: Sequence[bytes]) -> int:
    """Return how many rows the schema refuses."""
    from jsonschema import Draft202012Validator

    validator = Draft202012Validator(schema())
    return sum(not validator.is_valid(json.loads(line)) for line in lines)


def check_jsonschema(lines: Sequence[bytes]) -> None:
    """Let the command look at the rows as one array, since it reads no lines. Includes its start."""
    with tempfile.TemporaryDirectory() as folder:
        of_rows = {"type": "array", "items": {**schema(), "$schema": None, "$id": None}, "$defs": schema()["$defs"]}
        of_rows["items"] = {key: value for key, value in of_rows["items"].items() if value is not None}
        Path(folder, "schema.json").write_text(json.dumps(of_rows))
        Path(folder, "rows.json").write_bytes(b"[" + b",".join(lines) + b"]")
        command = [os.environ[PEER], "-m", "check_jsonschema", "--schemafile", f"{folder}/schema.json"]
        subprocess.run([*command, f"{folder}/rows.json"], check=True, capture_output=True)


def clean(path: Path, workers: int) -> None:
    found = check(path, workers=workers).findings
    if found:
        sys.exit(f"{path} is not clean: {found[0].code} in line {found[0].line}; delete it, it is made anew")


def _argv(path: Path, workers: int) -> list[str]:
    """Return the whole command, without the rule that such a file is too large."""
    return [sys.executable, "-m", "phi3data", "check", str(path), "-j", str(workers), "--ignore", "F105"]


def command(path: Path) -> None:
    """Run the whole command in a process of its own."""
    subprocess.run(_argv(path, 1), check=True, capture_output=True)


def _clock() -> float:
    """Return the processor time of this process and of the children that have ended."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return process_time() + children.ru_utime + children.ru_stime


def timed(works: dict[str, Callable[[], object]]) -> dict[str, list[tuple[float, float]]]:
    """Return the (processor, wall-clock) seconds of each, round by round; a round takes all in turn."""
    took: dict[str, list[tuple[float, float]]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            start = _clock(), perf_counter()
            work()
            took[name].append((_clock() - start[0], perf_counter() - start[1]))
    return took


def peak(path: Path, workers: int = 1) -> float:
    """Return the peak memory, in MB, of the command: of its largest process."""
    code = (
        "import resource, subprocess; "
        f"subprocess.run({_argv(path, workers)!r}, check=True, capture_output=True); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"
    )
    ran = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return int(ran.stdout) * 1024 / 1e6


def cold(path: Path) -> dict[str, list[float]]:
    """Return the processor seconds of starting Python, of two imports, and of the command on a file of one row."""
    python = os.environ.get(PLAIN, sys.executable)
    cached = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    with path.open("rb") as file, tempfile.TemporaryDirectory() as folder:
        row = Path(folder, "row.jsonl")
        row.write_bytes(file.readline())
        works = {
            "python -c pass": [python, "-c", "pass"],
            "import click, msgspec": [python, "-c", "import click, msgspec"],
            "phi3data check": [str(Path(python).with_name("phi3data")), "check", str(row)],
        }
        took: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(STARTS):
            for name, command in works.items():
                start = _clock()
                subprocess.run(command, check=True, capture_output=True, env=cached)
                took[name].append(_clock() - start)
    return took


def speeds(path: Path) -> None:
    lines = path.read_bytes().removesuffix(b"\n").split(b"\n")
    sample = list(islice(lines, 0, None, max(1, len(lines) // SAMPLE)))
    texts = [line.decode() for line in lines]
    works: dict[str, Callable[[], object]] = {
        "json.loads": partial(loads, lines),
        "json.loads, lines as text": partial(loads, texts),
        "phi3data check -j 1": partial(clean, path, 1),
        "phi3data check -j 2": partial(clean, path, 2),
        "phi3data check -j 1, the command": partial(command, path),
        "OpenAI cookbook": partial(cookbook, lines),
    }
    some: dict[str, Callable[[], object]] = {
        "json.loads": partial(loads, sample),
        "jsonschema": partial(validated, sample),
    }
    if PEER in os.environ:
        some["check-jsonschema, as a command"] = partial(check_jsonschema, sample)
    size = path.stat().st_size / 1e6
    print(f"{path}: {len(lines):,} rows, {size:.0f} MB")
    show(timed(works), size)
    print(f"\non {len(sample):,} of the rows")
    show(timed(some), sum(map(len, sample)) / 1e6)
    if PEER not in os.environ:
        print(f"  {PEER} is not set: check-jsonschema is left out")


def show(results: dict[str, list[tuple[float, float]]], size: float) -> None:
    print(f"  {'':<34}{'processor time':^20}{'wall-clock time':^20}")
    loops = [*zip(*results["json.loads"], strict=True)]
    for name, rounds in results.items():
        shown = []
        for seconds, loop in zip(zip(*rounds, strict=True), loops, strict=True):
            ratio = median(one / bare for one, bare in zip(seconds, loop, strict=True))
            shown.append(f"{size / median(seconds):>7.1f} MB/s{ratio:>6.2f} x")
        print(f"  {name:<34}{'  '.join(shown)}")


def memory(path: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        four = Path(folder, "four.jsonl")
        with four.open("wb") as out:
            for _ in range(4):
                with path.open("rb") as file:
                    shutil.copyfileobj(file, out)
        print(f"\npeak memory: {peak(path):.0f} MB; at four times the file {peak(four):.0f} MB")


def main() -> int:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else clean_file()
    speeds(path)
    memory(path)
    print("\none row, cold")
    starts = cold(path)
    for name, seconds in starts.items():
        ratio = median(one / bare for one, bare in zip(seconds, starts["python -c pass"], strict=True))
        print(f"  {name:<34}{1000 * median(seconds):>7.0f} ms  {ratio:>8.1f} x")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
