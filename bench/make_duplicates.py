"""Make chats of invented words with planted duplicates, and with rows that only look like duplicates.

    python -m bench.make_duplicates ROWS OUT.jsonl

Of a hundred rows about 60 are their own, 25 are copies (exact, spelled otherwise, edited, with something added or cut
off, turns in another order, another system prompt, the beginning of a longer conversation) and 10 are none: templates
filled in otherwise, one answer to several questions, one-word answers, several answers to one question. A tenth is
Chinese.
"""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Turns = list[tuple[str, str]]


class Planted(NamedTuple):
    """A row, what it was planted as ("" for a row of its own), and the number of the row that it was made from."""

    turns: Turns
    kind: str
    source: int
    system: str = ""

    @property
    def row(self) -> dict[str, Any]:
        """The chat row."""
        messages = [{"role": "system", "content": self.system}] if self.system else []
        for question, answer in self.turns:
            messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        return {"messages": messages}


#: Kinds that are duplicates of their source where they are similar enough, and kinds that never are.
COPIES = ("exact", "spelled", "edited", "added", "cut", "reordered", "system", "beginning")
LOOKALIKES = ("slot", "slots", "one answer", "one word", "other answer")


class _Language:
    """Texts of words that are as frequent as in real text (Zipf), or of Chinese characters."""

    def __init__(self, rng: random.Random, *, chinese: bool) -> None:
        letters = "aeiou", "bcdfghklmnprstvz"
        self.rng, self.glue = rng, "" if chinese else " "
        if chinese:
            self.words = [chr(rng.randrange(0x4E00, 0x8000)) for _ in range(2500)]
        else:
            self.words = [
                "".join(rng.choice(letters[1]) + rng.choice(letters[0]) for _ in range(rng.randrange(1, 5)))
                for _ in range(8000)
            ]
        self.sums = [0.0]
        for rank in range(len(self.words)):
            self.sums.append(self.sums[-1] + 1 / (rank + 3))
        self.sums = self.sums[1:]

    def pick(self, low: int, high: int) -> list[str]:
        return self.rng.choices(self.words, cum_weights=self.sums, k=self.rng.randrange(low, high))

    def join(self, words: list[str]) -> str:
        return self.glue.join(words)

    def split(self, text: str) -> list[str]:
        return text.split() if self.glue else list(text)

    def edited(self, text: str, edits: int) -> str:
        words = self.split(text)
        for _ in range(edits):
            at = self.rng.randrange(len(words))
            words[at : at + self.rng.randrange(2)] = [self.rng.choice(self.words)] if self.rng.random() < 0.7 else []
        return self.join(words)


def planted(rows: int, seed: int = 0) -> list[Planted]:
    """Return at least `rows` rows in a random order; sources are numbers in the list."""
    rng = random.Random(seed)
    english, chinese = (_Language(rng, chinese=flag) for flag in (False, True))
    out: list[Planted] = []
    while len(out) < rows:
        language = chinese if rng.random() < 0.1 else english
        chance = rng.random()
        if chance < 0.78:
            out.append(_own(rng, language))
        elif chance < 0.98:
            out += _copies(rng, language, len(out))
        else:
            out += _lookalikes(rng, language, len(out))
    order = list(range(len(out)))
    rng.shuffle(order)
    place = {number: at for at, number in enumerate(order)}
    return [out[number]._replace(source=place[out[number].source] if out[number].kind else -1) for number in order]


def _own(rng: random.Random, language: _Language, turns: int = 0) -> Planted:
    turns = turns or (rng.randrange(2, 5) if rng.random() < 0.1 else 1)
    pairs = [(language.join(language.pick(15, 60)), language.join(language.pick(40, 130))) for _ in range(turns)]
    return Planted(pairs, "", -1)


def _copies(rng: random.Random, language: _Language, at: int) -> Iterator[Planted]:
    """Yield a row and one to three copies of it, of one kind."""
    kind = rng.choice(COPIES)
    own = _own(rng, language, rng.randrange(2, 6) if kind in {"reordered", "beginning"} else 0)
    yield own
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        yield Planted(_COPY[kind](rng, language, own.turns), kind, at, "Be brief." if kind == "system" else "")


def _spelled(rng: random.Random, _: _Language, turns: Turns) -> Turns:
    return [
        (f" {question.upper()}", answer.replace(" ", "  ", rng.randrange(1, 4)) + "\n") for question, answer in turns
    ]


def _edited(rng: random.Random, language: _Language, turns: Turns) -> Turns:
    return [
        (language.edited(question, rng.randrange(2)), language.edited(answer, rng.randrange(4)))
        for question, answer in turns
    ]


def _added(_: random.Random, language: _Language, turns: Turns) -> Turns:
    question, answer = turns[-1]
    return [*turns[:-1], (question, language.join([*language.split(answer), *language.pick(1, 20)]))]


def _cut(rng: random.Random, language: _Language, turns: Turns) -> Turns:
    question, answer = turns[-1]
    words = language.split(answer)
    return [*turns[:-1], (question, language.join(words[: len(words) - rng.randrange(1, len(words) // 4)]))]


def _reordered(_: random.Random, __: _Language, turns: Turns) -> Turns:
    return [*turns[1:], turns[0]]


_COPY: dict[str, Callable[[random.Random, _Language, Turns], Turns]] = {
    "exact": lambda _, __, turns: turns,
    "spelled": _spelled,
    "edited": _edited,
    "added": _added,
    "cut": _cut,
    "reordered": _reordered,
    "system": lambda _, __, turns: turns,
    "beginning": lambda rng, _, turns: turns[: rng.randrange(1, len(turns))],
}


def _lookalikes(rng: random.Random, language: _Language, at: int) -> Iterator[Planted]:
    """Yield rows that resemble one another and are no duplicates; the first one is the source of all."""
    kind = rng.choice(LOOKALIKES)
    before, after = language.pick(50, 90), language.pick(10, 40)
    start, end = language.pick(40, 60), language.pick(40, 60)
    word, long = language.join(language.pick(1, 2)), language.join(language.pick(40, 80))
    seen: set[str] = set()
    while len(seen) < rng.randrange(4, 14):
        slot = language.pick(1, 4)
        if language.join(slot) in seen:
            continue
        seen.add(language.join(slot))
        prompt = language.join([*before, *slot, *after])
        other = language.join(language.pick(15, 60))
        turn = {
            "slot": (prompt, word),
            "slots": (prompt, language.join([*start, *slot, *end])),
            "one answer": (other, long),
            "one word": (other, "yes"),
            "other answer": (long, other),
        }[kind]
        yield Planted([turn], kind, at)


def write(rows: list[Planted], path: Path) -> Path:
    """Write the chats to a file."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(item.row, ensure_ascii=False) + "\n" for item in rows)
    return path


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    write(planted(int(sys.argv[1])), Path(sys.argv[2]))
