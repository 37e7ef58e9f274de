"""Checks of the files for an endpoint: what Azure, or its client, notices after the upload only, or not at all."""

from __future__ import annotations

import ast
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import yaml  # type: ignore[import-untyped]

from phi3data.errors import InputError
from phi3train.export import endpoints
from phi3train.export.bundle import read, read_json
from phi3train.export.deployment import AML, FOUNDRY, SCORE, described
from phi3train.verify.outcome import AGAIN, Outcome, failed, passed

if TYPE_CHECKING:
    from pathlib import Path

_YAMLS = ("model.yml", "endpoint.yml", "deployment.yml", "conda.yml")
_SCRIPT = f"{AML}/code/{SCORE.name}"
_PROBES = ("liveness_probe", "readiness_probe")


def deployment(folder: Path) -> Outcome:
    """The deployment is complete, and says the same as the bundle."""
    wrong = _missing(folder) or _wrong(folder)
    if wrong:
        return failed("deployment", wrong, AGAIN)
    held = _yaml(folder, "deployment.yml")
    own = "" if _score(folder) == SCORE.read_bytes() else "; score.py is not the one that this version writes"
    return passed("deployment", f"{held['endpoint_name']} on {held['instance_type']}, {held['model']}{own}")


def _missing(folder: Path) -> str:
    wanted = [*(f"{AML}/{name}" for name in _YAMLS), FOUNDRY, "deploy/DEPLOY.md"]
    missing = [name for name in wanted if not (folder / name).is_file()]
    return f"{', '.join(missing)}: missing" if missing else ""


def _wrong(folder: Path) -> str:
    model, endpoint, held = (_yaml(folder, name) for name in _YAMLS[:3])
    return (
        _wrong_names(model, endpoint, held)
        or _wrong_places(folder, model, held)
        or _wrong_requirements(_yaml(folder, "conda.yml"))
        or _wrong_times(held)
        or _wrong_machine(folder, held)
        or _wrong_score(folder)
        or _wrong_description(folder)
    )


def _yaml(folder: Path, name: str) -> dict[str, Any]:
    try:
        held = yaml.safe_load((folder / AML / name).read_bytes())
    except yaml.YAMLError as error:
        raise InputError(f"{AML}/{name}: is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(held, dict):
        raise InputError(f"{AML}/{name}: holds no settings")
    return held


def _wrong_names(model: dict[str, Any], endpoint: dict[str, Any], held: dict[str, Any]) -> str:
    name = str(model.get("name", ""))
    if not endpoints.MODEL_NAME.fullmatch(name):
        return f"model.yml: Azure refuses the name '{name}': letters, digits, '-', '_' and '.' only"
    for file, given in (("endpoint.yml", endpoint), ("deployment.yml", held)):
        named = str(given.get("name", ""))
        if not endpoints.ENDPOINT_NAME.fullmatch(named):
            return (
                f"{file}: Azure refuses the name '{named}': 3 to 32 letters, digits and single dashes, a letter first"
            )
    if held.get("endpoint_name") != endpoint["name"]:
        return f"deployment.yml: endpoint_name is '{held.get('endpoint_name')}', endpoint.yml has '{endpoint['name']}'"
    wanted = f"azureml:{name}:{model.get('version')}"
    if held.get("model") != wanted:
        return f"deployment.yml: model is '{held.get('model')}', model.yml registers '{wanted}'"
    return "" if endpoint.get("auth_mode") == "key" else f"endpoint.yml: auth_mode is {endpoint.get('auth_mode')!r}"


def _wrong_places(folder: Path, model: dict[str, Any], held: dict[str, Any]) -> str:
    if model.get("type") != "custom_model":
        return f"model.yml: type is {model.get('type')!r}, it is a custom_model"
    code, environment = _table(held, "code_configuration"), _table(held, "environment")
    wanted = (
        ("model.yml: path", model.get("path"), AML, "model"),
        ("deployment.yml: environment.conda_file", environment.get("conda_file"), AML, f"{AML}/conda.yml"),
        ("deployment.yml: code_configuration.code", code.get("code"), AML, f"{AML}/code"),
        ("deployment.yml: code_configuration.scoring_script", code.get("scoring_script"), f"{AML}/code", _SCRIPT),
    )
    for where, given, start, place in wanted:
        if (folder / start / str(given)).resolve() != (folder / place).resolve() or not (folder / place).exists():
            return f"{where}: {given!r} does not lead to {place}"
    return "" if environment.get("image") else "deployment.yml: environment has no image"


def _wrong_requirements(conda: dict[str, Any]) -> str:
    pinned = [line for each in conda["dependencies"] if isinstance(each, dict) for line in each["pip"]]
    names = {line.split("==")[0] for line in pinned if "==" in line}
    lacking = [name for name in endpoints.table().requirements if name not in names]
    return f"conda.yml: score.py needs {', '.join(lacking)}, with a version (==)" if lacking else ""


def _wrong_times(held: dict[str, Any]) -> str:
    longest = endpoints.table().request_timeout_ms
    requests = _table(held, "request_settings")
    timeout: Any = requests.get("request_timeout_ms")
    if not _counts(timeout) or timeout > longest:
        return f"deployment.yml: request_timeout_ms is {timeout!r}: Azure takes up to {longest}"
    if not _counts(requests.get("max_concurrent_requests_per_instance")):
        return "deployment.yml: max_concurrent_requests_per_instance must be 1 or more"
    for name in _PROBES:
        probe = _table(held, name)
        wrong = sorted(key for key, value in probe.items() if not _counts(value))
        if wrong:
            return f"deployment.yml: {name}: {wrong[0]} is {probe[wrong[0]]!r}: whole numbers from 1"
        # While score.py computes, the server answers no probe.
        patience = probe.get("period", 10) * probe.get("failure_threshold", 30)
        if patience * 1000 <= timeout:
            return f"deployment.yml: {name} gives up after {patience} s, while a request may take {timeout / 1000:g} s"
    return ""


def _table(held: dict[str, Any], key: str) -> dict[str, Any]:
    value = held.get(key)
    return value if isinstance(value, dict) else {}


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _wrong_machine(folder: Path, held: dict[str, Any]) -> str:
    if not _counts(held.get("instance_count")):
        return f"deployment.yml: instance_count is {held.get('instance_count')!r}: a whole number from 1"
    weights = read(folder).facts["weights_bytes"] / 1e9
    known = {machine.name.lower(): machine for machine in endpoints.table().machines}
    found = known.get(str(held.get("instance_type")).lower())
    if found is not None and weights > found.weights:
        return f"deployment.yml: {found.name} ({found.has}) is too small for weights of {weights:.1f} GB"
    return "" if held.get("instance_type") else "deployment.yml: has no instance_type"


def _score(folder: Path) -> bytes:
    return (folder / _SCRIPT).read_bytes()


def _wrong_score(folder: Path) -> str:
    try:
        module = ast.parse(_score(folder))
    except SyntaxError as error:
        return f"{_SCRIPT}:{error.lineno}: is no Python: {error.msg}"
    functions = {each.name for each in module.body if isinstance(each, ast.FunctionDef)}
    lacking = [name for name in ("init", "run") if name not in functions]
    return f"{_SCRIPT}: has no {' and no '.join(f'{name}()' for name in lacking)}" if lacking else ""


def _wrong_description(folder: Path) -> str:
    manifest = read(folder)
    wanted, given = described(manifest), read_json(folder / FOUNDRY)
    for key in wanted:
        if given.get(key) != wanted[key]:
            return f"{FOUNDRY}: {key} is {given.get(key)!r}, the bundle's is {wanted[key]!r}"
    with suppress(InputError):  # a damaged config.json is told by its own check
        context = read_json(folder / "model" / "config.json").get("max_position_embeddings")
        if context != wanted["context_tokens"]:
            return f"{FOUNDRY}: context_tokens is {wanted['context_tokens']}, config.json has {context}"
    return ""
