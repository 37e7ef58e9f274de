"""Which way a tokenizer is counted follows from its file, and what is not known falls back to its library."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.tokens.test_exact import CONTROLS, SENTENCES, byte_level, llama_like, of_json, ranks_file
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

from phi3data.errors import InputError
from phi3data.tokens.exact import kinds
from phi3data.tokens.exact.counter import ExactCounter
from phi3data.tokens.exact.seams import seams

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TEXTS = [*SENTENCES.splitlines(), "", " ", "<|end|> the <s>", "▁the ▁ x", "你好 " * 9]


def changed(path: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    table = json.loads(path.read_text("utf-8"))
    change(table)
    path.write_text(json.dumps(table, ensure_ascii=False), "utf-8")
    return path


def metaspace(table: dict[str, Any]) -> None:
    table["normalizer"] = None
    table["pre_tokenizer"] = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}


def merge_bytes(table: dict[str, Any]) -> None:
    table["model"]["vocab"]["<0x0A><0x0A>"] = 5000
    table["model"]["merges"].append(["<0x0A>", "<0x0A>"])


def control_with_space(table: dict[str, Any]) -> None:
    table["added_tokens"].append({**table["added_tokens"][-1], "id": 6000, "content": "the money", "normalized": True})


def no_byte(table: dict[str, Any]) -> None:
    table["model"]["vocab"]["<0x0B>?"] = table["model"]["vocab"].pop("<0x0B>")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda table: table.update(normalizer={"type": "NFC"}), "normalises or splits"),
        (lambda table: table.update(pre_tokenizer={"type": "Whitespace"}), "normalises or splits"),
        (metaspace, "normalises or splits"),
        (lambda table: table["model"].update(byte_fallback=False), "no byte fallback"),
        (lambda table: table["model"].update(ignore_merges=True), "ignores merges"),
        (lambda table: table["model"].update(end_of_word_suffix="</w>"), "beginnings or ends"),
        (control_with_space, "contains a space"),
        (merge_bytes, "merges single bytes"),
        (no_byte, "lacks single bytes"),
    ],
)
def test_a_tokenizer_of_characters_that_differs_in_one_field_is_counted_by_its_library(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    counter, library = of_json(changed(llama_like(tmp_path / "t.json"), change))
    assert counter.method.startswith("the library: ")
    assert reason in counter.method
    for controls in (True, False):
        assert counter.count(TEXTS, controls=controls).tolist() == library(TEXTS, controls)
    assert not counter.compiled


def byte_step(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda table: table["pre_tokenizer"]["pretokenizers"][1].update(changes)


def split_step(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda table: table["pre_tokenizer"]["pretokenizers"][0].update(changes)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (byte_step(add_prefix_space=True), "normalises or splits"),
        (byte_step(use_regex=True), "normalises or splits"),
        (split_step(behavior="Removed", invert=False), "normalises or splits"),
        (split_step(behavior="MergedWithNext"), "normalises or splits"),
        (split_step(pattern={"String": " "}), "normalises or splits"),
        (split_step(pattern={"Regex": kinds.CL100K + "|x"}), "a pattern that is not known"),
        (lambda table: table.update(normalizer={"type": "NFC"}), "normalises or splits"),
        (lambda table: table["model"].update(dropout=0.5), "at random"),
    ],
)
def test_a_tokenizer_of_bytes_that_differs_in_one_field_is_counted_by_its_library(
    tmp_path: Path, change: Callable[[dict[str, Any]], None], reason: str
) -> None:
    counter, library = of_json(changed(byte_level(tmp_path / "t.json", kinds.CL100K), change))
    assert counter.method.startswith("the library: ")
    assert reason in counter.method
    if "random" not in reason:
        assert counter.count(TEXTS).tolist() == library(TEXTS, True)


@pytest.mark.parametrize("step", [{"behavior": "Isolated", "invert": False}, {"behavior": "Isolated", "invert": True}])
def test_patterns_may_be_given_in_several_ways(tmp_path: Path, step: dict[str, Any]) -> None:
    counter, library = of_json(changed(byte_level(tmp_path / "t.json", kinds.CL100K), split_step(**step)))
    assert counter.method == "distinct pieces, cut by the tokenizer's own pattern"
    assert counter.count(TEXTS).tolist() == library(TEXTS, True)
    assert counter.compiled


def test_tokens_that_no_merge_gives_matter_only_where_merges_are_ignored(tmp_path: Path) -> None:
    def whole(table: dict[str, Any]) -> None:
        table["model"]["vocab"]["Ġunreachable"] = 9000

    texts = [*TEXTS, "an unreachable token"]
    for ignored in (True, False):
        path = byte_level(tmp_path / "t.json", kinds.CL100K, merges_ignored=ignored)
        counter, library = of_json(path)
        assert counter.count(texts).tolist() == library(texts, True)
        assert counter.compiled
        counter, library = of_json(changed(path, whole))
        assert counter.count(texts).tolist() == library(texts, True)
        assert counter.compiled is not ignored
    assert counter.count(["unreachable"])[0] > 1


def test_merges_may_be_written_as_strings(tmp_path: Path) -> None:
    def as_strings(table: dict[str, Any]) -> None:
        table["model"]["merges"] = [" ".join(pair) for pair in table["model"]["merges"]]

    counter, library = of_json(changed(llama_like(tmp_path / "t.json"), as_strings))
    assert counter.count(TEXTS).tolist() == library(TEXTS, True)
    assert counter.compiled


def test_a_word_piece_tokenizer_is_its_librarys(tmp_path: Path) -> None:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordPieceTrainer(vocab_size=300, special_tokens=["[UNK]"], show_progress=False)
    tokenizer.train_from_iterator([SENTENCES], trainer)
    tokenizer.save(str(tmp_path / "t.json"))
    counter, library = of_json(tmp_path / "t.json")
    assert counter.method == "the library: it is no byte-pair encoding"
    assert counter.count(TEXTS).tolist() == library(TEXTS, True)


def test_control_tokens_count_as_one_or_as_the_text_they_look_like(tmp_path: Path) -> None:
    llama = ExactCounter.from_file(llama_like(tmp_path / "t.json"), small=0)
    assert llama.count(["<|end|>", "<|end|>\n\n", "<|end", "<s></s>"]).tolist()[:2] == [1, 1]  # it swallows white space
    assert llama.count(["<s></s>"])[0] == 2
    assert llama.count(["<|user|>"]).tolist() == [1]
    assert llama.count(["<|user|>"], controls=False)[0] > 1
    path = ranks_file(tmp_path / "r.tiktoken")
    ranks = ExactCounter.from_file(path, {text: 9000 + number for number, text in enumerate(CONTROLS)}, small=0)
    assert ranks.count(["<|end|>", "<|end|>\n\n", "<s></s>"]).tolist() == [1, 2, 2]
    plain = ExactCounter.from_file(path, small=0)
    assert plain.count(["<|end|><s>"]).tolist() == ranks.count(["<|end|><s>"], controls=False).tolist()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.json", "{}"),
        ("t.json", "[]"),
        ("t.json", '{"model": []}'),
        ("t.json", '{"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [["a", "b"]]}}'),
        ("t.json", "{"),
        ("t.tiktoken", "YQ== 0\nYg=="),
        ("t.tiktoken", "YQ== 0"),
    ],
)
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match="is no readable tokenizer"):
        ExactCounter.from_file(tmp_path / name)
    with pytest.raises(InputError, match="is no readable tokenizer"):
        ExactCounter.from_file(tmp_path / f"absent-{name}")


def apart(merges: list[tuple[bytes, bytes]], left: str, right: str) -> bool:
    table = seams(merges)
    return bool(table.apart[int(table.left[ord(left)]) * table.width + int(table.right[ord(right)])])


def test_seams_hold_where_a_half_is_a_character_or_a_part_of_one() -> None:
    one, two, three = "你".encode(), "好".encode(), "吗".encode()
    assert apart([(b"a", b"b")], "你", "好")
    assert not apart([(one, two)], "你", "好")
    assert apart([(one, two)], "好", "你")
    assert not apart([(three + one, two + three)], "你", "好")
    assert apart([(three + one, two + three)], "吗", "你")
    for left in (one[1:], one[2:], one):
        for right in (two[:1], two[:2], two):
            merges = [(left, right)]
            assert not apart(merges, "你", "好")
            assert apart(merges, "你", "a")
            assert apart(merges, "é", "好")
    assert apart([(one[:2], one[2:]), (one[:1], one[1:])], "你", "你")  # a merge inside a character
    assert not apart([(b" ", two[:1])], " ", "好")


def test_more_parts_than_a_class_can_tell_apart_are_never_cut() -> None:
    merges = [(bytes([0x80 + number]), "好".encode()) for number in range(64)]
    assert not any(apart(merges, chr(0x4E00 + number), "好") for number in range(64))
