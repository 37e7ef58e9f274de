"""The benchmark for a GPU runs to its end without one, and would see a wrong kernel."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from bench import gpu

from phi3train import attention

if TYPE_CHECKING:
    from pathlib import Path


def test_the_benchmark_runs_to_its_end(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "gpu.json"
    assert gpu.main(["--tiny", "--steps", "2", "--tokens", "48", "--json", str(path)]) == 0
    out = capsys.readouterr().out
    assert "varlen attention is right\n" in out
    found = json.loads(path.read_text("utf-8"))
    assert found["right"] is True
    assert set(found["correctness"]) == {"output", *(f"gradient of {name}" for name in ("queries", "keys", "values"))}
    cases = {(each["case"]["kind"], each["case"]["attention"], each["case"]["liger"]): each for each in found["cases"]}
    assert len(cases) == 8
    for (_, way, liger), each in cases.items():
        assert out.count(f"| {way} | {'on' if liger else 'off'} |") == 4  # two kinds; as they come, and in the table
        if liger:
            assert each["note"] == "liger-kernel is not installed"
            continue
        assert each["tokens_per_second"] > 0
        assert each["mfu_matrix"] / each["mfu_nominal"] == pytest.approx(989 / 790)
        assert (each["micro_batch"] == 1) == (way == "sdpa")
        assert 3 < each["loss"] < 7


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_the_benchmark_wants_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main([]) == 2
    assert capsys.readouterr().err == "PyTorch sees no NVIDIA GPU: --tiny runs the script without one\n"


def test_a_window_that_is_one_off_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gpu.right(gpu.correctness("cpu", tiny=True))
    reference = attention.reference

    def wider(query: Any, key: Any, value: Any, bounds: Any, longest: int, scale: float, window: int) -> torch.Tensor:
        return reference(query, key, value, bounds, longest, scale, window + 1)

    monkeypatch.setattr(attention, "reference", wider)
    assert not gpu.right(gpu.correctness("cpu", tiny=True))
