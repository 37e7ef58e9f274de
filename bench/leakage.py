"""Is anything of the validation set in the training set? Every pair of their rows is compared after `prepare`.

    python -m bench.leakage [ROWS]        default: 20000

Half of the rows are made with planted duplicates (`bench.make_duplicates`), half are real ones of ../shared/data, of
which every twentieth is there a second time with some words changed. They are split twice: by `prepare` itself, and
with every tenth row given as `--validation`.

A pair is as similar as the less similar side of it: the exact Jaccard index of 5-word shingles, of what is asked and
of what is answered, counted here by another code than the package's. Pairs that share no shingle on one of the sides
have the similarity 0; all others are counted. "Templates" are the pairs above the threshold that fill one planted
template in two ways, which are no duplicates (see bench/make_duplicates.py).
"""

from __future__ import annotations

import json
import random
import re
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench.make_duplicates import COPIES, LOOKALIKES, planted

import phi3data

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Row = dict[str, Any]
Shingles = frozenset[tuple[str, ...]]
_THRESHOLD = 0.8
_REAL = (
    "gsm8k_train.qa.jsonl",
    "gpteacher_roleplay.alpaca.json",
    "gpteacher_codegen.alpaca.json",
    "alpaca_zh_demo.json",
)
_TOKEN = re.compile(r"[一-鿿぀-ヿ]|[^\s一-鿿぀-ヿ]+")


def sides(row: Row) -> tuple[Shingles, Shingles]:
    """Return the 5-word shingles of what is asked and of what is answered."""
    found = []
    for roles in (("user", "tool"), ("assistant",)):
        text = " ".join(message["content"] for message in row["messages"] if message["role"] in roles)
        tokens = _TOKEN.findall(text.casefold())
        width = min(5, len(tokens))
        found.append(frozenset(tuple(tokens[n : n + width]) for n in range(len(tokens) - width + 1) if width))
    return found[0], found[1]


def similar(one: Sequence[Row], other: Sequence[Row], least: float) -> Iterator[tuple[int, int, float]]:
    """Yield the pairs (place in `one`, place in `other`, similarity) of at least the similarity `least` above 0."""
    mine = [sides(row) for row in one]
    rows: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for number, (_, answered) in enumerate(mine):
        for shingle in answered:
            rows[shingle].append(number)
    for number, row in enumerate(other):
        asked, answered = sides(row)
        shared = Counter(place for shingle in answered for place in rows.get(shingle, ()))
        for place, common in shared.items():
            score = common / len(answered | mine[place][1])
            if score >= least:
                union = asked | mine[place][0]
                score = min(score, len(asked & mine[place][0]) / len(union) if union else 1.0)
                if score >= least:
                    yield place, number, score


def _question(row: Row) -> str:
    return next(str(message["content"]).casefold() for message in row["messages"] if message["role"] == "user")


def report(title: str, prepared: phi3data.Prepared, templates: dict[str, int]) -> None:
    """Print what the two splits have in common. `templates` has the template of the planted rows that fill one."""
    train, validation = list(prepared.train), list(prepared.validation)
    pairs = list(similar(train, validation, 0.5))
    key = [[templates.get(json.dumps(row["messages"])) for row in rows] for rows in (train, validation)]
    counts = []
    for least in (0.5, 0.7, _THRESHOLD):
        found = [(place, number) for place, number, score in pairs if score >= least]
        twins = sum(key[0][place] is not None and key[0][place] == key[1][number] for place, number in found)
        counts.append(f"{len(found) - twins:>9,}{twins:>10,}")
    asked = [{_question(row) for row in rows} for rows in (train, validation)]
    print(
        f"{title:22}{len(train):>8,}{len(validation):>11,}{len(train) * len(validation):>14,}{''.join(counts)}"
        f"{len(asked[0] & asked[1]):>13,}",
        flush=True,
    )


def main(count: int) -> None:
    made = planted(count // 2)
    templates = {json.dumps(item.row["messages"]): item.source for item in made if item.kind in LOOKALIKES}
    folder = Path(__file__).parents[2] / "shared" / "data"
    real = [row for name in _REAL for row in phi3data.convert(folder / name).train]
    rng = random.Random(1)
    rng.shuffle(real)
    real = real[: count - len(made) - (count // 40)]
    changed = []
    for row in rng.sample(real, min(count // 40, len(real))):
        words = row["messages"][-1]["content"].split(" ")
        words[rng.randrange(len(words))] = "indeed"
        changed.append({"messages": [*row["messages"][:-1], {"role": "assistant", "content": " ".join(words)}]})
    rows = [*(item.row for item in made), *real, *changed]
    rng.shuffle(rows)
    copies = sum(item.kind in COPIES for item in made)
    print(
        f"{len(rows):,} rows, {len(made):,} made ({copies:,} copies, {len(templates):,} of templates), {len(real):,} "
        f"real, {len(changed):,} real ones changed"
    )
    print(f"{'':55}{'similar: 0.5 and more':>19}{'0.7 and more':>19}{'0.8 and more':>19}")
    print(
        f"{'':22}{'train':>8}{'validation':>11}{'pairs':>14}"
        + f"{'pairs':>9}{'templates':>10}" * 3
        + f"{'same prompt':>13}"
    )
    with tempfile.TemporaryDirectory(prefix="phi3kit-bench-") as name:
        parts = Path(name) / "train.jsonl", Path(name) / "val.jsonl"
        for part, chosen in zip(parts, ([row for n, row in enumerate(rows) if n % 10], rows[::10]), strict=True):
            part.write_text("".join(json.dumps(row) + "\n" for row in chosen), "utf-8")
        unsplit = {"dedup": {"enabled": False}, "split": {"validation": 0.1, "stratify": []}}
        runs: dict[str, phi3data.Prepared] = {
            "prepare": phi3data.prepare(rows),
            "prepare --validation": phi3data.prepare(parts[0], validation=parts[1]),
            "by prompt only": phi3data.prepare(rows, unsplit),
        }
        for title, prepared in runs.items():
            report(title, prepared, templates)
        reasons = Counter(
            row["kind"]
            for row in map(
                json.loads,
                (
                    line["evidence"]
                    for line in runs["prepare --validation"].ledger.to_pylist()
                    if line["step"] == "split"
                ),
            )
        )
        print(
            "dropped for a row of --validation: "
            + ", ".join(f"{rows:,} {kind}" for kind, rows in reasons.most_common())
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20_000)
