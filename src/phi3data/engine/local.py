"""One machine: examine, decide and write with worker processes, going on where an earlier run stopped."""

from __future__ import annotations

import os
import shutil
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from phi3data import arrow, family
from phi3data.engine import decide as deciding
from phi3data.engine.bare import examine_bare, suits
from phi3data.engine.database import bases
from phi3data.engine.decide import Decided
from phi3data.engine.examine import REFERENCES, Summary, examine
from phi3data.engine.given import AGAINST, GIVEN
from phi3data.engine.recipe import Recipe, to_toml
from phi3data.engine.work import OUTPUTS, Work, disk_errors
from phi3data.engine.write import LEDGER, Place, done, prepare_splits, write
from phi3data.errors import InputError, UsageError
from phi3data.room import release
from phi3data.similarity import texts
from phi3data.sources.files import CHUNK, digest, whole
from phi3data.sources.inputs import find
from phi3data.sources.open import open_source, plan
from phi3data.sources.reader import SourceConfig
from phi3data.sources.source import SHARD, Shard, Source
from phi3data.steps import identity
from phi3data.steps.balance import BalanceConfig
from phi3data.steps.decontaminate import DecontaminateConfig, read_references
from phi3data.steps.split import SPLITS
from phi3data.tokens import count
from phi3data.version import VERSION
from phi3data.workers import each, load, pool, threads

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from phi3data.sources.inputs import Input
    from phi3data.workers import Submit


_FEW = 2  # shards that may be examined before DuckDB is loaded


class Progress(Protocol):
    """Hears how far a run is. `unit` is "bytes" while examining, "rows" while writing."""

    def stage(self, name: str, total: int) -> None:
        """A stage begins."""

    def advance(self, amount: int, rows: int) -> None:
        """A part of the stage is done: `amount` of its total, holding `rows` rows."""


class Silent:
    """The progress of the Python API: none."""

    def stage(self, name: str, total: int) -> None:
        """Say nothing."""

    def advance(self, amount: int, rows: int) -> None:
        """Say nothing."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run whose outputs lie complete in `work.folder("final")`, and what a report needs to tell its story."""

    recipe: Recipe
    work: Work
    sources: list[Source]
    shards: list[Shard]
    summaries: list[Summary]
    decided: Decided
    given: list[int]  # for each source its place in `GIVEN`
    tokenizer: count.TokenizerRef
    input_sha256: list[str]

    @property
    def placed(self) -> list[int]:
        """For each shard the place of its rows in `GIVEN`."""
        return _placed(self.shards, self.given)

    @property
    def final(self) -> Path:
        """The folder of the complete outputs."""
        return self.work.folder("final")


def run(
    inputs: list[Input],
    recipe: Recipe,
    output: Path,
    *,
    workers: int = 1,
    overwrite: bool = False,
    online: bool = False,
    shard_bytes: int = SHARD,
    progress: Progress | None = None,
    given: Mapping[str, list[Input]] | None = None,
    keep_work: bool = False,
    outputs: Collection[str] = OUTPUTS,
) -> Run:
    """Run the recipe over the inputs; leave the outputs, but for report and manifest, in the work folder's `final/`.

    `given` are inputs that are a split as they are, or only compared with, by the names in `GIVEN`. With `keep_work`
    what was examined is kept, for a run that decides otherwise. Of `outputs` train.jsonl is always made; for a manifest
    all of them are wanted.
    The bytes of the outputs do not depend on `workers` nor on `shard_bytes`.
    Raises `InputError`, `UsageError`, `OutputError` and `WorkerError`.
    """
    progress = progress or Silent()
    tokenizer = count.resolve(recipe.length.tokenizer, family.model(recipe.model), online=online)
    inputs, places = [*inputs], [0] * len(inputs)
    for place, name in enumerate(GIVEN[1:], start=1):
        found = (given or {}).get(name, [])
        inputs += found
        places += [place] * len(found)
    recipe = _resized(recipe, places)
    _spare_inputs(inputs, output)
    _refuse_twice(inputs, places)
    examined = _fingerprint(inputs, [VERSION, places, to_toml(recipe.examining), tokenizer, shard_bytes], recipe)
    decided_as = sha256("\n".join([to_toml(recipe), *sorted(outputs)]).encode()).hexdigest()[:16]
    work = Work(output, examined, decided_as, keep=keep_work)
    try:
        with disk_errors(output):
            work.start(overwrite=overwrite)
            copies = work.folder("sources")
            sources = [
                _open_given(item, n, recipe.source, copies)
                if places[n]
                else open_source(item, n, recipe.source, copies)
                for n, item in enumerate(inputs)
            ]
            shards = list(plan(sources, shard_bytes))
            if recipe.decontaminate.references:
                _keep_references(recipe, work)
            if workers > 1:
                size = sum(shard.end - shard.start for shard in shards)
                count.compile_kernels(tokenizer, size)
            with pool(min(workers, len(shards))) as processes, threads(min(workers, len(shards))) as here:
                # Processes start when they are given something: where kernels do all the work, none does.
                submit = here if recipe.bare else processes
                if workers > 1 and recipe.signed and not recipe.bare:
                    for compiling in (texts.compile_kernels, identity.compile_kernels):
                        submit(compiling, size).result()  # in one of them: here they would stay in memory
                paths = [item.path or Path(sources[n].path) for n, item in enumerate(inputs)]
                digests = [submit(digest, path) for path in paths if "manifest.json" in outputs]
                recipes = [_for_given(recipe.examining) if place else recipe.examining for place in places]
                summaries = _examine(processes, here, shards, sources, recipes, tokenizer, work, progress)
                decided = _decide(submit, here, recipe, sources, places, shards, summaries, work, progress, outputs)
                written = [shard for shard in shards if places[shard.source] != AGAINST]
                _write(submit, written, sources, places, decided, work, progress, outputs)
                input_sha256 = [future.result() for future in digests]
            _join(written, work, outputs)
            _unchanged(inputs, sources)
    except (InputError, UsageError):
        work.discard()  # the same command would fail again: leave nothing behind
        raise
    except BaseException:
        work.release()
        raise
    return Run(
        recipe=recipe,
        work=work,
        sources=sources,
        shards=shards,
        summaries=summaries,
        decided=decided,
        given=places,
        tokenizer=tokenizer,
        input_sha256=input_sha256,
    )


def _keep_references(recipe: Recipe, work: Work) -> None:
    """Read the references once and leave them where the workers find them."""
    references = read_references(recipe.decontaminate.references, work.folder("references"))
    with whole(work.root / REFERENCES) as file:
        file.write(msgspec.json.encode(references))


def _spare_inputs(inputs: list[Input], output: Path) -> None:
    """Refuse to replace an input by an output."""
    outputs = {(output / name).absolute() for name in OUTPUTS}
    for item in inputs:
        if item.path is not None and item.path.absolute() in outputs:
            raise UsageError(f"-o {output}: would replace the input {item.name}: choose another folder")


def _refuse_twice(inputs: list[Input], places: list[int]) -> None:
    """Refuse a file that is given twice, as one split or as two: its rows would stand in both."""
    seen: set[Path] = set()
    for item, place in zip(inputs, places, strict=True):
        if item.path is None or place not in (1, 2):
            continue
        if item.path.resolve() in seen:
            raise UsageError(f"{item.name}: is given twice as validation or test rows: give it once")
        seen.add(item.path.resolve())


def _resized(recipe: Recipe, given: list[int]) -> Recipe:
    """Return the recipe for splits of which some are given: nothing else goes there."""
    taken = {SPLITS[place]: 0.0 for place in (1, 2) if place in given}
    return msgspec.structs.replace(recipe, split=msgspec.structs.replace(recipe.split, **taken))


def _for_given(recipe: Recipe) -> Recipe:
    """Return the recipe for given rows: they are repaired and checked, and not measured by anything else."""
    return msgspec.structs.replace(recipe, decontaminate=DecontaminateConfig(), balance=BalanceConfig())


def _open_given(item: Input, number: int, config: SourceConfig, copies: Path) -> Source:
    """Open a given file, which need not have the format and the columns that the inputs have."""
    first: InputError | UsageError | None = None
    for tried in (msgspec.structs.replace(config, format=None), config, SourceConfig(system=config.system)):
        try:
            return open_source(item, number, tried, copies)
        except (InputError, UsageError) as error:
            first = first or error
    assert first is not None
    raise first


def _fingerprint(inputs: list[Input], parts: list[Any], recipe: Recipe) -> str:
    """Name the work on exactly these inputs; objects in memory and streams never match another run."""
    for item in [*inputs, *(found for name in recipe.decontaminate.references for found in find(name))]:
        state = item.path.stat() if item.path and item.path.is_file() else None
        parts.append((item.name, [state.st_size, state.st_mtime_ns] if state else os.urandom(16).hex()))
    return sha256(repr(parts).encode("utf-8", "backslashreplace")).hexdigest()[:16]


def _examine(
    processes: Submit,
    here: Submit,
    shards: list[Shard],
    sources: list[Source],
    recipes: list[Recipe],
    tokenizer: count.TokenizerRef,
    work: Work,
    progress: Progress,
) -> list[Summary]:
    folder = work.folder("examine")
    summaries: dict[int, Summary] = {}
    progress.stage("Examining", sum(shard.end - shard.start for shard in shards))
    todo: list[tuple[Shard, tuple[Any, ...]]] = []
    for shard in shards:
        done = folder / f"{shard.index:06d}.json"
        if done.exists():
            summaries[shard.index] = msgspec.json.decode(done.read_bytes(), type=Summary)
            progress.advance(shard.end - shard.start, summaries[shard.index].rows)
        else:
            todo.append((shard, (shard, sources[shard.source], recipes[shard.source], tokenizer, folder)))
    light = [task for task in todo if suits(task[0], *task[1][1:3])]
    ready = bool(todo) and len(light) <= _FEW
    if ready:
        load("duckdb")  # which decides: 0.1 s while rows are examined
    for function, submit, tasks in ((examine_bare, here, light), (examine, processes, todo)):
        for shard, summary in each(submit, function, [task for task in tasks if task[0].index not in summaries]):
            if summary is not None:
                summaries[shard.index] = summary
                progress.advance(shard.end - shard.start, summary.rows)
            if not ready:
                load("duckdb")  # not before: threads that load their kernels would wait for it
                ready = True
    release()
    return [summaries[shard.index] for shard in shards]


def _decide(
    submit: Submit,
    here: Submit,
    recipe: Recipe,
    sources: list[Source],
    given: list[int],
    shards: list[Shard],
    summaries: list[Summary],
    work: Work,
    progress: Progress,
    outputs: Collection[str],
) -> Decided:
    folder = work.folder("decide")
    done = folder / "decided.json"
    if done.exists():
        return msgspec.json.decode(done.read_bytes(), type=Decided)
    starts = bases(shards, summaries)
    folders = (work.folder("examine"), work.folder("compare"), folder, work.folder("spill"))
    told = "duplicates.parquet" in outputs
    rows = [summary.rows for summary in summaries]
    placed = _placed(shards, given)
    decided = deciding.decide(recipe, sources, starts, placed, rows, *folders, submit, here, progress, told=told)
    with whole(done) as file:
        file.write(msgspec.json.encode(decided))
    return decided


def _write(
    submit: Submit,
    shards: list[Shard],
    sources: list[Source],
    given: list[int],
    decided: Decided,
    work: Work,
    progress: Progress,
    outputs: Collection[str],
) -> None:
    to = work.folder("write")
    examined, folder = work.folder("examine"), work.folder("decide")
    before = [Place(rows, sizes) for rows, sizes in zip(_sums(decided.rows), _sums(decided.bytes), strict=True)]
    prepare_splits(to, before[-1].bytes)
    progress.stage("Writing", len(shards))
    todo = [
        (
            shard,
            (
                shard,
                sources[shard.source],
                given[shard.source],
                decided.bases[shard.index],
                before[shard.index],
                examined,
                folder,
                to,
                outputs,
            ),
        )
        for shard in shards
        if not done(to, shard).exists()
    ]
    progress.advance(len(shards) - len(todo), 0)
    for shard, _ in each(submit, write, todo):
        progress.advance(1, sum(decided.rows[shard.index]))


def _placed(shards: list[Shard], given: list[int]) -> list[int]:
    return [given[shard.source] for shard in shards]


def _sums(counts: list[list[int]]) -> Iterator[list[int]]:
    """Yield what stands in each split before each shard, and last what stands there in all."""
    none = [0] * len(SPLITS)
    return accumulate(counts, lambda held, more: [a + b for a, b in zip(held, more, strict=True)], initial=none)


def _join(shards: list[Shard], work: Work, outputs: Collection[str]) -> None:
    """Give the splits their names, and join the pieces of the shards. Of the splits only train may have no rows.

    All that was written stays where it is, so that a run that is cut while it publishes can do this again.
    """
    pieces, final = work.folder("write"), work.folder("final")
    for split in SPLITS:
        (final / f"{split}.jsonl").unlink(missing_ok=True)
        if split == "train" or (pieces / f"{split}.jsonl").stat().st_size:
            _also_named(pieces / f"{split}.jsonl", final / f"{split}.jsonl")
    if "dropped.jsonl" in outputs:
        with whole(final / "dropped.jsonl") as out:
            for shard in shards:
                with (pieces / f"{shard.index:06d}.dropped").open("rb") as file:
                    shutil.copyfileobj(file, out, CHUNK)
    if (work.folder("decide") / "duplicates.parquet").exists():
        shutil.copyfile(work.folder("decide") / "duplicates.parquet", final / "duplicates.parquet")
    if "ledger.parquet" not in outputs:
        return
    with whole(final / "ledger.parquet") as out, pq.ParquetWriter(out, LEDGER, compression="zstd") as ledger:
        # Row groups of a fixed number of rows, so that the file does not depend on the size of the shards.
        for table in _regrouped(pieces / f"{shard.index:06d}.ledger.parquet" for shard in shards):
            ledger.write_table(table, row_group_size=_ROW_GROUP)


def _also_named(path: Path, name: Path) -> None:
    """Give a file a second name, or make a copy where the file system knows one name only."""
    try:
        name.hardlink_to(path)
    except (OSError, NotImplementedError):
        with path.open("rb") as file, whole(name) as copy:
            shutil.copyfileobj(file, copy, CHUNK)


_ROW_GROUP = 100_000


def _regrouped(paths: Iterator[Path]) -> Iterator[Any]:
    held = pa.table([pa.nulls(0, field.type) for field in LEDGER], schema=LEDGER)
    for path in paths:
        held = pa.concat_tables([held, arrow.read(path)])
        while len(held) >= _ROW_GROUP:
            yield held.slice(0, _ROW_GROUP).combine_chunks()
            held = held.slice(_ROW_GROUP)
    if len(held):
        yield held.combine_chunks()


def _unchanged(inputs: list[Input], sources: list[Source]) -> None:
    """Refuse to publish what was read from a file that changed meanwhile."""
    for item, source in zip(inputs, sources, strict=True):
        if item.path and str(item.path) == source.path and item.path.stat().st_size != source.size:
            raise InputError(f"{source.name}: changed while it was read: run the same command again")
