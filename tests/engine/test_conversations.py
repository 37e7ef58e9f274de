"""Rows that are decoded some at a time are the rows that are decoded one by one and converted by their format."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.conftest import chat

from phi3data.engine.conversations import conversations
from phi3data.findings import Finding
from phi3data.sources.lines import read
from phi3data.sources.reader import Reader, SourceConfig
from phi3data.sources.source import BLANK, Shard, Source

if TYPE_CHECKING:
    from pathlib import Path

GOOD = [
    json.dumps(chat("Hi", 'He said "no".\n')).encode(),
    b'{"messages":[{"content":"\\u0048i","role":"user"},{"role":"assistant","content":"\xe4\xbd\xa0"}]}',
    b'{"messages":[{"role":"system","content":""},{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}',
]
ODD = [
    b"",
    b"  \t",
    b"{",
    b"[]",
    b"\xff",
    b'{"messages":[]}',
    b'\xef\xbb\xbf{"messages":[{"role":"user","content":"a"}]}',
    b'{"messages":[{"role":"user","content":"a"}]} \r',
    b'{"messages":[{"role":"user","content":"a","content":"b"}]}',
    b'{"messages":[{"role":"user","content":"a"}],"messages":[{"role":"user","content":"b"}]}',
    b'{"messages":[{"role":"user","content":"a"}]}{"messages":[{"role":"user","content":"b"}]}',
    b'{"messages":[{"role":"human","content":"a"},{"role":"gpt","content":null}],"label":"x"}',
    b'{"messages":[{"role":"user","content":[{"type":"text","text":"a"}]}],"customer":7}',
    b'{"messages":[{"role":"tool","content":"a","tool_call_id":"1"}],"tools":[]}',
    b'{"messages":[{"role":"user","content":"\\ud800"}]}',
    b'{"conversations":[{"from":"human","value":"a"}]}',
]
CONFIGS = [
    SourceConfig(),
    SourceConfig(group_by="messages"),
    SourceConfig(system="Be kind."),
    SourceConfig(label_column="label"),
]


def source(path: Path) -> Source:
    size = path.stat().st_size
    return Source(index=0, name="x", path=str(path), size=size, container="jsonl", layout="lines", format="chat")


def as_ever(item: Source, shard: Shard, config: SourceConfig) -> list[Any]:
    reader = Reader(item, config)
    out: list[Any] = []
    for raw in read(item, shard):
        found: Any = []
        if raw.value is not BLANK:
            found = raw.value if isinstance(raw.value, Finding) else reader.conversations(raw.value)
        out.append((raw.offset, raw.length, raw.line, raw.record, plain(found)))
    return out


def plain(found: Any) -> Any:
    return found if isinstance(found, Finding) else msgspec.to_builtins(found)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rows") / "rows.jsonl"


@given(
    st.lists(st.sampled_from(GOOD * 5 + ODD), max_size=90),
    st.sampled_from(CONFIGS),
    st.booleans(),
    st.integers(0, 3000),
)
def test_they_are_what_the_format_makes_of_each_line(
    path: Path, rows: list[bytes], config: SourceConfig, ended: bool, cut: int
) -> None:
    path.write_bytes(b"\n".join(rows) + b"\n" * ended)
    item = source(path)
    for number, (start, end) in enumerate(((0, min(cut, item.size)), (min(cut, item.size), item.size))):
        shard = Shard(number, 0, start, end)
        found = [
            (raw.offset, raw.length, raw.line, raw.record, plain(talks))
            for raw, talks in conversations(item, shard, config)
        ]
        assert found == as_ever(item, shard, config)


def test_a_line_that_is_too_long_is_a_finding_in_its_place(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phi3data.sources.lines.MAX_RECORD", 200)
    path.write_bytes(GOOD[0] + b"\n" + json.dumps(chat("q", "word " * 99)).encode())
    item = source(path)
    (_, good), (raw, bad) = conversations(item, Shard(0, 0, 0, item.size), SourceConfig())
    assert isinstance(good, list)
    assert isinstance(bad, Finding)
    assert (raw.line, raw.offset, raw.length, bad.code) == (1, len(GOOD[0]) + 1, item.size - raw.offset, "J212")
