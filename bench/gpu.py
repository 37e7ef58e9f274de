"""Training Phi-3-mini on one NVIDIA GPU: is varlen attention right, how fast is a step, and what does it need?

    python -m bench.gpu [--json out/gpu.json] [--steps 30] [--tokens 2048]

First the kernel: forward and backward at head dimension 96 and window 2,047, on packed conversations of lengths around
the window, against softmax by definition in fp32. Its error may be at most twice that of the definition in bf16.

Then training steps of Phi-3-mini's real shape with random weights, which cost what trained ones cost: {sdpa, varlen} x
{Liger's kernels on, off} x {full, LoRA}, each in a process of its own, by the trainer of `phi3train run` with its
guards, on conversations of `--tokens` tokens packed into rows of 4,096. The first 10 steps are left out. Real tokens
per second (no padding), MFU against 989 TFLOP/s (data sheet of H100 and H200) and against 790 (measured matrix rate of
an H200), peak memory, and what `phi3train plan` predicts of it, without CUDA's own context and fragments.

No network and no weights are needed; a case that does not fit the GPU, and Liger where it is not installed, say so.
With --tiny everything runs to its end on a CPU with a model of two layers: that tests the script, nothing is measured.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
import time
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec
import numpy as np

from phi3data import family
from phi3data.sources.files import whole
from phi3data.tokens.count import TokenizerRef
from phi3train import settings
from phi3train.data.load import Data
from phi3train.data.pack import best_fit_decreasing
from phi3train.data.rows import IGNORED, Row
from phi3train.devices import here, precision
from phi3train.folder import Progress, RunFolder
from phi3train.job import Job
from phi3train.models import Model
from phi3train.offline import go_offline
from phi3train.plan.memory import GIB
from phi3train.plan.plan import plan
from phi3train.plan.schedule import workload
from phi3train.plan.shapes import shape_of

if TYPE_CHECKING:
    import torch

    from phi3train.config import Config

NOMINAL, MATRIX = 989e12, 790e12  # operations per second: data sheet of H100 and H200; measured on an H200
WARM_UP = 10  # steps that are not timed: allocator, kernels and caches come to rest
HEAD, WINDOW = 96, 2047  # of Phi-3-mini-4k
LENGTHS = (4096, 2500, 700, 1, 2048, 2047, 2046, 96)  # tokens of packed conversations, around the window

# config.json of Phi-3-mini-4k-instruct, what decides its cost (see src/phi3train/plan/shapes.toml).
MINI: dict[str, Any] = {
    "model_type": "phi3",
    "vocab_size": 32064,
    "hidden_size": 3072,
    "intermediate_size": 8192,
    "num_hidden_layers": 32,
    "num_attention_heads": 32,
    "num_key_value_heads": 32,
    "max_position_embeddings": 4096,
    "original_max_position_embeddings": 4096,
    "sliding_window": WINDOW,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
TINY: dict[str, Any] = MINI | {
    "vocab_size": 128,
    "hidden_size": 2 * HEAD,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "sliding_window": 20,
}


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """What is varied, and how much is run."""

    attention: Literal["sdpa", "varlen"]
    liger: bool
    kind: Literal["full", "lora"]
    tiny: bool
    steps: int
    tokens: int  # per conversation


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """A case. Memory in bytes, real tokens per second; None where nothing was measured, and `note` says why."""

    case: Case
    tokens_per_second: float | None = None
    mfu_nominal: float | None = None
    mfu_matrix: float | None = None
    micro_batch: int | None = None
    checkpointing: bool | None = None
    peak: int | None = None
    predicted: float | None = None
    loss: float | None = None
    note: str = ""


class Error(NamedTuple):
    """The largest absolute errors against fp32: of the kernel, and of the definition in the kernel's precision."""

    kernel: float
    definition: float


def by_definition(tensors: list[torch.Tensor], lengths: list[int], window: int) -> torch.Tensor:
    """Return softmax attention of (tokens, heads, width), one conversation and one matrix of scores at a time."""
    import torch

    out, start = [], 0
    for length in lengths:
        query, key, value = (each[start : start + length].transpose(0, 1) for each in tensors)
        at = torch.arange(length, device=query.device)
        behind = at[:, None] - at[None]
        unseen = (behind < 0) | (behind >= window)
        scores = (query @ key.transpose(1, 2) * HEAD**-0.5).masked_fill(unseen, float("-inf"))
        out.append((scores.softmax(-1) @ value).transpose(0, 1))
        start += length
    return torch.cat(out)


def correctness(device: str, *, tiny: bool) -> dict[str, Error]:
    """Return the errors of varlen attention: of what it gives, and of the gradients of queries, keys and values."""
    import torch

    from phi3train import attention

    lengths = [max(1, length // 64) for length in LENGTHS] if tiny else list(LENGTHS)
    heads, window = (2, TINY["sliding_window"]) if tiny else (8, WINDOW)
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    generator = torch.Generator(device).manual_seed(0)
    shape = (sum(lengths), heads, HEAD)
    exact = [torch.randn(shape, generator=generator, device=device).to(dtype).float() for _ in range(3)]
    upstream = torch.randn(shape, generator=generator, device=device)
    bounds = torch.tensor([0, *lengths], device=device).cumsum(0).to(torch.int32)
    compute = attention.kernel if device == "cuda" else attention.reference

    def gradients(kind: torch.dtype, *, kernel: bool) -> list[torch.Tensor]:
        leaves = [each.to(kind).requires_grad_() for each in exact]
        if kernel:
            out = compute(leaves[0], leaves[1], leaves[2], bounds, max(lengths), HEAD**-0.5, window)
        else:
            out = by_definition(leaves, lengths, window)
        return [each.detach().float() for each in (out, *torch.autograd.grad(out, leaves, upstream.to(kind)))]

    wanted = gradients(torch.float32, kernel=False)
    ours, plain = gradients(dtype, kernel=True), gradients(dtype, kernel=False)
    names = ("output", "gradient of queries", "gradient of keys", "gradient of values")
    return {
        name: Error(float((one - right).abs().max()), float((other - right).abs().max()))
        for name, right, one, other in zip(names, wanted, ours, plain, strict=True)
    }


def right(errors: dict[str, Error]) -> bool:
    """Whether the kernel is as exact as its precision lets it be; in fp32 rounding is all the difference there is."""
    return all(each.kernel <= 2 * each.definition + 1e-4 for each in errors.values())


def job_of(case: Case, folder: Path) -> tuple[Job, str]:
    """Return a job as `phi3train run` makes it, its rows made up, and its device."""
    table = TINY if case.tiny else MINI
    width = 128 if case.tiny else 4096
    length = min(case.tokens, width)
    config: Config = settings.load(
        None,
        {
            "output": str(folder),
            "model.weights": "random",
            "model.attention": case.attention,
            "model.kernels": "liger" if case.liger else "torch",
            "method.kind": case.kind,
            "train.batch_tokens": 8 * width,
            "train.max_steps": case.steps,
            "train.precision": "auto",
            "packing.length": width,
        },
    )
    device, facts = here()
    generator = np.random.Generator(np.random.PCG64(0))
    ids = generator.integers(3, table["vocab_size"], (8 * case.steps * (width // length), length), dtype=np.int32)
    rows = [
        Row(id=str(number), ids=each, labels=np.where(np.arange(length) < length // 4, IGNORED, each))
        for number, each in enumerate(ids)
    ]
    packs = best_fit_decreasing([length] * len(rows), width)
    data = Data(path=folder, sha256="", rows=rows, lost=[], packs=packs, capacity=width, over=[False] * len(packs))
    shape = shape_of(table)
    model = Model(
        profile=family.model(family.DEFAULT),
        folder=folder,
        tokenizer=TokenizerRef(name="none"),
        settings=table,
        context=table["max_position_embeddings"],
        window=None,
    )
    planned = plan(config, shape, workload(data, shape.window), facts, precision(config, device))
    return Job(config=config, model=model, shape=shape, data={"train": data}, plan=planned), device


def measure(case: Case) -> Measured:
    """Run a case in this process."""
    if case.liger and find_spec("liger_kernel") is None:
        return Measured(case=case, note="liger-kernel is not installed")
    go_offline()
    import torch
    from tokenizers import Tokenizer, models
    from transformers import PreTrainedTokenizerFast

    from phi3train.loading import load_model
    from phi3train.recording import Recorder
    from phi3train.trainer import ReadyTrainer

    class Meter(Recorder):
        """Times steps; saves, samples and evaluates nothing."""

        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            self.times: list[float] = []
            self.loss = float("nan")

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            super().on_step_end(args, state, control, **kwargs)
            control.should_save = False
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            self.times.append(time.perf_counter())

        def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:  # noqa: ARG002
            self.loss = kwargs["logs"].get("loss", self.loss)

    with TemporaryDirectory(prefix="phi3train-bench-") as work:
        job, device = job_of(case, Path(work))
        need = job.plan.memory
        said: dict[str, Any] = {
            "case": case,
            "micro_batch": job.plan.micro_batch,
            "checkpointing": job.plan.checkpointing,
            "predicted": need.total - need.overhead,
        }
        if not job.plan.fits:
            return Measured(**said, note=f"does not fit: {need.total / GIB:.0f} GiB")
        made: Any = PreTrainedTokenizerFast
        tokenizer = made(tokenizer_object=Tokenizer(models.WordLevel({"<pad>": 0}, "<pad>")), pad_token="<pad>")
        meter = Meter(job, RunFolder(Path(work)), Progress(), tokenizer, [], [])
        model = load_model(job.config, job.model, job.plan.precision, device)
        trainer = ReadyTrainer(job, model, tokenizer, meter.folder, meter, device)
        if device == "cuda":
            torch.cuda.reset_peak_memory_stats()  # of loading, which makes fp32 weights before bf16 ones
        try:
            trainer.train()
        except torch.OutOfMemoryError:
            return Measured(**said, note="out of memory")
        skipped = min(WARM_UP, case.steps - 2)
        seconds = (meter.times[-1] - meter.times[skipped]) / (len(meter.times) - 1 - skipped)
        rate = job.plan.steps.tokens / seconds
        return Measured(
            **said,
            tokens_per_second=round(rate, 1),
            mfu_nominal=rate * job.plan.operations / NOMINAL,
            mfu_matrix=rate * job.plan.operations / MATRIX,
            peak=torch.cuda.max_memory_allocated() if device == "cuda" else None,
            loss=meter.loss,
        )


def apart(case: Case) -> Measured:
    """Run a case in a process of its own: its peak of memory is its own, and Liger changes transformers for good."""
    text = msgspec.json.encode(case).decode()
    done = subprocess.run(
        [sys.executable, "-m", "bench.gpu", "--case", text], capture_output=True, text=True, check=False
    )
    last = (done.stdout.splitlines() or [""])[-1]
    try:
        return msgspec.json.decode(last, type=Measured)
    except msgspec.DecodeError:
        said = (done.stderr.strip().splitlines() or ["ended without a word"])[-1]
        return Measured(case=case, note=f"failed: {said[:200]}")


def versions(device: str) -> dict[str, str]:
    """Return what was measured with."""
    import torch

    libraries = {name: version(name) for name in ("torch", "transformers", "trl", "peft", "accelerate")}
    libraries["liger-kernel"] = version("liger-kernel") if find_spec("liger_kernel") else "absent"
    return {"device": torch.cuda.get_device_name(0) if device == "cuda" else "CPU", **libraries}


def table(found: list[Measured]) -> str:
    """Return the results as a table in Markdown."""
    lines = [
        "| weights | attention | Liger | micro-batch | tokens/s | MFU 989 | MFU 790 | peak GiB | predicted | note |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for each in found:
        case = each.case
        cells = [
            case.kind,
            case.attention,
            "on" if case.liger else "off",
            _cell(each.micro_batch, "d") + (" again" if each.checkpointing else ""),
            _cell(each.tokens_per_second, ",.0f"),
            _cell(each.mfu_nominal, ".1%"),
            _cell(each.mfu_matrix, ".1%"),
            _cell(each.peak and each.peak / GIB, ".1f"),
            _cell(each.predicted and each.predicted / GIB, ".1f"),
            each.note,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cell(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def main(args: list[str] | None = None) -> int:
    """Run all of it; 1 where the kernel is wrong or a case failed, 2 where there is no GPU."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, default=Path("out/gpu.json"), help="where the numbers go (out/gpu.json)")
    parser.add_argument("--steps", type=int, default=30, help="steps of a case, the first 10 not timed (30)")
    parser.add_argument("--tokens", type=int, default=2048, help="tokens per conversation (2048)")
    parser.add_argument("--tiny", action="store_true", help="a model of two layers, on a CPU too: a test of the script")
    parser.add_argument("--case", help=argparse.SUPPRESS)  # one case as JSON, in a process of its own
    options = parser.parse_args(args)
    if options.case:
        print(msgspec.json.encode(measure(msgspec.json.decode(options.case, type=Case))).decode())
        return 0
    device, _ = here()
    if device != "cuda" and not options.tiny:
        print("PyTorch sees no NVIDIA GPU: --tiny runs the script without one", file=sys.stderr)
        return 2
    about = versions(device)
    print(", ".join(f"{name} {value}" for name, value in about.items()), flush=True)
    errors = correctness(device, tiny=options.tiny)
    for name, each in errors.items():
        print(f"varlen, {name}: error {each.kernel:.2e}, by definition {each.definition:.2e}", flush=True)
    print(f"varlen attention is {'right' if right(errors) else 'WRONG'}", flush=True)
    found = []
    for kind, way, liger in itertools.product(("full", "lora"), ("sdpa", "varlen"), (False, True)):
        case = Case(
            attention=way,  # type: ignore[arg-type] # one of the two above, as is the next
            liger=liger,
            kind=kind,  # type: ignore[arg-type]
            tiny=options.tiny,
            steps=options.steps,
            tokens=options.tokens,
        )
        found.append((measure if options.tiny else apart)(case))
        print(table(found[-1:]).splitlines()[-1], flush=True)
    print(f"\n{table(found)}")
    options.json.parent.mkdir(parents=True, exist_ok=True)
    with whole(options.json) as file:
        file.write(
            msgspec.json.encode({"versions": about, "correctness": errors, "right": right(errors), "cases": found})
        )
    failed = [each for each in found if each.note.startswith("failed")]
    return int(bool(failed) or not right(errors))


if __name__ == "__main__":
    sys.exit(main())
