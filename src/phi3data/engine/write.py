"""Write: the decisions on one shard → its pieces of train, validation, test, dropped rows and ledger.

A pure function of the shard, its facts and its decisions. Pieces are joined in the order of the shards afterwards.
"""

from __future__ import annotations

import base64
import codecs
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from phi3data.engine.facts import ROW_BITS
from phi3data.sources.files import whole
from phi3data.steps.balance import NONE, REPEATED
from phi3data.steps.split import SPLITS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from phi3data.engine.decide import Base
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
    "seq", "line", "record", "sub", "offset", "length", "dropped", "step", "reason", "evidence", "label",
    "balanced_by", "tokens", "supervised",
]  # fmt: skip
_CHUNK = 2**20
_BATCH = 5000
_encode = msgspec.json.Encoder().encode


def write(shard: Shard, source: Source, base: Base, before: list[int], examined: Path, decided: Path, to: Path) -> None:
    """Write the pieces of a shard to `to`; the ledger's piece comes last and says that the shard is done.

    `before` counts the rows that earlier shards give to each split, so that output lines can be numbered.
    """
    name = f"{shard.index:06d}"
    first = shard.index << ROW_BITS
    mine = [("seq", ">=", first), ("seq", "<", first + (1 << ROW_BITS))]
    decisions = _rows(pq.read_table(decided / "decisions.parquet", filters=mine))
    facts = _rows(pq.read_table(examined / f"{name}.facts.parquet", columns=_FACTS))
    ledger: list[dict[str, Any]] = []
    lines = list(before)
    with (
        (examined / f"{name}.rows").open("rb") as rows,
        Path(source.path).open("rb") as raw,
        whole(to / f"{name}.train") as train,
        whole(to / f"{name}.validation") as validation,
        whole(to / f"{name}.test") as test,
        whole(to / f"{name}.dropped") as dropped,
    ):
        outputs = (train, validation, test)
        for fact in facts:
            entry = _entry(fact, source, base)
            copies: list[dict[str, Any]] = []
            if not fact["dropped"]:
                decision = next(decisions)
                row = rows.readline()
                if decision["step"] is not None:
                    evidence = _encode(_reasoned(decision, fact)).decode()
                    entry.update(action="dropped", step=decision["step"], reason=decision["code"], evidence=evidence)
                else:
                    split, times = decision["split"], decision["times"]
                    outputs[split].write(row * times)
                    entry.update(output=f"{SPLITS[split]}.jsonl", output_line=lines[split] + 1)
                    copies = [_copy(entry, number, _reasoned(decision, fact)) for number in range(1, times)]
                    lines[split] += times
            if entry["action"] == "dropped":
                _write_dropped(dropped, raw, entry, fact)
            ledger += (entry, *copies)
    table = pa.Table.from_pylist(ledger, LEDGER)
    with whole(to / f"{name}.ledger.parquet") as file:
        pq.write_table(table, file, compression="zstd", compression_level=1)


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    """Yield the rows of a table without making objects of all of them at once."""
    for batch in table.to_batches(_BATCH):
        yield from batch.to_pylist()


def _entry(fact: dict[str, Any], source: Source, base: Base) -> dict[str, Any]:
    record = fact["record"] + base.record + 1
    row_id = f"{source.index + 1}:{record}" + (f".{fact['sub']}" if fact["sub"] else "")
    return {
        "row_id": row_id,
        "source": source.name,
        "line": record if source.tabular else fact["line"] + base.line + 1,
        "action": "dropped" if fact["dropped"] else "changed" if fact["step"] else "kept",
        "step": fact["step"],
        "reason": fact["reason"],
        "evidence": fact["evidence"],
        "label": fact["label"],
        "tokens": fact["tokens"],
        "supervised_tokens": fact["supervised"],
    }


def _reasoned(decision: dict[str, Any], fact: dict[str, Any]) -> dict[str, Any]:
    """Return the evidence of a decision: the row that another one goes for, or the group that was balanced."""
    if decision["kept"] is None:
        return {"group": fact["balanced_by"] or NONE, "before": decision["before"], "after": decision["after"]}
    evidence = {"kept": decision["kept"], "kind": decision["kind"]}
    if decision["kind"] == "near":
        evidence["score"] = round(decision["score"], 3)
    return evidence if decision["place"] is None else {**evidence, "place": decision["place"]}


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


def _write_dropped(out: IO[bytes], raw: IO[bytes], entry: dict[str, Any], fact: dict[str, Any]) -> None:
    """Write a dropped row: where it stood, why it went, and its bytes as they were.

    `raw` is the row's text; `raw_base64` stands in its place where the bytes are not UTF-8. Copied in chunks: a row may
    be larger than memory.
    """
    head = {column: entry[column] for column in ("row_id", "source", "line", "step", "reason")}
    head["evidence"] = msgspec.Raw(entry["evidence"].encode()) if entry["evidence"] else None
    out.write(_encode(head)[:-1])
    raw.seek(fact["offset"])
    if _is_utf8(raw, fact["length"]):
        raw.seek(fact["offset"])
        out.write(b',"raw":"')
        decoder = codecs.getincrementaldecoder("utf-8")()
        for chunk in _chunks(raw, fact["length"]):
            out.write(_encode(decoder.decode(chunk))[1:-1])
    else:
        raw.seek(fact["offset"])
        out.write(b',"raw_base64":"')
        for chunk in _chunks(raw, fact["length"]):  # all but the last are a multiple of 3 long: no padding inside
            out.write(base64.b64encode(chunk))
    out.write(b'"}\n')


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
