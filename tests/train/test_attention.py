"""Packed rows are as good as alone, window and all, however attention is computed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.attention import varlen
from trl.trainer.sft_trainer import DataCollatorForLanguageModeling

from phi3data.errors import UsageError
from phi3train import attention, models
from phi3train.data.load import load
from phi3train.evaluation import padded, token_losses
from phi3train.loading import load_model
from phi3train.plan.plan import attention_of
from phi3train.run import run
from tests.train.tiny import config, write_model

if TYPE_CHECKING:
    from pathlib import Path

LENGTHS = st.lists(st.integers(1, 9), min_size=1, max_size=5)
WINDOWS = st.one_of(st.none(), st.integers(1, 12))


Three = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


def _tensors(lengths: list[int], heads: int, groups: int) -> tuple[Three, torch.Tensor]:
    """Return queries, keys and values of packed conversations (tokens, heads, width), and their bounds."""
    torch.manual_seed(len(lengths))
    query, key, value = (torch.randn(sum(lengths), number, 8, requires_grad=True) for number in (heads, groups, groups))
    return (query, key, value), torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)


def _by_definition(tensors: Three, lengths: list[int], window: int | None) -> torch.Tensor:
    """Return softmax(q k / scale) v where a token sees itself and, of its conversation, `window` - 1 before it."""
    query, key, value = tensors
    key, value = (each.repeat_interleave(query.shape[1] // key.shape[1], dim=1) for each in (key, value))
    member = torch.repeat_interleave(torch.arange(len(lengths)), torch.tensor(lengths))
    at = torch.arange(len(member))
    behind = at[:, None] - at[None]
    seen = (member[:, None] == member[None]) & (behind >= 0) & (behind < (window or len(member) + 1))
    scores = torch.einsum("qhd,khd->hqk", query, key) * 0.3
    return torch.einsum("hqk,khd->qhd", scores.masked_fill(~seen, -torch.inf).softmax(-1), value)


@settings(max_examples=15)
@given(LENGTHS, WINDOWS, st.sampled_from([(4, 4), (4, 2)]))
def test_the_reference_is_attention_by_definition(
    lengths: list[int], window: int | None, heads: tuple[int, int]
) -> None:
    tensors, bounds = _tensors(lengths, *heads)
    found = attention.reference(*tensors, bounds, max(lengths), 0.3, window)
    wanted = _by_definition(tensors, lengths, window)
    assert torch.allclose(found, wanted, atol=1e-5)
    weights = torch.randn_like(found)
    ours, theirs = (torch.autograd.grad((each * weights).sum(), tensors) for each in (found, wanted))
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(ours, theirs, strict=True))


def _stand_in(query: Any, key: Any, value: Any, first: Any, second: Any, longest: int, other: int, **said: Any) -> Any:
    """Do what PyTorch's kernel does, from its arguments alone."""
    assert torch.equal(first, second)
    assert longest == other
    assert all(each.is_contiguous() for each in (query, key, value))
    before, after = said["window_size"]
    assert after == 0
    assert said.get("enable_gqa", False) or query.shape == key.shape
    return attention.reference(query, key, value, first, longest, said["scale"], None if before < 0 else before + 1)


def _old(
    query: Any, key: Any, value: Any, cu_seq_q: Any, cu_seq_k: Any, max_q: int, max_k: int, *,
    return_aux: Any = None, scale: float | None = None, window_size: tuple[int, int] = (-1, -1),
) -> Any:  # fmt: skip
    """PyTorch 2.11's signature: no grouped keys."""
    return _stand_in(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, scale=scale, window_size=window_size)


def _new(
    query: Any, key: Any, value: Any, cu_seq_q: Any, cu_seq_k: Any, max_q: int, max_k: int, *,
    return_aux: Any = None, scale: float | None = None, window_size: tuple[int, int] = (-1, -1),
    enable_gqa: bool = False,
) -> Any:  # fmt: skip
    """PyTorch 2.13's signature, as far as it is used."""
    said = {"scale": scale, "window_size": window_size, "enable_gqa": enable_gqa}
    return _stand_in(query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, **said)


@pytest.mark.parametrize("version", [_old, _new])
@pytest.mark.parametrize("window", [None, 1, 4, 7, 8])
def test_the_kernel_is_asked_for_the_same(monkeypatch: pytest.MonkeyPatch, version: Any, window: int | None) -> None:
    monkeypatch.setattr(varlen, "varlen_attn", version)
    lengths = [3, 7, 1]
    for heads, groups in ((4, 4), (4, 2)):
        tensors, bounds = _tensors(lengths, heads, groups)
        found = attention.kernel(*tensors, bounds, max(lengths), 0.3, window)
        assert torch.allclose(found, _by_definition(tensors, lengths, window), atol=1e-5)


def test_the_window_of_the_4k_models(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def remember(query: torch.Tensor, *_: Any, scale: float, window_size: tuple[int, int]) -> torch.Tensor:
        asked.append(window_size)
        return query

    monkeypatch.setattr(varlen, "varlen_attn", remember)
    one = torch.zeros(4096, 1, 1)
    for longest in (4096, 2047):
        attention.kernel(one, one, one, torch.tensor([0, longest]), longest, 1.0, 2047)
    assert asked == [(2046, 0), (-1, 0)]


@pytest.mark.parametrize("changes", [{}, {"sliding_window": 9}])
def test_a_batch_of_packed_rows_is_as_good_as_its_conversations_alone(
    tmp_path: Path, chats: Path, changes: dict[str, Any]
) -> None:
    """Losses and gradients, with a window shorter than the conversations too."""
    folder = write_model(tmp_path / "model", **changes)
    collate: Any = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)
    gradients = []
    for way in ("varlen", "sdpa"):
        made = config(folder, chats, tmp_path / "run", packing__length=64, model__attention=way, method__kind="full")
        found = models.find(made.model)
        data = load(made, found)["train"]
        packs = [number for number, rows in enumerate(data.packs) if len(rows) > 1][:3]
        loaded = load_model(made, found, "fp32", "cpu")
        packed = token_losses(loaded, collate([data.ready(pack) for pack in packs]))[0].nll
        rows = [data.rows[index] for pack in packs for index in data.packs[pack]]
        assert max(len(row) for row in rows) > 9
        alone = torch.cat([losses.nll for row in rows for losses in token_losses(loaded, padded([row]))])
        together = torch.cat([losses.nll for losses in token_losses(loaded, padded(rows))])
        assert torch.allclose(packed, alone, atol=1e-5)
        assert torch.allclose(together, alone, atol=1e-5)
        packed.sum().backward()  # type: ignore[no-untyped-call] # as torch has it
        gradients.append(loaded.model.layers[0].self_attn.qkv_proj.weight.grad)
    assert torch.allclose(gradients[0], gradients[1], atol=1e-4)


def test_packed_rows_train_together_as_one_at_a_time(tmp_path: Path, model: Path, chats: Path) -> None:
    """All rows in each step, so that their order decides nothing."""
    losses = []
    for way in ("varlen", "sdpa"):
        values = {"train__batch_tokens": 10**6, "train__max_steps": 2, "packing__length": 64, "samples__count": 0}
        made = config(model, chats, tmp_path / way, model__attention=way, train__learning_rate=1e-2, **values)
        assert run(made).state == "done"
        plan = json.loads((tmp_path / way / "plan.json").read_text("utf-8"))["predicted"]
        assert (plan["attention"], plan["micro_batch"] > 1) == (way, way == "varlen")
        lines = [json.loads(line) for line in (tmp_path / way / "metrics.jsonl").read_text("utf-8").splitlines()]
        losses.append([line["loss"] for line in lines])
    assert losses[0][-1] < losses[0][0]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_positions_that_start_anew_are_bounds(tmp_path: Path, chats: Path) -> None:
    """A packed row without its bounds does not leak."""
    folder = write_model(tmp_path / "model")
    made = config(folder, chats, tmp_path / "run", packing__length=64, model__attention="varlen", method__kind="full")
    found = models.find(made.model)
    data = load(made, found)["train"]
    collate: Any = DataCollatorForLanguageModeling(pad_token_id=0, padding_free=True)
    loaded = load_model(made, found, "fp32", "cpu")
    whole = collate([data.ready(0)])
    part = {name: whole[name] for name in ("input_ids", "labels", "position_ids")}
    assert torch.equal(token_losses(loaded, whole)[0].nll, token_losses(loaded, part)[0].nll)


def test_which_attention(model: Path, chats: Path) -> None:
    def chosen(way: str, precision: Any, *, varlen: bool, **values: Any) -> str:
        return attention_of(config(model, chats, chats, model__attention=way, **values), precision, varlen=varlen)

    assert chosen("auto", "bf16", varlen=True) == "varlen"
    assert chosen("auto", "bf16", varlen=False) == "sdpa"
    assert chosen("auto", "fp32", varlen=True) == "sdpa"
    assert chosen("auto", "bf16", varlen=True, packing__enabled=False) == "sdpa"
    assert chosen("eager", "bf16", varlen=True) == "eager"


def test_varlen_that_cannot_be_had_is_refused(model: Path, chats: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = models.find(config(model, chats, chats).model)
    attention.refuse_unfit(found, "bf16", "cuda")
    attention.refuse_unfit(found, "fp32", "cpu")
    with pytest.raises(UsageError, match=r"varlen computes in bf16 on a GPU, train\.precision is fp32"):
        attention.refuse_unfit(found, "fp32", "cuda")
    dropped = msgspec.structs.replace(found, settings=found.settings | {"attention_dropout": 0.1})
    with pytest.raises(UsageError, match=r"varlen has no dropout, and .* has attention_dropout"):
        attention.refuse_unfit(dropped, "bf16", "cpu")
    monkeypatch.setattr(attention, "available", lambda: False)
    with pytest.raises(UsageError, match=r"varlen needs PyTorch 2\.11 or newer, here is "):
        attention.refuse_unfit(found, "bf16", "cuda")
