"""The files that put the bundle `model` behind an endpoint of Azure Machine Learning.

deploy/aml/model.yml        what is registered: the folder model/
deploy/aml/endpoint.yml     an address with a key
deploy/aml/deployment.yml   the machine behind it, what is installed there (conda.yml), what runs there (code/score.py)
deploy/foundry_model.json   what the model is, for people and their programs
deploy/DEPLOY.md            every command
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from phi3data import family
from phi3train.export import deploy_guide, endpoints
from phi3train.export.bundle import write_json, write_yaml

if TYPE_CHECKING:
    from phi3train.export.bundle import Manifest

AML = "deploy/aml"
FOUNDRY = "deploy/foundry_model.json"
VERSION = "1"  # of the registered model
SCORE = Path(__file__).with_name("score.py")
_SCHEMAS = "https://azuremlschemas.azureedge.net/latest"
_LOADING = 600  # seconds that a large model may take before it must give a sign of life
_PROBES = {"period": 10, "timeout": 2, "success_threshold": 1, "failure_threshold": 30}


def write(folder: Path, manifest: Manifest) -> None:
    """Write the deployment of a bundle whose model/ is there."""
    place = folder / AML
    (place / "code").mkdir(parents=True)
    (place / "code" / SCORE.name).write_bytes(SCORE.read_bytes())
    said = described(manifest)
    for name, value in _yamls(manifest, said).items():
        write_yaml(place / name, value)
    if is_head(manifest):
        write_json(place / "request.json", {"messages": [{"role": "user", "content": "Hello!"}]})
    write_json(folder / FOUNDRY, said)
    (folder / "deploy" / "DEPLOY.md").write_text(deploy_guide.render(manifest, description=said), "utf-8")


def is_head(manifest: Manifest) -> bool:
    """Whether it names classes, and does not chat."""
    return "classes" in manifest.facts


def described(manifest: Manifest) -> dict[str, Any]:
    """Return what foundry_model.json says of a bundle."""
    facts = manifest.facts
    request: dict[str, Any] = {"messages": "list of {role: system | user | assistant, content: text}"}
    if is_head(manifest):
        answer = "label, probabilities by class, usage"
        kind = {"task": "text-classification", "classes": facts["classes"]}
        example = "aml/request.json"
    else:
        request |= {
            "max_tokens": "whole number, 512 otherwise",
            "temperature": "0 to 2, 0 otherwise: the most likely answer",
            "top_p": "0 to 1",
            "stop": "text, or list of texts",
        }
        answer = "chat.completion: choices with message and finish_reason, usage"
        kind = {"task": "chat-completion", "eos_token_id": facts["eos_token_id"]}
        example = "test_request.json"
    return {
        "name": manifest.name,
        "version": VERSION,
        "base_model": manifest.base_model,
        "licence": family.model(facts["model"]).licence,
        **kind,
        "chat_template": facts["template"],
        "context_tokens": facts["context"],
        "dtype": facts["dtype"],
        "weights_bytes": facts["weights_bytes"],
        "request": {"method": "POST", "path": "/score", "body": request, "answer": answer, "example": example},
        "made_with": f"phi3kit {manifest.phi3kit}",
    }


def _yamls(manifest: Manifest, said: dict[str, Any]) -> dict[str, dict[str, Any]]:
    tags = {key: str(said[key]) for key in ("task", "base_model", "licence", "chat_template", "made_with")}
    about = f"Fine-tuned from {manifest.base_model}."
    model = {
        "$schema": f"{_SCHEMAS}/model.schema.json",
        "name": manifest.name,
        "version": VERSION,
        "type": "custom_model",
        "path": "../../model",
        "description": about,
        "tags": tags,
    }
    endpoint = {
        "$schema": f"{_SCHEMAS}/managedOnlineEndpoint.schema.json",
        "name": endpoints.endpoint_name(manifest.name),
        "description": about,
        "auth_mode": "key",
    }
    return {
        "model.yml": model,
        "endpoint.yml": endpoint,
        "deployment.yml": _deployment(manifest),
        "conda.yml": _conda(),
    }


def _deployment(manifest: Manifest) -> dict[str, Any]:
    known = endpoints.table()
    machine = endpoints.machine(manifest.facts["weights_bytes"])
    return {
        "$schema": f"{_SCHEMAS}/managedOnlineDeployment.schema.json",
        "name": "blue",
        "endpoint_name": endpoints.endpoint_name(manifest.name),
        "model": f"azureml:{manifest.name}:{VERSION}",
        "code_configuration": {"code": "code", "scoring_script": SCORE.name},
        "environment": {"image": known.images[machine.kind], "conda_file": "conda.yml"},
        "environment_variables": {
            "MODEL_NAME": manifest.name,
            "HF_HUB_OFFLINE": "1",
            "TOKENIZERS_PARALLELISM": "false",
            # A request ends before Azure gives up on it, so that the next one does not wait for it.
            "SCORING_TIMEOUT_MS": str(known.request_timeout_ms - 5_000),
            "WORKER_TIMEOUT": str(2 * _LOADING),  # seconds, loading included
        },
        "instance_type": machine.name,
        "instance_count": 1,
        # score.py computes one request at a time; Azure lets as many again wait.
        "request_settings": {
            "request_timeout_ms": known.request_timeout_ms,
            "max_concurrent_requests_per_instance": 1,
        },
        # While an answer is computed no probe is answered: they give up later than the longest request.
        "liveness_probe": {"initial_delay": _LOADING, **_PROBES},
        "readiness_probe": {"initial_delay": 10, **_PROBES},
    }


def _conda() -> dict[str, Any]:
    python = f"python={endpoints.table().python}"
    return {"name": "score", "channels": ["conda-forge"], "dependencies": [python, "pip", {"pip": endpoints.pins()}]}
