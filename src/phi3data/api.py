"""The Python API: the same engine as the commands, without printing.

prepared = phi3data.prepare(frame, recipe={"split": {"validation": 0.2}})
prepared.train.to_pandas()
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data import arrow, family
from phi3data.engine import local
from phi3data.engine import recipe as recipes
from phi3data.engine.manifest import write_manifest
from phi3data.engine.recipe import Recipe
from phi3data.engine.work import OUTPUTS, disk_errors
from phi3data.errors import OutputError, UsageError
from phi3data.lint.project import Similar
from phi3data.report.measure import measure, tally
from phi3data.rows import Rows
from phi3data.sources.files import move, passing, whole
from phi3data.sources.inputs import find
from phi3data.sources.source import SHARD
from phi3data.steps.balance import NO_QUOTA, BalanceConfig
from phi3data.steps.decontaminate import DecontaminateConfig
from phi3data.tokens import count
from phi3data.workers import threads

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

    from phi3data.engine.local import Progress
    from phi3data.report.profile import Profile, Tally

RecipeLike = Recipe | Mapping[str, Any] | str | Path | None
STEPS = ("clean", "missing", "check", "length", "dedup", "split")


class Prepared:
    """What `prepare` made. Tables are read from the output folder when they are asked for.

    Without an output folder the files live in a temporary one, as long as this object does: use `save` to keep them.
    """

    def __init__(self, folder: Path, profile: Profile, temporary: TemporaryDirectory[str] | None = None) -> None:
        self.folder = folder
        self.profile = profile
        self._temporary = temporary

    def __repr__(self) -> str:
        return f"<Prepared {self.profile.rows_kept:,} of {self.profile.rows_in:,} rows in {self.folder}>"

    @cached_property
    def train(self) -> Rows:
        """The rows of train.jsonl."""
        return Rows(self.folder / "train.jsonl", self._temporary)

    @cached_property
    def validation(self) -> Rows:
        """The rows of validation.jsonl; no rows where there is no such file."""
        return Rows(self.folder / "validation.jsonl", self._temporary)

    @cached_property
    def test(self) -> Rows:
        """The rows of test.jsonl; no rows where there is no such file."""
        return Rows(self.folder / "test.jsonl", self._temporary)

    @property
    def ledger(self) -> pa.Table:
        """What became of every input row: one row each, with the columns that docs/outputs.md lists."""
        return arrow.read(self.folder / "ledger.parquet")

    @property
    def dropped(self) -> list[dict[str, Any]]:
        """The dropped rows verbatim, each with its reason."""
        with (self.folder / "dropped.jsonl").open("rb") as file:
            return [msgspec.json.decode(line) for line in file]

    @property
    def manifest(self) -> dict[str, Any]:
        """Digests of inputs and outputs, the resolved recipe, versions and counts."""
        found: dict[str, Any] = msgspec.json.decode((self.folder / "manifest.json").read_bytes())
        return found

    def save(self, output: str | Path, *, overwrite: bool = False) -> Path:
        """Copy the outputs into a folder and return it. Raises `OutputError` if it holds files already."""
        to = Path(output)
        if to.is_dir() and any(to.iterdir()) and not overwrite:
            raise OutputError(f"{to}: exists and is not empty: choose another folder, or pass overwrite=True")
        with disk_errors(to):
            to.mkdir(parents=True, exist_ok=True)
            for name in OUTPUTS:  # the manifest comes last
                if (self.folder / name).exists():
                    with (self.folder / name).open("rb") as source, whole(to / name) as copy:
                        shutil.copyfileobj(source, copy)
                else:
                    (to / name).unlink(missing_ok=True)
        return to


def prepare(
    source: Any,
    recipe: RecipeLike = None,
    output: str | Path | None = None,
    *,
    workers: int = 1,
    overwrite: bool = False,
    online: bool = False,
    shard_bytes: int = SHARD,
    progress: Progress | None = None,
    validation: Any = None,
    test: Any = None,
    against: Any = None,
    keep_work: bool = False,
) -> Prepared:
    """Turn raw data into training data: read, clean, fill, check, count, deduplicate, split, balance, report.

    `source` is a path, a directory, a glob, a list of them, a pandas DataFrame, an Arrow table, a `datasets.Dataset`
    or an iterable of dicts. `recipe` is a `Recipe`, a table of settings, or the path of a TOML file. `output` is a
    folder; without one the files live in a temporary folder until the result goes. `workers` are processes: more than
    one needs a script that guards its entry with ``if __name__ == "__main__"``, as `multiprocessing` does.
    `validation` and `test` are sources too: their rows make that split as they are, and what says or asks the same in
    `source` is dropped. `against` is one that is written nowhere: what says the same in `source` is dropped.
    `keep_work` keeps what was examined in the output folder, so that a run there that only deduplicates, splits or
    balances otherwise takes a fraction of the time.
    The outputs are the same bytes for any number of workers and any `shard_bytes`.

    Raises `UsageError` (recipe, columns, model), `InputError` (a source that cannot be used at all), `OutputError`
    (the folder holds files, the disk is full) and `WorkerError`. Bad rows raise nothing: they are in `dropped`.
    """
    from phi3data.report import card, html  # with jinja2, which other functions do not need

    resolved = _recipe(recipe)
    temporary = TemporaryDirectory(prefix="phi3data-") if output is None else None
    folder = Path(temporary.name if temporary else output or "")
    run = local.run(
        find(source, online=online, without=folder),
        resolved,
        folder,
        workers=workers,
        overwrite=overwrite,
        online=online,
        shard_bytes=shard_bytes,
        progress=progress,
        given={
            name: find(held, online=online, without=folder)
            for name, held in (("validation", validation), ("test", test), ("against", against))
            if held is not None
        },
        keep_work=keep_work,
    )
    try:
        with disk_errors(folder):
            found = measure(run)
            report = msgspec.json.format(msgspec.json.encode(found), indent=2).decode() + "\n"
            _write_text(run.final / "report.json", report)
            _write_text(run.final / "report.html", html.render(found))
            _write_text(run.final / "DATASET_CARD.md", card.render_card(found))
            write_manifest(run, _counts(found))
            run.work.publish()
    finally:
        run.work.release()
    return Prepared(folder, found, temporary)


def files(
    source: Any,
    recipe: RecipeLike,
    outputs: Mapping[str, Path],
    *,
    workers: int = 1,
    online: bool = False,
    progress: Progress | None = None,
    against: Any = None,
) -> Tally:
    """Write some outputs of `prepare` under other names, and make nothing else: for commands of one step.

    `outputs` name train.jsonl, and dropped.jsonl or ledger.parquet; files of these names are replaced. The other
    arguments, and what is raised, are those of `prepare`.
    """
    to = outputs["train.jsonl"].parent
    with disk_errors(to):
        to.mkdir(parents=True, exist_ok=True)
        # Beside the output, so that the finished file only has to take its name.
        with TemporaryDirectory(prefix=".phi3data-", dir=to) as temporary, passing():
            folder = Path(temporary)
            run = local.run(
                find(source, online=online, without=folder),
                _recipe(recipe),
                folder,
                workers=workers,
                online=online,
                progress=progress,
                given={} if against is None else {"against": find(against, online=online, without=folder)},
                outputs=outputs,
            )
            told: Tally
            try:
                with threads(2) as here:  # one waits for the disk while the other one counts
                    counted = here(tally, run)
                    for name, path in outputs.items():
                        move(run.final / name, path)
                    told = counted.result()
            finally:
                run.work.release()
    return told


def _write_text(path: Path, text: str) -> None:
    with whole(path) as file:
        file.write(text.encode("utf-8"))


def _counts(profile: Profile) -> dict[str, Any]:
    return {
        "in": profile.rows_in,
        "kept": profile.rows_kept,
        "changed": profile.rows_changed,
        "dropped": profile.rows_dropped,
        "added": profile.rows_added,
        "outputs": profile.outputs,
        "tokens": profile.tokens.total,
        "supervised_tokens": profile.tokens.supervised,
        "tokens_estimated": profile.tokens.estimated,
    }


def _recipe(recipe: RecipeLike) -> Recipe:
    if isinstance(recipe, Recipe):
        return recipes.resolve(msgspec.to_builtins(recipe))
    if isinstance(recipe, Mapping):
        return recipes.resolve(dict(recipe))
    if recipe is None or isinstance(recipe, str | Path):
        return recipes.load(recipe)
    raise UsageError(
        f"recipe is {type(recipe).__name__}: give a Recipe, a table of settings, or the path of a TOML file"
    )


def only(steps: tuple[str, ...], recipe: RecipeLike = None) -> Recipe:
    """Return a recipe in which no other step than `steps` is on."""
    resolved = _recipe(recipe)
    chosen: dict[str, Any] = {
        name: msgspec.structs.replace(getattr(resolved, name), enabled=name in steps) for name in STEPS
    }
    if "decontaminate" not in steps:
        chosen["decontaminate"] = DecontaminateConfig()
    if "balance" not in steps:
        chosen["balance"] = BalanceConfig()
    return msgspec.structs.replace(resolved, **chosen)


def convert(source: Any, recipe: RecipeLike = None, **options: Any) -> Prepared:
    """Turn raw rows of any format into chat rows, and nothing else. `options` are those of `prepare`."""
    return prepare(source, only((), recipe), **options)


def clean(source: Any, recipe: RecipeLike = None, **options: Any) -> Prepared:
    """Run the step `clean` alone: repairs that do not change what a text says. `options` are those of `prepare`."""
    return prepare(source, only(("clean",), recipe), **options)


def missing(source: Any, recipe: RecipeLike = None, **options: Any) -> Prepared:
    """Run the step `missing` alone: drop, fill or refuse messages without text. `options` are those of `prepare`."""
    return prepare(source, only(("missing",), recipe), **options)


def dedup(source: Any, recipe: RecipeLike = None, **options: Any) -> Prepared:
    """Run the step `dedup` alone: equal and similar rows, and beginnings of others. `options` are those of `prepare`.

    With ``against=other`` rows go for rows of that source too, whose places the ledger names.
    """
    return prepare(source, only(("dedup",), recipe), **options)


def similar(source: Any, *, threshold: float = 0.8, **options: Any) -> Iterator[Similar]:
    """Yield pairs of similar rows, verified on their texts: with `phi3data.check(…, project=True, similar=similar)`.

    `threshold` is a Jaccard index of 5-word shingles, 0.7 to 1. `options` are those of `prepare`.
    """
    recipe = {"dedup.match": "near", "dedup.threshold": threshold, "dedup.prefixes": False, "source.format": "chat"}
    found = dedup(source, recipes.load(None, recipe), **options)
    saved = arrow.read(found.folder / "duplicates.parquet")
    pairs = [pair for pair in saved.to_pylist() if pair["score"] >= threshold]
    wanted = {pair[name] for pair in pairs for name in ("row_id", "other_id")}
    paths = {row["row_id"]: row["source"] for row in found.ledger.to_pylist() if row["row_id"] in wanted}
    for pair in pairs:
        one, other = pair["row_id"], pair["other_id"]
        yield Similar(paths[one], _record(one), paths[other], _record(other), pair["score"])


def _record(row_id: str) -> int:
    """Return the record that a row_id names: source:record, or source:record.sub."""
    return int(row_id.partition(":")[2].partition(".")[0])


def decontaminate(source: Any, references: Sequence[str], recipe: RecipeLike = None, **options: Any) -> Prepared:
    """Run the step `decontaminate` alone: drop or flag rows that give away what the files `references` ask.

    `options` are those of `prepare`.
    """
    resolved = _recipe(recipe)
    config = msgspec.structs.replace(resolved.decontaminate, references=tuple(references))
    resolved = msgspec.structs.replace(resolved, decontaminate=config)
    return prepare(source, only(("decontaminate",), resolved), **options)


def balance(source: Any, recipe: RecipeLike = None, **options: Any) -> Prepared:
    """Run the step `balance` alone: so many rows of each group, all in train.jsonl. `options` are those of `prepare`.

    Raises `UsageError` where the recipe says nothing of how many.
    """
    resolved = only(("balance",), recipe)
    if not resolved.balance.active:
        raise UsageError(NO_QUOTA)
    return prepare(source, resolved, **options)


def split(source: Any, recipe: RecipeLike = None, **options: Any) -> Prepared:
    """Run the step `split` alone: train, validation and test. `options` are those of `prepare`."""
    return prepare(source, only(("split",), recipe), **options)


def profile(source: Any, recipe: RecipeLike = None, **options: Any) -> Profile:
    """Measure a data set without changing it: tokens, roles, turns, labels. `options` are those of `prepare`."""
    return convert(source, recipe, **options).profile


def count_tokens(
    texts: Sequence[str], tokenizer: str | None = None, *, model: str = family.DEFAULT, online: bool = False
) -> NDArray[np.int64]:
    """Return the number of content tokens of each text, shape (len(texts),), without special tokens.

    `tokenizer` is a directory, a model's name or a hub name. Without one the model's own tokenizer is taken from the
    local cache; where there is none the counts are estimates. Raises `UsageError` for a tokenizer that is not found.
    """
    import numpy as np

    if isinstance(texts, str):
        raise UsageError("count_tokens takes a list of texts: count_tokens([text])")
    ref = count.resolve(tokenizer, family.model(model), online=online)
    return np.array(count.load(ref).count(texts), np.int64)
