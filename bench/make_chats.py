"""Make a large file of chats by varying real rows: numbers change and each row is marked, so that all of them differ.

    python -m bench.make_chats ROWS OUT.jsonl

About 620 bytes a chat. One row in a hundred is an exact duplicate of an earlier one.
"""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = Path(__file__).parents[2] / "shared" / "data"
FILES = (
    "gsm8k_train.qa.jsonl",
    "gpteacher_roleplay.alpaca.json",
    "gpteacher_codegen.alpaca.json",
    "alpaca_zh_demo.json",
)
_NUMBER = re.compile(r"\d+")


def turns(path: Path) -> list[tuple[str, str]]:
    """Return (question, answer) of each row of a file."""
    text = path.read_text("utf-8")
    rows = [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)
    out = []
    for row in rows:
        question = row.get("question") or "\n\n".join(part for part in (row["instruction"], row["input"]) if part)
        out.append((question, row.get("answer") or row.get("output") or row.get("response")))
    return out


def chats(rows: int, seed: int = 7) -> Iterator[str]:
    """Yield chats, one JSON object each."""
    rng = random.Random(seed)
    pool = [pair for name in FILES for pair in turns(DATA / name)]
    earlier: list[str] = []
    for number in range(rows):
        if number % 100 == 99:
            yield rng.choice(earlier)
            continue
        question, answer = (
            _NUMBER.sub(lambda found: str(rng.randrange(10 ** len(found[0]))), text) for text in rng.choice(pool)
        )
        messages = [{"role": "user", "content": f"{question} ({number})"}, {"role": "assistant", "content": answer}]
        line = json.dumps({"messages": messages}, ensure_ascii=False)
        earlier[number % 1000 :] = [line]
        yield line


def write(rows: int, path: Path) -> Path:
    """Write the chats to a file, unless one of that name is there."""
    if not path.exists():
        with path.open("w", encoding="utf-8") as file:
            file.writelines(line + "\n" for line in chats(rows))
    return path


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    write(int(sys.argv[1]), Path(sys.argv[2]))
