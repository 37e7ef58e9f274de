"""The plan of a run: what is trained, what fits, in how many steps and how long it will take."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from phi3data.errors import UsageError
from phi3train.plan.memory import GIB, Memory, Precision, memory
from phi3train.plan.schedule import Steps, Workload, chosen, steps

if TYPE_CHECKING:
    from phi3train.config import Config
    from phi3train.plan.shapes import Shape

# Dense bf16 rate of one H100 or H200 by its data sheet, in operations per second.
PEAK = 989e12
# Part of it that training reaches: a cautious guess, to be replaced by what a run has measured.
MFU = 0.4
# Part of a device's memory that a plan fills.
FILLED = 0.94


Attention = Literal["varlen", "sdpa", "eager"]


class Device(msgspec.Struct, frozen=True, kw_only=True):
    """What a process has: bytes of memory, operations per second at its peak, and the part of them that is reached.

    `varlen` tells whether it has the kernel for packed rows, `processes` how many such devices share the run.
    """

    memory: float
    peak: float = PEAK
    mfu: float = MFU
    varlen: bool = False
    processes: int = 1


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """A plan. `operations` are floating-point operations per token, `seconds` for the whole run."""

    parameters: int
    trainable: int
    workload: Workload
    steps: Steps
    micro_batch: int
    accumulation: int
    checkpointing: bool
    precision: Precision
    attention: Attention
    processes: int
    memory: Memory
    operations: float
    tokens_per_second: float
    seconds: float
    fits: bool
    advice: str  # what to change where nothing fits, else ""


def plan(config: Config, shape: Shape, load: Workload, device: Device, precision: Precision) -> Plan:
    """Return the plan: the largest micro-batch that fits, without recomputation if possible.

    The rows of a step stay the same whatever the micro-batch, and so do the results; several processes share them.
    Raises `UsageError` for a configured micro-batch that does not divide a step, and for more processes than rows.
    """
    step = steps(config.train, load, device.processes)
    sizes = chosen(config.train, step.rows // device.processes)
    attention = attention_of(config, precision, varlen=device.varlen)
    if config.packing.enabled and config.train.micro_batch is None and attention != "varlen":
        # TRL joins the packed rows of a micro-batch into one, and masked attention costs the square of its length.
        sizes = sizes[-1:]
    options = (False, True) if config.train.checkpointing is None else (config.train.checkpointing,)
    tried = [(again, size) for again in options for size in sizes]

    def needed(size: int, *, again: bool) -> Memory:
        return memory(
            shape,
            config.method,
            tokens=size * load.widest,
            optimizer=config.train.optimizer,
            precision=precision,
            checkpointing=again,
            smoothing=config.train.label_smoothing > 0,
        )

    room = FILLED * device.memory
    found = next(((again, size) for again, size in tried if needed(size, again=again).total <= room), None)
    again, size = found or tried[-1]
    need = needed(size, again=again)
    operations = shape.operations(config.method, load.context)
    # Recomputation is a second forward pass: a third more for all weights, a half more for frozen ones.
    extra = 1.0 if not again else 4 / 3 if config.method.kind == "full" else 3 / 2
    rate = device.processes * device.peak * device.mfu / (operations * extra)
    return Plan(
        parameters=shape.parameters,
        trainable=shape.trainable(config.method),
        workload=load,
        steps=step,
        micro_batch=size,
        accumulation=step.rows // (size * device.processes),
        checkpointing=again,
        precision=precision,
        attention=attention,
        processes=device.processes,
        memory=need,
        operations=operations,
        tokens_per_second=rate,
        seconds=step.total * step.tokens / rate,
        fits=found is not None,
        advice="" if found else _advice(config, need, room),
    )


def attention_of(config: Config, precision: Precision, *, varlen: bool) -> Attention:
    """Return how attention is computed: as configured, else by the varlen kernel where the device has it."""
    if config.model.attention != "auto":
        return config.model.attention
    # The kernel is for half precision, and only packed rows gain by it.
    return "varlen" if varlen and precision == "bf16" and config.packing.enabled else "sdpa"


def full_rows(config: Config, context: int, conversations: int = 1000) -> Workload:
    """Return a workload of full rows, for planning without data."""
    width = config.packing.length or min(config.truncation.max_tokens or context, context, 4096)
    return Workload(
        conversations=conversations,
        rows=conversations,
        tokens=conversations * width,
        supervised=conversations * width,
        widest=width,
        context=(width + 1) / 2,
    )


def check_targets(config: Config, shape: Shape) -> None:
    """Raise `UsageError` for adapter targets that are no linear layers of the model, with the names that are."""
    if config.method.kind == "full":
        return
    unknown = [name for name in config.method.targets if name not in shape.linear]
    if unknown:
        raise UsageError(
            f"method.targets: {', '.join(unknown)}: no layer of a Phi-3 model is called that (q_proj, k_proj, v_proj, "
            f"gate_proj and up_proj are Llama's names); its linear layers are {', '.join(shape.linear)}"
        )


def _advice(config: Config, need: Memory, room: float) -> str:
    over = (need.total - room) / GIB
    held = need.weights + need.gradients + need.optimizer + need.copies
    if held > room:
        smaller = "method.kind = 'lora'" if config.method.kind == "full" else "method.kind = 'qlora' or a smaller model"
        return f"{over:.1f} GiB too much, before any row is read: set {smaller}, or take a larger GPU"
    shorter = "packing.length" if config.packing.enabled else "truncation.max_tokens"
    return f"{over:.1f} GiB too much with one row at a time: set a smaller {shorter}, or train.checkpointing = true"
