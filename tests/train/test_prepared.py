"""Data that ``phi3data prepare`` wrote, and what no longer fits."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest

import phi3data
from phi3data.errors import InputError, UsageError
from phi3train import models
from phi3train.data.load import load
from tests.train.tiny import config, write_chats

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def prepared(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    raw = write_chats(folder / "raw.jsonl", 60, 2)
    recipe = {"length": {"tokenizer": str(model)}, "dedup": {"enabled": False}}
    phi3data.prepare(raw, recipe, folder / "out")
    return folder / "out"


@pytest.fixture
def copy(prepared: Path, tmp_path: Path) -> Path:
    return shutil.copytree(prepared, tmp_path / "copy")


def _edit(folder: Path, **changes: Any) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text("utf-8"))
    for dotted, value in changes.items():
        section, key = dotted.split("__")
        manifest[section][key] = value
    path.write_text(json.dumps(manifest), "utf-8")


def test_the_splits_of_a_prepared_folder_are_used(model: Path, prepared: Path, tmp_path: Path) -> None:
    made = config(model, prepared, tmp_path)
    data = load(made, models.find(made.model))
    assert set(data) == {"train", "validation"}
    assert data["train"].capacity is not None
    assert data["validation"].capacity is None
    lines = sum(len((prepared / f"{split}.jsonl").read_text("utf-8").splitlines()) for split in data)
    assert sum(len(each.rows) for each in data.values()) == lines


def _refused(model: Path, folder: Path, **values: Any) -> str:
    made = config(model, folder, folder, **values)
    with pytest.raises(InputError) as error:
        load(made, models.find(made.model))
    return str(error.value)


def test_data_for_another_model_is_refused(model: Path, prepared: Path) -> None:
    assert _refused(model, prepared, model__name="phi-3.5-mini") == (
        f"{prepared}: was prepared for phi-3-mini-4k-instruct, this run trains phi-3.5-mini-instruct: run phi3data "
        f"prepare again with --model phi-3.5-mini-instruct --tokenizer {model}, or give {prepared / 'train.jsonl'} "
        "itself as data.train to use the rows as they are"
    )


def test_data_for_another_template_is_refused(model: Path, copy: Path) -> None:
    _edit(copy, tokenizer__template="phi-3-first")
    assert f"was prepared with the chat template 'phi-3-first', the tokenizer in {model} has 'phi-3'" in _refused(
        model, copy
    )


def test_data_that_was_counted_with_another_tokenizer_is_refused(model: Path, copy: Path) -> None:
    _edit(copy, tokenizer__sha256="0" * 64)
    assert f"{copy}: tokens were counted with another tokenizer than {model} has" in _refused(model, copy)


@pytest.mark.parametrize("split", ["train", "validation"])
def test_rows_that_changed_since_are_refused(model: Path, copy: Path, split: str) -> None:
    with (copy / f"{split}.jsonl").open("a", encoding="utf-8") as file:
        file.write("\n")
    assert _refused(model, copy).startswith(
        f"{copy / f'{split}.jsonl'}: is not the file that was prepared (its sha256 is not that in manifest.json)"
    )
    # The file itself is taken as it is.
    made = config(model, copy / f"{split}.jsonl", copy)
    assert load(made, models.find(made.model))["train"].rows


def test_a_damaged_manifest(model: Path, copy: Path) -> None:
    (copy / "manifest.json").write_text("{}", "utf-8")
    assert _refused(model, copy) == f"{copy / 'manifest.json'}: is no manifest of phi3data prepare: run it again"


def test_data_that_is_not_there(model: Path, tmp_path: Path) -> None:
    found = models.find(config(model, tmp_path, tmp_path).model)
    for values, message in [
        ({"data__train": ""}, "data.train: names no data"),
        ({}, f"data.train: {tmp_path} holds no train.jsonl with rows"),
        ({"data__train": str(tmp_path / "a.jsonl")}, f"data.train: {tmp_path / 'a.jsonl'} is not there"),
    ]:
        with pytest.raises(UsageError) as error:
            load(config(model, tmp_path, tmp_path, **values), found)
        assert str(error.value).startswith(message)
