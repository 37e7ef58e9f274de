"""What Foundry's clients take: the job, the data assets, the endpoint of the trained model, the request of the API."""

from __future__ import annotations

import re
from typing import Any

from phi3train.export import endpoints

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")  # of a job; models may have dots too
SUFFIX = 18  # characters, and no dot, in the name that the API gives a model


def classic(name: str, model: str, chosen: dict[str, str]) -> dict[str, Any]:
    """Return the job for az and the Python SDK: a base model by its address, hyperparameters as text."""
    return {
        "type": "finetuning",
        "name": name,
        "display_name": name,
        "experiment_name": name,
        "task": "chat_completion",
        "model_provider": "custom",
        "model": {"path": model, "type": "mlflow_model"},
        "training_data": {"path": "../data/train.jsonl", "type": "uri_file"},
        "validation_data": {"path": "../data/validation.jsonl", "type": "uri_file"},
        "hyperparameters": chosen,
        "outputs": {"registered_model": {"name": name, "type": "mlflow_model"}},
    }


def data(name: str, split: str) -> dict[str, Any]:
    """Return the asset of a data file."""
    return {"name": f"{name}-{split}", "type": "uri_file", "path": f"../data/{split}.jsonl"}


def endpoint(name: str, region: str | None) -> dict[str, Any]:
    """Return the endpoint of the trained model; UPLOAD.md says where the missing parts of its address come from."""
    place = f"azureml://locations/{region or 'REGION'}/workspaces/PROJECT_ID"
    return {"name": endpoints.endpoint_name(name), "model_id": f"{place}/models/{name}/versions/1"}


def request(name: str, asset: str, chosen: dict[str, str], *, multiplier: float) -> dict[str, Any]:
    """Return the same job for the API, which takes a multiplier of the learning rate and not the rate."""
    suffix = re.sub(r"[^A-Za-z0-9-]+", "-", name)[:SUFFIX].strip("-")
    hyperparameters = {
        "n_epochs": int(chosen["num_train_epochs"]),
        "batch_size": int(chosen["per_device_train_batch_size"]),
        "learning_rate_multiplier": multiplier,
    }
    return {
        "model": asset,
        "training_file": "ID of data/train.jsonl after its upload",
        "validation_file": "ID of data/validation.jsonl after its upload",
        "method": {"type": "supervised", "supervised": {"hyperparameters": hyperparameters}},
        "suffix": suffix,
        "trainingType": "Standard",
    }
