"""``phi3train plan``: what fits, in how many steps, and how long it takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from phi3train.cli import options

if TYPE_CHECKING:
    from pathlib import Path


@click.command("plan")
@options.CONFIG
@options.SETTINGS
@click.option("--memory", type=float, default=80.0, show_default=True, metavar="GIB", help="Memory of the GPU.")
@click.option("--tflops", type=float, default=989.0, show_default=True, help="Dense bf16 rate of the GPU.")
@click.option("--mfu", type=click.FloatRange(0, 1, min_open=True), help="Part of it that training reaches [0.4].")
@click.option("--gpus", type=click.IntRange(1), default=1, show_default=True, help="How many of them share the run.")
@click.option("--no-data", is_flag=True, help="Read no data: assume full rows.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def plan_command(
    config: Path,
    settings: tuple[str, ...],
    memory: float,
    tflops: float,
    mfu: float | None,
    gpus: int,
    *,
    no_data: bool,
    as_json: bool,
) -> int:
    """Plan the run of CONFIG on a GPU: parameters, memory by part, micro-batch, steps and time.

    Needs no GPU and no weights: without the model on this machine its shape is known from the family's table. The exit
    code is 1 where the run does not fit.
    """
    resolved = options.config_from(config, settings)
    import msgspec

    from phi3train.plan.memory import GIB
    from phi3train.plan.plan import MFU, Device
    from phi3train.plan.text import render
    from phi3train.planning import plan_for

    device = Device(memory=memory * GIB, peak=tflops * 1e12, mfu=mfu or MFU, varlen=True, processes=gpus)
    made, assumed = plan_for(resolved, device, read=not no_data)
    click.echo(msgspec.json.encode(made) if as_json else render(made, resolved, device, assumed=assumed), nl=as_json)
    return int(not made.fits)
