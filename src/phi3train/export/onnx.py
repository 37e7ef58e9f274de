"""The bundle `onnx`: the weights of a run for onnxruntime-genai and Foundry Local, by Microsoft's own model builder.

model/              ONNX model and its data, genai_config.json, inference_model.json, tokenizer, chat template
deploy/             a request to try it with, and what the weights answered before they were converted
MODEL_CARD.md       LICENSE
manifest.json       every file with its size and its sha256
"""

from __future__ import annotations

import os
import subprocess
import sys
from shutil import copyfile
from typing import TYPE_CHECKING, Any, Literal

from phi3data.chat import Conversation, Message
from phi3data.errors import InputError, UsageError
from phi3data.family.template import Template
from phi3data.tokens.count import template_of
from phi3train.export import card
from phi3train.export.bundle import Manifest, building, read_json, seal, write_json
from phi3train.export.checkpoint import export_model
from phi3train.export.endpoints import MODEL_NAME
from phi3train.models import find
from phi3train.report.story import read as read_story

if TYPE_CHECKING:
    from pathlib import Path

    from phi3data.family.template import ChatTemplate

Precision = Literal["fp32", "fp16", "int4"]
Provider = Literal["cpu", "cuda", "dml", "webgpu"]
# The builder's own list, the most exact first, without fp32 for cuda: of that it makes a graph that no runtime loads.
PRECISIONS: dict[Provider, tuple[Precision, ...]] = {
    "cpu": ("fp32", "int4"),
    "cuda": ("fp16", "int4"),
    "dml": ("fp16", "int4"),
    "webgpu": ("int4",),
}
_BUILDER = "onnxruntime_genai.models.builder"
# Runs the module that is its first argument as a program, which Linux ends when this process does (PR_SET_PDEATHSIG).
_PROGRAM = """
import ctypes, runpy, signal, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja")
_KEPT = ("deploy/test_request.json", "deploy/expected.json", "LICENSE")


def export_onnx(
    run: Path,
    output: Path,
    *,
    name: str,
    precision: Precision | None = None,
    provider: Provider = "cpu",
    examples: bool = True,
    overwrite: bool = False,
) -> Manifest:
    """Write the bundle `onnx` of a run: its model, an adapter merged into it, as an ONNX model.

    `precision` is that of its weights, without one the most exact that there is for the provider. The builder needs
    memory for the weights in fp32 1.3 times, to round them to int4 2.5 times; the disk holds them twice. `examples` as
    for `export_model`.

    Raises `UsageError` for a name, a pair of precision and provider or a run that cannot be, `InputError` where the
    builder fails, and what `export_model` raises.
    """
    if not MODEL_NAME.fullmatch(name):  # Foundry Local sets the version off by a colon
        raise UsageError(f"--name '{name}': Foundry Local takes letters, digits, dots, - and _ in the name of a model")
    precision = precision or PRECISIONS[provider][0]
    if precision not in PRECISIONS[provider]:
        raise UsageError(f"--precision {precision}: for {provider} take {' or '.join(PRECISIONS[provider])}")
    story = read_story(run)
    if story.config.method.kind == "classify":
        raise UsageError(f"{run}: holds a classification head, which writes no text: export it with --to model")
    with building(output, overwrite=overwrite) as folder:
        merged = folder.parent / "merged"  # goes with the folder of the work
        # In fp32 whatever the run computed in: the builder rounds once, from all that was learned.
        made = export_model(run, merged, name=name, dtype="float32", examples=examples)
        _build(merged / "model", folder / "model", folder.parent / "cache", precision, provider)
        for file in _TOKENIZER:  # the builder writes its own, which older runtimes cut otherwise
            copyfile(merged / "model" / file, folder / "model" / file)
        model = find(story.config.model)
        write_json(folder / "model" / "inference_model.json", inference_model(name, template_of(model.tokenizer)))
        (folder / "deploy").mkdir()
        for file in _KEPT:
            copyfile(merged / file, folder / file)
        settings = read_json(merged / "model" / "config.json")
        facts = {key: value for key, value in made.facts.items() if key != "dtype"} | {
            "precision": precision,
            "provider": provider,
            "context": settings["max_position_embeddings"],
            "vocabulary": settings["vocab_size"],
        }
        manifest = Manifest(kind="onnx", name=name, base_model=made.base_model, facts=facts)
        (folder / "MODEL_CARD.md").write_text(card.render(story, model, manifest), "utf-8")
        return seal(folder, manifest)


def inference_model(name: str, template: ChatTemplate) -> dict[str, Any]:
    """Return inference_model.json: how Foundry Local names a model, and what it writes around `{Content}`.

    Its newer versions read the name alone and render the chat template that lies beside.
    """
    content = "{Content}"
    asked = Conversation([Message("user", content)])
    parts = {"assistant": content}  # all that can be said of a template that is a program
    if isinstance(template, Template):
        around = {role: template.around(role) for role in ("system", "user", "assistant")}
        if template.gathers is not None:
            before = template.start + template.gathers.before
            around[template.gathers.role] = before, template.gathers.after + template.gathers.end
        parts = {role: pair[0] + content + pair[1] for role, pair in around.items() if pair is not None}
    parts["prompt"] = str(template.render(asked, add_generation_prompt=True))
    return {"Name": f"{name}:1", "PromptTemplate": parts}


def _build(source: Path, target: Path, cache: Path, precision: Precision, provider: Provider) -> None:
    """Have the builder of onnxruntime-genai write the model, in a process of its own: it is a program, not a library.

    Raises `InputError` with its last word where it fails.
    """
    command = [sys.executable, "-c", _PROGRAM, _BUILDER, "-i", str(source), "-o", str(target), "-c", str(cache)]
    command += ["-p", precision, "-e", provider, "--extra_options", "hf_token=false"]
    # It stamps the commit of whatever repository it is installed in on the model: here it finds none.
    alone = {"GIT_DIR": os.devnull, "PYTHONSAFEPATH": "1"}
    ended = subprocess.run(  # noqa: S603
        command, env={**os.environ, **alone}, capture_output=True, text=True, check=False
    )
    if ended.returncode < 0:
        raise InputError(
            f"onnxruntime-genai's model builder was killed (signal {-ended.returncode}): "
            "it needs memory for the weights in fp32, up to three times"
        )
    if ended.returncode:
        last = (ended.stderr.strip().splitlines() or [f"exit code {ended.returncode}"])[-1]
        raise InputError(f"onnxruntime-genai's model builder failed: {last}")
