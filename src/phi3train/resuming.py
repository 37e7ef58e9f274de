"""What a run may write to and go on with: its own folder, with the same configuration, data and processes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from phi3data.errors import OutputError
from phi3train.settings import load, to_toml

if TYPE_CHECKING:
    from collections.abc import Mapping

    from phi3train.config import Config
    from phi3train.data.prepared import Split
    from phi3train.folder import RunFolder

LAUNCHED = {"accelerate.json", "processes"}  # what `launch` puts into a folder before there is a run in it


def refuse_other(folder: RunFolder, config: Config, *, resume: bool) -> None:
    """Raise `OutputError` for a folder that this run must not write to."""
    if not folder.exists:
        if folder.path.is_dir() and {each.name for each in folder.path.iterdir()} - LAUNCHED:
            raise OutputError(f"{folder.path}: is no run folder and not empty: choose another output")
        return
    if not resume:
        raise OutputError(
            f"{folder.path}: holds a run ({folder.state()['state']}): go on with --resume auto, or choose another "
            "output (--set output=…)"
        )
    held = load(folder.path / "config.toml")
    if _of_the_same_result(held) != _of_the_same_result(config):
        old, new = (to_toml(each).splitlines() for each in (held, config))
        changed = [line for line in new if line not in old] or [f"no {line}" for line in old if line not in new]
        raise OutputError(
            f"{folder.path}: holds a run of another configuration (this one has: {'; '.join(changed[:3])}): choose "
            "another output, or take back the change"
        )


def as_planned(config: Config, folder: RunFolder, processes: int) -> Config:
    """Return the configuration with what a run before has planned: the order of the rows follows from it.

    Recomputation can be asked for anew, for a run that was out of memory. Raises `OutputError` for another number of
    processes.
    """
    path = folder.path / "plan.json"
    if not path.is_file():
        return config
    held = msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, Any]])["predicted"]
    if held.get("processes", 1) != processes:
        raise OutputError(
            f"{folder.path}: holds a run of {held.get('processes', 1)} processes, this one has {processes}: go on with "
            "as many (--processes), or choose another output"
        )
    again = held["checkpointing"] if config.train.checkpointing is None else config.train.checkpointing
    train = msgspec.structs.replace(config.train, micro_batch=held["micro_batch"], checkpointing=again)
    return msgspec.structs.replace(config, train=train)


def refuse_other_data(folder: RunFolder, account: Mapping[Split, dict[str, Any]]) -> None:
    """Raise `OutputError` for a file of data that is not the one that the run began with."""
    held = msgspec.json.decode((folder.path / "data.json").read_bytes(), type=dict[str, Any])
    for split, each in account.items():
        if held.get(split, {}).get("sha256") != each["sha256"]:
            raise OutputError(f"{each['path']}: changed since the run in {folder.path} began: choose another output")


def _of_the_same_result(config: Config) -> Config:
    """Return the configuration without what changes what a run needs or where it lies, and not what it learns."""
    return msgspec.structs.replace(config, output="", train=msgspec.structs.replace(config.train, checkpointing=None))
