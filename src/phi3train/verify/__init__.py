"""Whether a bundle is what it says and will load where it goes: every claim of it, tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3data.errors import InputError
from phi3train.export.bundle import Kind, read
from phi3train.verify import adapter, files, finetune, settings, weights
from phi3train.verify.outcome import Outcome, failed, skipped

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_ALL = (files.unchanged, files.safe, files.local_paths)
_STATIC: dict[Kind, tuple[Callable[[Path], Outcome], ...]] = {
    "finetune": (*_ALL, finetune.data, finetune.job, finetune.request, finetune.client),
    "model": (*_ALL, weights.complete, settings.config, settings.tokenizer, settings.ends),
    "adapter": (*_ALL, adapter.base, adapter.shape, settings.tokenizer),
}


def verify(folder: Path, *, dialects: bool = False) -> list[Outcome]:
    """Return what became of every check of a bundle, in the order in which they build on each other.

    With `dialects` a model is also loaded by transformers 4, which is installed for that (from the network, once).
    Raises `InputError` for a folder that is no bundle.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder: give the one that phi3train export wrote")
    kind = read(folder).kind
    found = [_tried(check, folder) for check in _STATIC[kind]]
    if kind != "model":
        return found
    broken = next((each.name for each in found if each.state == "failed"), None)
    if broken is not None:
        return [*found, skipped("loads", f"'{broken}' failed: mend that first")]
    from phi3train.verify import runtime

    here = runtime.probe(folder / "model", folder)
    found.append(runtime.loads(folder, here))
    if dialects:
        found.append(runtime.equal(here, runtime.probe_old(folder / "model", folder)))
    else:
        found.append(skipped("old runtime", f"--dialects loads it with transformers {runtime.OLD} too"))
    return found


def _tried(check: Callable[[Path], Outcome], folder: Path) -> Outcome:
    """Run a check; a file that it cannot read is its outcome."""
    try:
        return check(folder)
    except InputError as error:
        return failed(check.__name__.replace("_", " "), str(error), "export the run again")


__all__ = ["Outcome", "verify"]
