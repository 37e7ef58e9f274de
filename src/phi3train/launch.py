"""A run of several processes on this machine: accelerate's configuration, written into the run folder, and its start.

The processes do not fail one by one: where one ends badly, accelerate ends the others, and the run goes on from its
checkpoint with --resume auto. The first process speaks to the user; what the others say is in processes/ in the folder.
"""

from __future__ import annotations

import logging
import signal
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import psutil
from accelerate.commands.launch import (  # type: ignore[import-untyped] # accelerate has no types
    launch_command,
    launch_command_parser,
)
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

from phi3data.errors import UsageError
from phi3data.sources.files import whole
from phi3train.endings import handling
from phi3train.folder import RunFolder
from phi3train.resuming import refuse_other

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType

    from phi3train.config import Config

_BLOCK = "Phi3DecoderLayer"  # what is gathered, computed and let go of at a time, where weights are sharded


def launch(config: Config, processes: int | None, command: Sequence[str], *, shard: bool, resume: bool) -> int:
    """Start `command`, arguments of phi3train, in so many processes, wait for them, and return the exit code.

    `processes` None is one for each GPU. SIGTERM and SIGINT go on to the processes, which save and end. Raises
    `OutputError` for a folder that holds another run, `UsageError` for what cannot be shared.
    """
    import torch

    gpus = torch.cuda.device_count()
    processes = gpus if processes is None else processes
    if processes < 2:
        raise UsageError(
            f"--launch: is for several processes, this would be {processes} (PyTorch sees {gpus} GPUs): leave it away, "
            "or say --processes"
        )
    if gpus and processes > gpus:
        raise UsageError(f"--processes: {processes} processes need a GPU each, and PyTorch sees {gpus}")
    if shard and not gpus:
        raise UsageError("--shard: sharded weights (FSDP) need GPUs, and PyTorch sees none: leave it away")
    folder = RunFolder(Path(config.output))
    refuse_other(folder, config, resume=resume)
    (folder.path / "processes").mkdir(parents=True, exist_ok=True)
    path = folder.path / "accelerate.json"
    with whole(path) as file:
        # JSON is YAML, and accelerate reads both.
        file.write(msgspec.json.format(msgspec.json.encode(configuration(processes, shard=shard)), indent=2) + b"\n")
    arguments: Any = launch_command_parser().parse_args(["--config_file", str(path), "-m", "phi3train", *command])
    arguments.signals_to_handle = "SIGHUP,SIGQUIT"  # the two others are ours
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)  # a trace of its own for each error
    try:
        with _forwarded():
            launch_command(arguments)
    except ChildFailedError as error:
        return _told(error, folder)
    return 0


def configuration(processes: int, *, shard: bool) -> dict[str, Any]:
    """Return accelerate's configuration: a copy of the weights in each process (DDP), or a part of them (FSDP).

    The arithmetic is the run's own to choose, and so is recomputation.
    """
    made: dict[str, Any] = {
        "compute_environment": "LOCAL_MACHINE",
        "distributed_type": "FSDP" if shard else "MULTI_GPU",
        "num_machines": 1,
        "machine_rank": 0,
        "num_processes": processes,
        "main_process_port": 0,
        "mixed_precision": "no",
        "use_cpu": False,
    }
    if shard:
        made["fsdp_config"] = {
            "fsdp_version": 2,
            "fsdp_auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "fsdp_transformer_layer_cls_to_wrap": _BLOCK,
            "fsdp_reshard_after_forward": True,
            "fsdp_state_dict_type": "FULL_STATE_DICT",
            "fsdp_offload_params": False,
            "fsdp_cpu_ram_efficient_loading": False,
            "fsdp_activation_checkpointing": False,
        }
    return made


@contextmanager
def _forwarded() -> Iterator[None]:
    """Pass SIGTERM and SIGINT on, always as SIGTERM.

    A terminal's Ctrl-C reaches the processes too, and a second SIGINT would end them at once.
    """

    def stop(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 (as signal calls it)
        for child in psutil.Process().children():
            with suppress(psutil.NoSuchProcess):  # it has just ended
                child.send_signal(signal.SIGTERM)

    with handling(stop):
        yield


def _told(error: Any, folder: RunFolder) -> int:
    """Return the exit code of the process that failed first, and say where its words are, if it has not itself."""
    number, failure = min(error.failures.items(), key=lambda each: each[1].timestamp)
    code = int(failure.exitcode)
    if number > 0 or code < 0:
        how = f"exit code {code}" if code >= 0 else f"{signal.Signals(-code).name}"
        where = f": see {folder.path / 'processes' / f'{number}.log'}" if number > 0 else ""
        sys.stderr.write(f"process {number} ended with {how}{where}; --resume auto goes on from the last checkpoint\n")
    return code if code > 0 else 1
