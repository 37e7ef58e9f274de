"""Large files are looked at by kernels, and nothing else is found in them than row by row."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.journeys.test_bad_rows import GOOD_LINES, ROWS
from tests.rules.test_screen import texts_of

import phi3data
from phi3data.lint import run
from phi3data.sources import lines as of_lines
from phi3data.sources.open import plan

pytest.importorskip("numba")
SAMPLES = Path(__file__).parents[2] / "sample_data"
BAD = [line for kind, (line, _) in ROWS.items() if kind != "100,000 deep"]
turn = st.builds(
    lambda role, text: {"role": role, "content": text},
    st.sampled_from(["system", "user", "assistant", "user", "assistant"]),
    texts_of.filter(lambda text: text.isprintable() or text < "\ud800")
    | st.sampled_from(["2024-01-02", "nan", "x" * 1200]),
)
row = st.lists(turn, min_size=1, max_size=5).map(
    lambda turns: json.dumps({"messages": turns}, ensure_ascii=False).encode("utf-8", "replace")
)


def found(path: Path, monkeypatch: pytest.MonkeyPatch, *, sieved: bool, size: int | None = None, **options: Any) -> Any:
    with monkeypatch.context() as patch:
        patch.setattr(run, "_SIEVED", 0 if sieved else 2**60)
        patch.setattr(run, "_COMPILED", 0)
        patch.setattr(of_lines, "_PIECE", 3000)
        if size:
            patch.setattr(run, "cut", partial(plan, size=size))
        result = phi3data.check(path, **options)
    return result.rows, result.findings


def same(path: Path, monkeypatch: pytest.MonkeyPatch, size: int | None = None, **options: Any) -> list[Any]:
    rows, findings = found(path, monkeypatch, sieved=False, **options)
    assert found(path, monkeypatch, sieved=True, size=size, **options) == (rows, findings)
    return list(findings)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    lines=st.lists(row | row | row | st.sampled_from(BAD + GOOD_LINES), min_size=1, max_size=12),
    end=st.sampled_from([b"\n", b"", b"\r\n"]),
    size=st.sampled_from([None, 700, 5000]),
)
def test_kernels_find_what_is_found_row_by_row(
    lines: list[bytes], end: bytes, size: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes((b"\r\n" if end == b"\r\n" else b"\n").join(lines) + end)
    try:
        same(path, monkeypatch, size)
    except phi3data.InputError:
        return  # a file that is a table, or no data at all


def test_nothing_is_lost_of_the_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rows.jsonl"
    converted = phi3data.convert([SAMPLES / "support_chats.sharegpt.json", SAMPLES / "howto.alpaca.json"])
    rows = [json.loads(line)["messages"] for line in (converted.folder / "train.jsonl").open("rb")]
    plain = [[{key: turn[key] for key in ("role", "content")} for turn in turns] for turns in rows]
    path.write_text("".join(json.dumps({"messages": turns}, ensure_ascii=False) + "\n" for turns in plain), "utf-8")
    assert len(same(path, monkeypatch)) > 50


@pytest.mark.parametrize(
    "options", [{"model": "phi-3-medium"}, {"target": "openai"}, {"select": "P,T6,R"}, {"select": "L,C501"}]
)
def test_models_targets_and_some_rules(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]
) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"\n".join([*BAD, *GOOD_LINES] * 2) + b"\n")
    same(path, monkeypatch, **options)


def test_what_rows_show_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Dates (S312), system prompts that are almost one (R410), long rows (L701 to L704), all in plain rows."""
    prompt = "You are a kind assistant of the shop. Answer in whole sentences, and never make up a price."

    def line(system: str, answer: str) -> str:
        turns = [("system", system), ("user", "2024-03-01"), ("assistant", answer)]
        return json.dumps({"messages": [{"role": role, "content": text} for role, text in turns]}, ensure_ascii=False)

    lines = [line("2024-01-01", "2024-02-02")] * 3
    path = tmp_path / "dates.jsonl"
    path.write_text("\n".join(lines) + "\n")
    assert "S312" in {item.code for item in same(path, monkeypatch)}
    lines = [line(prompt, "Es sind drei – ja, genau drei.")] * 60
    lines += [
        line(prompt.replace("kind", "kimd"), "Drei."),
        line("Short.", "Ja. " * 9000),
        line("word " * 1900, "Ja."),
    ]
    path = tmp_path / "train.jsonl"
    path.write_text("\n".join(lines), encoding="utf-8")
    codes = {item.code for item in same(path, monkeypatch)}
    assert {"R410", "L701", "L703", "L704", "F106"} <= codes


def test_two_processes_sieve_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "train.jsonl"
    path.write_bytes(b"\n".join(GOOD_LINES * 30 + BAD) + b"\n")
    monkeypatch.setattr(run, "_SIEVED", 0)
    monkeypatch.setattr(run, "_COMPILED", 0)
    monkeypatch.setattr(run, "cut", partial(plan, size=20_000))
    whole = phi3data.check(path)
    assert phi3data.check(path, workers=2).findings == whole.findings
    assert len(whole.findings) > 50
