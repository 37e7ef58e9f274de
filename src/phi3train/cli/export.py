"""``phi3train export``: a bundle to hand over."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from phi3data.errors import UsageError
from phi3train.cli import options

_NEXT = {
    "finetune": "; UPLOAD.md says what is next",
    "model": "; phi3train serve tries it here, deploy/DEPLOY.md says what is next",
    "adapter": "",
    "onnx": "; MODEL_CARD.md says how Foundry Local gets it",
}


@click.command("export")
@click.argument("source", metavar="RUN_OR_DATA", type=click.Path(path_type=Path))
@click.option(
    "--to", "kind", type=click.Choice(["finetune", "model", "adapter", "onnx"]), required=True, help="What to make."
)
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Folder of the bundle.")
@click.option("--name", help="Name of the model; that of the output folder otherwise.")
@click.option(
    "--dtype",
    type=click.Choice(["auto", "float32", "bfloat16"]),
    default="auto",
    show_default=True,
    help="Of the weights (model); auto: as the run computed.",
)
@click.option(
    "--precision",
    type=click.Choice(["fp32", "fp16", "int4"]),
    help="Of the weights (onnx); the most exact that the provider has otherwise.",
)
@click.option(
    "--provider",
    type=click.Choice(["cpu", "cuda", "dml", "webgpu"]),
    default="cpu",
    show_default=True,
    help="What will run it (onnx).",
)
@click.option(
    "--base", metavar="MODEL", help="Model that Foundry trains (finetune); that of the run or data otherwise."
)
@click.option("--base-version", metavar="N", help="Its version in the registry (finetune).")
@click.option("--epochs", type=float, help="Times that the data is seen (finetune).")
@click.option("--batch-size", type=float, help="Rows per device and step (finetune).")
@click.option("--learning-rate", type=float, help="Peak learning rate (finetune).")
@click.option(
    "--price", type=float, metavar="SUM", help="Price of a million trained tokens, for the estimate (finetune)."
)
@click.option("--hosting-price", type=float, metavar="SUM", help="Price of an hour of the endpoint (finetune).")
@click.option("--priced", default="", metavar="DATE", help="The day of the prices, as 2026-11-20 (finetune).")
@click.option("--region", metavar="NAME", help="Azure region of the project, as eastus2 (finetune).")
@click.option("--shuffle", is_flag=True, help="Training rows in random order, for a service that splits (finetune).")
@click.option("--bom", is_flag=True, help="Begin the data files with a byte-order mark (finetune).")
@click.option("--no-examples", is_flag=True, help="Keep questions of the data out of deploy/ (model, adapter, onnx).")
@click.option("--overwrite", is_flag=True, help="Replace a bundle that is there.")
def export_command(
    source: Path,
    kind: str,
    output: Path,
    name: str | None,
    dtype: Any,
    precision: Any,
    provider: Any,
    *,
    no_examples: bool,
    overwrite: bool,
    **job: Any,
) -> None:
    """Make a bundle of a run, or of prepared data.

    finetune: the data and the job that has Foundry train on it, with UPLOAD.md. model: the weights of a run, an adapter
    merged into them, for any server. adapter: the adapter alone, for those who have the base. onnx: the model for
    Foundry Local and onnxruntime-genai. Weights are written so that runtimes on transformers 4 and 5 load them alike.
    phi3train verify proves a bundle.
    """
    for option, value in job.items():
        if kind != "finetune" and value not in (None, "", False):
            raise UsageError(f"--{option.replace('_', '-')}: is for --to finetune, not for --to {kind}")
    if no_examples and kind == "finetune":
        raise UsageError("--no-examples: is for bundles of weights; one for fine-tuning holds the rows themselves")
    options.need_extra("export")
    if kind == "onnx":
        options.need_extra("export --to onnx", "onnx")
    from phi3train.endings import terminable
    from phi3train.offline import go_offline

    go_offline()
    click.get_current_context().with_resource(terminable())
    from phi3train.export import checkpoint, finetune

    named = name or output.resolve().name
    how: Any = {"name": named, "examples": not no_examples, "overwrite": overwrite}
    if kind == "finetune":
        made = finetune.export_finetune(source, output, name=named, job=finetune.Job(**job), overwrite=overwrite)
        said = finetune.warnings(made)
    elif kind == "model":
        made = checkpoint.export_model(source, output, dtype=dtype, **how)
        said = []
    elif kind == "onnx":
        from phi3train.export.onnx import export_onnx

        made = export_onnx(source, output, precision=precision, provider=provider, **how)
        said = []
    else:
        made = checkpoint.export_adapter(source, output, **how)
        said = checkpoint.warnings(made)
    for each in said:
        click.echo(f"{click.style('warning', fg='yellow', bold=True)}: {each}", err=True)
    size = sum(file.bytes for file in made.files.values())
    click.echo(f"{output}: {kind} '{made.name}', {len(made.files)} files, {size / 1e6:,.1f} MB")
    click.echo(f"phi3train verify {shlex.quote(str(output))} checks it{_NEXT[kind]}")
    if made.facts.get("training_questions"):
        click.echo("deploy/ holds a few questions of the training data: look at them before others get the bundle")
