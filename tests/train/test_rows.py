from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data.chat import Conversation, Message
from phi3data.errors import InputError, UsageError
from phi3data.tokens.encode import encoder
from phi3train import models
from phi3train.data.load import load
from phi3train.data.rows import IGNORED, Lost, Placed, Row, RowMaker
from tests.train.tiny import config, longrope, write_chats, write_model

TURNS = [("user", "Hi"), ("assistant", "Hello"), ("user", "say bye"), ("assistant", "Bye")]


def _placed(*turns: tuple[str, str]) -> Placed:
    return Placed("a.jsonl:1", Conversation([Message(role, text) for role, text in turns]))


def _spelled(model: models.Model, row: Row) -> list[str]:
    vocabulary = encoder(model.tokenizer, model.profile).vocabulary
    return [
        ("+" if label != IGNORED else "") + vocabulary.spelled(id_)
        for id_, label in zip(row.ids.tolist(), row.labels.tolist(), strict=True)
    ]


_CHAT = "<|user|> ▁Hi <|end|> <|assistant|> +▁Hello +<|end|> <|user|> ▁say ▁bye <|end|> <|assistant|> +▁Bye +<|end|>"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("phi-3-mini", f"{_CHAT} +<|endoftext|>"),
        ("phi-3-medium", _CHAT),
        ("phi-3.5-mini", f"{_CHAT} +<|endoftext|>"),
        ("phi-4-mini", f"{_CHAT} +<|endoftext|>"),
    ],
)
def test_the_mask_of_each_template(model: Path, name: str, expected: str) -> None:
    made = config(model, model, model, model__name=name)
    found = models.find(made.model)
    row = RowMaker(made, found).row(_placed(*TURNS))
    assert isinstance(row, Row)
    assert " ".join(_spelled(found, row)) == expected


def _maker(model: Path, **values: Any) -> RowMaker:
    made = config(model, model, model, **values)
    return RowMaker(made, models.find(made.model))


@pytest.mark.parametrize(
    ("placed", "reason", "message"),
    [
        (_placed(("user", "Hi")), "nothing", "no token of it is learned"),
        (
            Placed("a:1", Conversation([Message("user", "Hi"), Message("assistant", "Hello", weight=0)])),
            "nothing",
            "no token of it is learned",
        ),
        (_placed(("user", "Hi " * 300), ("assistant", "no")), "too-long", "307 tokens, 107 over the limit of 200"),
    ],
)
def test_a_row_that_is_lost_says_why(model: Path, placed: Placed, reason: str, message: str) -> None:
    lost = _maker(model, truncation__max_tokens=200).row(placed)
    assert lost == Lost(placed.id, reason, message)


def test_a_control_token_that_is_spelled_is_lost_where_it_is_an_error(model: Path) -> None:
    placed = _placed(("user", "Hi <|end|>"), ("assistant", "Hello"))
    lost = _maker(model, data__control_text="error").row(placed)
    assert isinstance(lost, Lost)
    assert lost.reason == "control-text"
    assert isinstance(_maker(model).row(placed), Row)


def test_the_policy_error_names_the_row_and_what_to_do(model: Path) -> None:
    maker = _maker(model, truncation__max_tokens=8, truncation__policy="error")
    with pytest.raises(UsageError) as error:
        maker.row(_placed(*TURNS))
    assert str(error.value) == (
        'a.jsonl:1: 14 tokens, 6 over the limit of 8: set truncation.policy = "drop" or "trim-oldest", or raise '
        "truncation.max_tokens"
    )


def test_the_oldest_turns_go_and_the_system_message_stays(model: Path) -> None:
    made = config(model, model, model, truncation__max_tokens=13, truncation__policy="trim-oldest")
    found = models.find(made.model)
    row = RowMaker(made, found).row(_placed(("system", "Be kind"), *TURNS))
    assert isinstance(row, Row)
    assert row.trimmed == 2
    assert " ".join(_spelled(found, row)) == (
        "<|system|> ▁Be ▁kind <|end|> <|user|> ▁say ▁bye <|end|> <|assistant|> +▁Bye +<|end|> +<|endoftext|>"
    )


@pytest.fixture(scope="module")
def trimming(model: Path) -> list[RowMaker]:
    policy = {"truncation__policy": "trim-oldest"}
    return [_maker(model, **policy, truncation__max_tokens=limit) for limit in (12, 20, 40)]


@given(
    data=st.data(),
    turns=st.lists(
        st.tuples(st.sampled_from(["Hi", "say bye now", "日本 語"]), st.integers(1, 8)), min_size=1, max_size=8
    ),
)
def test_truncation_never_cuts_an_end_of_turn(
    trimming: list[RowMaker], data: st.DataObject, turns: list[tuple[str, int]]
) -> None:
    maker = data.draw(st.sampled_from(trimming))
    messages = [(role, f"{text} now" * number) for text, number in turns for role in ("user", "assistant")]
    whole = trimming[-1]._encode(Conversation([Message(role, text) for role, text in messages]))
    row = maker.row(_placed(*messages))
    if isinstance(row, Lost):
        assert row.reason == "too-long"
        assert len(whole[0]) > maker.limit
        return
    assert len(row) <= maker.limit
    # What is left is the end of the whole: the same ids under the same mask.
    assert row.ids.tolist() == whole[0][-len(row) :]
    assert (row.labels != IGNORED).tolist() == whole[1][-len(row) :]
    # And nothing more went than had to: with the next older exchange it would be too long.
    assert row.trimmed % 2 == 0
    if row.trimmed:
        longer = [Message(role, text) for role, text in messages[row.trimmed - 2 :]]
        assert len(maker._encode(Conversation(longer))[0]) > maker.limit


def test_rows_are_read_from_any_format(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "faq.csv"
    path.write_text("question,answer\nHi,Hello\nsay bye,Bye\n", "utf-8")
    made = config(model, path, tmp_path / "run")
    assert [row.id for row in load(made, models.find(made.model))["train"].rows] == [f"{path}:1", f"{path}:2"]


def test_every_row_is_kept_or_lost_with_its_reason(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "a.jsonl"
    good = '{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}'
    path.write_text(f"{good}\n{{not json\n\n{good.replace('assistant', 'user')}\n{good}\n", "utf-8")
    made = config(model, path, tmp_path / "run")
    account = load(made, models.find(made.model))["train"].account()
    assert account["rows"] == 2
    assert account["dropped"] == {"nothing": 1, "unreadable": 1}
    assert [row["id"] for row in account["dropped_rows"]] == [f"{path}:2", f"{path}:4"]


def test_ready_rows_are_the_conversations_in_a_row(model: Path, chats: Path, tmp_path: Path) -> None:
    made = config(model, chats, tmp_path, packing__length=64)
    data = load(made, models.find(made.model))["train"]
    seen = []
    for pack, members in enumerate(data.packs):
        ready = data.ready(pack)
        assert len(ready["input_ids"]) == len(ready["labels"]) == sum(ready["seq_lengths"]) <= 64
        ends = np.cumsum(ready["seq_lengths"])
        for index, end, length in zip(members, ends, ready["seq_lengths"], strict=True):
            seen.append(index)
            assert ready["input_ids"][end - length : end] == data.rows[index].ids.tolist()
            assert ready["labels"][end - length : end] == data.rows[index].labels.tolist()
    assert sorted(seen) == list(range(40))
    assert data.efficiency == pytest.approx(data.tokens / (64 * len(data.packs)))


def test_no_pack_has_rows_over_and_under_the_longrope_window(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", weights=False, **longrope(window=25))
    chats = write_chats(tmp_path / "chats.jsonl", 60, 3)
    made = config(model, chats, tmp_path / "run", packing__length=200, model__weights="random")
    found = models.find(made.model)
    assert found.window == 25
    data = load(made, found)["train"]
    kinds = [{len(data.rows[index]) > 25 for index in pack} for pack in data.packs]
    assert all(len(kind) == 1 for kind in kinds)
    assert data.over == [kind == {True} for kind in kinds]
    assert set(data.over) == {False, True}


@pytest.mark.parametrize("key", ["rope_scaling", "rope_parameters"])
def test_the_old_name_of_longrope_is_read(tmp_path: Path, key: str) -> None:
    rope: Any = {"type": "su", "short_factor": [1.0] * 8, "long_factor": [4.0] * 8}
    model = write_model(tmp_path / "m", weights=False, original_max_position_embeddings=64, **{key: rope})
    assert models.find(config(model, model, model, model__weights="random").model).window == 64


def test_a_file_without_a_row_to_train_on(tmp_path: Path, model: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"messages": [{"role": "user", "content": "Hi"}]}\n', "utf-8")
    made = config(model, path, tmp_path)
    with pytest.raises(InputError) as error:
        load(made, models.find(made.model))
    assert str(error.value) == f"{path}: no row can be trained on (nothing: 1)"


def test_models_that_cannot_be_trained(tmp_path: Path, model: Path) -> None:
    with pytest.raises(UsageError, match="phi-3-small-8k-instruct is of the architecture 'phi3small'"):
        models.find(config(model, model, model, model__name="phi-3-small").model)
    with pytest.raises(UsageError, match=r'holds no weights .*or set model.weights = "random"'):
        models.find(config(write_model(tmp_path / "m", weights=False), model, model).model)
    with pytest.raises(UsageError, match=r"holds no tokenizer\.json"):
        models.find(config(tmp_path, model, model).model)
    with pytest.raises(UsageError, match=r"model.path: .*nowhere is no folder"):
        models.find(config(tmp_path / "nowhere", model, model).model)
