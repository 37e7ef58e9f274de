"""Whether a bundle is what it says and will load where it goes: every claim of it, tried."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

from phi3data.errors import InputError, Phi3kitError
from phi3train.export.bundle import Kind, read
from phi3train.verify import adapter, client, deployment, files, finetune, onnx, settings, weights
from phi3train.verify.outcome import AGAIN, Outcome, failed, skipped

_Check = Callable[[Path], Outcome]
_ALL: dict[str, _Check] = {"files": files.unchanged, "safe": files.safe, "paths": files.local_paths}
_STATIC: dict[Kind, dict[str, _Check]] = {
    "finetune": {
        **_ALL,
        "data": finetune.data,
        "job": finetune.job,
        "request": finetune.request,
        "client": client.finetune,
    },
    "model": {
        **_ALL,
        "weights": weights.complete,
        "config": settings.config,
        "tokenizer": settings.tokenizer,
        "ends": settings.ends,
        "deployment": deployment.deployment,
        "client": client.endpoint,
    },
    "adapter": {**_ALL, "base": adapter.base, "adapter": adapter.shape, "tokenizer": settings.tokenizer},
    "onnx": {
        **_ALL,
        "weights": onnx.complete,
        "settings": onnx.settings,
        "tokenizer": settings.tokenizer,
        "ends": settings.ends,
    },
}
# What a file makes of a check that somebody edited: another kind of value, a key that is gone, no text.
_DAMAGED = (OSError, ValueError, LookupError, TypeError, AttributeError)


def verify(folder: Path, *, dialects: bool = False) -> list[Outcome]:
    """Return what became of every check of a bundle, in the order in which they build on each other.

    With `dialects` a model is also loaded by transformers 4, which is installed for that (from the network, once).
    Raises `InputError` for a folder that is no bundle.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: is no folder: give the one that phi3train export wrote")
    kind = read(folder).kind
    found = [_tried(name, check, folder) for name, check in _STATIC[kind].items()]
    if kind not in ("model", "onnx"):
        return found
    broken = next((each.name for each in found if each.state == "failed"), None)
    if broken is not None:
        return [*found, skipped("answers" if kind == "onnx" else "loads", f"'{broken}' failed: mend that first")]
    if kind == "onnx":
        return [*found, *_answered(folder)]
    from phi3train.verify import runtime

    here = cache(runtime.probe)  # loaded once for both
    found.append(_tried("loads", lambda bundle: runtime.loads(bundle, here(bundle)), folder))
    if not dialects:
        return [*found, skipped("old runtime", f"--dialects loads it with transformers {runtime.OLD} too")]
    if found[-1].state == "failed":
        return [*found, skipped("old runtime", "'loads' failed: mend that first")]
    return [
        *found,
        _tried("old runtime", lambda bundle: runtime.equal(here(bundle), runtime.probe_old(bundle)), folder),
    ]


def _answered(folder: Path) -> list[Outcome]:
    """Return what became of the checks that load an ONNX model, once for both."""
    if not onnx.INSTALLED:
        return [skipped("answers", onnx.NEEDED)]
    loaded = cache(onnx.load)
    checks: dict[str, _Check] = {
        "prompt": lambda bundle: onnx.prompt(bundle, loaded(bundle)),
        "answers": lambda bundle: onnx.answers(bundle, loaded(bundle)),
    }
    return [_tried(name, check, folder) for name, check in checks.items()]


def _tried(name: str, check: _Check, folder: Path) -> Outcome:
    """Make a check; where the bundle is so damaged that it cannot be made, that is its outcome."""
    try:
        return check(folder)
    except Phi3kitError as error:
        return failed(name, str(error), AGAIN)
    except _DAMAGED as error:
        return failed(name, f"a file of the bundle is damaged ({type(error).__name__}: {error})", AGAIN)


__all__ = ["Outcome", "verify"]
