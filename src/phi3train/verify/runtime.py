"""A model loaded from the disk: as this machine's transformers reads it, and as transformers 4 does."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import torch
from safetensors.torch import load_file

from phi3data.errors import InputError
from phi3train.export import expected
from phi3train.export.bundle import read_json
from phi3train.models import window_of
from phi3train.verify import probe as program
from phi3train.verify.outcome import Outcome, failed, passed

if TYPE_CHECKING:
    from collections.abc import Callable

OLD = "4.57.6"  # the last of transformers 4
_OLD_NEEDS = (f"transformers=={OLD}", "tokenizers==0.22.2", "huggingface-hub==0.36.0")
_SHORT = 64  # tokens
_LONGEST = 4096  # tokens past LongRoPE's window that are tried at most; a CPU takes long for more
_TEXTS = ("Hello!", " two  spaces\n\tand a tab", "Grüße aus Zürich", "日本語と中文", "emoji 🙂 and <|end|> in text")
_LOGITS = 1e-4  # of the spread of the logits, between two runtimes in fp32


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """What a runtime made of a model; `error` is its last word where it could not load it."""

    transformers: str = ""
    answers: list[list[int]] = []
    rendered: list[str] = []
    ids: list[list[int]] = []
    logits: dict[str, Any] = {}
    error: str = ""


def probe(folder: Path) -> Probed:
    """Load the model of a bundle by the transformers of this machine and ask it."""
    return _probe(folder, _in_this_process)


def probe_old(folder: Path) -> Probed:
    """Load the model of a bundle by transformers 4. Raises `InputError` where it cannot be installed."""
    # PyTorch is that of this environment; what is in the folder comes before what is installed in it.
    path = {"PYTHONPATH": str(old_runtime())}
    return _probe(folder, lambda *paths: _run([sys.executable, program.__file__, *paths], path))


def old_runtime() -> Path:
    """Return the folder with transformers 4, in the cache folder of this user; it is put there when it is not there.

    Raises `InputError` where it cannot be installed.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "phi3kit"
    place = cache / f"transformers-{OLD}-python{sys.version_info[0]}.{sys.version_info[1]}"
    if not (place / "done").is_file():
        place.mkdir(parents=True, exist_ok=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        said = _run([*pip, "--upgrade", "--target", str(place), *_OLD_NEEDS], {})
        if said:
            raise InputError(f"transformers {OLD} cannot be installed into {place} (is there a network?): {said}")
        (place / "done").touch()
    return place


def _probe(bundle: Path, ask: Callable[[str, str, str], str]) -> Probed:
    model = bundle / "model"
    with tempfile.TemporaryDirectory() as folder:
        questions, out = Path(folder) / "questions.json", Path(folder) / "out.json"
        questions.write_bytes(msgspec.json.encode(_questions(model, bundle)))
        error = ask(str(model.resolve()), str(questions), str(out))
        if error:
            return Probed(error=error)
        said = msgspec.json.decode(out.read_bytes(), type=Probed)
        return msgspec.structs.replace(said, logits=load_file(f"{out}.safetensors"))


def _in_this_process(*paths: str) -> str:
    try:
        program.main(*paths)
    except Exception as error:  # noqa: BLE001 (whatever a library says of a model that it cannot load)
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return ""


def _run(command: list[str], environment: dict[str, str]) -> str:
    """Run a program; return its last word where it failed, else nothing."""
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    ended = subprocess.run(  # noqa: S603
        command, env={**os.environ, **offline, **environment}, capture_output=True, text=True, check=False
    )
    return "" if not ended.returncode else (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1]


def loads(folder: Path, here: Probed) -> Outcome:
    """The runtime of this machine loads the model, and it answers as it did when it was handed over."""
    if here.error:
        return failed("loads", here.error, "export the run again")
    wanted = [each.answer for each in expected.read(folder).answers]
    if here.answers != wanted:
        same = sum(map(list.__eq__, here.answers, wanted))
        said = f"{same} of {len(wanted)} answers are those of deploy/expected.json"
        return failed("loads", said, "the weights or their settings are not those that were exported: export again")
    number = f"{len(wanted)} answer{'s' * (len(wanted) != 1)}"
    return passed("loads", f"transformers {here.transformers}: {number} to the letter")


def equal(here: Probed, old: Probed) -> Outcome:
    """An older runtime makes the same logits, ids and text of it."""
    name = "old runtime"
    if old.error:
        return failed(name, f"transformers {OLD}: {old.error}", "export the run again: it needs both dialects")
    furthest, spread = 0.0, 1e-9
    for number, logits in here.logits.items():
        furthest = max(furthest, float((logits - old.logits[number]).abs().max()))
        spread = max(spread, float(logits.std()))
    if not furthest <= _LOGITS * spread:
        said = f"transformers {OLD}: logits differ by {furthest:.2g} where they spread over {spread:.2g}"
        return failed(name, said, "config.json says another rope to old runtimes: export the run again")
    if (here.ids, here.rendered) != (old.ids, old.rendered):
        what = "ids" if here.ids != old.ids else "chat template"
        return failed(name, f"transformers {OLD}: the {what} differ", "export the run again: it needs both dialects")
    rows = ", ".join(f"{len(logits):,}" for logits in here.logits.values())
    return passed(name, f"transformers {OLD}: logits equal at {rows} tokens (difference {furthest:.1g}), ids, template")


def _questions(model: Path, folder: Path) -> dict[str, Any]:
    settings = read_json(model / "config.json")
    try:
        vocabulary, context = int(settings["vocab_size"]), int(settings["max_position_embeddings"])
    except KeyError as error:
        raise InputError(f"{model / 'config.json'}: has no {error.args[0]}") from None
    lengths = [min(_SHORT, context)]
    window = window_of(settings)
    if window is not None and window < context:
        lengths.append(min(window + _SHORT, context, _LONGEST + _SHORT))
    drawn = torch.Generator().manual_seed(0)
    rows = [torch.randint(vocabulary, (length,), generator=drawn).tolist() for length in lengths]
    wanted = expected.read(folder)
    conversation = wanted.request["messages"] if wanted.request else [{"role": "user", "content": "Hi"}]
    return {
        "rows": rows,
        "prompts": [each.prompt for each in wanted.answers],
        "tokens": max((len(each.answer) for each in wanted.answers), default=1),
        "conversations": [conversation, [*conversation, {"role": "assistant", "content": "Yes.\n"}]],
        "texts": list(_TEXTS),
    }
