"""How far the token estimator is from the Phi-3-mini tokenizer, and how fast it is beside it.

    python -m bench.estimate

Per data set of ../shared/data and per language of bench/texts.py: rows, exact and estimated tokens, the error of the
total, the mean absolute error per row, and MB/s of UTF-8 text (1 MB = 10^6 bytes; one thread each; best of three,
the estimator with an empty cache first, then with what it remembers). Even rows are in the calibration;
`held out` is the error of the total on the odd rows alone. No weight was fitted on those, but the settings at the head
of the calibration script were chosen with an eye on them; the validation file of the Foundry sample was left out.
Exits with 2 where ../shared is absent.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, NamedTuple

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

from bench import texts as languages
from scripts.calibrate_estimator import read_rows
from tokenizers import Tokenizer

from phi3data.tokens.estimate import estimate, forget

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SHARED = Path(__file__).parents[1] / "../shared"
LARGE = 100_000_000  # bytes of the steady run: enough that the first look-ups no longer show


class Result(NamedTuple):
    """Sums over the rows of one source; times in seconds."""

    rows: int
    exact: int
    estimated: int
    held_out: float  # % of the exact total of the odd rows
    row_error: float  # mean over rows of |estimated - exact| / exact, %
    size: int  # bytes of UTF-8
    cold: float
    warm: float
    peer: float


def timed(work: Callable[[], object], repeats: int = 3) -> float:
    """Return the seconds of the fastest run."""
    best = float("inf")
    for _ in range(repeats):
        start = perf_counter()
        work()
        best = min(best, perf_counter() - start)
    return best


def measure(tokenizer: Tokenizer, rows: Sequence[Sequence[str]]) -> Result:
    """Count the texts of the rows both ways."""
    flat = [text for texts in rows for text in texts if text]
    exact_of = dict(
        zip(flat, (len(e.ids) for e in tokenizer.encode_batch_fast(flat, add_special_tokens=False)), strict=True)
    )
    guess_of = dict(zip(flat, estimate(flat), strict=True))
    exact = [sum(exact_of[text] for text in texts if text) for texts in rows]
    guess = [sum(guess_of[text] for text in texts if text) for texts in rows]

    def cold() -> None:
        forget()
        estimate(flat)

    return Result(
        rows=len(rows),
        exact=sum(exact),
        estimated=sum(guess),
        held_out=100 * (sum(guess[1::2]) / sum(exact[1::2]) - 1),
        row_error=100 * sum(abs(g - e) / e for g, e in zip(guess, exact, strict=True) if e) / len(rows),
        size=sum(len(text.encode()) for text in flat),
        cold=timed(cold),
        warm=timed(lambda: estimate(flat)),
        peer=timed(lambda: tokenizer.encode_batch_fast(flat, add_special_tokens=False)),
    )


def line(name: str, result: Result) -> str:
    """Return one row of the table."""
    total = 100 * (result.estimated / result.exact - 1)
    speeds = [result.size / 1e6 / seconds for seconds in (result.cold, result.warm, result.peer)]
    return (
        f"{name.removesuffix('.json').removesuffix('.jsonl'):<34}{result.rows:>7,}{result.exact:>11,}{result.estimated:>11,}{total:>+9.2f}{result.held_out:>+9.2f}"
        f"{result.row_error:>7.1f}" + "".join(f"{speed:>8.1f}" for speed in speeds)
    )


def main() -> int:
    data, tokenizer_file = SHARED / "data", SHARED / "tokenizers/phi-3-mini/tokenizer.json"
    if not data.is_dir() or not tokenizer_file.is_file():
        print("bench/estimate.py needs ../shared/data and ../shared/tokenizers/phi-3-mini", file=sys.stderr)
        return 2
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    columns = f"{'rows':>7}{'exact':>11}{'estimated':>11}{'total %':>9}{'held out':>9}{'row %':>7}"
    print(f"{'':<34}{columns}{'cold':>8}{'warm':>8}{'peer':>8}  MB/s")
    sources = {path.name: read_rows(path) for path in sorted(data.iterdir())}
    for name, rows in sources.items():
        print(line(name, measure(tokenizer, rows)))
    for language in languages.TEXTS:
        print(line(language, measure(tokenizer, [[text] for text in languages.rows(language)])))
    chats = [text for texts in sources["dpo_en_demo.json"] for text in texts if text]
    size = sum(len(text.encode()) for text in chats)
    repeats = -(-LARGE // size)
    forget()
    seconds = timed(lambda: [estimate(chats) for _ in range(repeats)], repeats=1)
    print(
        f"English chats, {repeats} times over, {size * repeats / 1e6:.0f} MB: {size * repeats / 1e6 / seconds:.1f} MB/s"
    )
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
