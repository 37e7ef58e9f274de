"""A classification head on separable made data, from the rows to the saved model."""

from __future__ import annotations

import json
import random
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
import pytest
import torch

from phi3data.cli import run as command
from phi3data.errors import InputError, UsageError
from phi3train import models, settings
from phi3train.classification.head import evaluate, logits, numbers, weights
from phi3train.cli import group
from phi3train.data.labelled import pad_id
from phi3train.data.load import load
from phi3train.data.rows import IGNORED
from phi3train.export.checkpoint import export_model
from phi3train.guards import NotFiniteError
from phi3train.measuring import Trained
from phi3train.run import run
from phi3train.verify import verify
from tests.train.tiny import config, write_model

if TYPE_CHECKING:
    from pathlib import Path

WORDS = {"farewell": ["Bye", "bye"], "greeting": ["Hello", "Hi"], "kindness": ["kind", "Be"]}
FILLERS = ["now", "you", "no", "See", "user"]


def write_labelled(path: Path, number: int, *, key: str = "label", seed: int = 0) -> Path:
    """Write chats whose question has one word that tells their class, among others that do not."""
    draw = random.Random(seed)
    lines = []
    for index in range(number):
        name = list(WORDS)[index % 3]
        said = [*draw.choices(FILLERS, k=draw.randint(1, 5)), draw.choice(WORDS[name])]
        said += draw.choices(FILLERS, k=draw.randint(0, 3))
        messages = [{"role": "user", "content": " ".join(said)}, {"role": "assistant", "content": "Hi"}]
        lines.append(json.dumps({"messages": messages, key: name}))
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("labelled")
    write_labelled(folder / "train.jsonl", 48)
    write_labelled(folder / "validation.jsonl", 24, seed=1)
    return folder


def _config(model: Path, files: Path, output: Path, **values: Any) -> Any:
    table = {
        "data__validation": str(files / "validation.jsonl"),
        "method__kind": "classify",
        "classify__weights": "full",
        "train__learning_rate": 1e-2,
        "train__batch_size": 8,
        "train__epochs": 6,
        "evaluation__every": 12,
        "train__save_every": 36,
    }
    return config(model, files / "train.jsonl", output, **(table | values))


@pytest.fixture(scope="module", params=["full", "lora"])
def done(request: pytest.FixtureRequest, model: Path, files: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp(request.param) / "run"
    slower = {"classify__class_weights": "balanced", "train__epochs": 12, "train__learning_rate": 5e-3}
    values = slower if request.param == "lora" else {}
    assert run(_config(model, files, output, classify__weights=request.param, **values)).state == "done"
    return output


def test_separable_classes_are_learned(done: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert command(group, ["eval", str(done), "--json"]) == 0
    found = json.loads(capsysbinary.readouterr().out)
    assert found["macro_f1"] >= 0.9
    assert found["rows"] == 24
    assert found["majority"] == pytest.approx(1 / 3)
    assert json.loads((done / "eval.json").read_text("utf-8")) == found
    assert json.loads((done / "confusion.json").read_text("utf-8")) == found["confusion"]
    assert found["confusion"]["classes"] == list(WORDS)
    assert command(group, ["eval", str(done)]) == 0
    out = capsysbinary.readouterr().out.decode()
    assert "macro-F1 " in out
    assert all(len(line) <= 80 for line in out.splitlines()[1:])
    page = (done / "report.html").read_text("utf-8")
    assert "Confusion matrix of 24 rows; most frequent mistakes: " in page
    assert "What the head reads" in page
    assert "| greeting | 8 | " in (done / "REPORT.md").read_text("utf-8")


def test_the_saved_model_names_its_classes_and_its_padding(done: Path, model: Path) -> None:
    """As others load it: with transformers alone, a padded batch gives what each row alone gives."""
    from peft import PeftModel
    from transformers import AutoConfig, AutoModelForSequenceClassification, AutoTokenizer

    saved = AutoConfig.from_pretrained(done / "best")
    assert saved.id2label == dict(enumerate(WORDS))
    assert saved.label2id == {name: number for number, name in enumerate(WORDS)}
    tokenizer = AutoTokenizer.from_pretrained(done / "best")
    assert tokenizer.pad_token == "<|endoftext|>"
    assert tokenizer.pad_token_id == saved.pad_token_id
    if (done / "best" / "adapter_config.json").exists():
        base = AutoModelForSequenceClassification.from_pretrained(model, config=saved, dtype=torch.float32)
        loaded: Any = PeftModel.from_pretrained(base, str(done / "best"))
    else:
        loaded = AutoModelForSequenceClassification.from_pretrained(done / "best", dtype=torch.float32)
    texts = ["<|user|>\nyou no Bye<|end|>\n<|endoftext|>", "<|user|>\nSee user now you no Hello no<|end|>\n"]
    batch = tokenizer(texts, padding=True, padding_side="right", return_tensors="pt", add_special_tokens=False)
    with torch.no_grad():
        together = loaded.eval()(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
        for text, found in zip(texts, together, strict=True):
            alone = tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
            assert torch.allclose(loaded(input_ids=alone).logits[0], found, atol=1e-5)
    assert [saved.id2label[int(at)] for at in together.argmax(-1)] == ["farewell", "greeting"]


@pytest.fixture(scope="module")
def trained(done: Path) -> Trained:
    return Trained(done)


def test_what_fills_a_batch_up_is_not_read(trained: Trained) -> None:
    data, pad = trained.data(None), pad_id(trained.model)
    loaded = trained.load(base=False).eval()
    every = [
        evaluate(loaded, data.rows, trained.classes, size, pad=pad, precision="fp32", window=None)
        for size in (1, 7, 24)
    ]
    assert every[0].scores == every[1].scores == every[2].scores
    assert [each.loss for each in every] == pytest.approx([every[0].loss] * 3, rel=1e-5)
    rows = sorted(data.rows, key=len)[::23]
    assert len(rows[0]) < len(rows[1])
    with torch.no_grad():
        alone = logits(loaded, rows[:1], pad)[0]
        assert torch.allclose(logits(loaded, rows, pad)[0], alone, atol=1e-5)
        # With another id the head would read what is filled up.
        assert not torch.allclose(logits(loaded, rows, 5)[0], alone, atol=1e-3)


def test_a_head_writes_no_text(trained: Trained) -> None:
    with pytest.raises(UsageError, match="holds a classification head, which writes no text"):
        trained.evaluate(None, answers=1, max_tokens=1)
    assert command(group, ["sample", str(trained.folder.path)]) == 2


def test_rows_of_other_classes_are_refused_with_their_place(trained: Trained, tmp_path: Path) -> None:
    odd = tmp_path / "odd.jsonl"
    odd.write_text('{"messages": [{"role": "user", "content": "Hi"}], "label": "praise"}\n', "utf-8")
    from phi3train.classification.measuring import measure

    with pytest.raises(InputError) as error:
        measure(trained, odd)
    assert str(error.value) == (
        f"{odd}:1: is of the class 'praise', which no training row has (farewell, greeting, kindness): train on rows "
        "of it, or take it out"
    )


def test_the_head_reads_the_prompt_or_all_of_it(model: Path, files: Path, tmp_path: Path) -> None:
    for reads, last in (("prompt", "<|end|>"), ("conversation", "<|end|>")):
        made = _config(model, files, tmp_path, classify__reads=reads)
        found = models.find(made.model)
        row = load(made, found)["train"].rows[0]
        tokenizer = json.loads((model / "tokenizer.json").read_text("utf-8"))["added_tokens"]
        ids = {each["content"]: each["id"] for each in tokenizer}
        assert row.ids[-1] == ids[last]
        assert (ids["<|assistant|>"] in row.ids) == (reads == "conversation")
        assert (row.labels == IGNORED).all()
        assert row.label == "farewell"


def test_rows_without_a_class_are_refused_with_place_and_remedy(model: Path, tmp_path: Path) -> None:
    train = write_labelled(tmp_path / "train.jsonl", 9)
    write_labelled(tmp_path / "validation.jsonl", 6)
    made = _config(model, tmp_path, tmp_path / "run")
    with train.open("a", encoding="utf-8") as file:
        file.write('{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}\n')
    remedy = (
        "name the column with classify.label_column, prepare the rows with --target trl, which keeps labels, or take "
        "the rows out"
    )
    with pytest.raises(InputError) as error:
        run(made)
    assert str(error.value) == f"data.train: 1 of 10 rows have no class, the first is {train}:10: {remedy}"
    write_labelled(train, 9, key="theme")
    with pytest.raises(
        InputError, match=r"data\.train: 9 of 9 rows have no class, the first is .*train\.jsonl:1: name"
    ):
        run(made)
    named = msgspec.structs.replace(made.classify, label_column="theme")
    only = msgspec.structs.replace(made.data, validation=None)
    themed = msgspec.structs.replace(made, classify=named, data=only)
    assert [row.label for row in load(themed, models.find(made.model))["train"].rows][:3] == list(WORDS)


def test_one_class_is_none(model: Path, tmp_path: Path) -> None:
    row = '{"messages": [{"role": "user", "content": "Hi"}], "label": "praise"}\n'
    (tmp_path / "train.jsonl").write_text(row * 5, "utf-8")
    made = _config(model, tmp_path, tmp_path / "run")
    made = msgspec.structs.replace(made, data=msgspec.structs.replace(made.data, validation=None))
    with pytest.raises(InputError, match="all rows are of the class 'praise': a head needs two classes at least"):
        run(made)


def test_check_counts_the_classes_and_plan_plans(
    model: Path, files: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = tmp_path / "train.toml"
    path.write_text(settings.to_toml(_config(model, files, tmp_path / "run")), "utf-8")
    assert command(group, ["check", str(path)]) == 0
    out = capsysbinary.readouterr().out.decode()
    assert "       16 of the class greeting\n" in out
    assert "learned" not in out
    assert command(group, ["plan", str(path), "--json"]) == 0
    planned = json.loads(capsysbinary.readouterr().out)
    assert planned["trainable"] == planned["parameters"]
    assert command(group, ["plan", str(path), "--json", "--set", "classify.weights=lora"]) == 0
    planned = json.loads(capsysbinary.readouterr().out)
    assert planned["trainable"] < planned["parameters"]
    assert planned["workload"]["rows"] == 48  # not packed


def test_classes_weigh_the_same_where_they_are_balanced(model: Path, files: Path, tmp_path: Path) -> None:
    made = _config(model, files, tmp_path)
    rows = load(made, models.find(made.model))["train"].rows
    rows = [row for row in rows if row.label != "kindness"] + [row for row in rows if row.label == "kindness"][:4]
    found = weights(rows, list(WORDS))
    per_row = found[numbers(rows, list(WORDS))]
    assert float(per_row.mean()) == pytest.approx(1)
    sums = [float(per_row[[row.label == name for row in rows]].sum()) for name in WORDS]
    assert sums == pytest.approx([sums[0]] * 3)


def test_a_poisoned_row_of_a_class_is_named(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    model = write_model(tmp_path / "model")
    train = write_labelled(tmp_path / "train.jsonl", 8)
    with train.open("a", encoding="utf-8") as file:
        file.write('{"messages": [{"role": "user", "content": "日本"}], "label": "greeting"}\n')
    made = _config(model, tmp_path, tmp_path / "run")
    made = msgspec.structs.replace(made, data=msgspec.structs.replace(made.data, validation=None))
    rows = load(made, models.find(made.model))["train"].rows
    token = next(iter(set(rows[-1].ids.tolist()) - set(np.concatenate([row.ids for row in rows[:-1]]).tolist())))
    table = load_file(model / "model.safetensors")
    table["model.embed_tokens.weight"][token] = torch.nan
    save_file(table, model / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(NotFiniteError, match=rf"Rows whose loss is not finite: {train}:9$"):
        run(made)
    assert "The run failed at step" in (tmp_path / "run" / "report.html").read_text("utf-8")


def test_its_bundle_names_the_same_classes(done: Path, tmp_path: Path) -> None:
    export_model(done, tmp_path / "bundle", name="sorter")
    found = {each.name: each for each in verify(tmp_path / "bundle")}
    assert {each.state for each in found.values()} == {"passed", "skipped"}, found
    assert "3 answers to the letter" in found["loads"].found
    expected = json.loads((tmp_path / "bundle" / "deploy" / "expected.json").read_text("utf-8"))
    saved = json.loads((tmp_path / "bundle" / "model" / "config.json").read_text("utf-8"))
    named = [saved["id2label"][str(each["answer"][0])] for each in expected["answers"]]
    assert named == [each["label"] for each in json.loads((done / "preview.json").read_text("utf-8"))]
    assert not (tmp_path / "bundle" / "deploy" / "test_request.json").exists()
