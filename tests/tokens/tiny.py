"""Small tokenizers of the two kinds that the family uses, made on the spot, so that tests need no download."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tokenizers import Tokenizer

if TYPE_CHECKING:
    from pathlib import Path

_TEXT = [
    "hello Hello world kind Be kind. Hi Bye bye say See you now no. user assistant",
    "日本 日本語 hello\n\nworld",
] * 3
# (text, id, rstrip): ids need not be those of the real files.
CONTROLS = [
    ("<|endoftext|>", False),
    ("<|assistant|>", True),
    ("<|system|>", True),
    ("<|end|>", True),
    ("<|user|>", True),
    ("<|tool|>", True),
    ("<|/tool|>", True),
    ("</s>", True),
]


def write_tiny(folder: Path, kind: str) -> Path:
    """Write a tokenizer.json like Phi-3's ("llama") or like Phi-4-mini's ("bytes") and return the folder."""
    table = _llama() if kind == "llama" else _bytes()
    first = 1 + max(table["model"]["vocab"].values())
    table["added_tokens"] = [_added(text, id_, rstrip=False) for text, id_ in (("<unk>", 0), ("<s>", 1))]
    table["added_tokens"] += [
        _added(text, first + number, rstrip=rstrip) for number, (text, rstrip) in enumerate(CONTROLS)
    ]
    (folder / "tokenizer.json").write_text(json.dumps(table, ensure_ascii=False), "utf-8")
    Tokenizer.from_file(str(folder / "tokenizer.json"))  # that it is a real one
    return folder


def _added(text: str, id_: int, *, rstrip: bool) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": rstrip, "normalized": False, "special": True}
    return {"id": id_, "content": text, **flags}


def _llama() -> dict[str, Any]:
    """A Llama BPE with byte fallback: no pre-tokenizer, a ▁ before the text and for every space."""
    words = sorted({word for text in _TEXT for word in text.split()})
    vocab = {"<unk>": 0, "<s>": 1} | {f"<0x{byte:02X}>": 2 + byte for byte in range(256)}
    merges: list[str] = []
    for character in sorted({"▁", *"".join(words)}):
        vocab.setdefault(character, len(vocab))
    for left, right in [("▁", "▁"), *((a, b) for word in words for a, b in _pairs("▁" + word))]:
        if left + right not in vocab:
            vocab[left + right] = len(vocab)
            merges.append(f"{left} {right}")
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Prepend", "prepend": "▁"},
                {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
            ],
        },
        "pre_tokenizer": None,
        "post_processor": None,
        "decoder": None,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": "<unk>",
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": True,
            "byte_fallback": True,
            "vocab": vocab,
            "merges": merges,
        },
    }


def _pairs(word: str) -> list[tuple[str, str]]:
    """Return the merges that build a word from the left."""
    return [(word[:end], word[end]) for end in range(1, len(word))]


def _bytes() -> dict[str, Any]:
    """A byte-level BPE, trained on a few words."""
    from tokenizers import decoders, models, pre_tokenizers, trainers

    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320, special_tokens=["<unk>", "<s>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    made.train_from_iterator(_TEXT, trainer)
    table: dict[str, Any] = json.loads(made.to_str())
    return table
