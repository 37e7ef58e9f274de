"""Rows that kernels read are the rows that are decoded one by one: the same texts, identities, facts and outputs."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import chat
from tests.engine.test_prepare import digests

import phi3data
from phi3data import targets
from phi3data.chat import Conversation, Message
from phi3data.engine import bare as engine
from phi3data.engine.batch import encode_row
from phi3data.rules.typed import FastPath
from phi3data.similarity import texts
from phi3data.sources import bare
from phi3data.steps.dedup import identify
from phi3data.steps.identity import identify_all, identities, normal, sides

if TYPE_CHECKING:
    from pathlib import Path

TARGET = targets.target(targets.DEFAULT)
ROLES = ("system", "user", "assistant")
WORDS = [
    "one",
    "TWO",
    "three  four",
    "\tfive\r\n",
    'a "quote"',
    "back\\slash",
    "sl/ash",
    "\x00\x1c\x7f",
    "Straße",
    "ﬁve",
]
WORDS += ["İstanbul", "日本語", "a\u0301", "\u3000", "\u2028", "x\u0085y", "😀", "\ufeff", "ΑΣ", "eight..8"]
GOOD = [
    b'{"messages":[{"role":"user","content":""}]}',
    b' { "messages" :\t[ { "content" : "\\u0048\\u00e9\\/\\b\\f\\n\\r\\t\\"\\\\" , "role" : "assistant" } ] } \r',
    '{"messages":[{"role":"system","content":"你"},{"role":"user","content":"\x7f"}]}'.encode(),
]
BAD = [
    b"",
    b" \t\r",
    b"{",
    b"[]",
    b'{"messages":[]}',
    b'{"messages":[{"role":"user"}]}',
    b'{"messages":[{"content":"a"}]}',
    b'{"messages":[{"role":"user","content":"a"}],"label":1}',
    b'{"messages":[{"role":"user","content":"a","name":"b"}]}',
    b'{"messages":[{"role":"user","content":"a","content":"b"}]}',
    b'{"messages":[{"role":"user","role":"user","content":"a"}]}',
    b'{"messages":[{"role":"tool","content":"a"}]}',
    b'{"messages":[{"role":"User","content":"a"}]}',
    b'{"messages":[{"role":"us\\u0065r","content":"a"}]}',
    b'{"messages":[{"role":"user","content":null}]}',
    b'{"messages":[{"role":"user","content":"a\tb"}]}',
    b'{"messages":[{"role":"user","content":"\\x"}]}',
    b'{"messages":[{"role":"user","content":"\\u12"}]}',
    b'{"messages":[{"role":"user","content":"\\ud83d\\ude00"}]}',
    b'{"messages":[{"role":"user","content":"\\u2028"}]}',
    '{"messages":[{"role":"user","content":"a long text, and then \u2028"}]}'.encode(),
    '{"messages":[{"role":"user","content":"\u0085"}]}'.encode(),
    b'{"messages":[{"role":"user","content":"a"},]}',
    b'{"messages":[{"role":"user","content":"a"}{"role":"user","content":"a"}]}',
    b'{"messages":[{"role":"user","content":"a"}]} x',
    b'{"messages":[{"role":"user","content":"a"}]',
    b'{"messages":[{"role":"user","content":"a',
]


def talks(found: bare.Bare) -> list[list[tuple[str, str]]]:
    """The messages of each line."""
    data, out, at = found.text.tobytes(), [], 0
    for count in found.messages.tolist():
        places = range(at, at + count)
        out.append([(ROLES[found.roles[n]], data[found.ends[n] : found.ends[n + 1]].decode()) for n in places])
        at += count
    return out


def test_what_is_read_and_what_is_left() -> None:
    lines = [line for pair in zip(BAD, GOOD * len(BAD), strict=False) for line in pair]
    found = bare.read(b"\n".join(lines) + b"\n")
    assert [bool(count) for count in found.messages] == [line in GOOD for line in lines]
    assert found.begins.tolist() == np.cumsum([0, *(len(line) + 1 for line in lines)])[:-1].tolist()
    assert bare.read(b'{"messages":[{"role":"user","content":"\xff"}]}\n\n').begins.tolist() == [0, 45]
    assert not bare.read(b'{"messages":[{"role":"user","content":"\xff"}]}\n').messages.any()


MESSAGES = st.lists(
    st.tuples(
        st.sampled_from(ROLES), st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join) | st.text(max_size=40)
    ),
    min_size=1,
    max_size=6,
)


@given(st.lists(st.tuples(MESSAGES, st.booleans(), st.sampled_from([(",", ":"), (", ", " : ")])), max_size=6))
@settings(deadline=None, max_examples=150)
def test_rows_are_read_encoded_and_identified_as_one_by_one(rows: list[Any]) -> None:
    lines = [
        json.dumps(
            {"messages": [{"role": role, "content": text} for role, text in talk]},
            ensure_ascii=escaped,
            separators=separators,
        ).encode("utf-8", "replace")
        for talk, escaped, separators in rows
    ]
    found = bare.read(b"".join(line + b"\n" for line in lines))
    decode = FastPath(TARGET).many
    expected = [decode([line]) for line in lines]
    read = np.flatnonzero(found.messages)
    known = [Conversation(expected[n][0]) for n in read.tolist()]  # type: ignore[index]  # it is read, so it is good
    assert [talk for talk in talks(found) if talk] == [[(m.role, m.content) for m in talk.messages] for talk in known]
    assert found.encoded.tobytes() == b"".join(encode_row(talk, TARGET) for talk in known)
    said = texts.Texts(found.text, found.ends)
    edges = np.append(0, np.cumsum(found.messages[read]))
    same, asides = identities(said, normal(said), found.roles, edges), sides(normal(said), found.roles, edges)
    data = asides.data.tobytes()
    for number, one in enumerate(map(identify, known)):
        assert (tuple(same.exact[number]), tuple(same.normalised[number])) == (one.exact, one.normalised)
        assert same.prompt[number] == one.prompt
        assert (same.asked[number] if same.answers[number] else None) == one.asked
        assert same.openings[same.opened[number] : same.opened[number + 1]].tolist() == one.openings
        assert same.size[number] == sum(len(message.content or "") for message in known[number].messages)
        for side in (0, 1):
            start, end = asides.ends[2 * number + side : 2 * number + side + 2]
            assert data[start:end].decode().split() == one.sides[side].split()


@given(st.lists(st.tuples(MESSAGES, st.sampled_from(["", "name", "tools", "label", "tool_calls"])), max_size=5))
@settings(deadline=None, max_examples=60)
def test_plain_conversations_among_others_are_identified_as_one_by_one(rows: list[Any]) -> None:
    known = []
    for talk, more in rows:
        messages = [Message(role, text) for role, text in talk]
        if more in {"name", "tool_calls"}:
            setattr(messages[-1], more, "bob" if more == "name" else [{"id": "1", "function": {"name": "f"}}])
        label, tools = "x" if more == "label" else None, [{"type": "function"}] if more == "tools" else None
        known.append(Conversation(messages, tools, label))
    for with_label in (False, True):
        found = identify_all(known, with_label=with_label)
        for one, other in zip(found, (identify(talk, with_label=with_label) for talk in known), strict=True):
            assert [side.split() for side in one.sides] == [side.split() for side in other.sides]
            assert msgspec.structs.replace(one, sides=other.sides) == other


@pytest.mark.parametrize("length", [*range(20), 63, 64, 65, 127, 128, 129, 255, 256, 257, 1000])
def test_digests_of_any_length(length: int) -> None:
    text = "".join(random.Random(length).choices("abcXYZ  ", k=length))
    found = bare.read(msgspec.json.encode({"messages": [{"role": "user", "content": text}]}) + b"\n")
    said = texts.Texts(found.text, found.ends)
    same = identities(said, normal(said), found.roles, np.array([0, 1]))
    one = identify(Conversation([Message("user", text)]))
    assert (tuple(same.exact[0]), tuple(same.normalised[0]), same.prompt[0]) == (one.exact, one.normalised, one.prompt)


def rows_of(rng: random.Random, count: int) -> list[bytes]:
    """Chats with copies, and between them every kind of line."""
    lines: list[bytes] = []
    for number in range(count):
        words = rng.choices(WORDS[:14], k=rng.randrange(1, 30))
        row = chat(" ".join(words), " ".join([*words[::-1], str(number // 2)]))
        if rng.random() < 0.3:
            row["messages"] += chat("And more?", "No.")["messages"]
        lines += [json.dumps(row).encode()] * rng.choice((1, 1, 1, 2))
        if rng.random() < 0.2:
            lines.append(json.dumps({**row, "label": "x", "score": number}).encode())
        if rng.random() < 0.2:
            lines.append(rng.choice([line for line in BAD if line != BAD[2]]))
    return [*lines, json.dumps(chat("the last line", "has no end")).encode()]


@pytest.mark.parametrize("changed", [{}, {"keep": "newest"}, {"keep": "best:score"}, {"match": "normalised"}])
def test_outputs_are_the_same_with_kernels_and_without(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str]
) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(b"\n".join(rows_of(random.Random(1), 300)))
    phi3data.dedup(path, {"dedup": changed}, output=tmp_path / "slow")
    monkeypatch.setattr(texts, "SMALL_TEXT", 0)
    monkeypatch.setattr("phi3data.sources.lines._PIECE", 5_000)
    seen: list[Any] = []

    def examine_bare(*args: Any) -> Any:
        seen.append(engine.examine_bare(*args))
        return seen[-1]

    monkeypatch.setattr("phi3data.engine.local.examine_bare", examine_bare)
    phi3data.dedup(path, {"dedup": changed}, output=tmp_path / "fast", workers=2, shard_bytes=20_000)
    assert len(seen) > 3
    assert None not in seen
    assert digests(tmp_path / "fast") == digests(tmp_path / "slow")


def test_shards_of_other_rows_are_left_to_processes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps({**chat("a b c d e f", f"g {n}"), "id": n}) + "\n" for n in range(50)))
    monkeypatch.setattr(texts, "SMALL_TEXT", 0)
    prepared = phi3data.dedup(path)
    assert (prepared.profile.rows_in, prepared.profile.rows_kept) == (50, 50)


@given(
    st.lists(
        st.binary(max_size=9) | st.sampled_from([b"\xc3\xa9", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"word " * 4]),
        max_size=8,
    )
)
def test_lines_that_are_not_utf_8_are_left(parts: list[bytes]) -> None:
    data = b"\n".join([*parts, GOOD[0]]) + b"\n"
    found = bare.read(data)
    assert found.begins.tolist() == [0, *(place + 1 for place, byte in enumerate(data[:-1]) if byte == 10)]
    try:
        data.decode()
    except UnicodeDecodeError:
        assert not found.messages.any()
    else:
        assert found.messages[-1] == 1


def test_many_conversations_of_many_lengths_are_identified_as_one_by_one() -> None:
    rng = random.Random(3)
    letters = ["a", "B", "\u00e9", "\u4f60", "\U0001f600", "o\u0308", " ", "\n"]
    found = [
        Conversation(
            [
                Message(rng.choice(ROLES), "".join(rng.choices(letters, k=rng.choice([0, 1, 30, 118, 128, 129, 300]))))
                for _ in range(rng.choice([1, 1, 2, 3, 9]))
            ]
        )
        for _ in range(120)
    ]
    one, other = identify_all(found, with_label=False), [identify(talk, with_label=False) for talk in found]
    # An empty message at the end leaves a space, in which there is no word.
    for same, expected in zip(one, other, strict=True):
        assert same == msgspec.structs.replace(expected, sides=same.sides)
        assert [*map(str.rstrip, same.sides)] == [*map(str.rstrip, expected.sides)]


def test_rows_behind_a_line_that_is_too_long_keep_their_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(texts, "SMALL_TEXT", 0)
    monkeypatch.setattr("phi3data.sources.lines.MAX_RECORD", 2_000)
    rows = [json.dumps(chat(f"Question {n}, is it so?", f"Answer {n} it is.")) for n in range(60)]
    rows[20] = json.dumps(chat("Question?", "word " * 999))
    rows.append(rows[3])
    source = tmp_path / "rows.jsonl"
    source.write_text("".join(row + "\n" for row in rows))
    made: list[int] = []

    def counted(*task: Any) -> Any:
        made.append(task[0].index)
        return engine.examine_bare(*task)

    monkeypatch.setattr("phi3data.engine.local.examine_bare", counted)
    found = phi3data.dedup(source, shard_bytes=1_000)
    told = [(row["line"], row["reason"]) for row in found.ledger.to_pylist() if row["action"] == "dropped"]
    assert made
    assert told == [(21, "J212"), (61, "D802")]
