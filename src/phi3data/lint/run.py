"""One run of the linter over some inputs: files opened, cut, linted in order or in parallel, and told in order."""

from __future__ import annotations

from functools import cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from phi3data import targets
from phi3data.lint.dataset import FileFacts
from phi3data.lint.located import Skipped, beside, in_file
from phi3data.lint.opening import Opened, open_input
from phi3data.lint.rows import Job, lint
from phi3data.settings.patterns import relative
from phi3data.sources import lines
from phi3data.sources.open import plan as cut

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from phi3data.lint.conversation import Plan
    from phi3data.lint.located import Located
    from phi3data.lint.project import Beside, RowKeys, Similar
    from phi3data.lint.rows import Linted
    from phi3data.rules.placed import Placed
    from phi3data.settings import Settings
    from phi3data.sources.files import Scratch
    from phi3data.sources.inputs import Input
    from phi3data.sources.source import Shard

    FindSimilar = Callable[[list[str]], Iterable[Similar]]

_MANY = 6  # shards of 8 MiB, from which more than one process pays
# Bytes on which a process saves more time by kernels than it takes to load them, and to compile them.
_SIEVED, _COMPILED = 64 * 2**20, 256 * 2**20


class Run:
    """Findings file by file: of the file from outside, of its rows, of its rows together; then of the whole data set.

    What is counted (`rows`, `opened`) is complete when all findings were taken. `similar`, where it is set, finds pairs
    of similar rows in the files of some names.
    """

    def __init__(
        self,
        inputs: list[Input],
        plan: Plan,
        settings: Settings,
        *,
        encoding: str | None = None,
        project: bool = False,
        splits: dict[str, str] | None = None,
        against: Sequence[str] = (),
        workers: int | None = 1,
    ) -> None:
        """`plan` is for all files; which rules are wanted of a file `settings` say.

        With `project` the files are one data set, each of the split that `splits` gives for its absolute path, or that
        its name tells. `against` are files of benchmarks. `workers` are processes; None takes as many as pay.
        """
        self.rows = self._with_tools = 0
        self.opened: list[Opened] = []
        self._inputs, self._plan, self._encoding = inputs, plan, encoding
        self._project, self._splits, self._workers = project, splits or {}, workers
        self.similar: FindSimilar | None = None
        self._against = against if against and can_compare() else ()
        self._uncompared = bool(against) and not self._against
        self._target = targets.target(plan.target)
        self._root = settings.root
        self._codes = cache(settings.codes)  # of a path: asked for again with each finding beside another row
        self._shards: list[list[Shard]] = []
        self._sieved = False
        self._before = (0, 0)  # lines and records of the file so far

    def findings(self, work: Path | Scratch) -> Iterator[Located]:
        """Yield the findings. Copies of what cannot be read in place go to `work`."""
        for index, item in enumerate(self._inputs):
            opened = open_input(item, index, self._encoding, work, self._target)
            self.opened.append(opened)
            self._shards.append([] if opened.source is None else list(cut([opened.source])))
        workers = self._processes(sum(map(len, self._shards)))
        self._sieved = self._pays(max(workers, 1))
        parts = self._in_parallel(workers) if workers > 1 else map(lint, self._jobs(ahead=False))
        files: list[tuple[RowKeys, str]] = []
        for opened, shards in zip(self.opened, self._shards, strict=True):
            yield from self._placed(opened.findings, opened.name, relative(opened.name, self._root))
            facts = FileFacts(self._target, project=self._project)
            for part in islice(parts, len(shards)):
                self._before = (self._before[0] + part.lines, self._before[1] + part.records)
                facts.merge(part.facts)
                yield from part.findings
            self._before = (0, 0)
            self.rows += facts.rows
            self._with_tools += facts.partial_keys.rows_with("tools")
            together = facts.findings(self._plan.options)
            yield from self._placed(together, opened.name, relative(opened.name, self._root))
            if facts.keys is not None:
                files.append((facts.keys, opened.name))
        next(parts, None)  # there is no part left, but worker processes to wait for
        if files:
            yield from self._together(files)
        if self._against:
            yield from self._contaminated(work)

    def _together(self, files: list[tuple[RowKeys, str]]) -> Iterator[Located]:
        """Yield what is wrong with the rows of all files beside each other."""
        from phi3data.lint.project import Project, split_of

        project = Project(self._target)
        for keys, name in files:
            project.add(keys, name, self._splits.get(str(Path(name).absolute())) or split_of(name))
        yield from self._placed(project.together(self._plan.options), files[0][1], "")
        similar = self.similar([name for _, name in files]) if self.similar else ()
        yield from self._beside(project.beside(similar))

    def _contaminated(self, work: Path | Scratch) -> Iterator[Located]:
        """Yield the rows that give away what a benchmark asks."""
        wanted = [opened.source for opened in self.opened if opened.source and "D810" in self._codes(opened.name)]
        if wanted:
            from phi3data.lint.contaminated import contaminated

            folder = work / "references"  # of its own: copies of the data are numbered from 0 too
            folder.mkdir(exist_ok=True)
            yield from self._beside(contaminated(wanted, self._against, folder))

    def _beside(self, findings: Iterable[Beside]) -> Iterator[Located]:
        for found in findings:
            if found.finding.code in self._codes(found.path):
                yield beside(found, self._target, _file_fix(found.finding.code))

    def skipped(self) -> Iterator[Skipped]:
        """Yield the rules that could not run, when all findings were taken."""
        wanted = frozenset[str]().union(*(self._codes(opened.name) for opened in self.opened))
        if self._with_tools and "G904" in wanted:
            from phi3data.rules.references import can_validate

            if not can_validate():
                yield Skipped("G904", "it needs jsonschema: pip install 'phi3kit[data]'")
        if self._uncompared and "D810" in wanted:
            yield Skipped("D810", "texts are compared by more than the plain install: pip install 'phi3kit[data]'")
        if self._project and self.similar is None and "D803" in wanted:
            yield Skipped("D803", "similar texts are found by more than the plain install: pip install 'phi3kit[data]'")

    def _processes(self, shards: int) -> int:
        """Return how many processes to use: as asked, or one a CPU where there is so much that starting them pays."""
        if self._workers is not None:
            return min(self._workers, shards)
        if shards < _MANY:
            return 1
        from phi3data.workers import cpus

        return min(cpus(), shards)

    def _pays(self, workers: int) -> bool:
        """Tell whether rows are sieved: where numba is there, and as much for each process as loading it takes."""
        sizes = [opened.source.size for opened in self.opened if opened.source and opened.source.layout == "lines"]
        if self._project or sum(sizes) < workers * _SIEVED or not can_compare():
            return False
        from phi3data.rules.sieve import pair_kernel, sieve_kernel

        return sum(sizes) >= workers * _COMPILED or (sieve_kernel.kept and pair_kernel.kept)

    def _in_parallel(self, workers: int) -> Iterator[Linted]:
        from phi3data.workers import in_order, pool

        with pool(workers) as submit:
            yield from in_order(submit, lint, self._jobs(ahead=True))

    def _jobs(self, *, ahead: bool) -> Iterator[Job]:
        """Yield the parts of all files with the number of lines before each; `ahead` of reading, these are counted."""
        for opened, shards in zip(self.opened, self._shards, strict=True):
            plan = msgspec.structs.replace(self._plan, codes=self._codes(opened.name))
            line = 0
            for shard in shards:
                assert opened.source is not None
                before = (shard.line, shard.record) if shard.line >= 0 else (line, line) if ahead else self._before
                yield Job(opened.source, shard, *before, plan, self._project, self._sieved)
                if ahead and opened.source.layout == "lines":
                    line += sum(piece.total for piece in lines.pieces(opened.source, shard))

    def _placed(self, findings: Iterable[Placed], name: str, about: str) -> Iterator[Located]:
        codes = self._codes(name)
        for placed in findings:
            if placed.finding.code in codes:
                yield in_file(placed, name, about, self._target, placed.fix or _file_fix(placed.finding.code))


def can_compare() -> bool:
    """Tell whether there is what compares texts with each other: the extra data."""
    from importlib.util import find_spec

    return all(find_spec(name) for name in ("duckdb", "numba", "numpy", "pyarrow"))


def _file_fix(code: str) -> str | None:
    from phi3data.fixes import FILE_FIXES

    fix = FILE_FIXES.get(code)
    return None if fix is None else "safe" if fix.safe else "unsafe"
