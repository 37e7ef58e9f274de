"""An input → a `Source`: where its rows are, how they are laid out, which format they have."""

from __future__ import annotations

from importlib import import_module
from itertools import islice
from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.errors import InputError, UsageError, did_you_mean
from phi3data.findings import Finding
from phi3data.sources.inputs import BINARY
from phi3data.sources.source import BLANK, LABEL_COLUMNS, LISTS_OF_A_ROW, SHARD, Raw, Shard, Source, renamer
from phi3data.text import jsonline

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from phi3data.sources.files import Scratch
    from phi3data.sources.formats.base import Row
    from phi3data.sources.inputs import Input
    from phi3data.sources.reader import SourceConfig

_HEAD = 2**20  # bytes looked at to tell the layout
_SAMPLE = 200  # rows looked at to tell the format
_UTF16 = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_NOT_DATA = {
    b"version https://git-lfs": "is a Git LFS pointer, not the data: run git lfs pull (F108)",
    b"<!doctype html": "is a web page, perhaps an error page saved under this name: download it again (F108)",
    b"<html": "is a web page, perhaps an error page saved under this name: download it again (F108)",
    b"<<<<<<< ": "holds merge-conflict marks: resolve the conflict first (F108)",
}


def open_source(item: Input, index: int, config: SourceConfig, work: Path) -> Source:
    """Make an input readable by byte ranges and detect its layout and format.

    Copies are written under `work` where the input cannot be read in place, and reused if they are there already.
    Raises `InputError` for an input that cannot be used at all, `UsageError` for columns that are not there.
    """
    path, notes = readable(item, index, config.encoding, work)
    return _with_format(laid_out(item, index, path, notes), config)


def laid_out(item: Input, index: int, path: Path, notes: list[str]) -> Source:
    """Return the source that is in the text file `path`, with its layout but without a format. Raises `InputError`."""
    size = path.stat().st_size
    with path.open("rb") as file:
        head = file.read(_HEAD)
    start = len(jsonline.BOM) if head.startswith(jsonline.BOM) else 0
    if start:
        notes.append("starts with a byte-order mark (F103)")
    head = head[start:]
    if jsonline.is_blank(head) and size <= _HEAD:
        raise InputError(f"{item.name}: holds no rows (F101)")
    for mark, problem in _NOT_DATA.items():
        if head.lstrip()[: len(mark)].lower() == mark:
            raise InputError(f"{item.name}: {problem}")
    source = Source(
        index=index,
        name=item.name,
        path=str(path),
        size=size,
        container=item.container,
        layout="lines",
        start=start,
        original=str(item.path or ""),
        tabular=item.container in BINARY or item.container in {"csv", "tsv"},
        notes=tuple(notes),
    )
    return _with_layout(source, head)


def plan(sources: list[Source], size: int = SHARD) -> Iterator[Shard]:
    """Cut the sources into shards of about `size` bytes that begin and end between rows."""
    cuts = ((source, cut) for source in sources for cut in _layout(source).shards(source, size))
    for index, (source, cut) in enumerate(cuts):
        yield Shard(index, source.index, *cut)


def read(source: Source, shard: Shard) -> Iterator[Raw]:
    """Yield the raw rows of a shard in their order."""
    found: Iterator[Raw] = _layout(source).read(source, shard)
    return found


def _layout(source: Source) -> Any:
    """Return the module that reads a layout, loaded when a file has it: most files are lines."""
    return import_module(f"phi3data.sources.{source.layout}")


def read_all(source: Source) -> Iterator[Raw]:
    """Yield all raw rows of a source, shard by shard, with `line` and `record` counted from its start."""
    line = record = 0
    for shard in plan([source]):
        if shard.line >= 0:
            line, record = shard.line, shard.record
        lines_before, records_before = line, record
        for raw in read(source, shard):
            raw.line += lines_before
            raw.record += records_before
            line, record = raw.line + 1, raw.record + 1
            yield raw


def readable(item: Input, index: int, encoding: str | None, work: Path | Scratch) -> tuple[Path, list[str]]:
    """Return a text file in UTF-8 with the rows of an input, and notes on what was done; copies go to `work`.

    Raises `InputError` for a damaged archive or table and for an encoding that does not fit.
    """
    path = item.path
    if path is not None and not item.compression and item.container not in BINARY and not encoding:
        table = item.container in {"csv", "tsv"}
        if not _utf16(path) and not (table and _only_carriage_returns(path)):
            return path, []
    return _copied(item, work / f"source-{index:04d}", encoding)


def _copied(item: Input, copy: Path, encoding: str | None) -> tuple[Path, list[str]]:
    from phi3data.sources import spool

    notes: list[str] = []
    path = item.path
    if item.container == "stdin":
        path = copy.with_suffix(".stream")
        if not path.exists():
            spool.copy_stream(item.records, path)
        item = spool.recognise(item, path)
    if item.compression:
        path = copy.with_suffix(".raw")
        if not path.exists():
            spool.decompress(item, path)
    if item.container in BINARY:
        binary = item if item.compression is None else msgspec.structs.replace(item, path=path)
        if not copy.with_suffix(".jsonl").exists():
            spool.write_records(binary, copy.with_suffix(".jsonl"))
        return copy.with_suffix(".jsonl"), notes
    assert path is not None
    encoding = encoding or _utf16(path)
    if encoding:
        encoded, path = path, copy.with_suffix(".utf8")
        if not path.exists():
            spool.transcode(encoded, path, encoding, item.name)
        notes.append(f"read as {encoding.upper()} (F102)")
    if item.container in {"csv", "tsv"} and _only_carriage_returns(path):
        ended, path = path, copy.with_suffix(".lines")
        if not path.exists():
            spool.transcode(ended, path, "utf-8", item.name, line_ends=True)
        notes.append("lines end in CR (F106)")
    return path, notes


def _only_carriage_returns(path: Path) -> bool:
    """Tell a table whose lines end as old Macs wrote them; Excel still offers it."""
    with path.open("rb") as file:
        head = file.read(_HEAD)
    return b"\r" in head and b"\n" not in head


def _utf16(path: Path) -> str | None:
    with path.open("rb") as file:
        head = file.read(4096)
    if head[:2] in _UTF16:
        return _UTF16[head[:2]]
    if len(head) >= 8 and head.count(0) >= len(head) // 3:  # ASCII in UTF-16 has a zero in every other byte
        return "utf-16-le" if head[1:2] == b"\0" else "utf-16-be"
    return None


def _with_layout(source: Source, head: bytes) -> Source:
    text = head.lstrip()
    if source.container in BINARY:
        return source
    if source.container in {"csv", "tsv"} or (source.container in {"stdin", "text"} and text[:1] not in b"[{"):
        return _delimited(source, head)
    if source.container == "txt":
        raise InputError(
            f"{source.name}: plain text is no conversation: give questions and answers, "
            "for example as a CSV file with the columns question and answer"
        )
    if text[:1] not in (b"[", b"{") and source.container == "json":
        raise InputError(f"{source.name}: is no JSON: it begins with {text[:20].decode('utf-8', 'replace')!r}")
    if _is_lines(text, source.container):
        return source
    return msgspec.structs.replace(source, layout="array", depth=_depth(text))


def _depth(text: bytes) -> int:
    from phi3data.sources.array import depth_of_records

    return depth_of_records(text)


def _is_lines(text: bytes, container: str) -> bool:
    """Tell a file of lines from one JSON value that spans the file.

    A first line that is a whole value makes lines, unless the file is that one line and holds rows inside. A broken
    first line makes lines where another line is a whole object, but in a .json file the objects inside a printed
    array look so.
    """
    first, _, rest = text.partition(b"\n")
    value = jsonline.decode(first)
    whole = not isinstance(value, Finding)
    if whole and not rest.strip():
        if isinstance(value, list):
            return not _holds_rows(value)
        # A row has no other lists of objects than those: most files of one row need not be looked through.
        return not (_has_lists(value) and _depth(first) == 2)
    others = (jsonline.decode(line) for line in rest.split(b"\n")[:50] if line[:1] in (b"{", b"["))
    if whole:
        return container == "jsonl" or text[:1] == b"{" or not isinstance(next(others, Finding("", "")), Finding)
    if container == "jsonl":
        return text[:1] not in (b"[", b"{") or len(first) == len(text) or any(isinstance(o, dict) for o in others)
    return (
        text[:1] == b"{"
        and first.rstrip()[-1:] not in (b"{", b"[", b",", b":")
        and any(isinstance(other, dict) for other in others)
    )


def _has_lists(value: Any) -> bool:
    """Tell whether an object has a list of objects that is none of a row's own."""
    held = value.items() if isinstance(value, dict) else ()
    return any(
        isinstance(item, list) and item and isinstance(item[0], dict) and key not in LISTS_OF_A_ROW
        for key, item in held
    )


def _holds_rows(value: list[Any]) -> bool:
    """Tell a list of rows from a list of turns, which is one row."""
    return isinstance(as_row(value), Finding)


def _delimited(source: Source, head: bytes) -> Source:
    import csv

    from phi3data.sources import delimited

    mark = "\t" if source.container == "tsv" else None
    try:
        delimiter, columns, length = delimited.header(head, mark)
    except UnicodeDecodeError:
        raise InputError(
            f"{source.name}: the header is not UTF-8 (F102): give the encoding, for example --encoding cp1252"
        ) from None
    except csv.Error as error:
        raise InputError(f"{source.name}: the header cannot be read: {error}") from None
    if source.container in {"stdin", "text"} and len(columns) < 2:
        raise InputError(
            f"{source.name}: is neither JSON nor a table: give it an ending that says what it is "
            "(.jsonl, .json, .csv, .tsv, .xlsx, .parquet, .arrow)"
        )
    return msgspec.structs.replace(
        source,
        layout="delimited",
        delimiter=delimiter,
        columns=columns,
        start=source.start + length,
        tabular=True,
        container="csv" if source.container in {"stdin", "text"} else source.container,
    )


def _with_format(source: Source, config: SourceConfig) -> Source:
    from phi3data.sources.formats import detect, get

    rows, first = _sample(source)
    columns = source.columns or tuple(dict.fromkeys(key for row in rows for key in row))
    if not rows:
        problem = f"{first.message} ({first.code})" if first else "it has a header and nothing below it (F101)"
        advice = ": give the encoding, for example --encoding cp1252" if first and first.code == "F102" else ""
        raise InputError(f"{source.name}: no row can be read: {problem}{advice}")
    rename = _rename(source, config.columns, columns)
    if rename:
        rows = list(map(renamer(rename), rows))
    for option, column in (("--label-column", config.label_column), ("--group-by", config.group_by)):
        if column is not None and column not in columns and column not in rename.values():
            raise UsageError(_no_column(source, option, column, columns))
    try:
        found = get(config.format) if config.format else detect(rows)
    except InputError as error:
        raise InputError(f"{source.name}: {error}") from None
    return msgspec.structs.replace(source, format=found.name, columns=columns, rename=rename)


def format_of(source: Source) -> str | None:
    """Return the name of the format that the first rows of a source have; None where no format fits."""
    from phi3data.sources.formats import detect

    try:
        return detect(_sample(source)[0]).name
    except InputError:
        return None


def _sample(source: Source) -> tuple[list[Row], Finding | None]:
    """Return the first rows that can be read, and the first finding."""
    first: list[Finding] = []

    def readable() -> Iterator[Row]:
        for raw in read_all(source):
            if raw.value is BLANK:
                continue
            value = as_row(raw.value)
            if not isinstance(value, Finding):
                yield value
            elif not first:
                first.append(value)

    rows = list(islice(readable(), _SAMPLE))
    return rows, first[0] if first else None


def as_row(value: Any) -> Row | Finding:
    """Return a decoded value as a row: an object, or a bare list of turns wrapped as one; else a finding (J211)."""
    if isinstance(value, dict | Finding):
        return value
    if isinstance(value, list) and value and isinstance(value[0], dict) and len(value[0].keys() & _TURN) == 2:
        return {"conversations": value}
    return Finding("J211", "the row is no object: expected {…} with the fields of a known format")


_TURN = {"from", "value", "role", "content"}


def _rename(source: Source, wanted: dict[str, str], columns: tuple[str, ...]) -> dict[str, str]:
    """Return column → field for `--columns field=column`; the other way round is understood where it is the only way.

    Raises `UsageError` for a column that is not there or a field that no format has.
    """
    from phi3data.sources.formats import FORMATS

    fields = {field for known in FORMATS.values() for field in known.fields} | {*LABEL_COLUMNS}
    rename: dict[str, str] = {}
    for left, right in wanted.items():
        if right in columns and left in fields:
            rename[right] = left
        elif left in columns and right in fields:
            rename[left] = right
        elif (right in columns) != (left in columns):
            field = left if right in columns else right
            raise UsageError(f"--columns: no format has a field '{field}'{did_you_mean(field, fields)}")
        else:
            column = left if right in fields and left not in fields else right
            raise UsageError(_no_column(source, "--columns", column, columns))
    return rename


def _no_column(source: Source, option: str, column: str, columns: tuple[str, ...]) -> str:
    near = did_you_mean(column, columns)
    return f"{option}: {source.name} has no column '{column}'{near or ': it has ' + ', '.join(columns[:20])}"
