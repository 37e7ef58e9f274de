"""Checks of a job for Foundry: what its own clients notice, and what they do not."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import yaml  # type: ignore[import-untyped]

import phi3data
from phi3data.errors import InputError, UsageError
from phi3train.export import foundry
from phi3train.export.bundle import read, read_json
from phi3train.export.endpoints import ENDPOINT_NAME
from phi3train.export.jobs import NAME, SUFFIX
from phi3train.verify.outcome import AGAIN, Outcome, failed, passed

if TYPE_CHECKING:
    from pathlib import Path

_JOB = "classic/finetune.yml"
_ENDPOINT = "classic/endpoint.yml"
_MODEL = re.compile(r"azureml://registries/[\w.-]+/models/[\w.-]+/(?:versions/[\w.-]+|labels/latest)")


def data(folder: Path) -> Outcome:
    """Foundry takes every row of both files."""
    said = []
    for split in ("train", "validation"):
        path = folder / "data" / f"{split}.jsonl"
        if not path.is_file():
            return failed("data", f"data/{split}.jsonl is missing: Foundry's clients fail without it", AGAIN)
        ignored = ["D801"] if split == "validation" else []
        if read(folder).facts.get("bom"):
            ignored.append("F103")
        model = str(read(folder).facts["model"])
        found = phi3data.check(path, target="foundry", model=model, ignore=ignored)
        error = next((each for each in found.findings if each.severity == "error"), None)
        if error is not None:
            where = f"data/{split}.jsonl:{error.line}: {error.code} {error.message}"
            return failed("data", where, "phi3data prepare --target foundry mends the rows; then export again")
        said.append(f"{found.rows:,} rows for {split}")
    return passed("data", ", ".join(said))


def job(folder: Path) -> Outcome:
    """The job names a base model, hyperparameters and files that are there; the endpoint names what the job makes."""
    try:
        held = _yaml(folder, _JOB)
        if wrong := _wrong(folder, held):
            return failed("job", f"{_JOB}: {wrong}", AGAIN)
        if wrong := _wrong_endpoint(_yaml(folder, _ENDPOINT), held["outputs"]["registered_model"]["name"]):
            return failed("job", f"{_ENDPOINT}: {wrong}", AGAIN)
    except InputError as error:
        return failed("job", str(error), AGAIN)
    base = held["model"]["path"].rpartition("/models/")[2]
    return passed("job", f"{base}{_retired(folder)}; {_spelled(held.get('hyperparameters') or {})}")


def _retired(folder: Path) -> str:
    """Say that Foundry no longer trains the base, though the files are right."""
    about = foundry.asset(str(read(folder).facts["model"]))
    if not about.retired:
        return ""
    return f" (which Foundry trains no more since {about.retired}: export with --base {about.replacement})"


def _yaml(folder: Path, name: str) -> dict[str, Any]:
    """Return what a file holds. Raises `InputError` where that is no table, or the file is not there."""
    try:
        held = yaml.safe_load((folder / name).read_text("utf-8"))
    except OSError:
        raise InputError(f"{name} is missing") from None
    except yaml.YAMLError as error:
        raise InputError(f"{name}: is no YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(held, dict):
        raise InputError(f"{name}: holds no table of keys and values")
    return held


def _wrong_endpoint(held: dict[str, Any], model: str) -> str:
    if not ENDPOINT_NAME.fullmatch(str(held.get("name"))):
        return f"the name {held.get('name')!r}: Azure takes 3 to 32 letters, digits and single dashes, a letter first"
    address = rf"azureml://locations/\w+/workspaces/[\w-]+/models/{re.escape(model)}/versions/\d+"
    if not re.fullmatch(address, str(held.get("model_id"))):
        return f"model_id is not the address of '{model}', which the job registers"
    return ""


def _wrong(folder: Path, held: dict[str, Any]) -> str:
    """Return what azure-ai-ml does not notice, or notices only after the upload."""
    for key in ("training_data", "validation_data"):
        place = held.get(key)
        if not isinstance(place, dict) or not place.get("path"):
            return f"{key} is missing"
        if not (folder / "classic" / place["path"]).is_file():
            return f"{key}: {place['path']} is not there"
    model = held.get("model")
    if not isinstance(model, dict) or not _MODEL.fullmatch(str(model.get("path"))):
        return "model: names no base model of a registry (azureml://registries/…/models/…/versions/…)"
    if model.get("type") != "mlflow_model":
        return f"model: type is {model.get('type')}; Foundry trains mlflow_model only"
    made = (held.get("outputs") or {}).get("registered_model")
    if not isinstance(made, dict):
        return "outputs: registered_model is missing, which names the trained model"
    for name in (held.get("name"), made.get("name")):
        if name is None:
            return "the job or the model that it makes has no name"
        if not NAME.fullmatch(str(name)):
            return f"the name {name!r} has a space or another character that Foundry refuses"
    if made.get("type") != "mlflow_model":
        return f"outputs: registered_model: type is {made.get('type')}; Foundry makes mlflow_model only"
    values = held.get("hyperparameters") or {}
    return _wrong_values(values) if isinstance(values, dict) else "hyperparameters: holds no table of names and values"


def _wrong_values(values: dict[str, Any]) -> str:
    for key, value in values.items():
        if not isinstance(value, str):
            return f"hyperparameters: {key} must be text, as '{value}'"
        try:
            spelled = foundry.hyperparameter(key, float(value))
        except UsageError as error:
            return f"hyperparameters: {error}"
        except ValueError:
            return f"hyperparameters: {key}: '{value}' is no number"
        if spelled != value:
            return f"hyperparameters: {key}: write '{spelled}', not '{value}'"
    return ""


def request(folder: Path) -> Outcome:
    """The job for the API has a suffix and hyperparameters that it takes."""
    held = read_json(folder / "v1" / "job.json")
    suffix = str(held.get("suffix", ""))
    if not 0 < len(suffix) <= SUFFIX or "." in suffix:
        return failed("request", f"v1/job.json: suffix '{suffix}': up to {SUFFIX} characters and no dot", AGAIN)
    supervised = held.get("method", {}).get("supervised", {}).get("hyperparameters", {})
    for key, value in supervised.items():
        if key not in ("n_epochs", "batch_size", "learning_rate_multiplier") or not isinstance(value, int | float):
            return failed("request", f"v1/job.json: hyperparameter {key} is {value!r}", AGAIN)
    missing = [key for key in ("model", "training_file", "validation_file", "method") if not held.get(key)]
    if missing:
        return failed("request", f"v1/job.json: {', '.join(missing)} is missing", AGAIN)
    return passed("request", f"v1/job.json: suffix '{suffix}'; {_spelled(supervised)}")


def _spelled(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items())
