from __future__ import annotations

import re
import tomllib
from typing import TYPE_CHECKING, Any

import jsonschema
import msgspec
import pytest

from phi3data.errors import InputError, UsageError
from phi3train import settings
from phi3train.config import Config, learning_rate
from phi3train.initial import initial
from tests.train.tiny import write_chats

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("comments", [False, True])
def test_a_configuration_survives_its_file(tmp_path: Path, comments: bool) -> None:
    made = settings.load(None, {"train.epochs": 2, "method.targets": ["o_proj"], "data.train": 'a "b"\\c', "seed": 7})
    path = tmp_path / "train.toml"
    path.write_text(settings.to_toml(made, comments=comments), "utf-8")
    assert settings.load(path) == made


def test_every_key_is_explained() -> None:
    def explained(section: dict[str, Any], defined: dict[str, Any], name: str) -> None:
        for key, value in section["properties"].items():
            inner = value.get("$ref") or value.get("allOf", [{}])[0].get("$ref")
            assert value.get("description"), f"{name}{key}"
            if inner:
                explained(defined[inner.rpartition("/")[2]], defined, f"{name}{key}.")

    schema = settings.schema()
    explained(schema["$defs"]["Config"], schema["$defs"], "")
    jsonschema.validate(msgspec.json.decode(msgspec.json.encode(Config())), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"train": {"epochs": 0}}, schema)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("train.epocs=2", "configuration: unknown key 'train.epocs'; did you mean 'train.epochs'?"),
        ("epochs=2", "configuration: unknown key 'epochs'; did you mean 'train.epochs'?"),
        ("train.n_epochs=2", "configuration: unknown key 'train.n_epochs'; did you mean 'train.epochs'?"),
        ("lora_r=8", "configuration: unknown key 'lora_r'; did you mean 'method.rank'?"),
        (
            "method.kind=loar",
            "configuration: method.kind: invalid enum value 'loar': expected one of full, lora, dora, qlora, classify",
        ),
        ("train.epochs=0", "configuration: train.epochs: expected float > 0.0"),
        ("seed.x=1", "configuration: seed: expected int, got object"),
        ("method.targets=[]", "configuration: method.targets: names no layer"),
        ("train", "--set train: expected section.key=value, for example --set train.epochs=2"),
    ],
)
def test_what_is_wrong_is_said_with_the_remedy(setting: str, message: str) -> None:
    with pytest.raises(UsageError) as error:
        settings.load(None, dict([settings.parse_setting(setting)]))
    assert str(error.value) == message


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text("seed = ", "utf-8")
    with pytest.raises(InputError, match="the configuration is no TOML: Invalid value"):
        settings.load(tmp_path / "a.toml")
    with pytest.raises(InputError, match="the configuration cannot be read: No such file or directory"):
        settings.load(tmp_path / "b.toml")


@pytest.mark.parametrize(
    ("values", "rate"),
    [
        ({}, 2e-4),
        ({"method.kind": "full"}, 5e-6),
        ({"method.kind": "full", "train.learning_rate_multiplier": 2}, 1e-5),
        ({"train.learning_rate": 1e-3}, 1e-3),
    ],
)
def test_the_learning_rate_is_the_methods_own_times_the_portals_multiplier(values: dict[str, Any], rate: float) -> None:
    assert learning_rate(settings.load(None, values)) == rate


def test_init_fits_the_sizes_to_the_data(tmp_path: Path, model: Path) -> None:
    data = write_chats(tmp_path / "chats.jsonl", 400, 3)
    text = initial(str(model), str(data), {})
    made = settings.resolve(tomllib.loads(text))
    assert made.model.path == str(model)
    assert made.data.train == str(data)
    # 400 chats of about 30 tokens, three times, in steps of 512 tokens: the default step would hold all of them.
    assert made.train.batch_tokens == 512
    assert made.packing.length == 512
    assert re.search(r"^# 400 rows, [\d,]+ tokens, [\d,]+ of them learned\.$", text, re.MULTILINE)
    assert re.search(r"^# About \d+ steps in 3 epochs\.$", text, re.MULTILINE)


def test_init_without_anything_is_the_defaults() -> None:
    assert settings.resolve(tomllib.loads(initial(None, None, {}))) == Config()


def test_init_refuses_a_model_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="unknown model 'phi-9'"):
        initial("phi-9", None, {})
    with pytest.raises(UsageError, match=r"data.train: .*none.jsonl is not there"):
        initial(None, str(tmp_path / "none.jsonl"), {})
