"""A tiny Phi-3 of the real architecture with random weights and a small tokenizer, made on the spot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec

from phi3train import settings
from phi3train.config import Config
from tests.tokens.tiny import write_tiny

CHATS = {
    "Hello?": "Hello world",
    "Say bye": "Bye bye",
    "Be kind": "kind kind",
    "Hi you": "See you now",
    "no user": "no no no",
    "日本?": "日本語",
    "See you": "Bye",
    "say no": "say kind",
    "Hello world": "Hi Hi",
    "Be Hi": "Be no",
}
QUESTIONS, ANSWERS = list(CHATS), list(CHATS.values())


def write_model(folder: Path, *, weights: bool = True, tokenizer: Path | None = None, **changes: Any) -> Path:
    """Write config.json, tokenizer (a small one, or that of a folder) and weights of a model of two layers."""
    folder.mkdir(parents=True, exist_ok=True)
    if tokenizer is None:
        write_tiny(folder, "llama")
        special = {"bos_token": "<s>", "eos_token": "<|endoftext|>", "pad_token": "<|endoftext|>", "unk_token": "<unk>"}
        about = json.dumps({**special, "tokenizer_class": "PreTrainedTokenizerFast"})
        (folder / "tokenizer_config.json").write_text(about, "utf-8")
    for file in tokenizer.iterdir() if tokenizer else ():
        (folder / file.name).write_bytes(file.read_bytes())
    table = json.loads((folder / "tokenizer.json").read_text("utf-8"))
    ids = {token["content"]: token["id"] for token in table["added_tokens"]}
    config = {
        "model_type": "phi3",
        "architectures": ["Phi3ForCausalLM"],
        "vocab_size": 64 * (max(ids.values()) // 64 + 1),
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "original_max_position_embeddings": 512,
        "bos_token_id": ids["<s>"],
        "eos_token_id": ids["<|endoftext|>"],
        "pad_token_id": ids["<|endoftext|>"],
        **changes,
    }
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    if weights:
        import torch
        from transformers import Phi3Config, Phi3ForCausalLM

        torch.manual_seed(0)
        Phi3ForCausalLM(Phi3Config.from_pretrained(folder)).save_pretrained(folder)
    return folder


def longrope(window: int = 32, context: int = 512) -> dict[str, Any]:
    """Return the changes that make the tiny model one of the LongRoPE kind."""
    rope = {"rope_type": "longrope", "short_factor": [1.0] * 8, "long_factor": [4.0] * 8, "rope_theta": 10000.0}
    return {
        "rope_parameters": rope,
        "original_max_position_embeddings": window,
        "max_position_embeddings": context,
    }


def write_chats(path: Path, number: int = 40, turns: int = 1) -> Path:
    """Write chats of different lengths as JSON lines."""
    lines = []
    for index in range(number):
        messages = []
        for turn in range(1 + (index % turns)):
            at = index + turn
            messages.append({"role": "user", "content": QUESTIONS[at % 10] + " now" * (at // 10 % 7)})
            messages.append({"role": "assistant", "content": ANSWERS[at % 10]})
        lines.append(json.dumps({"messages": messages}, ensure_ascii=False))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def config(model: Path, data: Path, output: Path, **values: Any) -> Config:
    """Return a configuration for the tiny model; further keys are dotted, with __ for the dot."""
    table = {
        "model.path": str(model),
        "data.train": str(data),
        "output": str(output),
        **{key.replace("__", "."): value for key, value in values.items()},
    }
    return settings.load(None, table)


def table(made: Config) -> dict[str, Any]:
    """Return a configuration as plain data."""
    found: dict[str, Any] = msgspec.to_builtins(made)
    return found
