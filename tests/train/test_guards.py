from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from phi3data.errors import InputError
from phi3train import models
from phi3train.data.load import Data, load
from phi3train.guards import LeakError, NotFiniteError, packing_self_test, refuse_not_finite, refuse_unmatched
from phi3train.loading import load_model
from tests.train.tiny import config

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture(scope="module")
def data(model: Path, chats: Path, tmp_path_factory: pytest.TempPathFactory) -> Data:
    made = config(model, chats, tmp_path_factory.mktemp("run"), packing__length=64)
    return load(made, models.find(made.model))["train"]


@pytest.fixture
def loaded(model: Path, chats: Path) -> Any:
    made = config(model, chats, chats, method__kind="full")
    return load_model(made, models.find(made.model), "fp32", "cpu")


def _collate() -> Callable[[list[dict[str, Any]]], dict[str, Any]]:
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    made: Any = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)
    return lambda rows: dict(made(rows))


def test_packed_rows_are_as_good_as_alone(loaded: Any, data: Data) -> None:
    difference = packing_self_test(loaded, _collate(), data, "fp32")
    assert difference is not None
    assert difference < 1e-5


def _running(batch: dict[str, Any]) -> None:
    batch["position_ids"] = torch.arange(batch["input_ids"].shape[1])[None]


def _without(batch: dict[str, Any]) -> None:
    del batch["position_ids"]


def _ones(batch: dict[str, Any]) -> None:
    batch["attention_mask"] = torch.ones_like(batch["input_ids"])


@pytest.mark.parametrize("spoil", [_running, _without, _ones])
def test_a_pack_that_leaks_is_caught(loaded: Any, data: Data, spoil: Callable[[dict[str, Any]], None]) -> None:
    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        batch = _collate()(rows)
        spoil(batch)
        return batch

    with pytest.raises(LeakError, match="conversations in one row see each other"):
        packing_self_test(loaded, collate, data, "fp32")


def test_labels_across_conversations_are_caught(loaded: Any, data: Data) -> None:
    def collate(rows: list[dict[str, Any]]) -> dict[str, Any]:
        batch = _collate()(rows)
        batch["labels"] = batch["input_ids"].clone()
        return batch

    with pytest.raises(LeakError, match="the collator's labels are wrong"):
        packing_self_test(loaded, collate, data, "fp32")


def test_a_gradient_that_is_no_number_names_the_row_that_made_it(loaded: Any, data: Data) -> None:
    rare = next(row for row in data.rows if row.id.endswith(":6"))
    others = {int(id_) for row in data.rows if row is not rare for id_ in row.ids}
    token = next((int(id_) for id_ in rare.ids if int(id_) not in others), None)
    rows = data.rows[:10]
    if token is None:  # its words stand in other rows too
        token = int(rare.ids[1])
        rows = [row for row in rows if row is rare or token not in row.ids]
    with torch.no_grad():
        loaded.model.embed_tokens.weight[token] = float("nan")
    loaded(input_ids=torch.from_numpy(rare.ids).long()[None]).logits.sum().backward()
    with pytest.raises(NotFiniteError) as error:
        refuse_not_finite(loaded, 4, lambda: rows, "fp32")
    assert str(error.value) == (
        "step 5: the gradient is not finite; stopped before the update. Rows whose loss is not finite: " + rare.id
    )


def test_a_gradient_without_one_row_to_blame_names_them_all(loaded: Any, data: Data) -> None:
    loaded.model.norm.weight.grad = torch.full_like(loaded.model.norm.weight, float("inf"))
    with pytest.raises(NotFiniteError, match=r"Rows of the step \(the loss of each alone is finite\): ") as error:
        refuse_not_finite(loaded, 0, lambda: data.rows[:12], "fp32")
    named = ", ".join(row.id for row in data.rows[:10])
    assert str(error.value).endswith(f": {named} and 2 more")


def test_a_good_gradient_asks_for_no_rows(loaded: Any) -> None:
    loaded.model.norm.weight.grad = torch.ones_like(loaded.model.norm.weight)

    def rows() -> list[Any]:
        raise AssertionError("not needed")

    refuse_not_finite(loaded, 0, rows, "fp32")


def test_targets_are_held_against_the_model_that_was_loaded(loaded: Any) -> None:
    refuse_unmatched(loaded, ["qkv_proj", "o_proj", "gate_up_proj", "down_proj"])
    loaded.model.layers[0].mlp.down = loaded.model.layers[0].mlp.down_proj
    del loaded.model.layers[0].mlp.down_proj
    with pytest.raises(InputError) as error:
        refuse_unmatched(loaded, ["o_proj", "down_proj"])
    assert str(error.value) == "method.targets: not every block has every target (o_proj: 2, down_proj: 1 modules)"
