"""The rows of a whole data set beside each other: equal rows, one prompt in two splits, sizes and shares. (`--project`)

A row leaves a few 64-bit keys, some 40 bytes, and never its text. Texts that are similar without being equal are looked
for by the engine, which needs more than the plain install.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, NamedTuple

from phi3data.findings import Finding
from phi3data.rules import balance
from phi3data.rules.balance import Categories, Prompts
from phi3data.steps.dedup import identify
from phi3data.text.code import is_code
from phi3data.text.language import language

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from phi3data.chat import Conversation
    from phi3data.rules.options import Thresholds
    from phi3data.rules.placed import Placed
    from phi3data.targets import TargetProfile

SPLITS = ("train", "validation", "test")
_NAMES = {"valid": "validation", "val": "validation", "dev": "validation", "eval": "validation", "test": "test"}
_SLIPS = 0.01  # of the rows: so few in a language, and it may be read into them
_AT_ONCE = 500_000  # keys that are compared at a time: their table takes about 60 MB


def split_of(name: str) -> str:
    """Return the split that a file's name tells: validation, val, valid, dev, eval or test in it, else train."""
    stem = name.replace("\\", "/").rpartition("/")[2].casefold()
    for separator in "-_. ":
        stem = stem.replace(separator, "\0")
    words = stem.split("\0")
    return next((split for word in words for start, split in _NAMES.items() if word.startswith(start)), "train")


class RowKeys:
    """The keys of the rows of one file, or of a part of it."""

    def __init__(self) -> None:
        self.rows = 0
        self.labels, self.sources = Categories("label"), Categories("source")
        self.systems, self.prompts = Categories("system prompt"), Prompts()
        self.languages = Languages()
        self.whole, self.prompt, self.asked = array("Q"), array("Q"), array("Q")  # `asked` is 0 where nothing is
        self.lines, self.records = array("Q"), array("Q")  # from 1
        self.openings, self.owners = array("Q"), array("Q")  # keys of beginnings, and the place here of their row

    def add(self, conversation: Conversation, source: Any, line: int, record: int) -> None:
        """Take in a conversation of the row at `line` and `record`, from 1; `source` is what the row says of it."""
        first = conversation.messages[0]
        self.labels.add(conversation.label)
        self.sources.add(source if isinstance(source, str) else None)
        self.systems.add(first.content if first.role == "system" else None)
        self.prompts.add(next((turn.content or "" for turn in conversation.messages if turn.role == "user"), ""))
        same = identify(conversation)
        self.languages.add(same.normalised[0], conversation)
        self.openings.extend(same.openings)
        self.owners.extend([self.rows] * len(same.openings))
        self.whole.append(same.normalised[0])
        self.prompt.append(same.prompt)
        self.asked.append(same.asked or 0)
        self.lines.append(line)
        self.records.append(record)
        self.rows += 1

    def merge(self, later: RowKeys) -> None:
        """Add what a later part holds."""
        self.merge_shares(later)
        self.merge_keys(later)
        self.rows += later.rows

    def merge_shares(self, later: RowKeys) -> None:
        """Add how the rows of a later part spread; who holds nothing else counts no rows."""
        for name in ("labels", "sources", "systems", "languages", "prompts"):
            getattr(self, name).merge(getattr(later, name))

    def merge_keys(self, later: RowKeys) -> None:
        """Add the keys of the rows of a later part, before its rows are counted."""
        for name in ("whole", "prompt", "asked", "lines", "records", "openings"):
            getattr(self, name).extend(getattr(later, name))
        self.owners.extend([self.rows + owner for owner in later.owners])


class Languages:
    """The languages of a sample of rows, those of the smallest keys: the same however the files are cut.

    To tell the language of an answer, and that it is no code, takes longer than all else that is kept of a row.
    """

    MOST = 500  # rows

    def __init__(self) -> None:
        self._kept: list[tuple[int, str]] = []  # a heap of the key, negative, and the language, "" where none is plain
        self._all = True

    def add(self, key: int, conversation: Conversation) -> None:
        """Take in a row."""
        if len(self._kept) < self.MOST or -key > self._kept[0][0]:
            self._keep(-key, _spoken(conversation))
        else:
            self._all = False

    def _keep(self, key: int, spoken: str) -> None:
        heappush(self._kept, (key, spoken))
        if len(self._kept) > self.MOST:
            heappop(self._kept)
            self._all = False

    def merge(self, later: Languages) -> None:
        """Add the rows of a later part."""
        self._all = self._all and later._all
        for item in later._kept:
            self._keep(*item)

    def categories(self) -> Categories:
        """Return how the rows spread over the languages."""
        found = Categories("language" if self._all else "language, in a sample", _SLIPS)
        for _, spoken in self._kept:
            if spoken:
                found.add(spoken)
        return found


def _spoken(conversation: Conversation) -> str:
    """Return the language that the model learns to answer in; "" where that is not plain, and for code."""
    answer = next((turn.content for turn in conversation.messages if turn.role == "assistant"), None) or ""
    found = language(answer)
    return "" if found is None or is_code(answer) else found


class Beside(NamedTuple):
    """A finding of one row beside another: its file, line and record, and the key that says what row it is."""

    finding: Finding
    path: str
    line: int
    record: int
    key: int


class Similar(NamedTuple):
    """Two rows whose texts were found similar: path and record, from 1, of both, and their similarity, 0 to 1."""

    path: str
    record: int
    other_path: str
    other_record: int
    score: float


class Project:
    """The files of a data set, each in its split."""

    def __init__(self, target: TargetProfile) -> None:
        self._target = target
        self._all = RowKeys()
        self._splits = {name: RowKeys() for name in SPLITS}
        self._starts: list[int] = []  # the first row of each file
        self._files: list[tuple[str, str]] = []  # its path and its split

    def add(self, keys: RowKeys, path: str, split: str) -> None:
        """Add a file."""
        self._starts.append(self._all.rows)
        self._files.append((path, split))
        self._all.merge_keys(keys)
        self._splits[split].merge_shares(keys)
        self._all.rows += keys.rows
        self._splits[split].rows += keys.rows

    def together(self, options: Thresholds) -> Iterator[Placed]:
        """Yield what is wrong with the rows that are trained on, as a whole."""
        train = self._splits["train"]
        alone = not self._splits["validation"].rows
        if self._all.rows:
            yield from balance.too_few(train.rows, self._target)
        for category in (train.labels, train.sources, train.systems, train.languages.categories()):
            for placed in category.findings(self._target, options.D806.ratio, options.D807.times):
                # Rows sorted by something else are no fault of a split, and who has a validation file needs none.
                if placed.finding.code != "D807" or (alone and category in (train.labels, train.sources)):
                    yield placed
        yield from train.prompts.findings(options.D808.share)

    def beside(self, similar: Iterable[Similar] = ()) -> Iterator[Beside]:
        """Yield what is wrong with rows beside others, in the order of the rows; `similar` are pairs of them."""
        found: dict[int, list[Finding]] = {}
        alone = (*self._equal(), *self._same_prompt(), *self._answers(), *self._beginnings(), *self._similar(similar))
        for row, finding in alone:
            found.setdefault(row, []).append(finding)
        for row in sorted(found):
            path, _ = self._file(row)
            for finding in found[row]:
                line, record = self._all.lines[row], self._all.records[row]
                yield Beside(finding, path, line, record, self._all.whole[row])

    def _equal(self) -> Iterator[tuple[int, Finding]]:
        for rows in groups(self._all.whole):
            first: dict[str, int] = {}
            for row in self._train_first(rows):
                split = self._file(row)[1]
                if split in first:
                    yield row, Finding("D802", f"the row is that of {self._place(first[split])} again")
                    continue
                first[split] = row
                other = next((name for name in SPLITS if name in first and name != split), None)
                if other:
                    problem = f"the same row is in {other}: {self._place(first[other])}"
                    yield row, Finding("D805", problem)

    def _same_prompt(self) -> Iterator[tuple[int, Finding]]:
        whole = self._all.whole
        for rows in groups(self._all.prompt):
            first: dict[str, int] = {}
            for row in self._train_first(rows):
                split = self._file(row)[1]
                first.setdefault(split, row)
                other = next((first[name] for name in SPLITS if name in first and name != split), None)
                if other is not None and whole[other] != whole[row]:
                    split = self._file(other)[1]
                    yield row, Finding("D805", f"the same prompt is in {split}: {self._place(other)}")

    def _answers(self) -> Iterator[tuple[int, Finding]]:
        whole = self._all.whole
        for rows in groups(self._all.asked):
            if not self._all.asked[rows[0]]:
                continue
            answers = list({whole[row]: row for row in reversed(rows)}.values())[::-1]  # the first row of each
            for row in answers if len(answers) > 1 else ():
                other = answers[0] if row != answers[0] else answers[1]
                problem = f"{len(answers):,} different answers to one prompt; another is at {self._place(other)}"
                yield row, Finding("D804", problem)

    def _beginnings(self) -> Iterator[tuple[int, Finding]]:
        whole, owners = self._all.whole, self._all.owners
        beginnings: dict[int, int] = {}
        for part in parts(len(whole)):
            wanted = {key for key in self._all.openings if part(key)}
            beginnings.update((key, row) for row, key in enumerate(whole) if key in wanted)
        told: set[int] = set()
        for key, owner in zip(self._all.openings, owners, strict=True):
            place = beginnings.get(key)
            if place is not None and place not in told and whole[owner] != whole[place]:
                told.add(place)
                yield place, Finding("D809", f"the conversation is the beginning of {self._place(owner)}")

    def _similar(self, pairs: Iterable[Similar]) -> Iterator[tuple[int, Finding]]:
        told: set[tuple[int, str]] = set()
        for pair in pairs:
            one, other = self._row(pair.path, pair.record), self._row(pair.other_path, pair.other_record)
            first, row = self._train_first(sorted((one, other)))
            split = self._file(first)[1]
            code = "D803" if split == self._file(row)[1] else "D805"
            if (row, code) in told:
                continue
            told.add((row, code))
            what = "similar to" if code == "D803" else f"similar to a row of {split}:"
            yield row, Finding(code, f"{what} {self._place(first)} (similarity {pair.score:.2f})")

    def _row(self, path: str, record: int) -> int:
        """Return the number of a row; a row of several conversations has that of its first one."""
        at = next(number for number, (name, _) in enumerate(self._files) if name == path)
        end = self._starts[at + 1] if at + 1 < len(self._starts) else self._all.rows
        return bisect_left(self._all.records, record, self._starts[at], end)

    def _file(self, row: int) -> tuple[str, str]:
        """Return the path and the split of a row's file."""
        return self._files[bisect_right(self._starts, row) - 1]

    def _train_first(self, rows: list[int]) -> list[int]:
        """Return rows in the order of their splits, so that it is the held-out row that is found fault with."""
        return sorted(rows, key=lambda row: (SPLITS.index(self._file(row)[1]), row))

    def _place(self, row: int) -> str:
        return f"{self._file(row)[0]}:{self._all.lines[row]}"


def parts(count: int) -> Iterator[Any]:
    """Yield tests of keys that together let each key pass once: as many as keep the keys of a part few."""
    number = 1 + count // _AT_ONCE
    for part in range(number):
        yield lambda key, part=part: key % number == part


def groups(keys: Sequence[int]) -> Iterable[list[int]]:
    """Return the places of equal keys, of those that stand more than once, in the order of the first places."""
    found: list[list[int]] = []
    for part in parts(len(keys)):
        first: dict[int, int] = {}
        more: dict[int, list[int]] = {}
        for place, key in enumerate(keys):
            if part(key):
                if key not in first:
                    first[key] = place
                elif key in more:
                    more[key].append(place)
                else:
                    more[key] = [first[key], place]
        found += more.values()
    return sorted(found)
