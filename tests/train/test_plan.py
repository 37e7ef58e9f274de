from __future__ import annotations

from typing import Any

import msgspec
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model
from transformers import Phi3Config, Phi3ForCausalLM

from phi3data import family
from phi3data.errors import UsageError
from phi3train import settings
from phi3train.plan.memory import GIB, activations
from phi3train.plan.plan import Device, check_targets, full_rows, plan
from phi3train.plan.schedule import Workload, micro_batches, steps
from phi3train.plan.shapes import Shape, mean_context, shape_of, shapes
from phi3train.plan.text import duration, render
from phi3train.planning import plan_for

GPU = Device(memory=80 * GIB)
TRAINED = [name for name, each in family.MODELS.items() if each.architecture == "phi3"]


def _meta(shape: Shape) -> Any:
    """Build the model on the meta device: its real tensors, without their numbers."""
    made: Any = Phi3ForCausalLM
    with torch.device("meta"):
        return made(
            Phi3Config(
                vocab_size=shape.vocabulary,
                hidden_size=shape.hidden,
                intermediate_size=shape.intermediate,
                num_hidden_layers=shape.layers,
                num_attention_heads=shape.heads,
                num_key_value_heads=shape.groups,
                tie_word_embeddings=shape.tied,
            )
        )


def test_every_model_of_the_family_has_a_shape() -> None:
    assert set(shapes()) == set(family.MODELS)
    for name, profile in family.MODELS.items():
        assert shapes()[name].vocabulary == profile.vocabulary.size


@pytest.mark.parametrize("name", TRAINED)
def test_parameters_are_those_of_the_real_model(name: str) -> None:
    shape = shapes()[name]
    model = _meta(shape)
    assert shape.parameters == sum(each.numel() for each in model.parameters())
    config = settings.load(None, {"method.rank": 8})
    adapted = get_peft_model(model, LoraConfig(r=8, target_modules=list(config.method.targets)))
    assert shape.adapters(config.method) == sum(each.numel() for each in adapted.parameters() if each.requires_grad)


def test_dora_adds_the_lengths() -> None:
    tiny = Shape(hidden=64, intermediate=128, layers=2, heads=4, groups=2, vocabulary=100)
    made: Any = Phi3ForCausalLM
    model = made(
        Phi3Config(
            vocab_size=100,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            pad_token_id=0,
            bos_token_id=1,
            eos_token_id=2,
        )
    )
    config = settings.load(None, {"method.kind": "dora", "method.rank": 4})
    adapted = get_peft_model(model, LoraConfig(r=4, use_dora=True, target_modules=list(config.method.targets)))
    assert tiny.adapters(config.method) == sum(each.numel() for each in adapted.parameters() if each.requires_grad)


@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_activations_are_what_pytorch_saves(precision: Any) -> None:
    values: dict[str, Any] = {
        "vocab_size": 512,
        "hidden_size": 256,
        "intermediate_size": 640,
        "num_hidden_layers": 3,
        "num_attention_heads": 8,
        "num_key_value_heads": 4,
    }
    made: Any = Phi3ForCausalLM
    model = made(Phi3Config(**values, pad_token_id=0, bos_token_id=1, eos_token_id=2)).train()
    weights = {shape for each in model.parameters() for shape in (each.shape, each.shape[::-1])}
    saved: dict[int, torch.Tensor] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.shape not in weights:  # a weight, or the bf16 copy of one
            saved[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with (
        torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor),
        torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bf16"),
    ):
        out = model.model(torch.randint(3, 500, (4, 96)), use_cache=False)
    assert out.last_hidden_state.requires_grad
    measured = sum(each.untyped_storage().nbytes() for each in saved.values())
    expected = activations(shape_of(values), 4 * 96, precision, checkpointing=False)
    assert expected == pytest.approx(measured, rel=0.01)


def test_operations_per_token_are_those_of_the_formulas() -> None:
    shape = shapes()["phi-3-mini-4k-instruct"]
    assert shape.multiplied == 3_821_079_552 - 32_064 * 3_072
    full, lora = (settings.load(None, {"method.kind": kind}).method for kind in ("full", "lora"))
    assert shape.operations(full, 0) == 6 * shape.multiplied
    assert shape.operations(lora, 0) == 4 * shape.multiplied + 6 * 25_165_824
    # Attention: two products of 2 x hidden for each of the context's tokens, forward once and backward twice.
    assert shape.operations(full, 100) - shape.operations(full, 0) == 3 * 2 * 2 * 32 * 3072 * 100


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.one_of(st.none(), st.integers(1, 30)))
def test_the_mean_context_is_what_tokens_attend_to(lengths: list[int], window: int | None) -> None:
    attended = [min(at + 1, window or at + 1) for length in lengths for at in range(length)]
    assert mean_context(lengths, window) == pytest.approx(sum(attended) / len(attended))


def _plan(memory: float = 80, device: Device | None = None, **values: Any) -> Any:
    config = settings.load(None, {key.replace("__", "."): value for key, value in values.items()})
    shape = shapes()[config.model.name]
    return plan(config, shape, full_rows(config, 4096), device or Device(memory=memory * GIB), "bf16")


def test_the_step_is_the_same_whatever_fits() -> None:
    plans = [_plan(memory, packing__enabled=False) for memory in (24, 40, 80, 141)]
    assert len({msgspec.json.encode(each.steps) for each in plans}) == 1
    assert len({each.micro_batch for each in plans}) > 1
    for each, memory in zip(plans, (24, 40, 80, 141), strict=True):
        assert each.micro_batch * each.accumulation == each.steps.rows
        assert each.fits
        assert each.memory.total <= memory * GIB


def test_packed_rows_go_one_at_a_time() -> None:
    assert _plan(141).micro_batch == 1
    assert _plan(141, train__micro_batch=4).micro_batch == 4


def test_packed_rows_go_together_where_a_kernel_keeps_them_apart() -> None:
    kernel = Device(memory=141 * GIB, varlen=True)
    assert _plan(device=kernel).attention == "varlen"
    assert _plan(device=kernel).micro_batch == 4
    assert _plan(device=kernel, model__attention="sdpa").micro_batch == 1


def test_gpus_share_the_rows_of_a_step() -> None:
    one, four = (_plan(device=Device(memory=80 * GIB, varlen=True, processes=count)) for count in (1, 4))
    assert one.steps == four.steps
    assert four.micro_batch * four.accumulation * 4 == four.steps.rows
    assert four.tokens_per_second == pytest.approx(4 * one.tokens_per_second)
    # Rows that cannot be shared out evenly are rounded, and what a process has is what its micro-batches divide.
    three = _plan(device=Device(memory=80 * GIB, processes=3))
    assert (one.steps.rows, three.steps.rows) == (8, 9)
    with pytest.raises(UsageError, match="1,001 processes for 1,000 rows: take fewer processes"):
        _plan(device=Device(memory=80 * GIB, processes=1001))


def test_recomputation_is_planned_only_where_it_must_be() -> None:
    assert _plan(80).checkpointing is False
    assert _plan(16).checkpointing is True
    assert _plan(80, train__checkpointing=True).checkpointing is True


def test_what_does_not_fit_says_what_would() -> None:
    full = _plan(24, method__kind="full")
    assert not full.fits
    assert "before any row is read: set method.kind = 'lora'" in full.advice
    long = _plan(12, packing__length=65_536, truncation__max_tokens=65_536, train__checkpointing=True)
    assert "with one row at a time: set a smaller packing.length" in long.advice


@given(
    conversations=st.integers(1, 500),
    per_row=st.integers(1, 30),
    wanted=st.integers(1, 100_000),
    multiplier=st.sampled_from([0.5, 1.0, 2.0]),
)
def test_a_step_has_the_tokens_that_are_asked(conversations: int, per_row: int, wanted: int, multiplier: float) -> None:
    rows = -(-conversations // per_row)
    load = Workload(
        conversations=conversations, rows=rows, tokens=conversations * 50, supervised=1, widest=1500, context=1
    )
    made = settings.load(None, {"train.batch_tokens": wanted, "train.batch_size_multiplier": multiplier}).train
    step = steps(made, load)
    assert 1 <= step.rows <= rows
    if 1 < step.rows < rows:
        assert abs(step.tokens - wanted * multiplier) <= load.tokens / load.rows / 2 + 1
    assert step.per_epoch == -(-rows // step.rows)
    by_size = steps(settings.load(None, {"train.batch_size": 4}).train, load)
    assert by_size.rows == min(max(1, round(4 * 50 / (load.tokens / load.rows))), rows)


def test_a_micro_batch_that_does_not_divide_a_step_is_refused() -> None:
    assert micro_batches(12) == [12, 6, 4, 3, 2, 1]
    with pytest.raises(UsageError) as error:
        _plan(train__micro_batch=3)
    assert str(error.value) == (
        "train.micro_batch: 3 does not divide the 8 rows of a step: take one of 1, 2, 4, 8, or change "
        "train.batch_tokens"
    )


def test_llamas_names_are_refused_with_the_right_ones() -> None:
    config = settings.load(None, {"method.targets": ["q_proj", "v_proj", "o_proj"]})
    with pytest.raises(UsageError) as error:
        check_targets(config, shapes()["phi-3-mini-4k-instruct"])
    assert str(error.value) == (
        "method.targets: q_proj, v_proj: no layer of a Phi-3 model is called that (q_proj, k_proj, v_proj, gate_proj "
        "and up_proj are Llama's names); its linear layers are qkv_proj, o_proj, gate_up_proj, down_proj"
    )


@pytest.mark.parametrize("name", list(family.MODELS))
def test_every_model_can_be_planned_without_being_here(name: str) -> None:
    config = settings.load(None, {"model.name": name, "method.kind": "qlora"})
    made, assumed = plan_for(config, GPU, read=True)
    assert assumed
    assert made.fits
    said = render(made, config, GPU, assumed=assumed)
    assert f"{shapes()[name].parameters:,} parameters" in said
    assert "full rows of 4,096 tokens are assumed" in said


@pytest.mark.parametrize(("seconds", "said"), [(4.21, "4.2 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")])
def test_times_are_said_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said
