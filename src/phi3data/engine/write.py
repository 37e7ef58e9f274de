"""Write: the decisions on one shard → its place in train, validation and test; its pieces of dropped rows and ledger.

A pure function of the shard, its facts and its decisions; an empty file comes last and says that it is done.
The decisions tell where in a split the rows of a shard stand. Pieces are joined in the order of the shards afterwards.
"""

from __future__ import annotations

import base64
import codecs
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from phi3data import arrow
from phi3data.engine.facts import ROW_BITS
from phi3data.sources.files import placed, whole
from phi3data.steps.balance import NONE, REPEATED
from phi3data.steps.split import SPLITS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from numpy.typing import NDArray

    from phi3data.engine.database import Base
    from phi3data.sources.source import Shard, Source

LEDGER = pa.schema(
    [
        ("row_id", pa.string()),
        ("source", pa.string()),
        ("line", pa.int64()),
        ("action", pa.string()),
        ("step", pa.string()),
        ("reason", pa.string()),
        ("evidence", pa.string()),
        ("output", pa.string()),
        ("output_line", pa.int64()),
        ("label", pa.string()),
        ("tokens", pa.int32()),
        ("supervised_tokens", pa.int32()),
    ]
)
_FACTS = [
    "line", "record", "sub", "offset", "length", "dropped", "step", "reason", "evidence", "label", "balanced_by",
    "tokens", "supervised", "row_offset", "row_length",
]  # fmt: skip
_PLACES = ["dropped", "step", "row_offset", "row_length"]
_FATES = ["seq", "split", "times"]
_HEAD = ("row_id", "source", "line", "step", "reason", "evidence")  # of a dropped row
_KEPT, _CHANGED, _DROPPED = range(3)
_ACTIONS = arrow.array(["kept", "changed", "dropped"], pa.string())
_CHUNK = 2**20
_encode = msgspec.json.Encoder().encode


def done(to: Path, shard: Shard) -> Path:
    """Return the file that says that the pieces of a shard are complete."""
    return to / f"{shard.index:06d}.done"


class Place(NamedTuple):
    """Where the rows of a shard stand in the splits: behind so many rows and so many bytes of each."""

    rows: list[int]
    bytes: list[int]


def prepare_splits(to: Path, sizes: list[int]) -> None:
    """Make the files that `write` fills, so many bytes long, where they are not there already."""
    for split, size in zip(SPLITS, sizes, strict=True):
        with (to / f"{split}.jsonl").open("ab") as file:
            file.truncate(size)


def write(
    shard: Shard,
    source: Source,
    given: int,
    base: Base,
    before: Place,
    examined: Path,
    decided: Path,
    to: Path,
    outputs: Collection[str],
) -> None:
    """Write a shard to its place in the splits in `to`; dropped rows and ledger to pieces, where among `outputs`.

    Its rows go to the split `given`, but for those that something else is decided on.
    """
    name = f"{shard.index:06d}"
    told = {"dropped.jsonl", "ledger.parquet"} & set(outputs)
    facts = arrow.read(examined / f"{name}.facts.parquet", _FACTS if told else _PLACES)
    fates = _fates(facts, _decisions(decided / "decisions.parquet", shard, None if told else _FATES), given)
    lines = _mapped(examined / f"{name}.rows")
    places = arrow.numbers(facts["row_offset"], null=0), arrow.numbers(facts["row_length"], null=0)
    for number, split in enumerate(SPLITS):
        rows = np.flatnonzero(fates.split == number)
        if len(rows):
            with placed(to / f"{split}.jsonl", before.bytes[number]) as out:
                out.writelines(_runs(lines, *places, np.repeat(rows, fates.times[rows])))
    if told:
        _tell(facts, fates, shard, source, base, before.rows, to, outputs)
    with whole(done(to, shard)):
        pass


def _mapped(path: Path) -> memoryview:
    if not path.stat().st_size:
        return memoryview(b"")
    with path.open("rb") as file:
        return memoryview(mmap(file.fileno(), 0, access=ACCESS_READ))


def _tell(
    facts: pa.Table,
    fates: _Fates,
    shard: Shard,
    source: Source,
    base: Base,
    before: list[int],
    to: Path,
    outputs: Collection[str],
) -> None:
    """Write what became of the rows: those that are dropped, and the ledger."""
    name = f"{shard.index:06d}"
    ledger = _ledger(facts, fates, source, base, before)
    if "dropped.jsonl" in outputs:
        with whole(to / f"{name}.dropped") as dropped, Path(source.path).open("rb") as raw:
            gone = arrow.array(np.flatnonzero(fates.actions == _DROPPED))
            columns = [ledger[column].take(gone).to_pylist() for column in _HEAD]
            spans = zip(*(facts[column].take(gone).to_pylist() for column in ("offset", "length")), strict=True)
            for (offset, length), *values in zip(spans, *columns, strict=True):
                _write_dropped(dropped, raw, dict(zip(_HEAD, values, strict=True)), offset, length)
    if "ledger.parquet" in outputs:
        with whole(to / f"{name}.ledger.parquet") as file:
            # Read once more, and packed then.
            pq.write_table(_with_copies(ledger, facts, fates), file, compression="none", use_dictionary=False)


def _decisions(path: Path, shard: Shard, columns: list[str] | None) -> pa.Table:
    """Read the decisions on a shard: pieces of these hold no other shard's."""
    first = shard.index << ROW_BITS
    last = first + (1 << ROW_BITS) - 1
    with pq.ParquetFile(path) as file:
        places = [file.metadata.row_group(number).column(0).statistics for number in range(file.num_row_groups)]
        groups = [number for number, seq in enumerate(places) if seq.max >= first and seq.min <= last]
        return file.read_row_groups(groups, columns, use_threads=False)


class _Fates(NamedTuple):
    """What becomes of each row of a shard: its action, its split (-1 for none), and how often it is written.

    `decisions` are those on the rows at the places `decided`.
    """

    actions: NDArray[np.int8]
    split: NDArray[np.int8]
    times: NDArray[np.int64]
    decided: NDArray[np.int64]
    decisions: pa.Table


def _fates(facts: pa.Table, decisions: pa.Table, given: int) -> _Fates:
    alive = ~arrow.numbers(facts["dropped"])
    split, times = np.where(alive, given, -1).astype(np.int8), alive.astype(np.int64)
    decided = arrow.numbers(decisions["seq"]) & (1 << ROW_BITS) - 1
    split[decided] = arrow.numbers(decisions["split"], null=-1)
    times[decided] = arrow.numbers(decisions["times"])
    actions = np.where(arrow.valid(facts["step"]), _CHANGED, _KEPT)
    actions[split < 0] = _DROPPED
    return _Fates(actions.astype(np.int8), split, times, decided, decisions)


def _runs(
    data: memoryview, offsets: NDArray[np.int64], sizes: NDArray[np.int64], rows: NDArray[np.int64]
) -> Iterator[memoryview]:
    """Yield the lines of rows, those that follow one another in one."""
    starts, ends = offsets[rows], offsets[rows] + sizes[rows]
    apart = np.flatnonzero(starts[1:] != ends[:-1])
    firsts, lasts = np.append(0, apart + 1)[: len(rows)], np.append(apart, len(rows) - 1)
    for start, end in zip(starts[firsts].tolist(), ends[lasts[: len(firsts)]].tolist(), strict=True):
        yield data[start:end]


def _ledger(facts: pa.Table, fates: _Fates, source: Source, base: Base, before: list[int]) -> pa.Table:
    """Return the ledger's line of each row."""
    records = arrow.numbers(facts["record"]) + base.record + 1
    subs = facts["sub"].to_pylist()
    row_ids = [f"{source.index + 1}:{record}" for record in records.tolist()]
    if any(subs):
        row_ids = [f"{row_id}.{sub}" if sub else row_id for row_id, sub in zip(row_ids, subs, strict=True)]
    placed = fates.split >= 0
    lines = np.zeros(len(facts), np.int64)
    for number, held in enumerate(before):
        rows = np.flatnonzero(fates.split == number)
        lines[rows] = held + np.cumsum(fates.times[rows]) - fates.times[rows] + 1
    gone = fates.split[fates.decided] < 0
    told = fates.decisions.filter(arrow.array(gone))
    evidence = [_encode(item).decode() for item in _reasons(told, facts.take(arrow.array(fates.decided[gone])))]
    mask = np.zeros(len(facts), np.bool_)
    mask[fates.decided[gone]] = True
    count, outputs = len(facts), arrow.array([f"{split}.jsonl" for split in SPLITS], pa.string())
    columns = {
        "row_id": row_ids,
        "source": [source.name] * count,
        "line": records if source.tabular else arrow.numbers(facts["line"]) + base.line + 1,
        "action": _ACTIONS.take(arrow.array(fates.actions)),
        "step": _replaced(facts["step"], mask, told["step"]),
        "reason": _replaced(facts["reason"], mask, told["code"]),
        "evidence": _replaced(facts["evidence"], mask, arrow.array(evidence, pa.string())),
        "output": outputs.take(arrow.array(fates.split, missing=~placed)),
        "output_line": arrow.array(lines, missing=~placed),
        "label": facts["label"],
        "tokens": facts["tokens"],
        "supervised_tokens": facts["supervised"],
    }
    return arrow.table(columns, LEDGER)


def _replaced(column: pa.ChunkedArray, mask: NDArray[np.bool_], values: pa.Array | pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column with other values, one after the other, at the places of a mask."""
    more = values.chunks if isinstance(values, pa.ChunkedArray) else [values]
    places = np.where(mask, len(column) + np.cumsum(mask) - 1, np.arange(len(column)))
    return pa.chunked_array([*column.chunks, *more], column.type).take(arrow.array(places))


def _reasons(decisions: pa.Table, facts: pa.Table) -> Iterator[dict[str, Any]]:
    """Yield the evidence of decisions: the row that another one goes for, or the group that was balanced."""
    wanted = ("kept", "kind", "score", "place", "before", "after")
    columns = [decisions[column].to_pylist() for column in wanted]
    groups = facts["balanced_by"].to_pylist()
    for group, kept, kind, score, place, before, after in zip(groups, *columns, strict=True):
        if kept is None:
            yield {"group": group or NONE, "before": before, "after": after}
            continue
        evidence = {"kept": kept, "kind": kind}
        if kind == "near":
            evidence["score"] = round(score, 3)
        yield evidence if place is None else {**evidence, "place": place}


def _with_copies(ledger: pa.Table, facts: pa.Table, fates: _Fates) -> pa.Table:
    """Return the ledger with a line for each added copy of a row, behind that of the row."""
    several = np.flatnonzero(fates.times > 1)
    if not len(several):
        return ledger
    told = fates.decisions.take(arrow.array(np.searchsorted(fates.decided, several)))
    evidence = dict(zip(several.tolist(), _reasons(told, facts.take(arrow.array(several))), strict=True))
    lines: list[dict[str, Any]] = []
    for row, entry in enumerate(ledger.to_pylist()):
        lines.append(entry)
        lines += [_copy(entry, number, evidence[row]) for number in range(1, int(fates.times[row]))]
    return pa.Table.from_pylist(lines, LEDGER)


def _copy(entry: dict[str, Any], number: int, evidence: dict[str, Any]) -> dict[str, Any]:
    """Return the ledger's line for an added copy of a row, which stands so many lines below it."""
    return {
        **entry,
        "row_id": f"{entry['row_id']}#{number}",
        "action": "added",
        "step": "balance",
        "reason": REPEATED,
        "evidence": _encode(evidence).decode(),
        "output_line": entry["output_line"] + number,
    }


def _write_dropped(out: IO[bytes], raw: IO[bytes], head: dict[str, Any], offset: int, length: int) -> None:
    """Write a dropped row: where it stood, why it went, and its bytes as they were.

    `raw` is the row's text; `raw_base64` stands in its place where the bytes are not UTF-8. Copied in chunks: a row may
    be larger than memory.
    """
    head["evidence"] = msgspec.Raw(head["evidence"].encode()) if head["evidence"] else None
    raw.seek(offset)
    if length <= _CHUNK and (text := _text(raw.read(length))) is not None:
        head["raw"] = text
        out.write(_encode(head) + b"\n")
        return
    out.write(_encode(head)[:-1])
    raw.seek(offset)
    if _is_utf8(raw, length):
        raw.seek(offset)
        out.write(b',"raw":"')
        decoder = codecs.getincrementaldecoder("utf-8")()
        for chunk in _chunks(raw, length):
            out.write(_encode(decoder.decode(chunk))[1:-1])
    else:
        raw.seek(offset)
        out.write(b',"raw_base64":"')
        for chunk in _chunks(raw, length):  # all but the last are a multiple of 3 long: no padding inside
            out.write(base64.b64encode(chunk))
    out.write(b'"}\n')


def _text(data: bytes) -> str | None:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None


def _chunks(file: IO[bytes], length: int) -> Iterator[bytes]:
    size = _CHUNK - _CHUNK % 3
    while length > 0 and (chunk := file.read(min(size, length))):
        yield chunk
        length -= len(chunk)


def _is_utf8(file: IO[bytes], length: int) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for chunk in _chunks(file, length):
            decoder.decode(chunk)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
