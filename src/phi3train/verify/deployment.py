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
    from collections.abc import Iterator
    from pathlib import Path

_YAMLS = ("model.yml", "endpoint.yml", "deployment.yml", "conda.yml")
_SCRIPT = f"{AML}/code/{SCORE.name}"
_PROBES = ("liveness_probe", "readiness_probe")


def deployment(folder: Path) -> Outcome:
    """The deployment is complete, and says the same as the bundle; every fault that can be seen is named."""
    wrong = "; ".join(_faults(folder))
    if wrong:
        return failed("deployment", wrong, AGAIN)
    held = _yaml(folder, "deployment.yml")
    own = "" if _score(folder) == SCORE.read_bytes() else "; score.py is not the one that this version writes"
    return passed("deployment", f"{held['endpoint_name']} on {held['instance_type']}, {held['model']}{own}")


def _faults(folder: Path) -> Iterator[str]:
    wanted = [*(f"{AML}/{name}" for name in _YAMLS), _SCRIPT, FOUNDRY, "deploy/DEPLOY.md"]
    missing = [name for name in wanted if not (folder / name).is_file()]
    if missing:
        yield f"{', '.join(missing)}: missing"
    held = {}
    for name in _YAMLS:
        try:
            held[name] = _yaml(folder, name)
        except InputError as error:
            yield str(error)
        except FileNotFoundError:
            continue
    if len(held) == len(_YAMLS):  # what fits together is seen in all of them
        yield from _wrong(folder, *held.values())
    if _SCRIPT not in missing:
        yield from _wrong_score(folder)
    if FOUNDRY not in missing:
        yield from _wrong_description(folder)


def _wrong(
    folder: Path, model: dict[str, Any], endpoint: dict[str, Any], held: dict[str, Any], conda: dict[str, Any]
) -> Iterator[str]:
    yield from _wrong_names(model, endpoint, held)
    yield from _wrong_places(folder, model, held)
    yield from _wrong_requirements(conda)
    yield from _wrong_times(held)
    yield from _wrong_machine(folder, held)


def _yaml(folder: Path, name: str) -> dict[str, Any]:
    try:
        held = yaml.safe_load((folder / AML / name).read_bytes())
    except yaml.YAMLError as error:
        raise InputError(f"{AML}/{name}: is no YAML: {' '.join(str(error).split())}") from None
    if not isinstance(held, dict):
        raise InputError(f"{AML}/{name}: holds no settings")
    return held


def _wrong_names(model: dict[str, Any], endpoint: dict[str, Any], held: dict[str, Any]) -> Iterator[str]:
    name = str(model.get("name", ""))
    registered = f"azureml:{name}:{model.get('version')}"
    if not endpoints.MODEL_NAME.fullmatch(name):
        yield f"model.yml: Azure refuses the name '{name}': letters, digits, '-', '_' and '.' only"
    elif held.get("model") != registered:
        yield f"deployment.yml: model is '{held.get('model')}', model.yml registers '{registered}'"
    for file, given in (("endpoint.yml", endpoint), ("deployment.yml", held)):
        named = str(given.get("name", ""))
        if not endpoints.ENDPOINT_NAME.fullmatch(named):
            yield f"{file}: Azure refuses the name '{named}': 3 to 32 letters, digits and single dashes, a letter first"
    if held.get("endpoint_name") != endpoint.get("name"):
        yield (
            f"deployment.yml: endpoint_name is '{held.get('endpoint_name')}', endpoint.yml has '{endpoint.get('name')}'"
        )
    if endpoint.get("auth_mode") != "key":
        yield f"endpoint.yml: auth_mode is {endpoint.get('auth_mode')!r}"


def _wrong_places(folder: Path, model: dict[str, Any], held: dict[str, Any]) -> Iterator[str]:
    if model.get("type") != "custom_model":
        yield f"model.yml: type is {model.get('type')!r}, it is a custom_model"
    code, environment = _table(held, "code_configuration"), _table(held, "environment")
    wanted = (
        ("model.yml: path", model.get("path"), AML, "model"),
        ("deployment.yml: environment.conda_file", environment.get("conda_file"), AML, f"{AML}/conda.yml"),
        ("deployment.yml: code_configuration.code", code.get("code"), AML, f"{AML}/code"),
        ("deployment.yml: code_configuration.scoring_script", code.get("scoring_script"), f"{AML}/code", _SCRIPT),
    )
    for where, given, start, place in wanted:
        if (folder / start / str(given)).resolve() != (folder / place).resolve():
            yield f"{where}: {given!r} does not lead to {place}"
    if not environment.get("image"):
        yield "deployment.yml: environment has no image"


def _wrong_requirements(conda: dict[str, Any]) -> Iterator[str]:
    pinned = [line for each in conda["dependencies"] if isinstance(each, dict) for line in each["pip"]]
    names = {line.split("==")[0] for line in pinned if "==" in line}
    lacking = [name for name in endpoints.table().requirements if name not in names]
    if lacking:
        yield f"conda.yml: score.py needs {', '.join(lacking)}, with a version (==)"


def _wrong_times(held: dict[str, Any]) -> Iterator[str]:
    longest = endpoints.table().request_timeout_ms
    requests = _table(held, "request_settings")
    timeout: Any = requests.get("request_timeout_ms")
    if not _counts(timeout) or timeout > longest:
        yield f"deployment.yml: request_timeout_ms is {timeout!r}: Azure takes up to {longest}"
        timeout = 0  # how patient a probe must be is not known then
    if not _counts(requests.get("max_concurrent_requests_per_instance")):
        yield "deployment.yml: max_concurrent_requests_per_instance must be 1 or more"
    for name in _PROBES:
        probe = _table(held, name)
        wrong = sorted(key for key, value in probe.items() if not _counts(value))
        if wrong:
            yield f"deployment.yml: {name}: {wrong[0]} is {probe[wrong[0]]!r}: whole numbers from 1"
            continue
        # While score.py computes, the server answers no probe.
        patience = probe.get("period", 10) * probe.get("failure_threshold", 30)
        if patience * 1000 <= timeout:
            yield f"deployment.yml: {name} gives up after {patience} s, while a request may take {timeout / 1000:g} s"


def _table(held: dict[str, Any], key: str) -> dict[str, Any]:
    value = held.get(key)
    return value if isinstance(value, dict) else {}


def _counts(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def _wrong_machine(folder: Path, held: dict[str, Any]) -> Iterator[str]:
    if not _counts(held.get("instance_count")):
        yield f"deployment.yml: instance_count is {held.get('instance_count')!r}: a whole number from 1"
    weights = read(folder).facts["weights_bytes"] / 1e9
    known = {machine.name.lower(): machine for machine in endpoints.table().machines}
    found = known.get(str(held.get("instance_type")).lower())
    if found is not None and weights > found.weights:
        yield f"deployment.yml: {found.name} ({found.has}) is too small for weights of {weights:.1f} GB"
    if not held.get("instance_type"):
        yield "deployment.yml: has no instance_type"


def _score(folder: Path) -> bytes:
    return (folder / _SCRIPT).read_bytes()


def _wrong_score(folder: Path) -> Iterator[str]:
    try:
        module = ast.parse(_score(folder))
    except SyntaxError as error:
        yield f"{_SCRIPT}:{error.lineno}: is no Python: {error.msg}"
        return
    functions = {each.name for each in module.body if isinstance(each, ast.FunctionDef)}
    lacking = [name for name in ("init", "run") if name not in functions]
    if lacking:
        yield f"{_SCRIPT}: has no {' and no '.join(f'{name}()' for name in lacking)}"


def _wrong_description(folder: Path) -> Iterator[str]:
    manifest = read(folder)
    wanted = described(manifest)
    try:
        given = read_json(folder / FOUNDRY)
    except InputError as error:
        yield str(error)
        return
    for key in wanted:
        if given.get(key) != wanted[key]:
            yield f"{FOUNDRY}: {key} is {given.get(key)!r}, the bundle's is {wanted[key]!r}"
    with suppress(InputError):  # a damaged config.json is told by its own check
        context = read_json(folder / "model" / "config.json").get("max_position_embeddings")
        if context != wanted["context_tokens"]:
            yield f"{FOUNDRY}: context_tokens is {wanted['context_tokens']}, config.json has {context}"
