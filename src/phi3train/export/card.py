"""MODEL_CARD.md: what the model is, what it learned from, how well, and how to ask it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from phi3train.config import learning_rate, under_head

if TYPE_CHECKING:
    from phi3train.export.bundle import Kind, Manifest
    from phi3train.models import Model
    from phi3train.report.story import Story

# The terms of the Phi models; a copy goes with whatever is made of them.
MIT = """MIT License

Copyright (c) Microsoft Corporation.

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""

_LIBRARIES: dict[Kind, str] = {"adapter": "peft", "onnx": "onnx"}  # that load it; transformers otherwise
_OF_DATA = "These {} are of the training data: look at them before you hand the bundle to others."


def render(story: Story, model: Model, manifest: Manifest) -> str:
    """Return the card of what a run made. Files are named without their folders."""
    profile, config = model.profile, story.config
    random = config.model.weights == "random"
    base = "random weights of its shape" if random else f"[{profile.hub}](https://huggingface.co/{profile.hub})"
    lines = [
        "---",
        f"license: {profile.licence.lower()}",
        *([] if random else [f"base_model: {profile.hub}"]),
        f"library_name: {_LIBRARIES.get(manifest.kind, 'transformers')}",
        f"pipeline_tag: {'text-classification' if config.method.kind == 'classify' else 'text-generation'}",
        "tags: [phi3kit]",
        "---",
        "",
        f"# {manifest.name}",
        "",
        f"Fine-tuned from {base} by {_method(story)}.",
        "",
        "## Training",
        "",
        *_table(
            {
                "steps": f"{story.state.get('step', 0):,}",
                "tokens": f"{story.state.get('tokens', 0):,}",
                "learning rate": f"{learning_rate(config):g}",
                **({} if config.train.max_steps else {"epochs": f"{config.train.epochs:g}"}),
                "seed": str(config.seed),
                "made with": f"phi3kit {manifest.phi3kit}",
            }
        ),
        "",
        "## Data",
        "",
        "| split | file | conversations | sha256 |",
        "|---|---|---|---|",
        *(_split(name, facts) for name, facts in story.data.items()),
        "",
        "## Evaluation",
        "",
        *_evaluation(story),
        "",
        "## How to ask it",
        "",
        *_asking(story, manifest),
        "",
        "## Limits",
        "",
        "Those of its base, and of the data above. Filter what it says before people read it.",
        "",
        f"Licence: {profile.licence}, as its base; see LICENSE.",
    ]
    return "\n".join(lines) + "\n"


def _asking(story: Story, manifest: Manifest) -> list[str]:
    facts = manifest.facts
    if story.config.method.kind == "classify":
        return [
            "`deploy/expected.json` holds rows as ids, and the number of the class that the weights name for each.",
            _OF_DATA.format("rows")
            if facts["training_questions"]
            else "The row is a greeting, and none of the training data.",
        ]
    local = [
        f"An ONNX model in {facts.get('precision')} for {facts.get('provider')}, which onnxruntime-genai loads.",
        f"For Foundry Local copy `model/` as `{manifest.name}` into its cache (`foundry cache location`),",
        f"then `foundry model run {manifest.name}`. `deploy/expected.json` holds what the weights answered in fp32.",
        "",
    ]
    return [
        *(local if manifest.kind == "onnx" else []),
        "`deploy/test_request.json` is a request, `deploy/expected.json` what the weights answer to it and others.",
        _OF_DATA.format("questions")
        if facts["training_questions"]
        else "The question is a greeting, and none of the training data.",
        f"An answer ends at any of the ids {', '.join(map(str, facts['eos_token_id']))}.",
    ]


def _method(story: Story) -> str:
    method, head = (
        under_head(story.config).method,
        "a classification head, and " if story.config.method.kind == "classify" else "",
    )
    how = "all its weights" if method.kind == "full" else f"{method.kind} of rank {method.rank}"
    return f"training {head}{how}"


def _table(facts: dict[str, str]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in facts.items())]


def _split(name: str, facts: dict[str, object]) -> str:
    file = str(facts.get("path", facts.get("file", ""))).replace("\\", "/").rpartition("/")[2]
    return f"| {name} | {file} | {facts.get('rows', '')} | `{str(facts.get('sha256', ''))[:16]}…` |"


def _evaluation(story: Story) -> list[str]:
    best = story.best
    if best is None:
        return ["Not evaluated: the run had no held-out rows."]
    facts = {"validation loss, nats per token": f"{best.eval_loss:.4f}", "at step": f"{best.step:,}"}
    if best.eval_perplexity is not None:
        facts["perplexity"] = f"{best.eval_perplexity:.3f}"
    if best.eval_token_accuracy is not None:
        facts["token accuracy"] = f"{best.eval_token_accuracy:.1%}"
    if story.confusion is not None:
        facts |= {"accuracy": f"{story.confusion.accuracy:.1%}"}
    return _table(facts)
