"""Derive the tables of the token estimator from a tokenizer and texts: `phi3data/tokens/estimate_tables.py`.

    python bench/texts.py build/texts
    python -m scripts.calibrate_estimator ../shared/tokenizers/phi-3-mini \\
        ../shared/data/*.json ../shared/data/*.train.jsonl ../shared/data/gsm8k*.jsonl build/texts/*.txt

Facts of the vocabulary (single characters, punctuation) are copied; the weights of Latin and Cyrillic words are a ridge
regression on the even rows of every file. The odd rows are only reported. The same input gives the same file.
"""

from __future__ import annotations

import argparse
import json
import string
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from tokenizers import Tokenizer

from phi3data.tokens.estimate import CYRILLIC, LATIN, SCAN

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

LISTED_WORDS = 600  # 500 took the Latin words of the worst data set from 6.6% off to 4.0% (in 4 KB)
LISTED_TOKENS = 2  # a dear word is a rare one, and a letter more would make it several tokens cheaper
LISTED_ROWS = 3  # a word in fewer rows is the topic of a row, not of a language
FULL_WEIGHT_WORDS = 10_000  # a file of fewer words counts for less, down to LEAST_WEIGHT
LEAST_WEIGHT = 0.5
TEMPER = 0.9  # a word's weight is its frequency to this power, or "the" would fit the table alone
RIDGE = 3.0
LINE = 120  # characters; ruff format wraps beyond
TARGET = Path(__file__).parents[1] / "src/phi3data/tokens/estimate_tables.py"


class Run(NamedTuple):
    """A run of letters and whether a `▁` precedes it."""

    text: str
    after_space: bool


def strings(value: object) -> Iterator[str]:
    """Yield every string value inside a JSON value, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)


def read_rows(path: Path) -> list[list[str]]:
    """Return the texts of each row: objects of a .json array, lines of a .jsonl file, paragraphs of a .txt file."""
    content = path.read_text(encoding="utf-8")
    if path.suffix == ".txt":
        return [[paragraph] for paragraph in content.strip().split("\n\n")]
    values = json.loads(content) if path.suffix == ".json" else [json.loads(line) for line in content.splitlines()]
    return [list(strings(value)) for value in values]


def exact_counts(tokenizer: Tokenizer, texts: Sequence[str]) -> list[int]:
    """Return the tokenizer's number of content tokens of each text."""
    return [len(encoding.ids) for encoding in tokenizer.encode_batch(list(texts), add_special_tokens=False)]


def runs_of(texts: Sequence[str], group: str) -> Iterator[Run]:
    """Yield the runs of one group of `estimate.SCAN`."""
    for text in texts:
        for piece in text.replace("\n", " \n").split(" "):
            start = 1 if piece.startswith("\n") else 0
            for match in SCAN.finditer(piece, start):
                if match.lastgroup == group:
                    yield Run(match.group(), match.start() == 0)


class Sample(NamedTuple):
    """The distinct runs of a group: their exact tokens, their weights, and in how many rows they come."""

    runs: list[Run]
    tokens: NDArray[np.float64]
    weights: NDArray[np.float64]
    rows: Counter[str]


def sample(tokenizer: Tokenizer, sources: Sequence[list[list[str]]], group: str) -> Sample:
    """Count the runs of a group over the even rows of the sources; files weigh alike, whatever their size."""
    weights: defaultdict[Run, float] = defaultdict(float)
    in_rows: Counter[str] = Counter()
    for source in sources:
        counts: Counter[Run] = Counter()
        for texts in source[::2]:
            found = Counter(runs_of(texts, group))
            in_rows.update({run.text for run in found})
            counts.update(found)
        total = counts.total()
        share = min(1.0, max(LEAST_WEIGHT, total / FULL_WEIGHT_WORDS))
        for run, count in counts.items():
            weights[run] += 1e5 * share * count / total
    runs = sorted(weights)
    # After a newline there is no ▁: the text's own ▁ and the newline are two tokens more.
    counted = exact_counts(tokenizer, [run.text if run.after_space else "\n" + run.text for run in runs])
    tokens = np.array([n if run.after_space else n - 2 for n, run in zip(counted, runs, strict=True)], float)
    return Sample(runs, tokens, np.array([weights[run] for run in runs]) ** TEMPER, in_rows)


def solve(
    features: NDArray[np.float64], tokens: NDArray[np.float64], weights: NDArray[np.float64], ridge: float = RIDGE
) -> NDArray[np.int64]:
    """Return the weighted ridge solution in 1/100 tokens."""
    weighted = features * weights[:, None]
    gram = features.T @ weighted + ridge * np.eye(features.shape[1])
    solution: NDArray[np.int64] = np.rint(np.linalg.solve(gram, weighted.T @ tokens) * 100).astype(np.int64)
    return solution


LETTERS = len(LATIN)
LENGTHS = 17  # 0 to 15, and 16 and more
STARTS_AT = LETTERS * LETTERS
ENDS_AT = STARTS_AT + 4
LENGTHS_AT = ENDS_AT + LETTERS
LATIN_FEATURES = LENGTHS_AT + LENGTHS


def latin_features(runs: Sequence[Run]) -> NDArray[np.float64]:
    """Return the features that `fitted_latin_cost` weighs: pairs of letters, start, last letter, length."""
    features = np.zeros((len(runs), LATIN_FEATURES))
    for row, run in zip(features, runs, strict=True):
        before = 0
        for letter in run.text.lower():
            code = LATIN.find(letter) if letter in string.ascii_lowercase else LETTERS - 1
            row[before * LETTERS + code] += 1
            before = code
        row[STARTS_AT + 2 * run.after_space + run.text[0].isupper()] = 1
        row[ENDS_AT + before] = 1
        row[LENGTHS_AT + min(len(run.text), LENGTHS - 1)] = 1
    return features


def numbers(values: Sequence[int] | NDArray[np.int64]) -> str:
    """Return the numbers with spaces between."""
    return " ".join(str(int(value)) for value in values)


def fit_latin(found: Sample) -> tuple[dict[str, object], set[str]]:
    """Fit the Latin weights; the words they get most wrong are listed with their counts and left out of the fit."""
    capitals = np.array([len(run.text) > 1 and run.text[1].isupper() for run in found.runs])
    table: dict[str, object] = {}
    shouted = [run for run, is_capitals in zip(found.runs, capitals, strict=True) if is_capitals]
    shape = np.array([[not run.after_space, run.after_space, len(run.text)] for run in shouted], float)
    table["LATIN_CAPITALS"] = numbers(solve(shape, found.tokens[capitals], found.weights[capitals]))
    features = latin_features(found.runs)
    listed = np.zeros(len(found.runs), bool)
    names: set[str] = set()
    for _ in range(3):
        use = ~listed & ~capitals
        weights = solve(features[use], found.tokens[use], found.weights[use])
        missed = np.abs(np.maximum(features @ weights / 100, 1) - found.tokens) * found.weights
        gain: Counter[str] = Counter()
        for run, miss, tokens in zip(found.runs, missed, found.tokens, strict=True):
            if run.after_space and tokens <= LISTED_TOKENS and found.rows[run.text] >= LISTED_ROWS:
                gain[run.text] += miss
        names = {text for text, _ in gain.most_common(LISTED_WORDS)}
        listed = np.array([run.text in names for run in found.runs])
    table["LATIN_STARTS"] = numbers(weights[STARTS_AT:ENDS_AT])
    table["LATIN_ENDS"] = numbers(weights[ENDS_AT:LENGTHS_AT])
    table["LATIN_LENGTHS"] = numbers(weights[LENGTHS_AT:])
    table["LATIN_PAIRS"] = [numbers(row) for row in weights[:STARTS_AT].reshape(LETTERS, LETTERS)]
    by_count: defaultdict[int, list[str]] = defaultdict(list)
    for run, tokens in zip(found.runs, found.tokens, strict=True):
        if run.after_space and run.text in names:
            by_count[int(tokens)].append(run.text)
    table["WORDS"] = [" ".join(sorted(by_count[count])) for count in range(1, max(by_count, default=0) + 1)]
    return table, names


def fit_cyrillic(found: Sample) -> dict[str, object]:
    """Fit a weight per letter, and what a word's start costs: base, capital, up to 3 letters, 1 letter."""
    letters = CYRILLIC
    features = np.zeros((len(found.runs), 4 + len(letters)))
    for row, run in zip(features, found.runs, strict=True):
        row[:4] = 1, run.text[0].isupper(), len(run.text) <= 3, len(run.text) == 1
        for letter in run.text.lower():
            row[4 + (letters.find(letter) if letter in letters else len(letters) - 1)] += 1
    weights = solve(features, found.tokens, found.weights / max(1.0, found.weights.mean()), ridge=RIDGE)
    # Never below nothing, so that a longer word never costs less; a letter that never came costs a token.
    seen = features[:, 4:].sum(axis=0) > 0
    cost = np.where(seen, np.maximum(weights[4:], 0), 100)
    return {"CYRILLIC_STARTS": numbers(weights[:4]), "CYRILLIC_LETTERS": numbers(cost)}


def vocabulary_facts(vocabulary: dict[str, int], punctuation: Counter[str]) -> dict[str, object]:
    """Copy what needs no fit: tokens of one character, tokens of punctuation (short, or seen in the texts)."""
    singles = sorted(token for token in vocabulary if len(token) == 1 and ord(token) > 126)
    others = [c for c in singles if (m := SCAN.match(c)) and m.lastgroup == "other"]
    ranges: list[list[int]] = []
    for code in (ord(c) for c in others if not "一" <= c <= "鿿"):
        if ranges and ranges[-1][1] == code - 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    marks = [
        token
        for token in vocabulary
        if len(token) > 1
        and (match := SCAN.fullmatch(token.removeprefix("▁")))
        and match.lastgroup == "punctuation"
        and (len(token.removeprefix("▁")) <= 2 or len(set(token)) == 1 or punctuation[token])
    ]
    longer = [
        token
        for token in vocabulary
        if len(token) > 1
        and (m := SCAN.fullmatch(token.removeprefix("▁")))
        and m.lastgroup == "other"
        and len(token.removeprefix("▁")) > 1
        and "▁" not in token[1:]
    ]
    return {
        "OTHER": " ".join(sorted(longer)),
        "SINGLES": " ".join(f"{a:x}" if a == b else f"{a:x}-{b:x}" for a, b in ranges),
        "HAN": "".join(c for c in others if "一" <= c <= "鿿"),
        "AFTER_SPACE": "".join(sorted(t[1] for t in vocabulary if len(t) == 2 and t[0] == "▁" and t[1] != "▁")),
        "PUNCTUATION": " ".join(sorted(marks)),
    }


HEADER = '''"""Tables of the token estimator, written by scripts/calibrate_estimator.py; do not edit.

Source: the vocabulary of the Phi-3-mini tokenizer (tokenizer.json, 32,000 entries); {rows:,} rows of calibration text.
Costs are in 1/100 tokens. `estimate.py` says what each table means.
"""

# ruff: noqa: E501
'''


def literal(name: str, value: object) -> str:
    """Return one assignment; long strings are wrapped into parentheses, lists keep an item a line."""
    if isinstance(value, list):
        body = "".join(f"    {quoted(item)},\n" for item in value)
        return f"{name} = (\n{body})\n"
    text = quoted(str(value))
    if len(text) + 4 <= LINE < len(f"{name} = {text}"):
        return f"{name} = (\n    {text}\n)\n"
    return f"{name} = {text}\n"


def quoted(text: str) -> str:
    """Return a literal as ruff formats it: double quotes unless that needs more escapes."""
    body = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text.replace("\\", "\\\\"))
    if text.count('"') > text.count("'"):
        return "'" + body.replace("'", "\\'") + "'"
    return '"' + body.replace('"', '\\"') + '"'


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("tokenizer", type=Path, help="directory of the tokenizer.json")
    parser.add_argument("texts", type=Path, nargs="+", help=".json, .jsonl or .txt (rows between blank lines)")
    parser.add_argument("-o", "--output", type=Path, default=TARGET)
    options = parser.parse_args(arguments)
    path = options.tokenizer / "tokenizer.json"
    vocabulary: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["model"]["vocab"]
    tokenizer = Tokenizer.from_file(str(path))
    sources = [read_rows(source) for source in sorted(options.texts)]
    even = [text for source in sources for texts in source[::2] for text in texts]
    seen: Counter[str] = Counter()
    for encoding in tokenizer.encode_batch(even, add_special_tokens=False):
        seen.update(encoding.tokens)
    latin, listed = fit_latin(sample(tokenizer, sources, "word"))
    table = vocabulary_facts(vocabulary, seen) | latin | fit_cyrillic(sample(tokenizer, sources, "cyrillic"))
    rows = sum(len(source[::2]) for source in sources)
    options.output.write_text(
        HEADER.format(rows=rows) + "\n" + "".join(literal(name, table[name]) for name in sorted(table)),
        encoding="utf-8",
    )
    print(f"{options.output}: {options.output.stat().st_size:,} bytes, {len(listed)} listed words")


if __name__ == "__main__":
    main()
