"""Make a tiny Phi-3 for the demo: the real architecture, random weights, and a small tokenizer trained on sample_data/.

It has 1.2 million parameters and writes the same bytes each time. It knows nothing: what it answers after
`make demo-train`, it has learned there.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from phi3data.family import DEFAULT, model
from phi3data.sources.files import whole
from phi3data.sources.reader import SourceConfig
from phi3train.data.rows import read
from phi3train.offline import go_offline

if TYPE_CHECKING:
    from collections.abc import Iterator

_SAMPLES = Path(__file__).resolve().parents[1] / "sample_data"
_FILES = ("agent_chats.jsonl", "faq.csv", "howto.alpaca.json", "support_chats.sharegpt.json")
_BYTES = [f"<0x{byte:02X}>" for byte in range(256)]
_WORDS = 2048  # of the vocabulary; a real Phi-3 has 32,000
_LETTERS = 400  # single characters; rarer ones are spelled in bytes, as the real tokenizer does it
_SHAPE: dict[str, Any] = {
    "hidden_size": 128,
    "intermediate_size": 256,
    "num_hidden_layers": 4,
    "num_attention_heads": 4,
    "num_key_value_heads": 4,
    "max_position_embeddings": 2048,
    "original_max_position_embeddings": 2048,
    "initializer_range": 0.05,  # of narrow layers: with the usual 0.02 the first steps teach little
}
# How Phi-3's tokenizer writes text again.
DECODER: dict[str, Any] = {
    "type": "Sequence",
    "decoders": [
        {"type": "Replace", "pattern": {"String": "▁"}, "content": " "},
        {"type": "ByteFallback"},
        {"type": "Fuse"},
        {"type": "Strip", "content": " ", "start": 1, "stop": 0},
    ],
}


def make(out: Path, seed: int) -> None:
    """Write config.json, tokenizer and weights into `out`."""
    out.mkdir(parents=True, exist_ok=True)
    table = tokenizer_table()
    ids = {token["content"]: token["id"] for token in table["added_tokens"]}
    _write(out / "tokenizer.json", table)
    end = "<|endoftext|>"
    special = {"bos_token": "<s>", "eos_token": end, "pad_token": end, "unk_token": "<unk>"}
    _write(out / "tokenizer_config.json", {**special, "tokenizer_class": "PreTrainedTokenizerFast"})
    go_offline()
    from transformers import Phi3Config, Phi3ForCausalLM, set_seed

    set_seed(seed)
    settings: Any = Phi3Config(
        vocab_size=64 * (max(ids.values()) // 64 + 1),
        bos_token_id=ids["<s>"],
        eos_token_id=ids[end],
        pad_token_id=ids[end],
        **_SHAPE,
    )
    made: Any = Phi3ForCausalLM
    made(settings).save_pretrained(out)


def tokenizer_table() -> dict[str, Any]:
    """Return a tokenizer.json of Phi-3's kind: BPE over ▁words with byte fallback, and the family's control tokens."""
    made = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    # Only while it is trained: no merge crosses a space or a line's end, and so none needs this afterwards. None
    # joins letters with digits or punctuation, as in the real file: onnxruntime-genai cuts there first.
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(prepend_scheme="always"), pre_tokenizers.Split(Regex(r"\n|\d|[^\w▁]"), "isolated")]
    )
    first = ["<unk>", "<s>"]
    texts = list(_texts())
    # The trainer's own limit takes any of several letters that are equally frequent, another one each time.
    seen = Counter(letter for text in texts for letter in text if not letter.isspace())
    letters = sorted(seen, key=lambda letter: (-seen[letter], letter))[:_LETTERS]
    trainer = trainers.BpeTrainer(
        vocab_size=_WORDS, initial_alphabet=letters, special_tokens=[*first, *_BYTES], show_progress=False
    )
    rare = str.maketrans(dict.fromkeys(seen.keys() - set(letters), "\n"))
    made.train_from_iterator((text.translate(rare) for text in texts), trainer)
    table: dict[str, Any] = json.loads(made.to_str())
    controls = [text for text in model(DEFAULT).vocabulary.controls if text not in first]
    start = 1 + max(table["model"]["vocab"].values())
    table["added_tokens"] = [
        *(_control(text, number, rstrip=False) for number, text in enumerate(first)),
        # As in the real file: white space after a control token is no part of the text.
        *(_control(text, start + number, rstrip=text != "<|endoftext|>") for number, text in enumerate(controls)),
    ]
    table["pre_tokenizer"] = None
    table["normalizer"] = {
        "type": "Sequence",
        "normalizers": [
            {"type": "Prepend", "prepend": "▁"},
            {"type": "Replace", "pattern": {"String": " "}, "content": "▁"},
        ],
    }
    table["decoder"] = DECODER
    return table


def _texts() -> Iterator[str]:
    """Yield what is said in the sample data."""
    for name in _FILES:
        for placed in read(_SAMPLES / name, SourceConfig()):
            # What cannot be read is a finding, and has no messages.
            for message in getattr(placed.conversation, "messages", ()):
                if isinstance(message.content, str):
                    yield message.content


def _control(text: str, id_: int, *, rstrip: bool) -> dict[str, Any]:
    flags = {"single_word": False, "lstrip": False, "rstrip": rstrip, "normalized": False, "special": True}
    return {"id": id_, "content": text, **flags}


def _write(path: Path, value: Any) -> None:
    with whole(path) as file:
        file.write(json.dumps(value, ensure_ascii=False, indent=1).encode())


def main() -> None:
    """Parse the options and write the files."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder to write into")
    parser.add_argument("--seed", type=int, default=0, help="seed of the weights (default: 0)")
    options = parser.parse_args()
    make(options.out, options.seed)


if __name__ == "__main__":
    main()
