"""Lint: chat files against the rules, row by row, without changing anything. Loads nothing heavy."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data import family, targets
from phi3data.errors import InputError, UsageError, did_you_mean
from phi3data.findings import Finding, Severity
from phi3data.rules import RULES, schema, template, texts, tools, turns
from phi3data.rules.dataset import ExtraKeys
from phi3data.sources.formats import FORMATS, detection
from phi3data.sources.inputs import find
from phi3data.sources.open import format_of, open_source, read_all
from phi3data.sources.reader import Reader, SourceConfig
from phi3data.sources.source import BLANK, Raw, Source
from phi3data.steps.missing import MissingConfig, missing
from phi3data.text.locate import locate
from phi3data.tokens import count
from phi3data.tokens.lengths import Lengths

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from phi3data.chat import Conversation
    from phi3data.targets import TargetProfile
    from phi3data.text.locate import Place

_REMEMBERED = 10_000  # rows of which an excerpt can be shown
_ALL = MissingConfig(system="drop", tool="keep")


class Located(msgspec.Struct, frozen=True):
    """A finding with its place. Lines and columns are 1-based; columns count code points."""

    code: str
    name: str
    severity: Severity
    message: str
    path: str
    line: int
    column: int | None
    end_column: int | None
    pointer: str
    fingerprint: str
    fix: str | None


class CheckResult(msgspec.Struct):
    """What linting found.

    `rows` counts the rows looked at; `paths` are the files, the clean ones too; `notes` are about the model and its
    tokenizer.
    """

    findings: list[Located]
    rows: int
    paths: list[str]
    notes: tuple[str, ...] = ()
    lines: dict[tuple[str, int], tuple[int, int]] = {}  # (path, line) → offset and bytes of rows with a finding

    @property
    def files(self) -> int:
        """How many files were looked at."""
        return len(self.paths)

    def raw_of(self, path: str, line: int) -> bytes | None:
        """Return the bytes of a row with a finding, read again; None where it is no line of a plain file."""
        if (path, line) not in self.lines:
            return None
        offset, length = self.lines[path, line]
        try:
            with Path(path).open("rb") as file:
                file.seek(offset)
                return file.read(length)
        except OSError:
            return None

    @property
    def ok(self) -> bool:
        """Whether nothing worse than an information was found."""
        return not any(found.severity != "info" for found in self.findings)

    def to_dict(self) -> dict[str, Any]:
        """Return what `--output json` prints."""
        counts: dict[str, int] = {}
        for found in self.findings:
            counts[found.code] = counts.get(found.code, 0) + 1
        summary = {"files": self.files, "rows": self.rows, "findings": len(self.findings), "codes": counts}
        return {"findings": msgspec.to_builtins(self.findings), "summary": summary, "skipped": []}


class _Reading:
    """The model that will read the rows: its template, its control tokens, and how much it can read."""

    def __init__(self, model: str, tokenizer: str | None, target: str) -> None:
        self.target = targets.target(target)
        self.model = family.model(model)
        self.tokenizer = count.resolve(tokenizer, self.model)
        self.template = count.template_of(self.tokenizer)
        self.controls = count.controls_for(self.tokenizer, self.model)

    def findings(self, conversation: Conversation, size: int) -> Iterator[Finding]:
        """Yield what the model makes of a conversation that takes `size` bytes as it stands in the file."""
        yield from template.check(conversation, self.template, self.controls)
        limit = self.model.context
        # A token is a byte of text at least, and the template adds a few to a message: most rows need no counting.
        if size + 8 * len(conversation.messages) > limit:
            (length,) = Lengths.for_tokenizer(self.tokenizer, self.model).of([conversation])
            if length.total > limit:
                yield template.too_long(length.total, limit, estimated=self.tokenizer.estimated)


def check(
    source: Any,
    *,
    select: str | Iterable[str] = (),
    ignore: str | Iterable[str] = (),
    encoding: str | None = None,
    model: str = family.DEFAULT,
    tokenizer: str | Path | None = None,
    target: str = targets.DEFAULT,
) -> CheckResult:
    """Lint chat rows; `select` and `ignore` are codes or prefixes of codes, a list or separated by commas.

    `source` is a path, a list of paths, or rows in memory. `model` decides what its chat template drops, which control
    tokens there are and how long a row may be; `tokenizer` (a directory or hub name) makes lengths exact. `target` is
    where the data goes: what it accepts decides some of the rules.

    Raises `UsageError` for an unknown code, model or tokenizer, and `InputError` for a file that cannot be used at all.
    """
    reading = _reading(model, tokenizer, target)
    result = CheckResult([], 0, [], (reading.tokenizer.note,) if reading.tokenizer.note else ())
    for item in _iterate(source, _codes(select), _codes(ignore), encoding, reading, result):
        result.findings.append(item)
    return result


def iter_findings(
    source: Any,
    *,
    select: str | Iterable[str] = (),
    ignore: str | Iterable[str] = (),
    encoding: str | None = None,
    model: str = family.DEFAULT,
    tokenizer: str | Path | None = None,
    target: str = targets.DEFAULT,
) -> Iterator[Located]:
    """Lint as `check` does, yielding each finding as it is found, in bounded memory."""
    reading = _reading(model, tokenizer, target)
    return _iterate(source, _codes(select), _codes(ignore), encoding, reading, CheckResult([], 0, []))


def _reading(model: str, tokenizer: str | Path | None, target: str) -> _Reading:
    return _Reading(model, None if tokenizer is None else str(tokenizer), target)


def _codes(given: str | Iterable[str]) -> tuple[str, ...]:
    codes = given.split(",") if isinstance(given, str) else given
    return tuple(code.strip() for code in codes if code.strip())


def _iterate(
    source: Any,
    select: tuple[str, ...],
    ignore: tuple[str, ...],
    encoding: str | None,
    reading: _Reading,
    result: CheckResult,
) -> Iterator[Located]:
    for code in (*select, *ignore):
        if not any(known.startswith(code) for known in RULES):
            raise UsageError(f"unknown rule '{code}'{did_you_mean(code, RULES)}")
    config = SourceConfig(format="chat", encoding=encoding)
    with TemporaryDirectory(prefix="phi3data-") as work:
        for index, item in enumerate(find(source)):
            opened = open_source(item, index, config, Path(work))
            other = format_of(opened)
            if other not in {None, "chat"}:
                raise InputError(
                    f"{item.name}: the rows are {other}; check reads chat rows: run phi3data convert first"
                )
            result.paths.append(opened.name)
            for raw, found in _findings(opened, config, reading, result):
                if found.code.startswith(select or ("",)) and not (ignore and found.code.startswith(ignore)):
                    located = _located(found, opened, raw, reading.target)
                    if opened.path == str(item.path) and _has_lines(opened) and len(result.lines) < _REMEMBERED:
                        result.lines[located.path, located.line] = raw.offset, raw.length
                    yield located


def _findings(
    source: Source, config: SourceConfig, reading: _Reading, result: CheckResult
) -> Iterator[tuple[Raw, Finding]]:
    reader = Reader(source, config)
    before = result.rows
    extra, first = ExtraKeys(), dict[str, Raw]()
    for raw in read_all(source):
        if raw.value is BLANK:
            continue
        result.rows += 1
        shape: list[Finding] = []
        if isinstance(raw.value, dict):
            shape = [*schema.check_row(raw.value, reading.target, _recognise), *tools.check(raw.value)]
            for item in shape:
                if extra.add(item, result.rows):
                    first.setdefault(item.pointer, raw)
                else:
                    yield raw, item
        found = raw.value if isinstance(raw.value, Finding) else reader.conversations(raw.value)
        if isinstance(found, Finding):
            if not shape:  # what cannot be converted is never passed over in silence
                yield raw, found
            continue
        for conversation in found:
            yield from ((raw, item) for item in texts.check(conversation))
            yield from ((raw, item) for item in turns.check(conversation))
            yield from ((raw, item) for item in reading.findings(conversation, raw.length))
            gap = missing(conversation, _ALL).dropped
            if gap is not None:
                yield raw, gap
    for placed in extra.findings(result.rows - before):
        yield first[placed.finding.pointer], placed.finding


def _recognise(row: dict[str, Any]) -> str | None:
    """Return the raw format of a row that is no chat; plain text cannot be converted, so it is none."""
    found = detection.first(row, FORMATS.values())
    return None if found is None or found.name in {"chat", "plain-text"} else found.name


def _has_lines(source: Source) -> bool:
    """Whether each row is a line of the file, of which columns and excerpts can be shown."""
    return source.layout == "lines" and not source.tabular


def _place(found: Finding, source: Source, raw: Raw) -> Place | None:
    """Return the columns of what a finding points at, found by reading the line again."""
    if found.column is not None or not found.pointer or not _has_lines(source):
        return None
    with Path(source.path).open("rb") as file:
        file.seek(raw.offset)
        return locate(file.read(raw.length), found.pointer, nearest=True)


def _located(found: Finding, source: Source, raw: Raw, target: TargetProfile) -> Located:
    rule = RULES[found.code]
    canonical = b"" if isinstance(raw.value, Finding) else msgspec.json.encode(raw.value, order="sorted")
    fingerprint = sha256(b"\0".join((found.code.encode(), canonical, found.pointer.encode()))).hexdigest()
    place = _place(found, source, raw)
    return Located(
        code=found.code,
        name=rule.name,
        severity=target.severity(found.code, rule.severity),
        message=found.message,
        path=source.name,
        line=(raw.record if source.tabular else raw.line) + 1,
        column=place.column if place else found.column,
        end_column=place.end_column if place else found.column and found.column + 1,
        pointer=found.pointer,
        fingerprint=fingerprint,
        fix=None,
    )


__all__ = ["CheckResult", "Located", "check", "iter_findings"]
