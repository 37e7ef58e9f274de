"""The bundle for Foundry's own fine-tuning: what Microsoft's client makes of it, and the faults that it misses."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import pytest
import yaml  # type: ignore[import-untyped]

import phi3data
from phi3data import family
from phi3data.cli import run as command
from phi3data.errors import InputError, UsageError
from phi3train.cli import group
from phi3train.export import foundry
from phi3train.export.bundle import contents, read, seal
from phi3train.export.finetune import Job, export_finetune, warnings
from phi3train.verify import finetune, verify
from tests.train.tiny import write_chats

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of phi3data prepare."""
    folder = tmp_path_factory.mktemp("prepared")
    recipe = {"model": "phi-4-mini-instruct", "dedup": {"enabled": False}}
    phi3data.prepare(write_chats(folder / "chats.jsonl", 70, 3), recipe, output=folder / "out")
    return folder / "out"


@pytest.fixture(scope="module")
def bundle(prepared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its bundle."""
    output = tmp_path_factory.mktemp("bundle") / "support"
    export_finetune(prepared, output, name="support", job=Job(epochs=2, price=3.5, priced="2026-11-20"))
    return output


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    """A bundle to break."""
    return shutil.copytree(bundle, tmp_path / "copy")


def test_microsofts_client_sends_this(bundle: Path) -> None:
    ml = pytest.importorskip("azure.ai.ml", reason="the azure extra is not installed")
    body = ml.load_job(bundle / "classic" / "finetune.yml")._to_rest_object().as_dict()
    data = {"jobInputType": "uri_file"}
    assert body["properties"] == {
        "displayName": "support",
        "experimentName": "support",
        "tags": {},
        "properties": {},
        "fineTuningDetails": {
            "taskType": "chatCompletion",
            "model": {
                "uri": "azureml://registries/azureml/models/Phi-4-mini-instruct/versions/1",
                "jobInputType": "mlflow_model",
            },
            "modelProvider": "Custom",
            "trainingData": {"uri": "../data/train.jsonl", **data},
            "validationData": {"uri": "../data/validation.jsonl", **data},
            "hyperParameters": {
                "num_train_epochs": "2",
                "per_device_train_batch_size": "1",
                "learning_rate": "0.000005",
            },
        },
        "isArchived": False,
        "outputs": {"registered_model": {"assetName": "support", "jobOutputType": "mlflow_model"}},
        "jobType": "FineTuning",
    }


def test_it_holds_the_rows_the_job_and_what_to_do(bundle: Path, prepared: Path) -> None:
    assert sorted(contents(bundle)) == [
        "UPLOAD.md",
        "classic/endpoint.yml",
        "classic/finetune.yml",
        "classic/train.data.yml",
        "classic/validation.data.yml",
        "data/train.jsonl",
        "data/validation.jsonl",
        "v1/job.json",
    ]
    assert (bundle / "data" / "train.jsonl").read_bytes() == (prepared / "train.jsonl").read_bytes()
    assert {each.state for each in verify(bundle)} <= {"passed", "skipped"}
    facts = read(bundle).facts
    guide = (bundle / "UPLOAD.md").read_text("utf-8")
    trained = 2 * facts["tokens"]
    assert f"= {trained:,} trained tokens. At 3.5 a million (price of 2026-11-20): about " in guide
    for name in ("classic/finetune.yml", "classic/train.data.yml", "data/validation.jsonl"):
        assert f"`{name}`" in guide or f" {name}" in guide
        assert (bundle / name).is_file()
    assert "{" not in guide
    assert read(bundle).base_model == "microsoft/Phi-4-mini-instruct"
    job = json.loads((bundle / "v1" / "job.json").read_text("utf-8"))
    assert job["method"]["supervised"]["hyperparameters"]["n_epochs"] == 2


def _job(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "classic" / "finetune.yml"
        held = {**yaml.safe_load(path.read_text("utf-8")), **changes}
        path.write_text(yaml.safe_dump({key: value for key, value in held.items() if value is not None}), "utf-8")

    return change


def _hyper(**changes: Any) -> Callable[[Path], None]:
    return _job(hyperparameters=changes)


def _truncated(folder: Path) -> None:
    path = folder / "classic" / "finetune.yml"
    path.write_text(path.read_text("utf-8").replace("hyperparameters:", "hyperparameters: {"), "utf-8")


def _empty_message(folder: Path) -> None:
    row = {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": ""}]}
    with (folder / "data" / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def _suffix(folder: Path) -> None:
    path = folder / "v1" / "job.json"
    path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), "suffix": "a-name-that-is-too-long"}), "utf-8")


def _endpoint(**changes: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / "classic" / "endpoint.yml"
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text("utf-8")), **changes}), "utf-8")

    return change


_MODEL = {"path": "azureml:support:1", "type": "custom_model"}


@pytest.mark.parametrize(
    ("name", "fault", "said"),
    [
        ("job", _hyper(banana="1"), "hyperparameters: unknown hyperparameter 'banana'; known: num_train_epochs"),
        ("job", _hyper(num_train_epoch="1"), "did you mean 'num_train_epochs'?"),
        ("job", _hyper(num_train_epochs=3), "hyperparameters: num_train_epochs must be text, as '3'"),
        ("job", _hyper(num_train_epochs="30"), "num_train_epochs: 30: Foundry takes a whole number from 1 to 10"),
        ("job", _hyper(learning_rate="fast"), "learning_rate: 'fast' is no number"),
        ("job", _job(validation_data=None), "validation_data is missing"),
        ("job", _job(training_data={"path": "../data/rows.jsonl"}), "training_data: ../data/rows.jsonl is not there"),
        ("job", _job(model=_MODEL), "model: names no base model of a registry"),
        ("job", _job(name="my model"), "the name 'my model' has a space"),
        ("job", _truncated, "classic/finetune.yml: is no YAML"),
        ("data", lambda folder: (folder / "data" / "validation.jsonl").unlink(), "data/validation.jsonl is missing"),
        ("data", _empty_message, "C501"),
        ("job", _endpoint(name="my bot"), "endpoint.yml: the name 'my bot': Azure takes 3 to 32 letters"),
        (
            "job",
            _endpoint(model_id="azureml://registries/azureml/models/Phi-4/versions/8"),
            "not the address of 'support'",
        ),
        ("job", lambda folder: (folder / "classic" / "endpoint.yml").unlink(), "classic/endpoint.yml is missing"),
        ("request", _suffix, "suffix 'a-name-that-is-too-long': up to 18 characters and no dot"),
    ],
)
def test_a_fault_is_found_by_its_check_though_the_manifest_knows_it(
    copy: Path, name: str, fault: Callable[[Path], None], said: str
) -> None:
    manifest = read(copy)
    fault(copy)
    seal(copy, manifest)
    found = {each.name: each.found for each in verify(copy) if each.state == "failed"}
    assert name in found
    assert found.keys() <= {name, "job", "client"}
    assert said in found[name]


def test_a_retired_base_names_its_replacement(prepared: Path, tmp_path: Path) -> None:
    made = export_finetune(prepared, tmp_path / "b", name="b", job=Job(base="phi-3-mini-4k-instruct"))
    said, other = warnings(made)
    assert other.startswith("the rows were prepared for phi-4-mini-instruct: prepare them with --model phi-3-mini-4k")
    assert said.startswith("managed fine-tuning of Phi-3-mini-4k-instruct ended on 2025-08-30: --base phi-4-mini-instr")
    assert "ended on 2025-08-30" in (tmp_path / "b" / "UPLOAD.md").read_text("utf-8")


def test_a_job_that_is_cut_off_anywhere_says_what_it_lacks(copy: Path) -> None:
    path = copy / "classic" / "finetune.yml"
    lines = path.read_text("utf-8").splitlines(keepends=True)
    said = []
    for kept in range(len(lines)):
        path.write_text("".join(lines[:kept]), "utf-8")
        outcome = finetune.job(copy)
        assert outcome.state == "failed"
        said.append(outcome.found.partition("finetune.yml: ")[2])
    assert said[0] == "holds no table of keys and values"
    assert said[1] == "training_data is missing"
    assert said[-4:] == [
        *["outputs: registered_model is missing, which names the trained model"] * 3,
        "outputs: registered_model: type is None; Foundry makes mlflow_model only",
    ]


def test_a_hash_that_is_not_that_of_its_file(copy: Path) -> None:
    manifest = json.loads((copy / "manifest.json").read_text("utf-8"))
    manifest["files"]["v1/job.json"]["sha256"] = "0" * 64
    (copy / "manifest.json").write_text(json.dumps(manifest), "utf-8")
    assert [(each.name, each.found) for each in verify(copy) if each.state == "failed"] == [
        ("files", "changed: v1/job.json")
    ]


def test_every_phi_3_was_retired_and_its_replacement_was_not() -> None:
    for name in family.MODELS:
        if name.startswith("phi-3"):
            about = foundry.asset(name)
            assert (about.retired, about.regions) == ("2025-08-30", ())
            assert not foundry.asset(about.replacement).retired


def test_another_base_says_what_is_other_and_works(tmp_path: Path) -> None:
    recipe = {"model": "phi-3.5-mini-instruct", "dedup": {"enabled": False}}
    phi3data.prepare(write_chats(tmp_path / "chats.jsonl", 70, 3), recipe, output=tmp_path / "out")
    made = export_finetune(tmp_path / "out", tmp_path / "b", name="1b", job=Job(base="phi-4-mini-instruct"))
    (said,) = warnings(made)
    assert said == (
        "the rows were prepared for phi-3.5-mini-instruct: prepare them with --model phi-4-mini-instruct to have them "
        "judged for it: the template is phi-4-mini, not phi-3.5; the tokenizer is another one, so that token counts "
        "are unknown. The rows hold no template themselves, and were checked again for this base"
    )
    assert (made.facts["tokens"], made.facts["endpoint"]) == (None, "m-1b")
    guide = (tmp_path / "b" / "UPLOAD.md").read_text("utf-8")
    assert "`phi3data tokens data/train.jsonl --model phi-4-mini-instruct` counts them" in guide
    assert {each.state for each in verify(tmp_path / "b")} <= {"passed", "skipped"}


def test_a_region_is_held_against_the_table(prepared: Path, bundle: Path, tmp_path: Path) -> None:
    def export(region: str, base: str = "phi-4-mini-instruct") -> list[str]:
        job = Job(region=region, base=base)
        return warnings(export_finetune(prepared, tmp_path / "b", name="b", job=job, overwrite=True))

    assert export("East US 2") == []
    endpoint = yaml.safe_load((tmp_path / "b" / "classic" / "endpoint.yml").read_text("utf-8"))
    assert endpoint == {
        "name": "b-model",
        "model_id": "azureml://locations/eastus2/workspaces/PROJECT_ID/models/b/versions/1",
    }
    (said,) = export("easus2")
    assert said == (
        "easus2 is not among the regions that fine-tune Phi-4-mini-instruct (as of 2026-03-23): eastus, eastus2, "
        "northcentralus, southcentralus, westus, westus3; did you mean 'eastus2'?"
    )
    assert '--location "eastus2"' not in (bundle / "UPLOAD.md").read_text("utf-8")
    assert '--location "<REGION>"' in (bundle / "UPLOAD.md").read_text("utf-8")
    says = "the table of regions says nothing of Phi-3-mini-4k-instruct: look at the model's card whether eastus2"
    assert any(each.startswith(says) for each in export("eastus2", "phi-3-mini-4k-instruct"))
    guide = (tmp_path / "b" / "UPLOAD.md").read_text("utf-8")
    assert "names none: look at the model's card (ai.azure.com, Models, Phi-3-mini-4k-instruct)" in guide


def test_hosting_is_summed_up(prepared: Path, tmp_path: Path) -> None:
    made = export_finetune(prepared, tmp_path / "b", name="b", job=Job(hosting_price=0.8, priced="2026-11-20"))
    assert made.facts["price"] is None
    guide = (tmp_path / "b" / "UPLOAD.md").read_text("utf-8")
    assert "0.8 an hour (price of 2026-11-20), used or not: about 19.20 a day, about 584.00 a month." in guide


def test_rows_in_random_order_for_a_service_that_splits(prepared: Path, bundle: Path, tmp_path: Path) -> None:
    files = []
    for name in ("b", "c"):
        export_finetune(prepared, tmp_path / name, name="b", job=Job(shuffle=True))
        files.append((tmp_path / name / "data" / "train.jsonl").read_bytes())
    assert files[0] == files[1]
    ordered = (bundle / "data" / "train.jsonl").read_bytes()
    assert files[0] != ordered
    assert sorted(files[0].splitlines()) == sorted(ordered.splitlines())
    assert "these rows stand in random order" in (tmp_path / "b" / "UPLOAD.md").read_text("utf-8")
    assert "export with --shuffle before you choose it" in (bundle / "UPLOAD.md").read_text("utf-8")
    assert {each.state for each in verify(tmp_path / "b")} <= {"passed", "skipped"}


def test_blank_lines_at_the_end_do_not_come_between_rows(prepared: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(prepared, tmp_path / "prepared")
    with (copy / "train.jsonl").open("ab") as file:
        file.write(b"\n \n\n")
    export_finetune(copy, tmp_path / "b", name="b", job=Job(shuffle=True))
    export_finetune(prepared, tmp_path / "c", name="b", job=Job(shuffle=True))
    assert (tmp_path / "b" / "data" / "train.jsonl").read_bytes() == (
        tmp_path / "c" / "data" / "train.jsonl"
    ).read_bytes()


def test_an_endpoint_of_any_name_passes_verify(prepared: Path, tmp_path: Path) -> None:
    made = export_finetune(prepared, tmp_path / "ab_", name="ab_")
    assert made.facts["endpoint"] == "ab-model"
    assert {each.state for each in verify(tmp_path / "ab_")} <= {"passed", "skipped"}


def test_azure_without_its_client_for_machine_learning_skips_the_check(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "azure" / "core").mkdir(parents=True)
    (tmp_path / "azure" / "core" / "__init__.py").touch()
    for name in [name for name in sys.modules if name.split(".")[0] == "azure"]:
        monkeypatch.delitem(sys.modules, name)
    only = ModuleType("azure")
    only.__path__ = [str(tmp_path / "azure")]
    monkeypatch.setitem(sys.modules, "azure", only)
    (found,) = (each for each in verify(bundle) if each.name == "client")
    assert found.state == "skipped"
    assert "pip install 'phi3kit[azure]'" in found.found


def test_a_rate_is_written_to_its_last_digit() -> None:
    rates = {5e-7: "0.0000005", 1.23456789e-6: "0.00000123456789", 2e-5: "0.00002"}
    assert {rate: foundry.hyperparameter("learning_rate", rate) for rate in rates} == rates


def test_a_byte_order_mark_on_demand(prepared: Path, tmp_path: Path) -> None:
    export_finetune(prepared, tmp_path / "b", name="b", job=Job(bom=True))
    assert (tmp_path / "b" / "data" / "train.jsonl").read_bytes().startswith(b"\xef\xbb\xbf{")
    assert {each.state for each in verify(tmp_path / "b")} <= {"passed", "skipped"}


@pytest.mark.parametrize(
    ("name", "job", "said"),
    [
        ("my model", Job(), "--name my model: Foundry takes letters, digits, '-' and '_' only"),
        ("b", Job(base="phi-4-mini-reasoning"), "Foundry fine-tunes no phi-4-mini-reasoning"),
        ("b", Job(learning_rate=1), "learning_rate: 1: Foundry takes a number from 5e-07 to 5e-05"),
        ("b", Job(epochs=1.5), "num_train_epochs: 1.5: Foundry takes a whole number from 1 to 10"),
        ("b", Job(base_version="1 2"), "--base-version 1 2: is no version, such as 1"),
        ("b", Job(price=-1), "--price -1: a price is a sum of money, 0 or more"),
        ("b", Job(hosting_price=float("nan")), "--hosting-price nan: a price is a sum of money, 0 or more"),
        ("b", Job(price=1, priced="yesterday"), "--priced yesterday: give the day of the price as 2026-11-20"),
        ("b", Job(priced="2026-11-20"), "is the day of a price: give --price or --hosting-price too"),
        ("b", Job(region="East US; 2"), "--region East US; 2: give the name of an Azure region, such as eastus2"),
    ],
)
def test_what_foundry_does_not_take_is_refused(prepared: Path, tmp_path: Path, name: str, job: Job, said: str) -> None:
    with pytest.raises(UsageError) as raised:
        export_finetune(prepared, tmp_path / "b", name=name, job=job)
    assert said in str(raised.value)
    assert not (tmp_path / "b").exists()


def test_rows_that_would_be_lost_are_refused_with_their_place(prepared: Path, tmp_path: Path) -> None:
    source = shutil.copytree(prepared, tmp_path / "source")
    with (source / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write('{"messages": [{"role": "user", "content": "Hi"}]}\n')
    rows = len((source / "train.jsonl").read_text("utf-8").splitlines())
    with pytest.raises(InputError, match=rf"train.jsonl:{rows}: R\d+ .*phi3data prepare --target foundry mends them"):
        export_finetune(source, tmp_path / "b", name="b")
    (source / "validation.jsonl").unlink()
    with pytest.raises(UsageError, match="holds no validation rows"):
        export_finetune(source, tmp_path / "b", name="b")
    with pytest.raises(UsageError, match="is no run and no folder of phi3data prepare"):
        export_finetune(tmp_path, tmp_path / "b", name="b")


def test_a_source_that_is_none_says_what_is_wanted(prepared: Path, tmp_path: Path) -> None:
    wanted = "give a run folder, or the one that phi3data prepare wrote: phi3data prepare"
    other, file = tmp_path / "other", write_chats(tmp_path / "my chats.jsonl", 2)
    other.mkdir()
    new = f"{wanted} RAW --model phi-4-mini-instruct --target foundry -o out/"
    for source, base, said in (
        (tmp_path / "nowhere", None, f"is not there; {new}"),
        (file, "phi-4", f"is a file; {wanted} '{file}' --model phi-4 --target foundry -o out/"),
        (other, None, f"is no run and no folder of phi3data prepare; {new}"),
    ):
        with pytest.raises(UsageError) as raised:
            export_finetune(source, tmp_path / "b", name="b", job=Job(base=base))
        assert str(raised.value) == f"{source}: {said}"
    rows = tmp_path / "rows"
    rows.mkdir()
    for name in ("train.jsonl", "validation.jsonl"):
        shutil.copy(prepared / name, rows)
    with pytest.raises(UsageError) as raised:
        export_finetune(rows, tmp_path / "b", name="b")
    assert str(raised.value) == (
        f"{rows}: has no manifest.json of phi3data prepare, which says what model its rows are for: name it, "
        "for example --base phi-4-mini-instruct"
    )
    assert export_finetune(rows, tmp_path / "b", name="b", job=Job(base="phi-4-mini-instruct")).facts["tokens"] is None


def test_columns_that_foundry_does_not_read_are_left_out_and_named(tmp_path: Path) -> None:
    for name, number in (("train", 60), ("validation", 12)):
        write_chats(tmp_path / f"{name}.jsonl", number)
    path = tmp_path / "train.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    lines = [json.dumps({"id": number, **row, "source": "日本"}) for number, row in enumerate(rows)]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    made = export_finetune(tmp_path, tmp_path / "b", name="b", job=Job(base="phi-4"))
    written = (tmp_path / "b" / "data" / "train.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line) for line in written] == rows
    assert warnings(made) == ["columns that Foundry does not read are left out: id, source"]
    assert made.facts["rows"] == {"train": 60, "validation": 12}


def test_chats_with_tools_on_some_rows_need_no_step_between(tmp_path: Path) -> None:
    sample = Path(__file__).parents[2] / "sample_data" / "agent_chats.jsonl"
    lines = sample.read_bytes().splitlines(keepends=True)[:120]
    assert 0 < sum(b'"tools"' in line for line in lines) < 60
    chats = tmp_path / "chats.jsonl"
    chats.write_bytes(b"".join(lines))
    recipe = {"model": "phi-4-mini-instruct", "target": "foundry", "dedup": {"enabled": False}}
    phi3data.prepare(chats, recipe, output=tmp_path / "out")
    export_finetune(tmp_path / "out", tmp_path / "b", name="b")
    assert {each.state for each in verify(tmp_path / "b")} <= {"passed", "skipped"}
    rows = [json.loads(line) for line in (tmp_path / "b" / "data" / "train.jsonl").read_text("utf-8").splitlines()]
    assert {tuple(row) for row in rows} == {("messages",)}


def test_turns_that_foundry_trains_on_though_they_weigh_nothing(prepared: Path, tmp_path: Path) -> None:
    source = shutil.copytree(prepared, tmp_path / "source")
    answers = [{"role": "assistant", "content": text, "weight": weight} for text, weight in (("Hm", 0), ("Bye", 1))]
    user = {"role": "user", "content": "Say bye"}
    with (source / "train.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"messages": [user, answers[0], user, answers[1]]}) + "\n")
    made = export_finetune(source, tmp_path / "b", name="b")
    assert warnings(made) == ["1 turn of weight 0 counts like any other: Foundry does not read weight (S311)"]


def test_the_command(prepared: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    assert command(group, ["export", str(prepared), "--to", "finetune", "-o", str(tmp_path / "bot")]) == 0
    assert b"finetune 'bot', 8 files" in capsysbinary.readouterr().out
    assert command(group, ["export", str(prepared), "--to", "adapter", "-o", "x", "--region", "eastus2"]) == 2
    assert b"--region: is for --to finetune, not for --to adapter" in capsysbinary.readouterr().err
