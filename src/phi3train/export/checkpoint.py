"""The bundles `model` and `adapter`: the weights of a run, with all that a server needs beside them.

model/              config.json, generation_config.json, weights with their index, tokenizer, chat template
adapter/            instead of model/: the adapter, the tokenizer, the chat template
deploy/             a request to try an endpoint with, what the weights answer to it; for model/ all of an endpoint
MODEL_CARD.md       LICENSE
manifest.json       every file with its size and its sha256
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from safetensors.torch import load_file, save_file

from phi3data.errors import InputError, UsageError
from phi3data.family.jinja import JinjaTemplate
from phi3data.family.written import to_jinja
from phi3data.tokens.count import template_of
from phi3data.tokens.encode import encoder
from phi3train.config import under_head
from phi3train.export import card, deployment, dialect, endpoints, shards
from phi3train.export.answers import classified, expected, questions, rows
from phi3train.export.bundle import Manifest, building, read_json, seal, write_json
from phi3train.export.weights import save, whole
from phi3train.generation import stops
from phi3train.measuring import classes_of
from phi3train.models import find, read_settings, refuse_changed
from phi3train.offline import go_offline
from phi3train.plan.shapes import shapes
from phi3train.report.story import read as read_story

if TYPE_CHECKING:
    from phi3data.family import ModelProfile
    from phi3data.family.template import Template
    from phi3train.export.expected import Expected
    from phi3train.models import Model
    from phi3train.report.story import Story

Dtype = Literal["auto", "float32", "bfloat16"]
ADAPTER = "adapter_model.safetensors"
RANKS = range(4, 65)  # that Foundry's adapters may have


def export_model(
    run: Path, output: Path, *, name: str, dtype: Dtype = "auto", examples: bool = True, overwrite: bool = False
) -> Manifest:
    """Write the bundle `model` of a run: its weights as one model, an adapter merged into its base.

    `dtype` of the weights; "auto" keeps what the run computed in. With `examples` the questions in deploy/ are some of
    the training data, else a greeting. Raises `OutputError` where the output is taken or the
    run is none, `UsageError` where the run has no model yet or the name is one that Azure refuses, `InputError` where
    the merged model answers otherwise.
    """
    endpoints.refuse_name(name)
    story, model, classes = _open(run)
    kept = _dtype(story) if dtype == "auto" else dtype
    made = whole(story.config, model, run / "best", classes)
    with building(output, overwrite=overwrite) as folder:
        save(made.model, folder / "model", kept)
        ends = _write_settings(folder / "model", model, dtype=kept)
        answers, asked = _answers(made.model, story, model, ends, examples=examples)
        manifest = Manifest(
            kind="model", name=name, base_model=model.profile.hub,
            facts={
                **_facts(story, asked), "dtype": kept, "merge_difference": made.difference, "eos_token_id": ends,
                "context": model.context, "weights_bytes": shards.total(folder / "model"),
                **({"classes": list(classes)} if classes else {}),
            },
        )  # fmt: skip
        deployment.write(folder, manifest)
        return _finish(folder, story, model, answers, manifest)


def export_adapter(run: Path, output: Path, *, name: str, examples: bool = True, overwrite: bool = False) -> Manifest:
    """Write the bundle `adapter` of a run; it names its base by the name on the hub, never by a path.

    `examples` as for `export_model`. Raises `UsageError` where the run has no adapter, or one on random weights; and
    what `export_model` raises.
    """
    story, model, classes = _open(run)
    source = run / "best" / ADAPTER
    if not source.is_file():
        raise UsageError(f"{run}: learned all weights and has no adapter: export it with --to model")
    if story.config.model.weights == "random":
        raise UsageError(f"{run}: its base is random weights, which nobody else has: export it with --to model")
    made = whole(story.config, model, run / "best", classes)
    with building(output, overwrite=overwrite) as folder:
        (folder / "adapter").mkdir()
        save_file(load_file(source), folder / "adapter" / ADAPTER, {"format": "pt"})
        settings = read_json(run / "best" / "adapter_config.json")
        write_json(
            folder / "adapter" / "adapter_config.json", {**settings, "base_model_name_or_path": model.profile.hub}
        )
        ends = _write_tokenizer(folder / "adapter", model)
        answers, asked = _answers(made.model, story, model, ends, examples=examples)
        return _finish(folder, story, model, answers, Manifest(
            kind="adapter", name=name, base_model=model.profile.hub,
            facts={**_facts(story, asked), "eos_token_id": ends, "unlike_base": _unlike(model)},
        ))  # fmt: skip


def warnings(manifest: Manifest) -> list[str]:
    """Return what whoever deploys an adapter should know before."""
    rank = manifest.facts.get("rank")
    said = ["some servers refuse adapters on Phi's fused layers (qkv_proj, gate_up_proj); --to model runs everywhere"]
    if rank not in RANKS:
        said.append(f"the rank is {rank}; Foundry takes adapters of rank {RANKS[0]} to {RANKS[-1]} only")
    if unlike := manifest.facts.get("unlike_base"):
        said.append(
            f"{manifest.base_model} has {unlike}: the adapter fits the model that was trained, which is another"
        )
    return said


def _unlike(model: Model) -> str:
    """Say in what the base is not the public model that it is called by; "" where it has its shape."""
    public = shapes()[model.profile.name]
    here = {"hidden_size": public.hidden, "num_hidden_layers": public.layers, "vocab_size": public.vocabulary}
    return ", ".join(
        f"{key} {value:,} and not {model.settings[key]:,}"
        for key, value in here.items()
        if model.settings[key] != value
    )


def _open(run: Path) -> tuple[Story, Model, tuple[str, ...]]:
    go_offline()
    story = read_story(run)
    if not (run / "best").is_dir():
        raise UsageError(f"{run}: has no model yet: phi3train run with --resume auto goes on with it")
    classes = tuple(classes_of(run / "best")) if story.config.method.kind == "classify" else ()
    model = find(story.config.model)
    refuse_changed(model, story.state)
    return story, model, classes


def _answers(made: Any, story: Story, model: Model, ends: list[int], *, examples: bool) -> tuple[Expected, int]:
    """Return what the weights answer, and how many of the questions are of the training data."""
    if story.config.method.kind == "classify":
        labelled = rows(story) if examples else []
        return classified(made, model, labelled), len(labelled)
    asked = questions(story) if examples else []
    return expected(made, model, ends, asked), len(asked)


def _dtype(story: Story) -> Literal["float32", "bfloat16"]:
    return "bfloat16" if (story.predicted or {}).get("precision") == "bf16" else "float32"


def _facts(story: Story, asked: int) -> dict[str, Any]:
    method = under_head(story.config).method
    adapters = {} if method.kind == "full" else {"rank": method.rank, "alpha": method.alpha}
    template = story.state["tokenizer"]["template"]
    return {
        "model": story.config.model.name,
        "template": template,
        "method": story.config.method.kind,
        **adapters,
        "steps": story.state.get("step"),
        "training_questions": asked,  # in deploy/
    }


def _write_settings(folder: Path, model: Model, *, dtype: str) -> list[int]:
    """Write the configuration in both dialects, and the tokenizer; return the ids that end an answer."""
    ends = _write_tokenizer(folder, model)
    write_json(folder / "config.json", dialect.config(read_settings(folder), dtype=dtype))
    settings = read_settings(model.folder)
    write_json(folder / "generation_config.json", dialect.generation(settings, ends))
    return ends


def _write_tokenizer(folder: Path, model: Model) -> list[int]:
    """Copy the tokenizer to the letter, its settings in both dialects, and the chat template that was trained with."""
    source = Path(model.tokenizer.path)
    if source.name != "tokenizer.json":
        raise InputError(f"{source}: is a tokenizer that servers cannot read without code: tokenizer.json is needed")
    (folder / source.name).write_bytes(source.read_bytes())
    template = chat_template(model)
    (folder / "chat_template.jinja").write_text(template, "utf-8")
    about = model.folder / "tokenizer_config.json"
    settings = dialect.tokenizer(read_json(about) if about.is_file() else _special(model.profile), template)
    write_json(folder / "tokenizer_config.json", settings)
    return stops(model, encoder(model.tokenizer, model.profile))


def chat_template(model: Model) -> str:
    """Return the chat template of a model as jinja2: its tokenizer's own, or the family's."""
    template: Template | JinjaTemplate = template_of(model.tokenizer)  # type: ignore[assignment] # one of the two
    return template.source if isinstance(template, JinjaTemplate) else to_jinja(template)


def _special(profile: ModelProfile) -> dict[str, Any]:
    return {"eos_token": profile.vocabulary.end_of_text, "pad_token": profile.pad}


def _finish(folder: Path, story: Story, model: Model, answers: Expected, manifest: Manifest) -> Manifest:
    (folder / "deploy").mkdir(exist_ok=True)
    if answers.request is not None:
        write_json(folder / "deploy" / "test_request.json", answers.request)
    write_json(folder / "deploy" / "expected.json", answers)
    (folder / "MODEL_CARD.md").write_text(card.render(story, model, manifest), "utf-8")
    own = model.folder / "LICENSE"
    (folder / "LICENSE").write_bytes(own.read_bytes() if own.is_file() else card.MIT.encode())
    return seal(folder, manifest)
