"""What each tier of `decontaminate` finds: copies and rephrasings of benchmark questions, and unrelated rows.

    python -m bench.decontaminate

The benchmark is the questions of GSM8K's training set in ../shared/data. Looked for are rephrasings by rule of 2,000 of
them (`bench.make_rephrasings`), alone and inside of long texts; every question among all others (one held out, which is
where a false positive is most likely); and what has nothing to do with it, the instructions and answers of GPTeacher
and Alpaca. For each are printed the share of rows found by the tiers with the default thresholds, that of rows with any
n-gram in common, the quantiles of the similarity, and rows per second of processor time (one process; canonical texts
are made first). AUC is the probability that a rephrasing is more similar to its original than an unrelated row to
anything, and than another question of the benchmark to anything. Exits with 2 where ../shared is absent.
"""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from bench.make_rephrasings import rephrased

from phi3data.similarity.overlap import Coded, Overlap, canonical
from phi3data.similarity.rephrased import Rephrased
from phi3data.steps.decontaminate import DecontaminateConfig, read_references

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

DATA = Path(__file__).parents[2] / "shared" / "data"
FLOOR = 0.1  # lower similarities count as none
_BATCH = 500


class Scores(NamedTuple):
    """Of each row the highest score by measure, with its own reference and with any other one."""

    own: dict[str, NDArray[np.float64]]
    other: dict[str, NDArray[np.float64]]
    seconds: float


class Searched:
    """The benchmark, indexed."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.overlaps = {"13-grams": Overlap(texts, 13), "8-grams": Overlap(texts, 8)}
        self.rephrased = Rephrased(texts)
        self.rephrased.hits(texts[:1], Coded(texts[:1]), FLOOR)  # compiles the kernels

    def scores(self, rows: Sequence[str], own: Sequence[int] | None = None) -> Scores:
        """Return the scores of canonical texts, whose own references are `own`."""
        own_scores, others = ({name: np.zeros(len(rows)) for name in (*self.overlaps, "similar")} for _ in range(2))
        found = Scores(own_scores, others, 0.0)
        begun = time.process_time()
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            coded = Coded(part)
            hits = {name: overlap.hits(coded, 1e-9) for name, overlap in self.overlaps.items()}
            hits["similar"] = self.rephrased.hits(part, coded, FLOOR)
            for name, (texts, references, score) in hits.items():
                mine = np.array(own if own is not None else [-1] * len(rows))[start + texts] == references
                np.maximum.at(found.own[name], start + texts[mine], score[mine])
                np.maximum.at(found.other[name], start + texts[~mine], score[~mine])
        return found._replace(seconds=time.process_time() - begun)


def auc(high: NDArray[np.float64], low: NDArray[np.float64]) -> float:
    """Return the share of pairs in which `high` is higher; equal ones count half."""
    ordered = np.sort(low)
    below = np.searchsorted(ordered, high, side="left") + np.searchsorted(ordered, high, side="right")
    return float(below.mean() / 2 / len(low))


def show(name: str, score: dict[str, NDArray[np.float64]], seconds: float) -> None:
    config = DecontaminateConfig()
    overlap = (score["13-grams"] >= config.share_13) | (score["8-grams"] >= config.share_8)
    similar = score["similar"] >= config.similarity
    q = np.quantile(score["similar"], [0.05, 0.5, 0.95, 0.99, 1])
    print(
        f"{name:34}{len(similar):6,} {overlap.mean():9.2%} {similar.mean():9.2%} "
        f"{(score['13-grams'] > 0).mean():9.2%} {(score['8-grams'] > 0).mean():9.2%}    "
        + " ".join(f"{value:.2f}" for value in q)
        + (f" {len(similar) / seconds:9,.0f}" if seconds else "")
    )


def main() -> int:
    if not DATA.is_dir():
        print("../shared/data is absent", file=sys.stderr)
        return 2
    rng = random.Random(1)
    with TemporaryDirectory() as work:
        read = {
            name: read_references([str(DATA / name)], Path(work) / name)
            for name in (
                "gsm8k_train.qa.jsonl",
                "gpteacher_codegen.alpaca.json",
                "gpteacher_roleplay.alpaca.json",
                "alpaca_zh_demo.json",
            )
        }
    questions = list(dict.fromkeys(row.asked for row in read.pop("gsm8k_train.qa.jsonl")))
    texts = [canonical(question) for question in questions]
    searched = Searched(texts)
    places = rng.sample(range(len(texts)), 2000)
    raw = raw_questions()
    changed = [canonical(rephrased(raw[questions[place]])) for place in places]
    answers = [canonical(row.answered) for rows in read.values() for row in rows if len(row.answered) > 300]
    inside = [f"{rng.choice(answers)}{text}{rng.choice(answers)}".replace("  ", " ") for text in changed]
    print(f"{'':34}{'rows':>6} {'overlap':>9} {'similar':>9} {'13-gram':>9} {'8-gram':>9}    similarity")
    print(f"{'':81}5%   50%  95%  99%  max    rows/s")
    held_out = searched.scores(texts, range(len(texts)))
    found = searched.scores(changed, places)
    show("rephrased: their originals", found.own, found.seconds)
    long = searched.scores(inside, places)
    show("the same inside of long texts", long.own, long.seconds)
    show("questions: themselves", held_out.own, 0)
    show("questions: others (held out)", held_out.other, held_out.seconds)
    unrelated = []
    for name, rows in read.items():
        for what, side in (("asked", [row.asked for row in rows]), ("answered", [row.answered for row in rows])):
            score = searched.scores([canonical(text) for text in side])
            show(f"{name.partition('.')[0]}: {what}", score.other, score.seconds)
            unrelated.append(score.other["similar"])
    print(
        f"AUC of the similarity: {auc(found.own['similar'], np.concatenate(unrelated)):.4f} beside unrelated rows, "
        f"{auc(found.own['similar'], held_out.other['similar']):.4f} beside the other questions"
    )
    return 0


def raw_questions() -> dict[str, str]:
    """Return the questions as they are written, by their normalised text."""
    import msgspec

    from phi3data.text.normalise import normalise

    lines = (DATA / "gsm8k_train.qa.jsonl").read_bytes().splitlines()
    rows = [msgspec.json.decode(line)["question"] for line in lines]
    return {normalise(question): question for question in rows}


if __name__ == "__main__":
    sys.exit(main())
