"""Exact counts equal the library's for every text, whichever way a tokenizer is counted."""

from __future__ import annotations

import base64
import json
import random
from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pytest
import tiktoken
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from phi3data.errors import InputError
from phi3data.tokens.exact import blocks, engine, kinds, llama, tables
from phi3data.tokens.exact.counter import ExactCounter

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

SENTENCES = (
    """
The customer's order hasn't arrived, and they'll want their money back; I'd've said we're SORRY.
HelloWorld2024!
def count(texts):\n    return [len(t) for t in texts if t]  # 12345 + 0.5 == 12345.5\n
\n\tfor (int i = 0; i < 10; i++) {}
Größe und Straße, naïve café, Ελληνικά, Здравствуйте, мир! 你好，世界。您好！ こんにちは世界 カタカナ 안녕하세요
สวัสดีชาวโลก नमस्ते مرحبا 'Tis <|end|> said </s> that <b>HTML</b> isn't <s>XML</s>... ------ ====== https://example.com/a/b?c=d&e=f
   \r\n\r\n  done
"""
    * 3
)
CONTROLS = ("<unk>", "<s>", "</s>", "<|end|>", "<|user|>")
FRAGMENTS = (
    *("the", "The", "HELLO", "Hello", "aaa", "z", "a" * 30, "ab" * 20, "don't", "'s", "'S", "'ll", "'Ll", "'vE", "'ſ"),
    *(
        "'re",
        "'",
        "''",
        "’s",
        " ",
        "  ",
        " " * 15,
        " " * 17,
        " " * 40,
        "\n",
        "\n\n",
        "\r\n",
        "\t",
        "\r",
        "\x0b",
        "\x0c",
    ),
    *("\x85", "\xa0", "\u2003", "\u3000", "\u2028", "▁", "▁▁", " ▁", "▁the", "1", "12", "123", "1234", "²", "½", "٣"),
    *(
        "Ⅻ",
        "九",
        "!",
        "...",
        "!!",
        " !",
        "/",
        "//",
        "!/\n",
        "<",
        "<|",
        "<|end",
        "<|end|>",
        "<|end|",
        "|>",
        "<s>",
        "</s>",
    ),
    *("<unk>", "<0x0A>", "<|user|>", " <|end|> ", "é", "e\u0301", "\u0301", "\u0301A", "ǅ", "ǅa", "ß", "ﬆ", "İ", "ʰ"),
    *(
        "ªº",
        "你好",
        "世",
        "𠀀",
        "日本語",
        "カ",
        "ー",
        "한국",
        "สวัสดี",
        "नमस्ते",
        "مرحبا",
        "👍",
        "👩‍👩‍👧",
        "🏳️‍🌈",
        "🏴\U000e0067\U000e007f",
    ),
    *("\u200d", "\ufe0f", "\u200b", "\ufeff", "\ue000", "\U000f0000", "\U0010ffff", "\ufffe", "\uffff", "\ufdd0"),
    *("\u0378", "\U0003ffff", "\U00040000", "\x00", "\x01", "\x7f", "\x80", "ı", "ſ", "K", "Å", "==", "------"),
    *("=" * 70, "0xDEADbeef==", "def f(x):\n    return x\n"),
)
EXTREME = (
    *("", " ", "\n", "a" * 20_000, "ab" * 5_000, "x " * 9_000, " " * 5_000, "\n" * 5_000, "1" * 5_000, "你好" * 3_000),
    *("ก" * 2_000, "é" * 300, "é" * 255, "a" * 255, "a" * 256, "a" * 257, " " + "a" * 256, "👍" * 999, "\x00" * 999),
    *("\U000f0000" * 99, "▁" * 999, "<|end|>" * 99, "".join(map(chr, range(1, 0x3000))), "!" * 999, "Aa" * 999),
    *("A" * 999, base64.b64encode(bytes(range(256)) * 60).decode()),
)
# What the patterns tell apart: cases, marks, digits, apostrophes, blanks, other white space, line ends.
TELLING = "aAsʰ\u0301ǅ1'! \t\n/"
hard = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=12).map("".join)

Reference = tuple["ExactCounter", "Callable[[Sequence[str], bool], list[int]]"]


def alphabet() -> list[str]:
    return sorted(pre_tokenizers.ByteLevel.alphabet())


def mixed(size: int) -> list[str]:
    """Telling characters in any order."""
    rng = random.Random(size)
    return ["".join(rng.choices(TELLING, k=rng.randrange(1, 9))) for _ in range(size)]


def llama_like(path: Path, *, phrases: bool = False) -> Path:
    """A tokenizer of the kind of Phi-3-mini, of 600 tokens; merges go across spaces if it is trained on phrases."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=750, special_tokens=[*CONTROLS[:3], *fallback], show_progress=False)
    words = [*SENTENCES.split(), *("    ",) * 9, "....", "......"]
    tokenizer.train_from_iterator([*SENTENCES.splitlines(), *mixed(2000)] if phrases else words, trainer)
    table = json.loads(tokenizer.to_str())
    size = max(table["model"]["vocab"].values()) + 1
    table["added_tokens"] = [
        {
            "id": table["model"]["vocab"].get(text, size + number),
            "content": text,
            "single_word": False,
            "lstrip": False,
            "rstrip": text.startswith("<|"),
            "normalized": False,
            "special": True,
        }
        for number, text in enumerate(CONTROLS)
    ]
    path.write_text(json.dumps(table, ensure_ascii=False), "utf-8")
    return path


def byte_level(path: Path, pattern: str, *, merges_ignored: bool = False) -> Path:
    """A tokenizer of the kind of GPT-2 and Phi-4-mini, of 1,200 tokens.

    Trained without the pattern: what the pattern keeps apart could be merged, so that a wrong cut shows in the count.
    """
    tokenizer = Tokenizer(models.BPE(ignore_merges=merges_ignored))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    trainer = trainers.BpeTrainer(vocab_size=1200, initial_alphabet=alphabet(), show_progress=False)
    tokenizer.train_from_iterator([*SENTENCES.split(" "), *mixed(5000)], trainer)
    if pattern == kinds.GPT2:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    else:
        split = pre_tokenizers.Split(Regex(pattern), "removed", invert=True)
        last = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, last])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens(list(CONTROLS))
    tokenizer.save(str(path))
    return path


def ranks_file(path: Path) -> Path:
    """The ranks of a byte-level tokenizer as a .tiktoken file."""
    table = json.loads(byte_level(path.with_suffix(".json"), kinds.CL100K).read_text("utf-8"))
    byte = {character: number for number, character in enumerate(kinds.alphabet())}
    tokens = sorted(table["model"]["vocab"], key=table["model"]["vocab"].__getitem__)
    lines = [f"{base64.b64encode(bytes(byte[c] for c in token)).decode()} {rank}" for rank, token in enumerate(tokens)]
    path.write_text("\n".join(lines), "ascii")
    return path


def of_json(path: Path) -> Reference:
    table = json.loads(path.read_text("utf-8"))
    known = Tokenizer.from_file(str(path))
    plain = Tokenizer.from_str(json.dumps({**table, "added_tokens": []}))

    def count(texts: Sequence[str], controls: bool) -> list[int]:
        found = (known if controls else plain).encode_batch_fast(list(texts), add_special_tokens=False)
        return [len(each.ids) for each in found]

    return ExactCounter.from_file(path, small=0), count


def of_ranks(path: Path, pattern: str = kinds.CL100K) -> Reference:
    ranks = {base64.b64decode(a): int(b) for a, b in map(bytes.split, path.read_bytes().splitlines())}
    special = {text: len(ranks) + 5 + number for number, text in enumerate(CONTROLS)}
    encoding = tiktoken.Encoding("test", pat_str=pattern, mergeable_ranks=ranks, special_tokens=special)

    def count(texts: Sequence[str], controls: bool) -> list[int]:
        if controls:
            return [len(encoding.encode(text, allowed_special="all")) for text in texts]
        return [len(encoding.encode_ordinary(text)) for text in texts]

    return ExactCounter.from_file(path, special, pattern=pattern, small=0), count


MADE = ("llama", "phrases", "gpt2", "cl100k", "qwen2", "o200k", "ranks")
PATTERNS = {"gpt2": kinds.GPT2, "cl100k": kinds.CL100K, "qwen2": kinds.QWEN2, "o200k": kinds.O200K}
REAL = ("phi-3-mini/tokenizer.json", "phi-3-medium/tokenizer.json", "phi-3-small/cl100k_base.tiktoken")


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Reference]:
    folder = tmp_path_factory.mktemp("tokenizers")
    found = {name: of_json(byte_level(folder / f"{name}.json", pattern)) for name, pattern in PATTERNS.items()}
    found["llama"] = of_json(llama_like(folder / "llama.json"))
    found["phrases"] = of_json(llama_like(folder / "phrases.json", phrases=True))
    found["ranks"] = of_ranks(ranks_file(folder / "ranks.tiktoken"))
    return found


@pytest.fixture(scope="module")
def real(shared: Path) -> dict[str, Reference]:
    paths = {name: shared / "tokenizers" / name for name in REAL}
    return {name: (of_json if path.suffix == ".json" else of_ranks)(path) for name, path in paths.items()}


def check(reference: Reference, texts: Sequence[str]) -> None:
    counter, library = reference
    assert not counter.method.startswith("the library")
    for controls in (True, False):
        found, expected = counter.count(texts, controls=controls).tolist(), library(texts, controls)
        wrong = [text for text, a, b in zip(texts, found, expected, strict=True) if a != b]
        assert not wrong, f"{len(wrong)} texts, controls={controls}: {min(wrong, key=len)[:80]!r}"


@pytest.mark.parametrize("name", MADE)
@given(texts=st.lists(hard, max_size=8))
def test_made_tokenizers_count_any_text_as_the_library_does(
    references: dict[str, Reference], name: str, texts: list[str]
) -> None:
    check(references[name], texts)


@pytest.mark.parametrize("name", MADE)
def test_made_tokenizers_count_extreme_texts_and_pairs_of_fragments(
    references: dict[str, Reference], name: str
) -> None:
    check(references[name], [*EXTREME, *map("".join, product(FRAGMENTS, repeat=2))])


@pytest.mark.parametrize("name", MADE)
def test_made_tokenizers_count_all_short_texts_of_telling_characters(
    references: dict[str, Reference], name: str
) -> None:
    check(references[name], ["".join(text) for size in range(5) for text in product(TELLING, repeat=size)])


@pytest.mark.parametrize("name", REAL)
@given(texts=st.lists(hard, max_size=8))
def test_real_tokenizers_count_any_text_as_the_library_does(
    real: dict[str, Reference], name: str, texts: list[str]
) -> None:
    check(real[name], texts)


@pytest.mark.slow
@pytest.mark.parametrize("name", REAL)
def test_real_tokenizers_count_extreme_texts_and_all_real_rows(
    real: dict[str, Reference], name: str, shared: Path
) -> None:
    rows: list[str] = []
    for path in sorted((shared / "data").iterdir()):
        text = path.read_text("utf-8")
        rows += strings(
            [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)
        )
    check(real[name], [*EXTREME, *map("".join, product(FRAGMENTS, repeat=2)), *rows])


def strings(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for each in inner for text in strings(each)]


@pytest.mark.parametrize("name", MADE)
def test_tables_that_are_full_all_the_time_change_nothing(
    references: dict[str, Reference], name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tables, "SLOTS", 16)
    monkeypatch.setattr(tables, "ARENA", 0)
    monkeypatch.setattr(engine, "PIECES", 64)
    monkeypatch.setattr(llama, "PLACES", 50)
    monkeypatch.setattr(blocks, "BLOCK", 200)
    counter, library = made_anew(tmp_path, name)
    alike = [
        word
        for _ in range(3)
        for size in range(1, 40)
        for word in ("a" * size, "a" * (size - 1) + "b", "b" + "a" * size)
    ]
    texts = [*SENTENCES.splitlines(), *FRAGMENTS, SENTENCES, *EXTREME, SENTENCES[:3000], *alike, " ".join(alike)]
    check((counter, library), texts)
    assert counter.cache_cleared > 10
    assert references[name][0].cache_cleared == 0


def made_anew(folder: Path, name: str) -> Reference:
    if name in ("llama", "phrases"):
        return of_json(llama_like(folder / "llama.json", phrases=name == "phrases"))
    if name == "ranks":
        return of_ranks(ranks_file(folder / "ranks.tiktoken"))
    return of_json(byte_level(folder / "bytes.json", PATTERNS[name]))


@pytest.mark.parametrize("name", MADE)
def test_arrow_arrays_are_counted_as_lists_are(references: dict[str, Reference], name: str) -> None:
    counter, _ = references[name]
    texts = ["", *FRAGMENTS, SENTENCES, "", "end"]
    expected = counter.count(texts)
    chunked = pa.chunked_array([texts[:7], [], texts[7:]], pa.string())
    arrays = [pa.array(texts, kind) for kind in (pa.string(), pa.large_string(), pa.string_view())]
    for array in (*arrays, arrays[0].dictionary_encode(), chunked, pa.array(["cut off", *texts, "too"])[1:-1]):
        assert counter.count(array).tolist() == expected.tolist()
    assert counter.count(pa.array([None, "a", None, "a"])).tolist() == [0, *counter.count(["a"]).tolist(), 0, 1]
    assert counter.count(pa.array([], pa.string())).shape == (0,)
    assert counter.count([]).dtype == np.int64


@pytest.mark.parametrize("small", [0, 1 << 20])
def test_what_cannot_be_utf8_is_refused_with_its_place(tmp_path: Path, small: int) -> None:
    counter = ExactCounter.from_file(llama_like(tmp_path / "t.json"), small=small)
    with pytest.raises(InputError, match=r"text 2: character 4 is half of a surrogate pair \(U\+D83D\)"):
        counter.count(["a", "bb", "ccc\ud83d"])
    with pytest.raises(InputError, match="an Arrow array of int64 has no texts"):
        counter.count(pa.array([1]))
    broken = pa.StringArray.from_buffers(1, pa.py_buffer(np.array([0, 2], np.int32)), pa.py_buffer(b"a\xff"))
    with pytest.raises(InputError, match="are no UTF-8"):
        counter.count(broken)


def test_small_jobs_are_left_to_the_library(tmp_path: Path) -> None:
    counter = ExactCounter.from_file(llama_like(tmp_path / "t.json"), small=100)
    first = counter.count(["the order " * 9])
    assert not counter.compiled
    second = counter.count(pa.array(["the order " * 9]))
    assert counter.compiled
    assert first.tolist() == second.tolist()


def test_truncation_and_padding_of_a_file_do_not_change_counts(tmp_path: Path) -> None:
    path = llama_like(tmp_path / "t.json")
    expected = ExactCounter.from_file(path, small=0).count(["the order " * 9])
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=9)
    tokenizer.save(str(path))
    for small in (0, 1000):
        assert ExactCounter.from_file(path, small=small).count(["the order " * 9]).tolist() == expected.tolist()
