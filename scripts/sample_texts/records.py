"""Records with planted defects, their order in a file, and the key that tells where the defects ended up."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from pathlib import Path

Row = dict[str, Any]

# What `prepare` with default settings does with a row; blank lines are no rows.
EXPECTATIONS = ("dropped", "changed", "kept", "ignored")


@dataclass
class Defect:
    """One entry of the key. `twin` is the record that this one repeats or contradicts."""

    code: str
    expect: str
    note: str
    pointer: str = ""
    twin: Record | None = None

    def __post_init__(self) -> None:
        assert self.expect in EXPECTATIONS, self.expect


@dataclass
class Record:
    """One record of a file: a row, or bytes that stand in place of one. The file fills in where it went."""

    row: Row = field(default_factory=dict)
    raw: bytes | None = None
    defects: list[Defect] = field(default_factory=list)
    file: str = ""
    line: int = 0
    number: int = 0


def planted(row: Row, code: str, expect: str, note: str, pointer: str = "") -> Record:
    """Return a record with one defect."""
    return Record(row=row, defects=[Defect(code, expect, note, pointer)])


def planted_raw(raw: bytes | str, code: str, expect: str, note: str, pointer: str = "") -> Record:
    """Return a record that is bytes, not a row."""
    data = raw.encode() if isinstance(raw, str) else raw
    return Record(raw=data, defects=[Defect(code, expect, note, pointer)])


def compact(row: Row) -> str:
    """Return a row as one line of JSON, with the text readable."""
    return json.dumps(row, ensure_ascii=False)


def weave(rng: random.Random, clean: list[Record], damaged: list[Record]) -> list[Record]:
    """Put the damaged records at random places among the clean ones. A twin always stands before its repetition."""
    first = [record for record in damaged if not record.defects[0].twin]
    rng.shuffle(first)
    slots = sorted(rng.sample(range(len(clean)), len(first)))
    woven = list(clean)
    for slot, record in zip(reversed(slots), reversed(first), strict=True):
        woven.insert(slot, record)
    for record in damaged:
        twin = record.defects[0].twin
        if twin is not None:
            # A twin in another file stands before this file anyway: files are read in the order of their names.
            after = next((at for at, other in enumerate(woven) if other is twin), 0)
            woven.insert(rng.randint(after + 1, len(woven)), record)
    return woven


def key_entries(records: list[Record]) -> list[Row]:
    """Return the key of a file's records, after the file has given them their places."""
    entries = []
    for record in records:
        for defect in record.defects:
            note = defect.note
            if defect.twin is not None:
                note = f"{note} {defect.twin.file} record {defect.twin.number}"
            entries.append(
                {
                    "file": record.file,
                    "line": record.line,
                    "record": record.number,
                    "code": defect.code,
                    "pointer": defect.pointer,
                    "note": note,
                    "expect": defect.expect,
                }
            )
    return entries


def write_atomically(path: Path, data: bytes) -> None:
    """Write to a temporary name beside the file, then rename: nobody reads half a file."""
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_bytes(data)
    temporary.replace(path)
