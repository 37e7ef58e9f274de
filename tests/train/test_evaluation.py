from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

from phi3train import models
from phi3train.data.load import Data, load
from phi3train.data.rows import IGNORED, Row
from phi3train.evaluation import evaluate, padded, token_losses
from phi3train.generation import Sample, prompts, stop_rate
from phi3train.loading import load_model
from phi3train.scores import f1
from tests.train.tiny import config, longrope, write_chats, write_model

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def loaded(model: Path, chats: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Data]:
    made = config(model, chats, tmp_path_factory.mktemp("run"), packing__length=64, method__kind="full")
    found = models.find(made.model)
    return load_model(made, found, "fp32", "cpu"), load(made, found)["train"]


@pytest.fixture(scope="module")
def reference(loaded: tuple[Any, Data]) -> tuple[float, int]:
    """The sum over tokens as the definition has it: each row alone, log-softmax of all logits."""
    model, data = loaded
    total, tokens = 0.0, 0
    with torch.no_grad():
        for row in data.rows:
            ids = torch.from_numpy(row.ids).long()
            scores = torch.log_softmax(model.eval()(input_ids=ids[None]).logits[0].double(), -1)
            for at in range(1, len(row)):
                if row.labels[at] != IGNORED:
                    total -= float(scores[at - 1, ids[at]])
                    tokens += 1
    return total, tokens


@pytest.mark.parametrize("micro_batch", [1, 8, 40])
def test_the_loss_does_not_depend_on_the_batch(
    loaded: tuple[Any, Data], reference: tuple[float, int], micro_batch: int
) -> None:
    model, data = loaded
    found = evaluate(model, data.rows, micro_batch, precision="fp32")
    assert found.tokens == reference[1]
    assert found.nll == pytest.approx(reference[0], rel=1e-6)
    assert found.perplexity == pytest.approx(math.exp(reference[0] / reference[1]), rel=1e-6)


def test_long_rows_make_smaller_batches(
    loaded: tuple[Any, Data], reference: tuple[float, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    model, data = loaded
    widths: list[int] = []
    monkeypatch.setattr("phi3train.evaluation._TOKENS", 64)

    def measure(_: object, __: object, inputs: dict[str, Any]) -> None:
        widths.append(inputs["input_ids"].numel())

    with model.register_forward_pre_hook(measure, with_kwargs=True):
        found = evaluate(model, data.rows, 8, precision="fp32")
    assert max(widths) <= 64
    assert found.tokens == reference[1]
    assert found.nll == pytest.approx(reference[0], rel=1e-6)


def test_packed_rows_have_the_same_loss(loaded: tuple[Any, Data], reference: tuple[float, int]) -> None:
    from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

    model, data = loaded
    collate = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)
    with torch.no_grad():
        packed = [token_losses(model, collate([data.ready(pack)]))[0] for pack in range(len(data.packs))]
    assert sum(len(each.nll) for each in packed) == reference[1]
    assert sum(float(each.nll.double().sum()) for each in packed) == pytest.approx(reference[0], rel=1e-6)


def test_evaluation_leaves_mode_and_gradients_as_they_are(loaded: tuple[Any, Data]) -> None:
    model, data = loaded
    model.train()
    evaluate(model, data.rows[:3], 2, precision="fp32")
    assert model.training
    assert torch.is_grad_enabled()
    assert all(each.grad is None for each in model.parameters())


def test_rows_over_the_longrope_window_are_evaluated_apart(tmp_path: Path) -> None:
    model = write_model(tmp_path / "model", weights=False, **longrope(window=25))
    chats = write_chats(tmp_path / "chats.jsonl", 20, 3)
    made = config(model, chats, tmp_path / "run", model__weights="random", method__kind="full")
    found = models.find(made.model)
    rows = load(made, found)["train"].rows
    assert {len(row) > 25 for row in rows} == {False, True}
    loaded = load_model(made, found, "fp32", "cpu")
    alone = evaluate(loaded, rows, 1, precision="fp32", window=25)
    assert evaluate(loaded, rows, 20, precision="fp32", window=25).nll == pytest.approx(alone.nll, rel=1e-6)
    # Were they not, the short rows would be computed with the factors of the long ones.
    assert evaluate(loaded, rows, 20, precision="fp32").nll != pytest.approx(alone.nll, rel=1e-6)


def test_what_fills_a_batch_up_is_not_learned(loaded: tuple[Any, Data]) -> None:
    _, data = loaded
    rows = sorted(data.rows, key=len)
    batch = padded([rows[0], rows[-1]])
    assert batch["input_ids"].shape == batch["labels"].shape == (2, len(rows[-1]))
    assert batch["attention_mask"].sum(1).tolist() == [len(rows[0]), len(rows[-1])]
    assert (batch["labels"][0, len(rows[0]) :] == IGNORED).all()


def test_prompts_end_where_the_first_answer_starts(loaded: tuple[Any, Data]) -> None:
    _, data = loaded
    row: Row = data.rows[2]
    ends = {int(row.ids[-1]), int(row.ids[-2])}
    (prompt,) = prompts([row], 1, sorted(ends))
    assert all(label == IGNORED for label in row.labels[: len(prompt.ids)])
    assert row.labels[len(prompt.ids)] != IGNORED
    assert [*prompt.ids, *prompt.answer] == row.ids[: len(prompt.ids) + len(prompt.answer)].tolist()
    assert not ends & set(prompt.answer)
    assert len(prompts(data.rows, 7, [0])) == 7
    assert len(prompts(data.rows, 1000, [0])) == 40
    assert prompts(data.rows, 0, [0]) == []


def test_an_empty_answer_is_an_answer() -> None:
    ids = np.array([5, 6, 7, 9], dtype=np.int32)
    row = Row(id="a:1", ids=ids, labels=np.array([IGNORED, IGNORED, 7, 9], dtype=np.int32))
    (prompt,) = prompts([row], 1, [7, 9])
    assert (prompt.ids, prompt.answer) == ([5, 6], [])


def test_the_stop_rate_is_of_all_answers() -> None:
    said = {"id": "a", "prompt": "p", "wanted": "w", "answer": "a", "tokens": 1}
    assert stop_rate([Sample(**said, stopped=stopped) for stopped in (True, False, True, True)]) == 0.75  # type: ignore[arg-type]
    assert stop_rate([]) == 0


@pytest.mark.parametrize(
    ("answer", "wanted", "score"),
    [("Bye bye", "bye  BYE", 1), ("a b", "b c", 0.5), ("a", "b", 0), ("", "", 1), ("", "a", 0), ("a a", "a", 2 / 3)],
)
def test_f1_counts_words(answer: str, wanted: str, score: float) -> None:
    assert f1(answer, wanted) == pytest.approx(score)
