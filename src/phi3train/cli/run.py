"""``phi3train run``: the main job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from phi3data.cli.group import INTERRUPTED
from phi3train.cli import options

if TYPE_CHECKING:
    from pathlib import Path


@click.command("run")
@options.CONFIG
@options.SETTINGS
@click.option("--resume", type=click.Choice(["auto"]), help="Go on from the newest checkpoint, if there is one.")
@click.option("--launch", type=click.Choice(["accelerate"]), help="Train in several processes of this machine.")
@click.option("--processes", type=click.IntRange(1), help="With --launch: how many; one for each GPU otherwise.")
@click.option("--shard", is_flag=True, help="With --launch: share the weights out (FSDP) instead of copies (DDP).")
def run_command(
    config: Path,
    settings: tuple[str, ...],
    resume: str | None,
    launch: str | None,
    processes: int | None,
    *,
    shard: bool,
) -> int:
    """Train as CONFIG says, and leave a run folder that tells all of it.

    Nothing leaves this machine. SIGTERM or one Ctrl-C ends the run after its step with a checkpoint (exit code 130);
    the same command with --resume auto goes on from there, to the same result as an undisturbed run.

    With --launch accelerate a step's rows are dealt out to processes, one per GPU; the batch stays what CONFIG says.
    """
    resolved = options.config_from(config, settings)
    options.need_extra("run")
    from phi3train import processes as shared
    from phi3train.offline import go_offline

    go_offline()
    if launch is not None:
        return _launch(config, settings, resume, processes, shard=shard)
    if not shared.first():
        from pathlib import Path

        shared.keep_to_file(Path(resolved.output))
    from phi3train.run import run

    given = config.read_text("utf-8") + "".join(f"\n# --set {each}" for each in settings)
    ran = run(resolved, resume=resume is not None, given=given)
    said = f"{resolved.output}: {ran.state} at step {ran.progress.step:,}, {ran.progress.tokens:,} tokens"
    best = ran.progress.best
    click.echo(said if best is None else f"{said}; best validation loss {best:.4f} at step {ran.progress.best_step:,}")
    if shared.count() > 1:
        shared.leave()
        return 0  # another code of one process would end the others at once; who has launched them reads run.json
    return INTERRUPTED if ran.state == "interrupted" else 0


def _launch(config: Path, settings: tuple[str, ...], resume: str | None, processes: int | None, *, shard: bool) -> int:
    from pathlib import Path

    from phi3train.folder import RunFolder
    from phi3train.launch import launch

    resolved = options.config_from(config, settings)
    command = ["run", str(config), *(part for each in settings for part in ("--set", each))]
    command += ["--resume", resume] if resume else []
    code = launch(resolved, processes, command, shard=shard, resume=resume is not None)
    folder = RunFolder(Path(resolved.output))
    return INTERRUPTED if code == 0 and folder.state()["state"] == "interrupted" else code
