"""Garbage of every format: rows in = rows kept + rows dropped, the same bytes with any number of workers."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import chat
from tests.engine.test_prepare import assert_balanced, digests

import phi3data
from phi3data.sources.formats import FORMATS

TURNS = [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]
# One row of each format that it recognises and converts.
GOOD: dict[str, dict[str, Any]] = {
    "preference": {"prompt": "q", "chosen": "a", "rejected": "b"},
    "kto": {"prompt": "q", "completion": "a", "label": True},
    "bedrock": {
        "system": [{"text": "s"}],
        "messages": [{"role": r, "content": [{"text": r}]} for r in ("user", "assistant")],
    },
    "mistral": {"interactions": [{"role": "user", "text": "q"}, {"role": "assistant", "text": "a"}]},
    "chat": chat("q", "a"),
    "gemini": {"contents": [{"role": r, "parts": [{"text": r}]} for r in ("user", "model")]},
    "sharegpt": {"conversations": TURNS},
    "self-instruct": {"instruction": "q", "instances": [{"input": "1", "output": "a"}, {"input": "2", "output": "b"}]},
    "openorca": {"system_prompt": "s", "question": "q", "response": "a"},
    "dolly": {"instruction": "q", "context": "c", "response": "a", "category": "x"},
    "alpaca": {"instruction": "q", "input": "", "output": "a"},
    "metharme": {"prompt": "q", "generation": "a"},
    "prompt-completion": {"prompt": "q", "completion": "a"},
    "camel": {"message_1": "q", "message_2": "a"},
    "question-answer": {"question": "q", "answer": "a"},
    "baize": {"input": "[|Human|] q [|AI|] a"},
    "rendered": {"text": "<|user|>\nq<|end|>\n<|assistant|>\na<|end|>\n"},
}
VALUE = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=6)
    | st.sampled_from(["user", "model", "nan"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["role", "content", "from", "value", "text", "parts", "output"]), inner, max_size=3
        )
    ),
    max_leaves=6,
)


def test_the_table_of_good_rows_is_complete() -> None:
    assert set(GOOD) == set(FORMATS) - {"plain-text"}


@pytest.mark.parametrize("name", GOOD)
@settings(max_examples=2)
@given(data=st.data())
def test_garbage_of_every_format_is_kept_or_dropped(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("garbage")
    rows = [GOOD[name]]
    for _ in range(data.draw(st.integers(1, 12))):
        row = dict(GOOD[name])
        for field in data.draw(st.lists(st.sampled_from([*GOOD[name], "label", "extra"]), max_size=2)):
            row[field] = data.draw(VALUE)
        rows.append(row)
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    one = phi3data.prepare(path, {"source": {"format": name}}, folder / "one")
    assert_balanced(one)
    entries = one.ledger.to_pylist()
    assert {row["line"] for row in entries} == set(range(1, len(rows) + 1))
    other = phi3data.prepare(path, {"source": {"format": name}}, folder / "other", shard_bytes=100)
    assert digests(one.folder) == digests(other.folder)


@pytest.mark.slow
def test_garbage_of_all_formats_gives_the_same_bytes_with_1_2_and_5_workers(tmp_path: Path) -> None:
    rng = random.Random(4)
    junk = [None, 3, "", "nan", [], {}, [1], {"a": 1}, "\u200b", "ok", True, [{"role": "user"}]]
    paths = []
    for name, good in GOOD.items():
        path = tmp_path / f"{name}.jsonl"
        lines = []
        for _ in range(60):
            row = json.loads(json.dumps(good).replace('"q"', json.dumps(f"q{rng.randrange(40)}")))
            if rng.random() < 0.4:
                row[rng.choice(list(good))] = rng.choice(junk)
            line = json.dumps(row)
            lines.append(line[: rng.randrange(len(line))] if rng.random() < 0.1 else line)
        path.write_text("\n".join(lines))
        paths.append(path)
    found = []
    for workers in (1, 2, 5):
        prepared = phi3data.prepare(paths, output=tmp_path / f"w{workers}", workers=workers, shard_bytes=1500)
        assert_balanced(prepared)
        assert {source.format for source in prepared.profile.sources} == set(GOOD)
        found.append(digests(prepared.folder))
    assert found[0] == found[1] == found[2]


@pytest.mark.slow
def test_a_line_of_300_megabytes_costs_itself_and_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good = "".join(json.dumps(chat(f"q{n}", "a")) + "\n" for n in range(100))
    with path.open("w") as file:
        file.write(good + '{"messages": [{"role": "user", "content": "')
        for _ in range(300):
            file.write("many words " * 95_326)
        file.write('"}]}\n' + good.replace('"q', '"p'))
    code = f"import phi3data; phi3data.prepare({str(path)!r}, output={str(tmp_path / 'out')!r}, workers=1)\n"
    # VmHWM is this program's own peak; getrusage's would be that of whoever started it, where that was larger.
    code += "print(next(line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert int(done.stdout) < 500_000, "KiB of memory"
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert manifest["counts"]["kept"] == 200
    assert manifest["counts"]["dropped"] == 1
    assert (tmp_path / "out" / "dropped.jsonl").stat().st_size > 300e6
    path.unlink()
    (tmp_path / "out" / "dropped.jsonl").unlink()
