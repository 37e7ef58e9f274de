"""The model of `make demo-train`: the same each time, and fit for text that it has never seen."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from scripts import make_tiny_model

from phi3data import family
from phi3data.chat import Conversation, Message
from phi3data.tokens import count
from phi3data.tokens.encode import encoder

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

_TEXTS = ["Der Kaffee ist kalt, warum?", "The coffee is cold.\nWhy?", "コーヒーが冷たい 2024"] * 3


def test_the_tokenizer_is_the_same_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """With letters that are equally frequent, of which only some find a place."""
    monkeypatch.setattr(make_tiny_model, "_texts", lambda: iter(_TEXTS))
    monkeypatch.setattr(make_tiny_model, "_LETTERS", 12)
    first = make_tiny_model.tokenizer_table()
    assert all(make_tiny_model.tokenizer_table() == first for _ in range(5))
    assert "冷" not in first["model"]["vocab"]


def test_the_tokenizer_is_of_the_familys_kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_tiny_model, "_texts", lambda: iter(_TEXTS))
    table = make_tiny_model.tokenizer_table()
    (tmp_path / "tokenizer.json").write_text(json.dumps(table), "utf-8")
    (tmp_path / "tokenizer_config.json").write_text('{"bos_token": "<s>", "eos_token": "<|endoftext|>"}', "utf-8")
    profile = family.model(family.DEFAULT)
    reader = encoder(count.resolve(str(tmp_path), profile), profile)
    encoded = reader.encode(Conversation([Message("user", "Warum  日本 😀\n?"), Message("assistant", "Deshalb.")]))
    tokens = {id_: text for text, id_ in table["model"]["vocab"].items()}
    tokens |= {each["id"]: each["content"] for each in table["added_tokens"]}
    spelled = [tokens[id_] for id_ in encoded.ids]
    assert "<unk>" not in spelled
    assert [text for text in spelled if text.startswith("<|")] == [
        *("<|user|>", "<|end|>", "<|assistant|>", "<|end|>", "<|endoftext|>")
    ]


def test_no_token_joins_letters_with_digits_or_punctuation(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in the real file; onnxruntime-genai cuts there before it looks for tokens."""
    monkeypatch.setattr(make_tiny_model, "_texts", lambda: iter(_TEXTS))
    held = make_tiny_model.tokenizer_table()["model"]["vocab"]
    words = [text for text in held if not text.startswith("<") and len(text) > 1]
    assert "▁coffee" in words
    assert all(text.removeprefix("▁").isalpha() for text in words)
