"""The bundle `finetune`: prepared data and the job that has Foundry train on it.

data/train.jsonl data/validation.jsonl    the rows, one {"messages": [...]} a line
classic/finetune.yml                      the job for az and the Python SDK of Azure Machine Learning
classic/train.data.yml validation.data.yml  the data assets, for those who register them first
classic/endpoint.yml                      the serverless endpoint that answers with the trained model
v1/job.json                               the same job for the API of the new portal
UPLOAD.md                                 what to do with them, command by command
manifest.json                             every file with its size and its sha256
"""

from __future__ import annotations

import datetime as dt
import math
import random
import re
import shlex
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow.compute as pc
import pyarrow.parquet as pq

import phi3data
from phi3data import family, targets
from phi3data.errors import InputError, UsageError
from phi3train import settings
from phi3train.config import DataConfig
from phi3train.data.prepared import files
from phi3train.export import endpoints, foundry, guide, jobs
from phi3train.export.bundle import Manifest, building, seal, write_json, write_yaml
from phi3train.folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path

    from phi3data.lint import CheckResult
    from phi3train.config import Config

_NAMED = 5  # findings in a message
_EXAMPLE = "phi-4-mini-instruct"  # a base, in messages
_BOM = b"\xef\xbb\xbf"


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What a user decides about a job; what is None comes from the run, or from where the portal starts.

    `price` is in money per million trained tokens and `hosting_price` in money per hour, as the user read them on the
    day `priced` (2026-11-20). `shuffle` puts the training rows in random order, for a service that splits them itself.
    """

    base: str | None = None
    base_version: str | None = None
    epochs: float | None = None
    batch_size: float | None = None
    learning_rate: float | None = None
    region: str | None = None
    price: float | None = None
    hosting_price: float | None = None
    priced: str = ""
    shuffle: bool = False
    bom: bool = False


def export_finetune(
    source: Path, output: Path, *, name: str, job: Job | None = None, overwrite: bool = False
) -> Manifest:
    """Write the bundle `finetune` of a prepared folder, or of what a run was trained on.

    Raises `UsageError` for a base or a hyperparameter that Foundry does not take, a price or a day that is none, and
    where there are no validation rows (Foundry's clients fail without); `InputError` where rows would be refused or
    dropped there.
    """
    job = job or Job()
    config = settings.load(source / "config.toml") if RunFolder(source).exists else None
    if config is not None and config.method.kind == "classify":
        raise UsageError(f"{source}: trained a classification head, and Foundry trains models that chat")
    made_for = _made_for(source, config, job)
    base = family.model(job.base or made_for)
    about = foundry.asset(base.name)
    if not jobs.NAME.fullmatch(name):
        raise UsageError(f"--name {name}: Foundry takes letters, digits, '-' and '_' only")
    if job.base_version is not None and not re.fullmatch(r"[\w.-]+", job.base_version):
        raise UsageError(f"--base-version {job.base_version}: is no version, such as {about.version}")
    chosen = _hyperparameters(config, job)
    multiplier = config.train.learning_rate_multiplier if config else 1.0
    prices = _prices(job)
    region = foundry.region(job.region) if job.region is not None else None
    named = files(config.data if config else DataConfig(train=str(source)))
    if "validation" not in named:
        raise UsageError(f"{source}: holds no validation rows, and Foundry's clients fail without: prepare with some")
    with building(output, overwrite=overwrite) as folder:
        for part in ("data", "classic", "v1"):
            (folder / part).mkdir()
        rows, sizes, removed, weightless = {}, {}, set[str](), 0
        for split in ("train", "validation"):
            data, place = named[split].read_bytes().removeprefix(_BOM), folder / "data" / f"{split}.jsonl"
            place.write_bytes(data)
            found = _refuse(place, named[split], base.name, few=split == "validation")
            rows[split] = found.rows
            weightless += sum(each.code == "S311" for each in found.findings)
            if any(each.code == "S304" for each in found.findings):
                data = _without_columns(data, removed)
            if job.shuffle and split == "train":
                data = _shuffled(data)
            place.write_bytes(_BOM + data if job.bom else data)
            sizes[split] = place.stat().st_size
        write_yaml(folder / "classic" / "finetune.yml", jobs.classic(name, about.uri(job.base_version), chosen))
        for split in rows:
            write_yaml(folder / "classic" / f"{split}.data.yml", jobs.data(name, split))
        write_yaml(folder / "classic" / "endpoint.yml", jobs.endpoint(name, region))
        write_json(folder / "v1" / "job.json", jobs.request(name, about.asset, chosen, multiplier=multiplier))
        facts = {
            "model": base.name,
            "asset": about.uri(job.base_version),
            "as_of": foundry.table().as_of,
            "hyperparameters": chosen,
            "batch_size_multiplier": config.train.batch_size_multiplier if config else 1.0,
            "learning_rate_multiplier": multiplier,
            "endpoint": endpoints.endpoint_name(name),
            "region": region,
            "rows": rows,
            "bytes": sizes,
            "shuffled": job.shuffle,
            "columns_removed": sorted(removed),
            "turns_of_weight_0": weightless,
            "prepared_for": family.model(made_for).name,
            **_tokens(source, config, known=family.model(made_for) == base),
            "bom": job.bom,
            **prices,
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
        said.append(_retargeted(family.model(prepared_for), family.model(manifest.facts["model"])))
    if manifest.facts["region"] is not None and (doubt := foundry.doubt(about, manifest.facts["region"])):
        said.append(doubt)
    if manifest.facts["columns_removed"]:
        said.append(f"columns that Foundry does not read are left out: {', '.join(manifest.facts['columns_removed'])}")
    if turns := manifest.facts["turns_of_weight_0"]:
        counted = "1 turn of weight 0 counts" if turns == 1 else f"{turns:,} turns of weight 0 count"
        said.append(f"{counted} like any other: Foundry does not read weight (S311)")
    advised = targets.target("foundry").advised_rows
    if manifest.facts["rows"]["train"] < advised:
        said.append(f"{manifest.facts['rows']['train']} training rows: Microsoft advises {advised} and more")
    return said


def _retargeted(before: family.ModelProfile, base: family.ModelProfile) -> str:
    """Say what is other for rows that were prepared for another model."""
    said = [f"the template is {base.template.name}, not {before.template.name}"]
    if base.vocabulary != before.vocabulary:
        said.append("the tokenizer is another one, so that token counts are unknown")
    if base.context != before.context:
        said.append(f"the context is {base.context:,} tokens, not {before.context:,}")
    return (
        f"the rows were prepared for {before.name}: prepare them with --model {base.name} to have them judged for it: "
        f"{'; '.join(said)}. The rows hold no template themselves, and were checked again for this base"
    )


def _prices(job: Job) -> dict[str, Any]:
    """Return the facts `price` and `hosting_price`, None where they were not given."""
    for option, price in (("--price", job.price), ("--hosting-price", job.hosting_price)):
        if price is not None and not (math.isfinite(price) and price >= 0):
            raise UsageError(f"{option} {price:g}: a price is a sum of money, 0 or more")
    if job.priced:
        try:
            dt.date.fromisoformat(job.priced)
        except ValueError:
            raise UsageError(f"--priced {job.priced}: give the day of the price as 2026-11-20") from None
        if job.price is None and job.hosting_price is None:
            raise UsageError(f"--priced {job.priced}: is the day of a price: give --price or --hosting-price too")
    return {
        "price": {"per_million_tokens": job.price, "as_of": job.priced} if job.price is not None else None,
        "hosting_price": {"per_hour": job.hosting_price, "as_of": job.priced}
        if job.hosting_price is not None
        else None,
    }


def _shuffled(data: bytes) -> bytes:
    """Return rows in random order, always the same one, without the blank lines that may stand at the end."""
    lines = [line for line in data.split(b"\n") if line.strip()]
    random.Random(0).shuffle(lines)  # noqa: S311 (no secret)
    return b"\n".join(lines) + b"\n"


def _made_for(source: Path, config: Config | None, job: Job) -> str:
    """Return the model that the rows were judged for: their limit, their template, their tokens."""
    if config is not None:
        return config.model.name
    example = job.base or _EXAMPLE
    if not (source / "train.jsonl").is_file():
        missing = "is no run and no folder of phi3data prepare" if source.is_dir() else "is not there"
        raw = shlex.quote(str(source)) if source.is_file() else "RAW"
        raise UsageError(
            f"{source}: {'is a file' if source.is_file() else missing}; give a run folder, or the one that phi3data "
            f"prepare wrote: phi3data prepare {raw} --model {example} --target foundry -o out/"
        )
    try:
        manifest = msgspec.json.decode((source / "manifest.json").read_bytes(), type=dict[str, Any])
        return str(manifest["recipe"]["model"])
    except (OSError, msgspec.DecodeError, KeyError):
        if job.base is not None:
            return job.base
        raise UsageError(
            f"{source}: has no manifest.json of phi3data prepare, which says what model its rows are for: name it, for "
            f"example --base {example}"
        ) from None


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


def _refuse(path: Path, named: Path, model: str, *, few: bool) -> CheckResult:
    """Check a file as the linter does for Foundry. Raises `InputError` where rows would be lost."""
    found: CheckResult = phi3data.check(path, target="foundry", model=model, ignore=("D801",) if few else ())
    errors = [each for each in found.findings if each.severity == "error"]
    if errors:
        places = "; ".join(f"{named}:{each.line}: {each.code} {each.message}" for each in errors[:_NAMED])
        more = f"; and {len(errors) - _NAMED} more" if len(errors) > _NAMED else ""
        raise InputError(
            f"Foundry would refuse or drop rows: {places}{more}: phi3data prepare --target foundry mends them, "
            f"with --model {model}"
        )
    return found


def _without_columns(data: bytes, removed: set[str]) -> bytes:
    """Return rows with what Foundry keeps of them, as it would itself; add the names of the others to `removed`."""
    kept = ("messages", "tools", *targets.target("foundry").keys)
    lines = []
    for line in filter(bytes.strip, data.split(b"\n")):
        row = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
        removed.update(row.keys() - set(kept))
        lines.append(msgspec.json.encode({key: row[key] for key in kept if key in row}))
    return b"\n".join(lines) + b"\n"


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
