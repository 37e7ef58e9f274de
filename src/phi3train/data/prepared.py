"""The folder that ``phi3data prepare`` writes, and whether it is still what its manifest says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from phi3data import family
from phi3data.errors import InputError, UsageError
from phi3data.sources.files import digest

if TYPE_CHECKING:
    from phi3train.config import DataConfig
    from phi3train.models import Model

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


def files(config: DataConfig) -> dict[Split, Path]:
    """Return the file of each split: as configured, else as found in the prepared folder that data.train names.

    Raises `UsageError` where nothing is named or a file is not there.
    """
    if not config.train:
        raise UsageError("data.train: names no data: give the folder that phi3data prepare wrote, or a file of chats")
    place = Path(config.train)
    found: dict[Split, Path] = {}
    if place.is_dir():
        found = {split: path for split in SPLITS if _rows(path := place / f"{split}.jsonl")}
        if "train" not in found:
            raise UsageError(f"data.train: {place} holds no train.jsonl with rows: is it a folder of phi3data prepare?")
    else:
        found["train"] = place
    if config.validation is not None:
        found["validation"] = Path(config.validation)
    if config.test is not None:
        found["test"] = Path(config.test)
    for split, path in found.items():
        if not path.is_file():
            raise UsageError(f"data.{split}: {path} is not there")
    return found


def verify(folder: Path, model: Model) -> None:
    """Compare a prepared folder with its manifest and with the model.

    Raises `InputError` for rows that changed since they were prepared, or that were prepared for another model or
    chat template: their lengths, repairs and findings were judged by those. A folder without manifest.json passes.
    """
    path = folder / "manifest.json"
    if not path.is_file():
        return
    try:
        manifest = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
        outputs, name, made = manifest["outputs"], manifest["recipe"]["model"], manifest["tokenizer"]
        wanted = {split: outputs[f"{split}.jsonl"]["sha256"] for split in SPLITS if f"{split}.jsonl" in outputs}
    except (msgspec.DecodeError, KeyError, TypeError):
        raise InputError(f"{path}: is no manifest of phi3data prepare: run it again") from None
    again = f"run phi3data prepare again with --model {model.profile.name} --tokenizer {model.folder}"
    skip = f"or give {folder / 'train.jsonl'} itself as data.train to use the rows as they are"
    if family.model(name) != model.profile:
        raise InputError(f"{folder}: was prepared for {name}, this run trains {model.profile.name}: {again}, {skip}")
    if made["template"] != model.tokenizer.template:
        raise InputError(
            f"{folder}: was prepared with the chat template '{made['template']}', the tokenizer in {model.folder} has "
            f"'{model.tokenizer.template}': {again}, {skip}"
        )
    if made["sha256"] and made["sha256"] != model.tokenizer.sha256:
        raise InputError(f"{folder}: tokens were counted with another tokenizer than {model.folder} has: {again}")
    for split, sha256 in wanted.items():
        file = folder / f"{split}.jsonl"
        if not file.is_file() or digest(file) != sha256:
            raise InputError(
                f"{file}: is not the file that was prepared (its sha256 is not that in manifest.json): run phi3data "
                f"prepare again, {skip}"
            )


def _rows(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0
