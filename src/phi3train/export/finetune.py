"""The bundle `finetune`: prepared data and the job that has Foundry train on it.

data/train.jsonl data/validation.jsonl    the rows, one {"messages": [...]} a line
classic/finetune.yml                      the job for az and the Python SDK of Azure Machine Learning
classic/train.data.yml validation.data.yml  the data assets, for those who register them first
v1/job.json                               the same job for the API of the new portal
UPLOAD.md                                 what to do with them, command by command
manifest.json                             every file with its size and its sha256
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow.compute as pc
import pyarrow.parquet as pq
import yaml  # type: ignore[import-untyped]

import phi3data
from phi3data import family, targets
from phi3data.errors import InputError, UsageError
from phi3train import settings
from phi3train.config import DataConfig
from phi3train.data.prepared import files
from phi3train.export import foundry, guide
from phi3train.export.bundle import Manifest, building, seal, write_json
from phi3train.folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

    from phi3data.lint import CheckResult
    from phi3train.config import Config

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,254}")  # of a job; models may have dots too
SUFFIX = 18  # characters, and no dot, in the name that the API gives a model
_NAMED = 5  # findings in a message
_BOM = b"\xef\xbb\xbf"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a user decides about a job; what is None comes from the run, or from where the portal starts.

    `price` is in money per million trained tokens, as the user read it on the day `priced`.
    """

    base: str | None = None
    base_version: str | None = None
    epochs: float | None = None
    batch_size: float | None = None
    learning_rate: float | None = None
    price: float | None = None
    priced: str = ""
    bom: bool = False


def export_finetune(
    source: Path, output: Path, *, name: str, job: Job | None = None, overwrite: bool = False
) -> Manifest:
    """Write the bundle `finetune` of a prepared folder, or of what a run was trained on.

    Raises `UsageError` for a base or a hyperparameter that Foundry does not take, and where there are no validation
    rows (Foundry's clients fail without); `InputError` where rows would be refused or dropped there.
    """
    job = job or Job()
    config = settings.load(source / "config.toml") if RunFolder(source).exists else None
    if config is not None and config.method.kind == "classify":
        raise UsageError(f"{source}: trained a classification head, and Foundry trains models that chat")
    made_for = _made_for(source, config, job)
    base = family.model(job.base or made_for)
    about = foundry.asset(base.name)
    if not NAME.fullmatch(name):
        raise UsageError(f"--name {name}: Foundry takes letters, digits, '-' and '_' only")
    chosen = _hyperparameters(config, job)
    named = files(config.data if config else DataConfig(train=str(source)))
    if "validation" not in named:
        raise UsageError(f"{source}: holds no validation rows, and Foundry's clients fail without: prepare with some")
    with building(output, overwrite=overwrite) as folder:
        for part in ("data", "classic", "v1"):
            (folder / part).mkdir()
        rows = {}
        for split in ("train", "validation"):
            data, place = named[split].read_bytes().removeprefix(_BOM), folder / "data" / f"{split}.jsonl"
            place.write_bytes(data)
            rows[split] = _refuse(place, named[split], base.name, few=split == "validation")
            if job.bom:
                place.write_bytes(_BOM + data)
        _write_yaml(folder / "classic" / "finetune.yml", _classic(name, about.uri(job.base_version), chosen))
        for split in rows:
            asset = {"name": f"{name}-{split}", "type": "uri_file", "path": f"../data/{split}.jsonl"}
            _write_yaml(folder / "classic" / f"{split}.data.yml", asset)
        write_json(folder / "v1" / "job.json", _v1(name, about.asset, chosen, config))
        facts = {
            "model": base.name,
            "asset": about.uri(job.base_version),
            "as_of": foundry.table().as_of,
            "hyperparameters": chosen,
            "batch_size_multiplier": config.train.batch_size_multiplier if config else 1.0,
            "rows": rows,
            "prepared_for": family.model(made_for).name,
            **_tokens(source, config, known=family.model(made_for) == base),
            "bom": job.bom,
            "price": {"per_million_tokens": job.price, "as_of": job.priced} if job.price is not None else None,
        }
        made = Manifest(kind="finetune", name=name, base_model=base.hub, facts=facts)
        (folder / "UPLOAD.md").write_text(guide.render(made), "utf-8")
        return seal(folder, made)


def warnings(manifest: Manifest) -> list[str]:
    """Return what is to be known before the bundle is uploaded."""
    about = foundry.asset(manifest.facts["model"])
    said = []
    if about.retired:
        said.append(
            f"managed fine-tuning of {about.asset} ended on {about.retired}: --base {about.replacement} makes the job "
            "for its replacement; phi3train run trains this one here, and export --to model brings it to an endpoint"
        )
    prepared_for = manifest.facts["prepared_for"]
    if prepared_for != manifest.facts["model"]:
        said.append(
            f"the rows were prepared for {prepared_for}: prepare them with --model {manifest.facts['model']}, whose "
            "template and tokens are others"
        )
    advised = targets.target("foundry").advised_rows
    if manifest.facts["rows"]["train"] < advised:
        said.append(f"{manifest.facts['rows']['train']} training rows: Microsoft advises {advised} and more")
    return said


def _made_for(source: Path, config: Config | None, job: Job) -> str:
    """Return the model that the rows were judged for: their limit, their template, their tokens."""
    if config is not None:
        return config.model.name
    try:
        manifest = msgspec.json.decode((source / "manifest.json").read_bytes(), type=dict[str, Any])
        return str(manifest["recipe"]["model"])
    except (OSError, msgspec.DecodeError, KeyError):
        if job.base is not None:
            return job.base
        raise UsageError(f"{source}: is no run and no folder of phi3data prepare: give one, or name --base") from None


def _hyperparameters(config: Config | None, job: Job) -> dict[str, str]:
    asked = {
        "num_train_epochs": job.epochs,
        "per_device_train_batch_size": job.batch_size,
        "learning_rate": job.learning_rate,
    }
    given = asked
    if config is not None:
        ran = (config.train.epochs, config.train.batch_size, config.train.learning_rate)
        given = {name: own if value is None else value for (name, value), own in zip(given.items(), ran, strict=True)}
    return {name: _chosen(name, value, asked=asked[name] is not None) for name, value in given.items()}


def _chosen(name: str, value: float | None, *, asked: bool) -> str:
    if value is None:
        value = foundry.table().hyperparameters[name].default
    try:
        return foundry.hyperparameter(name, value)
    except UsageError as error:
        option = {"num_train_epochs": "--epochs", "per_device_train_batch_size": "--batch-size"}.get(name)
        hint = "" if asked else f" (it is the run's: {option or '--learning-rate'} gives another)"
        raise UsageError(f"{error}{hint}") from None


def _refuse(path: Path, named: Path, model: str, *, few: bool) -> int:
    """Check a file as the linter does for Foundry; return its rows. Raises `InputError` where some would be lost."""
    found: CheckResult = phi3data.check(path, target="foundry", model=model, ignore=("D801",) if few else ())
    errors = [each for each in found.findings if each.severity == "error"]
    if errors:
        places = "; ".join(f"{named}:{each.line}: {each.code} {each.message}" for each in errors[:_NAMED])
        more = f"; and {len(errors) - _NAMED} more" if len(errors) > _NAMED else ""
        raise InputError(
            f"Foundry would refuse or drop rows: {places}{more}: phi3data prepare --target foundry mends them"
        )
    return found.rows


def _tokens(source: Path, config: Config | None, *, known: bool) -> dict[str, Any]:
    """Return the tokens of the training rows, None where nobody counted them for this base, and whether by estimate."""
    try:
        if known and config is not None:
            counted = msgspec.json.decode((source / "data.json").read_bytes(), type=dict[str, Any])
            return {"tokens": int(counted["train"]["tokens"]), "estimated": False}
        if known:
            report = msgspec.json.decode((source / "report.json").read_bytes(), type=dict[str, Any])
            rows = pq.read_table(source / "ledger.parquet", columns=["output", "tokens"])
            total = pc.sum(rows.filter(pc.equal(rows["output"], "train.jsonl"))["tokens"]).as_py()
            return {"tokens": total, "estimated": bool(report["tokens"]["estimated"])}
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        pass
    return {"tokens": None, "estimated": False}


def _classic(name: str, model: str, chosen: dict[str, str]) -> dict[str, Any]:
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


def _v1(name: str, asset: str, chosen: dict[str, str], config: Config | None) -> dict[str, Any]:
    suffix = re.sub(r"[^A-Za-z0-9-]+", "-", name)[:SUFFIX].strip("-")
    multiplier = config.train.learning_rate_multiplier if config else 1.0
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


def _write_yaml(path: Path, value: dict[str, Any]) -> None:
    path.write_text(yaml.safe_dump(value, sort_keys=False, allow_unicode=True), "utf-8")
