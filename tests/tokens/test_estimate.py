from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from string import ascii_lowercase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data.tokens import estimate_tables
from phi3data.tokens.estimate import estimate, forget

SHARED = Path(__file__).parents[2] / "../shared"
DATA_SETS = [
    "alpaca_zh_demo.json",
    "dpo_en_demo.json",
    "foundry_phi3_sample.train.jsonl",
    "foundry_phi3_sample.validation.jsonl",
    "glaive_toolcall.sharegpt.json",
    "gpteacher_codegen.alpaca.json",
    "gpteacher_roleplay.alpaca.json",
    "gsm8k_train.qa.jsonl",
    "identity.placeholders.json",
]
# Every class of characters that costs differently, and the borders between them.
alphabet = st.sampled_from(list(" \n\r\tabeéthzqATHZÉ019.,()_-=>яъЯщ中龘あガ한뷁ما─😀\xa0\u3000\ud800ο"))
texts = st.one_of(st.text(alphabet, max_size=60), st.text(max_size=60))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        # Exact in the Phi-3-mini tokenizer as well.
        ("", 0),
        ("a", 1),
        (" ", 1),
        ("  ", 1),
        ("the ", 2),
        ("the\n", 2),
        ("\n", 2),  # ▁ and the newline
        ("\nThe", 3),
        ("12345", 6),  # ▁ and each digit
        ("a 1", 3),
        ("a  1", 3),  # both spaces are one token
        ("a    b", 3),
        ("x" + " " * 17 + "y", 3),  # 16 spaces are one token
        ("x" + " " * 18 + "y", 4),
        (" " * 20, 2),
        ("\t\tthe", 4),
        ("中", 2),
        ("你好，世界。", 7),
        ("龘", 4),  # ▁ and three bytes
        ("😀", 5),
        ("안녕하세요 감사합니다", 16),
        ("مرحبا بكم", 10),
        ("ال", 1),
        ("────", 2),
        ("├──", 2),
        ("ありがとうございます", 13),
        ("(", 1),
        ("a();", 2),
    ],
)
def test_simple_texts_are_exact(text: str, tokens: int) -> None:
    assert estimate([text]) == [tokens]


def test_one_number_per_text() -> None:
    assert estimate([]) == []
    assert estimate(["", "a", ""]) == [0, 1, 0]


@given(texts)
def test_zero_only_for_the_empty_text(text: str) -> None:
    (count,) = estimate([text])
    assert (count > 0) == bool(text)


@given(texts)
def test_at_most_a_token_per_byte_and_the_prefix(text: str) -> None:
    # A fitted word may cost a little more than its letters.
    assert estimate([text])[0] <= 2 * len(text.encode("utf-8", "surrogatepass")) + 1


@given(texts, texts)
def test_appending_never_lowers_by_more_than_two(text: str, more: str) -> None:
    # The tokenizer does it as well: "informatio" is two tokens and "information" one.
    before, after = estimate([text, text + more])
    assert after >= before - 2


def test_cheap_pairs_of_letters_never_eat_up_dear_ones() -> None:
    dear = "tvtvtvtv"
    pairs = [first + second for first in ascii_lowercase for second in ascii_lowercase]
    (floor,) = estimate([dear])
    assert floor > 3
    assert [
        pair
        for pair, count in zip(pairs, estimate([dear + pair * 6 for pair in pairs]), strict=True)
        if count < floor - 1
    ] == []


def test_a_listed_word_is_at_most_three_tokens_below_its_beginnings() -> None:
    words = [word for line in estimate_tables.WORDS for word in line.split()]
    beginnings = [(word[:end], word) for word in words for end in range(1, len(word))]
    assert len(words) > 100
    lowered = [(a, b) for a, b in beginnings if estimate([b])[0] < estimate([a])[0] - 3]
    assert lowered == []


@given(st.lists(texts, max_size=8))
def test_order_company_and_cache_do_not_matter(rows: list[str]) -> None:
    together = estimate(rows)
    backwards = estimate(rows[::-1])[::-1]
    alone = []
    for row in rows:
        forget()
        alone += estimate([row])
    assert together == backwards == alone


def test_a_full_cache_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [f"word{chr(97 + n % 26)}{chr(97 + n // 26)} again" for n in range(400)]
    forget()
    expected = estimate(rows)
    monkeypatch.setattr(import_module("phi3data.tokens.estimate"), "_CACHE_SIZE", 3)
    forget()
    assert estimate(rows) == expected


def strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else []
    return [text for item in items for text in strings(item)]


@pytest.mark.parametrize("name", DATA_SETS)
def test_total_is_within_five_percent(name: str) -> None:
    source, directory = SHARED / "data" / name, SHARED / "tokenizers/phi-3-mini"
    if not source.is_file() or not directory.is_dir():
        pytest.skip("needs ../shared/data and ../shared/tokenizers/phi-3-mini")
    tokenizers = pytest.importorskip("tokenizers")
    tokenizer = tokenizers.Tokenizer.from_file(str(directory / "tokenizer.json"))
    content = source.read_text(encoding="utf-8")
    rows = json.loads(content) if source.suffix == ".json" else [json.loads(line) for line in content.splitlines()]
    every_text = strings(rows)
    exact = sum(len(e.ids) for e in tokenizer.encode_batch_fast(every_text, add_special_tokens=False))
    assert sum(estimate(every_text)) == pytest.approx(exact, rel=0.05)
