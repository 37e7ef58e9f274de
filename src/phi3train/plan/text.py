"""A plan for the terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3train.plan.memory import GIB

if TYPE_CHECKING:
    from phi3train.config import Config
    from phi3train.plan.plan import Device, Plan

_PARTS = {
    "weights": "weights",
    "copies": "bf16 copies (autocast)",
    "gradients": "gradients",
    "optimizer": "optimiser",
    "activations": "activations",
    "logits": "logits",
    "overhead": "context, fragments",
}


def render(plan: Plan, config: Config, device: Device, *, assumed: bool) -> str:
    """Return the plan as lines; `assumed` says that rows are assumed for want of data."""
    load, step, need = plan.workload, plan.steps, plan.memory
    share = plan.trainable / plan.parameters
    lines = [
        f"model        {config.model.name}: {plan.parameters:,} parameters",
        f"method       {config.method.kind}: {plan.trainable:,} trainable ({share:.2%})",
    ]
    if assumed:
        lines.append(f"data         none read: full rows of {load.widest:,} tokens are assumed")
    else:
        lines.append(
            f"data         {load.conversations:,} conversations, {load.tokens:,} tokens ({load.supervised:,} learned) "
            f"in {load.rows:,} rows"
        )
    shared = f" on {plan.processes} GPUs" if plan.processes > 1 else ""
    batch = f"micro-batch {plan.micro_batch} x {plan.accumulation} accumulated{shared}"
    again = "on" if plan.checkpointing else "off"
    lines += [
        f"step         {step.rows:,} rows, about {step.tokens:,} tokens: {batch}",
        f"computing    {plan.precision}, {plan.attention} attention, checkpointing {again}",
    ]
    if not assumed:
        lines.append(f"run          {step.total:,} steps ({step.per_epoch:,} an epoch)")
    full = "" if plan.fits else "  DOES NOT FIT"
    lines += [
        f"memory       {need.total / GIB:.1f} GiB of {device.memory / GIB:.1f} GiB{full}",
        *(f"  {name:<24}{getattr(need, part) / GIB:>9.2f} GiB" for part, name in _PARTS.items()),
        (
            f"speed        {plan.operations / 1e9:.1f} GFLOP a token; {plan.tokens_per_second:,.0f} tokens/s at "
            f"{device.mfu:.0%} of {device.peak / 1e12:,.0f} TFLOP/s"
        ),
    ]
    if not assumed:
        lines.append(f"time         {duration(plan.seconds)}")
    if plan.advice:
        lines.append(f"advice       {plan.advice}")
    return "\n".join(lines) + "\n"


def duration(seconds: float) -> str:
    """Return a length of time as people say it: ``2 h 05 min``, ``3 min 20 s``, ``4.2 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
