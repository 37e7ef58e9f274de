"""Liger's kernels where they can be had, and a refusal where they are asked for and cannot."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from phi3data.errors import UsageError
from phi3train import loading
from phi3train.config import ModelConfig
from phi3train.devices import precision
from phi3train.models import find
from tests.train.tiny import config

if TYPE_CHECKING:
    from pathlib import Path


def _with_liger(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Put a Liger in place that remembers what it is asked for."""
    asked: list[dict[str, Any]] = []

    def patch(
        *, rope: bool, cross_entropy: bool, fused_linear_cross_entropy: bool, rms_norm: bool, swiglu: bool, model: Any
    ) -> None:
        asked.append({"rope": rope, "loss": cross_entropy or fused_linear_cross_entropy, "rest": rms_norm and swiglu})

    module = ModuleType("liger_kernel.transformers")
    module.apply_liger_kernel_to_phi3 = patch  # type: ignore[attr-defined] # made here
    monkeypatch.setitem(sys.modules, "liger_kernel", ModuleType("liger_kernel"))
    monkeypatch.setitem(sys.modules, "liger_kernel.transformers", module)
    monkeypatch.setattr(loading, "find_spec", lambda _: object())
    return asked


def _model(part: float) -> Any:
    return SimpleNamespace(config=SimpleNamespace(rope_parameters={"partial_rotary_factor": part}))


def test_ligers_kernels_are_taken_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = _with_liger(monkeypatch)
    for part in (1.0, 0.75):  # of a head that is turned: Phi-3's, Phi-4-mini's
        loading.faster(ModelConfig(), _model(part), "cuda")
    assert asked == [{"rope": True, "loss": False, "rest": True}, {"rope": False, "loss": False, "rest": True}]
    loading.faster(ModelConfig(kernels="torch"), _model(1.0), "cuda")
    loading.faster(ModelConfig(), _model(1.0), "cpu")
    assert len(asked) == 2


def test_ligers_kernels_that_cannot_be_had_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "find_spec", lambda _: None)
    loading.faster(ModelConfig(), _model(1.0), "cuda")
    with pytest.raises(UsageError, match=r"liger needs an NVIDIA GPU, and PyTorch sees none; model\.kernels = "):
        loading.faster(ModelConfig(kernels="liger"), _model(1.0), "cpu")
    with pytest.raises(UsageError, match="liger needs liger: pip install liger-kernel"):
        loading.faster(ModelConfig(kernels="liger"), _model(1.0), "cuda")


def test_qlora_wants_a_gpu_and_weights(model: Path, chats: Path) -> None:
    made = config(model, chats, chats, method__kind="qlora", model__weights="random")
    with pytest.raises(UsageError, match="qlora needs an NVIDIA GPU, and PyTorch sees none: take lora"):
        precision(made, "cpu")
    with pytest.raises(UsageError, match="qlora trains over pretrained weights: take lora to try random ones"):
        loading.load_model(made, find(made.model), "bf16", "cuda")
