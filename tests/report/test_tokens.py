"""The arithmetic of `phi3data tokens`, against numpy and against the masks themselves; and what the terminal shows."""

from __future__ import annotations

import io
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tests.conftest import chat
from tests.tokens.tiny import write_tiny

from phi3data import family
from phi3data.chat import Conversation, Message
from phi3data.engine.recipe import load
from phi3data.engine.tokens import LIMITS, Losses, tally
from phi3data.family.template import TemplateError
from phi3data.report.tokens import LAST, PERCENTS, TokenReport, cost, histogram, percentiles, report, shown
from phi3data.report.tokens_terminal import folded, joined, render, short
from phi3data.sources.inputs import find
from phi3data.tokens import count
from phi3data.tokens.encode import encoder
from phi3data.tokens.lengths import Length, Lengths, runs

if TYPE_CHECKING:
    from collections.abc import Sequence

lengths = st.lists(st.one_of(st.integers(0, 200), st.integers(0, 200_000)), min_size=1, max_size=300)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return {kind: str(write_tiny(tmp_path_factory.mktemp(kind), kind)) for kind in ("llama", "bytes")}


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


# --- positions -----------------------------------------------------------------------------------------------------

word = st.sampled_from(
    ["hello", "Hello world", " ", "\n", "\n\n", "日本", "<|end|>", "<|user|>", "see you now", "x" * 9]
)
turn = st.builds(
    Message,
    st.sampled_from(["system", "user", "assistant", "assistant", "tool"]),
    st.lists(word, max_size=6).map("".join),
    weight=st.sampled_from([None, None, 0, 1]),
)
rows = st.lists(st.builds(Conversation, st.lists(turn, max_size=6)), min_size=1, max_size=4)
loss_on = st.sampled_from(["assistant", "last", "all"])
MODELS = [("llama", "phi-3-mini"), ("llama", "phi-3-medium"), ("llama", "phi-3.5-mini"), ("bytes", "phi-4-mini")]


@cache
def placer(tokenizer: str, model: str) -> tuple[Lengths, Any]:
    profile = family.model(model)
    ref = count.resolve(tokenizer, profile)
    one = encoder(ref, profile)
    return Lengths(count.load(ref), one.template, one.vocabulary.controls, one), one


def assert_positions(tokenizer: str, model: str, conversations: list[Conversation], on: Any) -> None:
    positions, one = placer(tokenizer, model)
    placed = positions.of(conversations, on)
    for conversation, row in zip(conversations, placed, strict=True):
        mask = one.encode(conversation, loss_on=on).mask
        assert (row.total, row.spans) == (len(mask), runs(mask))
        assert row.supervised == sum(mask)


@pytest.mark.parametrize(("kind", "model"), [*MODELS, ("bytes", "phi-4-mini-reasoning")])
@given(conversations=rows, on=loss_on)
def test_positions_are_those_of_the_mask(
    kind: str, model: str, conversations: list[Conversation], on: Any, tiny: dict[str, str]
) -> None:
    assert_positions(tiny[kind], model, conversations, on)


@given(conversations=rows, on=loss_on)
def test_positions_with_the_real_phi_3_small(conversations: list[Conversation], on: Any, shared: Path) -> None:
    """Its control tokens keep white space, so that words and template share tokens and spans have gaps."""
    assert_positions(str(shared / "tokenizers" / "phi-3-small"), "phi-3-small", conversations, on)


def test_a_template_without_control_tokens_shares_texts_among_turns(tiny: dict[str, str], tmp_path: Path) -> None:
    refuse = "{% if m.role == 'tool' %}{{ raise_exception('no tools') }}{% endif %}"
    template = "{% for m in messages %}" + refuse + "{{ m.role }}: {{ m.content }}\n{% endfor %}"
    (tmp_path / "tokenizer.json").write_bytes((Path(tiny["bytes"]) / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_bytes(msgspec.json.encode({"chat_template": template}))
    turns = [Message(role, "hello world") for role in ("user", "assistant", "user")]
    assert_positions(str(tmp_path), "phi-4-mini", [Conversation(turns)], "assistant")
    positions, one = placer(str(tmp_path), "phi-4-mini")
    unrenderable = Conversation([*turns, Message("tool", "hello")])
    with pytest.raises(TemplateError):
        one.encode(unrenderable)
    (row,) = positions.of([unrenderable])
    assert 0 < row.supervised < row.total


@given(conversations=rows, on=loss_on)
def test_estimated_positions_are_in_order_and_inside_the_row(conversations: list[Conversation], on: Any) -> None:
    model = family.model("phi-3-mini")
    ref = count.resolve(None, model)
    parts = (count.load(ref), count.template_of(ref), count.controls_for(ref, model))
    for row in Lengths(*parts).of(conversations, on):
        assert 0 <= row.supervised <= row.total
        ends = [0, *(end for span in row.spans for end in span), row.total]
        assert ends == sorted(ends)


# --- losses --------------------------------------------------------------------------------------------------------


@given(masks=st.lists(st.lists(st.booleans(), max_size=40), max_size=8), limits=st.sets(st.integers(1, 45), min_size=1))
def test_losses_per_limit_are_those_of_cutting_the_masks(masks: list[list[bool]], limits: set[int]) -> None:
    ascending = sorted(limits)
    halves = [Losses([0] * len(limits), [0] * len(limits)) for _ in range(2)]
    for number, mask in enumerate(masks):
        halves[number % 2].add(Length(len(mask), runs(mask)), ascending)
    halves[0].merge(halves[1])
    assert halves[0].supervised == [sum(sum(mask[limit:]) for mask in masks) for limit in ascending]
    assert halves[0].answers == [sum(any(mask) and not any(mask[:limit]) for mask in masks) for limit in ascending]


def test_the_table_of_limits_is_that_of_cutting_the_encoded_rows(tiny: dict[str, str], jsonl: Any) -> None:
    words = "hello see you now world "
    path = jsonl([chat(words * (n % 7), words * (n % 11)) for n in range(60)] + [chat("hello " * 900, "bye")])
    limits = (1, 7, 30, 64, 511, 512)
    found = make(path, tiny["llama"], limits)
    profile = family.model("phi-3-mini")
    one = encoder(count.resolve(tiny["llama"], profile), profile)
    masks = []
    for line in path.read_text().splitlines():
        turns = [Message(**each) for each in msgspec.json.decode(line)["messages"]]
        masks.append(one.encode(Conversation(turns)).mask)
    assert {limit.limit for limit in found.limits} >= {*limits, 4096}
    for limit in found.limits:
        at = limit.limit
        over = [mask for mask in masks if len(mask) > at]
        assert limit.rows_over == len(over)
        assert limit.tokens_lost == sum(len(mask[at:]) for mask in masks)
        assert limit.supervised_lost == sum(sum(mask[at:]) for mask in masks)
        assert limit.answers_lost == sum(not any(mask[:at]) for mask in over)
        assert limit.tokens_lost_if_dropped == sum(map(len, over))
        assert limit.supervised_lost_if_dropped == sum(map(sum, over))
        assert limit.packed_sequences == np.ceil(sum(len(mask[:at]) for mask in masks) / at)
    assert any(limit.answers_lost for limit in found.limits if limit.limit == 512)
    assert found.tokens == sum(map(len, masks))
    assert found.supervised == sum(map(sum, masks))
    assert [(row.line, row.tokens) for row in found.longest] == sorted(
        [(line, len(mask)) for line, mask in enumerate(masks, start=1)], key=lambda row: -row[1]
    )[:5]


@pytest.mark.parametrize("limit", [2**31 - 1, 2**31, 3_000_000_000, 10**30])
def test_a_limit_of_any_size(limit: int, jsonl: Any) -> None:
    found = make(jsonl([chat("hello " * 900, "bye")]), limits=(limit,))
    found.longest[0].path = "r.jsonl"
    assert max(map(len, text(found).splitlines())) <= 80
    last = found.limits[-1]
    assert (last.limit, last.rows_over, last.tokens_lost, last.packed_sequences) == (limit, 0, 0, 1)


# --- rows that the template cannot render --------------------------------------------------------------------------

CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLING = {"messages": [{"role": "user", "content": "hello"}, {"role": "assistant", "tool_calls": [CALL]}]}


def test_rows_that_cannot_be_rendered_are_told(tiny: dict[str, str], jsonl: Any) -> None:
    path = jsonl([chat("hello", "bye"), CALLING, chat("hello", "bye"), CALLING])
    found = make(path, tiny["llama"])
    (file,) = found.files
    assert (found.rows, found.unreadable, found.unrenderable, file.unrenderable) == (4, 0, 2, 2)
    assert (file.first_unrenderable_line, file.first_unrenderable_record) == (2, 2)
    assert file.first_unrenderable_reason == "the chat template fails: content is null, no text"
    said = text(found)
    assert f"warning: {path}: 2 rows cannot be rendered:\n" in said
    assert "  training stops there; here they are counted by their words alone\n" in said
    assert "  the first, in line 2: the chat template fails: content is null, no text (T605)\n" in said
    plain = make(jsonl([chat("hello", "bye")]), tiny["llama"])
    assert (plain.unrenderable, plain.files[0].first_unrenderable_line) == (0, None)
    assert "render" not in text(plain)


def test_a_tokenizers_own_template_that_fails_is_told(tiny: dict[str, str], tmp_path: Path, jsonl: Any) -> None:
    refuse = "{% if m.content == 'bad' %}{{ raise_exception('no') }}{% endif %}"
    template = "{% for m in messages %}" + refuse + "{{ m.role }}: {{ m.content }}\n{% endfor %}"
    (tmp_path / "tokenizer.json").write_bytes((Path(tiny["bytes"]) / "tokenizer.json").read_bytes())
    (tmp_path / "tokenizer_config.json").write_bytes(msgspec.json.encode({"chat_template": template}))
    found = make(jsonl([chat("hello", "bye"), chat("hello", "bye"), chat("bad", "bye")]), str(tmp_path))
    assert (found.rows, found.unrenderable, found.files[0].first_unrenderable_line) == (3, 1, 3)


# --- percentiles and bins ------------------------------------------------------------------------------------------


@given(lengths)
def test_percentiles_are_by_nearest_rank(values: list[int]) -> None:
    found = percentiles(np.sort(np.array(values, np.int32)))
    for percent in PERCENTS:
        assert getattr(found, f"p{percent}") == np.percentile(values, percent, method="inverted_cdf")
    assert found.max == max(values)
    assert found.mean == sum(values) / len(values)


@given(lengths)
def test_bins_hold_every_row_once(values: list[int]) -> None:
    bins = histogram(np.sort(np.array(values, np.int32)))
    for each in bins:
        assert each.rows == sum(each.first <= value <= each.last for value in values)
        assert each.cumulative == sum(value <= each.last for value in values) / len(values)
    assert sum(each.rows for each in bins) == len(values)
    assert bins[0].rows
    assert bins[-1].rows
    assert all(after.first == before.last + 1 for before, after in pairwise(bins))
    for fewer in (folded(bins), joined(bins, 4096), joined(folded(bins), 4096)):
        assert sum(each.rows for each in fewer) == len(values)
        assert all(each.rows == sum(each.first <= value <= each.last for value in values) for each in fewer)
        assert all(after.first == before.last + 1 for before, after in pairwise(fewer))
        assert not [each for each in fewer if each.first <= 4096 < each.last]


def test_contexts_and_limits_never_cut_a_bin() -> None:
    assert {model.context for model in family.MODELS.values()} <= set(LAST)
    assert set(LIMITS) <= set(LAST)


def test_limits_go_up_to_the_first_that_loses_nothing() -> None:
    assert shown(300, 4096, ()) == [512, 4096]
    assert shown(512, 4096, ()) == [512, 4096]
    assert shown(513, 4096, (300,)) == [300, 512, 1024, 4096]
    assert shown(5000, 4096, (4096,)) == [512, 1024, 2048, 4096, 8192]
    assert shown(2**25, 4096, ()) == list(LIMITS)
    assert shown(0, 131072, ()) == [131072]


def test_the_cost_is_that_of_all_tokens() -> None:
    found = cost(1_500_000, 2, 4.0, 1.5, 1000)
    assert (found.trained_tokens, found.cost) == (3_000_000, 12.0)
    assert found.hours == pytest.approx(3000 / 3600)
    assert found.cost_by_the_hour == pytest.approx(1.25)
    nothing = cost(10, 0.5, None, None, None)
    assert (nothing.trained_tokens, nothing.cost, nothing.hours, nothing.cost_by_the_hour) == (5, None, None, None)


# --- the terminal --------------------------------------------------------------------------------------------------


def make(path: Path, tokenizer: str | None = None, limits: Sequence[int] = (), **options: Any) -> TokenReport:
    model = options.pop("model", "phi-3-mini")
    recipe = load(None, {"model": model} | ({"length.tokenizer": tokenizer} if tokenizer else {}))
    return report(tally(find(str(path)), recipe, limits=limits), limits=limits, **options)


def text(found: TokenReport, encoding: str = "utf-8") -> str:
    out = io.StringIO()
    console = Console(file=out, width=80, markup=False, emoji=False, highlight=False)
    console.print(render(found, encoding=encoding), soft_wrap=True)
    return out.getvalue()


GOLDEN = """\
43 rows, 5,000 tokens, 1,573 of them supervised (31.5%)
exact: tokenizer TINY
chat template phi-3; loss on every assistant turn
warning: 1 row without a supervised token: nothing is learnt there

Tokens per row
       tokens  rows    cum.
         0–16     3    7.0%  ███████████▊
        17–24     2   11.6%  ███████▉
        25–32     2   16.3%  ███████▉
        33–48     4   25.6%  ███████████████▊
        49–64     8   44.2%  ███████████████████████████████▍
        65–96    13   74.4%  ███████████████████████████████████████████████████
       97–128     9   95.3%  ███████████████████████████████████▎
      129–192     1   97.7%  ███▉
    193–2,048     0   97.7%
  2,049–3,072     1    100%  ███▉
  ── 4,096: context of phi-3-mini-4k-instruct, every row fits ──────────────────

Percentiles, nearest rank
               p1   p5  p25  p50  p75  p90  p95   p99   max mean
  total         4   13   42   70   98  119  126 2,107 2,107  116
  supervised    0    2   17   38   52   66   73   103   103   37

Limits: what is lost if longer rows are cut there, or dropped
                         tokens  supervised  answers   supervised
  limit  rows over       if cut      if cut   if cut   if dropped
     64   24 55.8%  2,739 54.8%   787 50.0%        5  1,243 79.0%
    512    1  2.3%  1,595 31.9%   103  6.5%        1    103  6.5%
  1,024    1  2.3%  1,083 21.7%   103  6.5%        1    103  6.5%
  2,048    1  2.3%     59  1.2%    59  3.8%        0    103  6.5%
▸ 4,096    0    0%
▸ the context of the model; answers: rows that keep no supervised token

Longest rows, to look at with phi3data inspect FILE:LINE
  2,107 tokens, 103 supervised  rows.jsonl:42
    133 tokens,  66 supervised  rows.jsonl:10
    126 tokens,  59 supervised  rows.jsonl:20
    119 tokens,  59 supervised  rows.jsonl:9
    119 tokens,  52 supervised  rows.jsonl:30

Batches
  packed into 4,096: about 2 sequences
  padded to 2,107, the longest row: 94% of it is padding

Cost
  5,000 tokens × 3 epochs × 2.5 / 1,000,000 = 0.04
  services bill all tokens of the training file, supervised or not
  5,000 tokens × 3 epochs / 1,234.5 tokens per second / 3,600 = 0.00338 hours
  0.00338 hours × 4 = 0.01
"""


def sample(jsonl: Any) -> Path:
    words = "hello see you now world "
    made = [chat(words * (n % 10), words * (n % 11)) for n in range(41)]
    path: Path = jsonl(
        [*made, chat("hello " * 2000, "bye " * 100), {"messages": [{"role": "user", "content": "hello"}]}]
    )
    return path


def test_the_terminal_at_80_columns(tiny: dict[str, str], jsonl: Any) -> None:
    path = sample(jsonl)
    found = make(path, tiny["llama"], (64,), price=2.5, epochs=3, per_hour=4, tokens_per_second=1234.5)
    assert text(found).replace(tiny["llama"], "TINY").replace(str(path), "rows.jsonl") == GOLDEN


def test_rows_of_an_array_are_named_by_their_numbers(tmp_path: Path) -> None:
    path = tmp_path / "arr.json"
    path.write_text(msgspec.json.encode([{"messages": [3]}, *(chat("hello " * n, "bye") for n in range(4))]).decode())
    found = make(path)
    assert [(row.line, row.record) for row in found.longest] == [(1, 5), (1, 4), (1, 3), (1, 2)]
    said = text(found)
    assert "Longest rows, to look at with phi3data inspect --record FILE:ROW (estimated)\n" in said
    places = [line.rpartition(f"{path}:")[2] for line in said.partition("Longest rows")[2].splitlines()[1:5]]
    assert places == ["5", "4", "3", "2"]
    assert "the first, in row 1:" in said
    path.write_text("\n" + path.read_text().replace("]},{", "]},\n{"))
    assert [(row.line, row.record) for row in make(path).longest] == [(6, 5), (5, 4), (4, 3), (3, 2)]


def test_what_is_padded_is_said_as_it_is(tiny: dict[str, str], jsonl: Any) -> None:
    rows = [chat("hello " * n, "bye") for n in (100, 4000, 5000)]
    assert "  padded or cut to 4,096: " in text(make(jsonl(rows), tiny["llama"]))
    assert "  padded to 4,0" in text(make(jsonl(rows[:2]), tiny["llama"]))


def test_long_notes_are_broken(tiny: dict[str, str], jsonl: Any) -> None:
    found = make(jsonl([chat("hello", "bye")]), tiny["llama"])
    found.tokenizer, found.longest[0].path = "tiny", "r.jsonl"
    found.files[0].path = "r.jsonl"
    found.files[0].unrenderable = found.files[0].first_unrenderable_line = 1
    found.files[0].first_unrenderable_reason = "the chat template fails: " + "no " * 30
    found.note = "the chat template in " + "/folder/sub" * 3 + " is not one of the Phi family: it is used as it is"
    lines = text(found).splitlines()
    assert max(map(len, lines)) <= 80
    at = next(number for number, line in enumerate(lines) if line.startswith("note: "))
    assert lines[at + 1].startswith("  ")
    assert " ".join(line.strip() for line in lines[at : at + 2]) == f"note: {found.note}"


def test_ascii_where_the_terminal_knows_nothing_else(tiny: dict[str, str], jsonl: Any) -> None:
    found = make(sample(jsonl), tiny["llama"])
    found.longest[0].path = "日本\x1b[31m\n.csv"
    plain = text(found, "ascii")
    assert plain.isascii()
    assert "65-96" in plain
    assert "####" in plain
    assert "> 4,096" in plain
    assert "\\u65e5\\u672c\\x1b[31m\\n.csv:42" in plain
    assert "\x1b" not in text(found)
    assert "日本\\x1b[31m\\n.csv:42" in text(found)
    assert "日本" not in text(found, "cp1252")


def test_estimates_say_so_wherever_a_number_is_shown(tiny: dict[str, str], jsonl: Any) -> None:
    path = sample(jsonl)
    sections = text(make(path)).split("\n\n")
    assert len(sections) == 7
    assert all("estimated" in section.splitlines()[0] for section in sections)
    assert make(path).estimated
    assert "estimated" not in text(make(path, tiny["llama"]))


@pytest.mark.parametrize("model", ["phi-3-mini", "phi-3-mini-128k"])
@pytest.mark.parametrize("words", [0, 1, 600, 100_000])
def test_one_row_of_any_length_fits_80_columns(model: str, words: int, jsonl: Any) -> None:
    found = make(jsonl([chat("hello " * words, "bye " * words)], "r.jsonl"), model=model, limits=(1,))
    found.longest[0].path = "r.jsonl"
    assert max(map(len, text(found).splitlines())) <= 80
    assert found.rows == 1
    assert found.limits[-1].rows_over == 0


def test_numbers_stay_short() -> None:
    assert [short(n) for n in (0, 999_999, 1_000_000, 1_234_567, 12_345_678, 999_499_999, 999_500_000)] == [
        "0", "999,999", "1.00M", "1.23M", "12.3M", "999M", "1.00G",
    ]  # fmt: skip
    assert max(len(short(10**power - 1)) for power in range(1, 15)) <= 7
