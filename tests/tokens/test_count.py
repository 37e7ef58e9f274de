"""Where the tokenizer comes from, and that its counts are exact."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.conftest import chat

import phi3data
from phi3data import family
from phi3data.tokens.count import load, resolve

MODEL = family.model("phi-3-mini")


@pytest.fixture
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return tmp_path / "hf" / "hub"


def test_without_a_tokenizer_counts_are_estimates(no_cache: Path) -> None:
    ref = resolve(None, MODEL)
    assert ref.estimated
    assert load(ref).count(["Hello world"]) == [2]


def test_the_models_own_tokenizer_is_found_in_the_local_cache(no_cache: Path, shared: Path) -> None:
    root = no_cache / "models--microsoft--Phi-3-mini-4k-instruct"
    snapshot = root / "snapshots" / "abc123"
    snapshot.mkdir(parents=True)
    (root / "refs").mkdir()
    (root / "refs" / "main").write_text("abc123")
    shutil.copy(shared / "tokenizers" / "phi-3-mini" / "tokenizer.json", snapshot)
    for name in (None, "phi-3-mini", "microsoft/Phi-3-mini-4k-instruct"):
        ref = resolve(name, MODEL)
        assert not ref.estimated
        assert ref.revision == "abc123"
    assert resolve(None, family.model("phi-4")).estimated
    prepared = phi3data.prepare([chat("q", "a")])
    assert prepared.manifest["tokenizer"]["revision"] == "abc123"
    assert not prepared.profile.tokens.estimated


def test_a_directory_a_file_and_tiktoken_ranks_are_tokenizers(no_cache: Path, shared: Path) -> None:
    folder = shared / "tokenizers"
    for path in (folder / "phi-3-mini", folder / "phi-3-mini" / "tokenizer.json", folder / "phi-3-medium"):
        assert load(resolve(str(path), MODEL)).count(["Hello world", "", "日本"]) == [2, 0, 3]
    small = load(resolve(str(folder / "phi-3-small"), MODEL))
    assert small.count(["Hello world", "", "<|end|>"]) == [2, 0, 5]


def test_a_tokenizer_that_cannot_be_found_or_read_is_one_sentence(no_cache: Path, tmp_path: Path) -> None:
    with pytest.raises(phi3data.UsageError, match="no such directory"):
        resolve(str(tmp_path / "nowhere"), MODEL)
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(phi3data.InputError, match="is no readable tokenizer"):
        load(resolve(str(tmp_path), MODEL))


def test_rows_count_the_special_tokens_of_the_template(shared: Path) -> None:
    """Phi-3-mini: <|role|> and <|end|> a message, and the final <|endoftext|>: checked with the real template."""
    from tokenizers import Tokenizer

    folder = shared / "tokenizers" / "phi-3-mini"
    rows = [chat("How are you?", "Fine, thanks.\n  - indeed"), chat("你好", "您好！")]
    prepared = phi3data.prepare(rows, {"length": {"tokenizer": str(folder)}, "split": {"enabled": False}})
    real = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for row, entry in zip(rows, prepared.ledger.to_pylist(), strict=True):
        text = "".join(f"<|{m['role']}|>\n{m['content']}<|end|>\n" for m in row["messages"]) + "<|endoftext|>"
        assert entry["tokens"] == len(real.encode(text, add_special_tokens=False).ids)
        answer = row["messages"][1]["content"]
        assert entry["supervised_tokens"] == len(real.encode(answer, add_special_tokens=False).ids) + 2
