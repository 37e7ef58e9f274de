"""``phi3train run``: the main job."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from phi3train.cli import options

if TYPE_CHECKING:
    from pathlib import Path

_INTERRUPTED = 130


@click.command("run")
@options.CONFIG
@options.SETTINGS
@click.option("--resume", type=click.Choice(["auto"]), help="Go on from the newest checkpoint, if there is one.")
def run_command(config: Path, settings: tuple[str, ...], resume: str | None) -> int:
    """Train as CONFIG says, and leave a run folder that tells all of it.

    Nothing leaves this machine. SIGTERM or one Ctrl-C ends the run after its step with a checkpoint (exit code 130);
    the same command with --resume auto goes on from there, to the same result as an undisturbed run.
    """
    resolved = options.config_from(config, settings)
    options.need_extra("run")
    from phi3train.offline import go_offline

    go_offline()
    from phi3train.run import run

    given = config.read_text("utf-8") + "".join(f"\n# --set {each}" for each in settings)
    ran = run(resolved, resume=resume is not None, given=given)
    said = f"{resolved.output}: {ran.state} at step {ran.progress.step:,}, {ran.progress.tokens:,} tokens"
    best = ran.progress.best
    click.echo(said if best is None else f"{said}; best validation loss {best:.4f} at step {ran.progress.best_step:,}")
    return _INTERRUPTED if ran.state == "interrupted" else 0
