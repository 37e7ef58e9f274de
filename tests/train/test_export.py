"""Bundles: made from a run, whole, loaded alike by old and new runtimes, and every fault of one found by its check."""

from __future__ import annotations

import json
import os
import pickle
import shutil
from typing import TYPE_CHECKING, Any

import pytest

from phi3data.cli import run as command
from phi3data.errors import InputError, OutputError, UsageError
from phi3train.cli import group
from phi3train.export import dialect, expected
from phi3train.export.bundle import Manifest, building, contents, read, read_json, seal
from phi3train.export.checkpoint import export_adapter, export_model, warnings
from phi3train.run import run
from phi3train.verify import runtime, verify
from tests.train.tiny import config, longrope, write_chats, write_model

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SETTINGS = {
    "model__name": "phi-3-mini-128k-instruct",
    "train__max_steps": 2,
    "evaluation__every": 2,
    "samples__count": 0,
}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of the LongRoPE kind, whose short and long factors differ."""
    return write_model(tmp_path_factory.mktemp("base") / "model", **longrope())


@pytest.fixture(scope="module")
def lora(base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that trained an adapter."""
    folder = tmp_path_factory.mktemp("lora")
    chats = write_chats(folder / "chats.jsonl", 12)
    made = config(base, chats, folder / "run", method__kind="lora", data__validation=str(chats), **_SETTINGS)
    assert run(made).state == "done"
    return folder / "run"


@pytest.fixture(scope="module")
def model(lora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Its bundle as a model."""
    output = tmp_path_factory.mktemp("bundle") / "support"
    export_model(lora, output, name="support")
    return output


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Path:
    """A bundle to break."""
    return shutil.copytree(model, tmp_path / "copy")


def _failed(folder: Path) -> dict[str, str]:
    return {each.name: each.found for each in verify(folder) if each.state == "failed"}


def test_a_bundle_has_all_that_a_server_needs_and_nothing_that_runs(model: Path, lora: Path) -> None:
    assert sorted(contents(model)) == [
        "LICENSE",
        "MODEL_CARD.md",
        "deploy/DEPLOY.md",
        "deploy/aml/code/score.py",
        "deploy/aml/conda.yml",
        "deploy/aml/deployment.yml",
        "deploy/aml/endpoint.yml",
        "deploy/aml/model.yml",
        "deploy/expected.json",
        "deploy/foundry_model.json",
        "deploy/test_request.json",
        "model/chat_template.jinja",
        "model/config.json",
        "model/generation_config.json",
        "model/model-00001-of-00001.safetensors",
        "model/model.safetensors.index.json",
        "model/tokenizer.json",
        "model/tokenizer_config.json",
    ]
    said = read(model)
    assert (said.kind, said.name, said.base_model) == ("model", "support", "microsoft/Phi-3-mini-128k-instruct")
    assert said.facts["merge_difference"] < 1e-4
    for path in (path for path in model.rglob("*") if path.is_file()):
        assert str(lora.parent).encode() not in path.read_bytes(), path
    card = (model / "MODEL_CARD.md").read_text("utf-8")
    assert "base_model: microsoft/Phi-3-mini-128k-instruct" in card
    assert "| train | chats.jsonl | 12 |" in card
    assert json.loads((model / "deploy" / "test_request.json").read_text("utf-8"))["messages"][0]["role"] == "user"


@pytest.mark.slow
def test_old_and_new_runtimes_load_it_alike(model: Path, copy: Path) -> None:
    found = {each.name: each for each in verify(model, dialects=True)}
    assert {each.state for each in found.values()} == {"passed"}, found
    assert "logits equal at 64, 96 tokens" in found["old runtime"].found
    # As transformers 5 alone writes it, the older one takes the rope for the usual one, and says nothing.
    _edit("model/config.json", rope_scaling=None)(copy)
    outcome = runtime.equal(runtime.probe(model), runtime.probe_old(copy))
    assert outcome.state == "failed"
    assert "logits differ by" in outcome.found


def _edit(name: str, **changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(json.dumps({**json.loads(path.read_text("utf-8")), **changes}), "utf-8")

    return change


def _without(name: str, *keys: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        held = json.loads((folder / name).read_text("utf-8"))
        (folder / name).write_text(json.dumps({key: held[key] for key in held if key not in keys}), "utf-8")

    return change


def _append(name: str, text: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_bytes((path.read_bytes() if path.is_file() else b"") + text.encode())

    return change


def _pickled(folder: Path) -> None:
    (folder / "model" / "training_args.bin").write_bytes(pickle.dumps({}))


def _cut(folder: Path) -> None:
    path = folder / "model" / "model-00001-of-00001.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def _remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


@pytest.mark.parametrize(
    ("name", "fault", "said"),
    [
        ("weights", _remove("model/model-00001-of-00001.safetensors"), "model-00001-of-00001.safetensors is missing"),
        ("weights", _cut, "its header says"),
        ("weights", _edit("model/model.safetensors.index.json", weight_map={"x": "model-00001-of-00001.safetensors"}),
         "model-00001-of-00001.safetensors lacks x"),
        ("safe", _pickled, "model/training_args.bin: a pickle, which runs when it is loaded"),
        ("safe", _append("model/modeling_phi3.py", "print()"), "model/modeling_phi3.py: code, which runs when"),
        ("paths", _append("MODEL_CARD.md", "\nsee /home/ann/run\n"), "MODEL_CARD.md names /home/ann/run"),
        ("ends", _edit("model/generation_config.json", eos_token_id=[340]), "answers do not end at <|assistant|>"),
        ("config", _edit("model/config.json", rope_scaling=None), "config.json: rope_scaling: one dialect lacks"),
        ("config", _without("model/config.json", "rope_theta", "rope_scaling", "partial_rotary_factor", "torch_dtype"),
         "config.json: partial_rotary_factor, rope_scaling, rope_theta, torch_dtype: one dialect lacks"),
        ("config", _edit("model/config.json", torch_dtype="bfloat16"), "config.json: torch_dtype: one dialect lacks"),
        ("tokenizer", _edit("model/tokenizer_config.json", tokenizer_class="TokenizersBackend"),
         "tokenizer_class is 'TokenizersBackend', which older runtimes do not know"),
        ("tokenizer", _append("model/chat_template.jinja", "{{ x }}"), "hold different templates"),
        ("tokenizer", _remove("model/chat_template.jinja"), "chat_template.jinja is missing"),
        ("config", _append("model/config.json", "}"), "config.json: is no JSON object"),
    ],
)  # fmt: skip
def test_a_fault_is_found_by_its_check_though_the_manifest_knows_it(
    copy: Path, name: str, fault: Callable[[Path], None], said: str
) -> None:
    manifest = read(copy)
    fault(copy)
    assert "files" in _failed(copy)  # whatever was changed
    seal(copy, manifest)
    found = _failed(copy)
    assert list(found) == [name]
    assert said in found[name]


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("tokenizer", _remove("model/tokenizer.json")),
        ("config", _edit("model/config.json", rope_parameters=[1], rope_scaling=None)),
        ("weights", _edit("model/model.safetensors.index.json", weight_map={"x": 1})),
        ("loads", _edit("deploy/expected.json", answers=None)),
        ("loads", _edit("deploy/expected.json", request={"x": 1})),
    ],
)
def test_a_file_that_makes_no_sense_fails_its_check_and_no_other(
    copy: Path, name: str, fault: Callable[[Path], None]
) -> None:
    manifest = read(copy)
    fault(copy)
    seal(copy, manifest)
    found = {each.name: each for each in verify(copy)}
    assert found[name].state == "failed"
    assert found["safe"].state == "passed"


def test_weights_in_half_precision_answer_as_they_did(lora: Path, tmp_path: Path) -> None:
    export_model(lora, tmp_path / "half", name="half", dtype="bfloat16")
    found = {each.name: each for each in verify(tmp_path / "half")}
    assert {each.state for each in found.values()} == {"passed", "skipped"}, found
    assert "weights: bfloat16" in found["config"].found


def test_words_of_the_data_are_no_paths_of_this_machine(copy: Path) -> None:
    manifest = read(copy)
    path = copy / "deploy" / "test_request.json"
    path.write_text(path.read_text("utf-8").replace("Hello", 'What is in \\"/var/log/app\\"'), "utf-8")
    seal(copy, manifest)
    assert _failed(copy) == {}


def test_what_was_changed_is_named(copy: Path) -> None:
    (copy / "LICENSE").write_text("mine", "utf-8")
    (copy / "MODEL_CARD.md").unlink()
    (copy / "notes.txt").write_text("x", "utf-8")
    said = "missing: MODEL_CARD.md; not in the manifest: notes.txt; changed: LICENSE"
    assert _failed(copy) == {"files": said}
    assert verify(copy)[-1].found == "'files' failed: mend that first"


def test_other_users_may_read_all_of_a_bundle(model: Path) -> None:
    mask = os.umask(0o022)
    os.umask(mask)
    assert {path.stat().st_mode & 0o777 for path in model.rglob("*") if path.is_file()} == {0o666 & ~mask}


def test_another_template_than_the_one_that_was_learned(copy: Path) -> None:
    template = "{% for message in messages %}{{ message.content }}{% endfor %}"
    _edit("model/tokenizer_config.json", chat_template=template)(copy)
    (copy / "model" / "chat_template.jinja").write_text(template, "utf-8")
    seal(copy, read(copy))
    assert "the model learned 'phi-3'" in _failed(copy)["tokenizer"]


def test_weights_that_are_others_answer_otherwise(copy: Path) -> None:
    path = copy / "deploy" / "expected.json"
    wanted = json.loads(path.read_text("utf-8"))
    wanted["answers"][0]["answer"] = [5]
    path.write_text(json.dumps(wanted), "utf-8")
    seal(copy, read(copy))
    assert _failed(copy) == {"loads": "2 of 3 answers are those of deploy/expected.json"}
    (copy / "model" / "tokenizer.json").write_text("{", "utf-8")
    assert runtime.loads(copy, runtime.probe(copy)).state == "failed"


def test_an_adapter_names_its_base_by_its_public_name(lora: Path, tmp_path: Path) -> None:
    made = export_adapter(lora, tmp_path / "adapter", name="support")
    assert [each.state for each in verify(tmp_path / "adapter")] == ["passed"] * 6
    assert warnings(made) == [
        "some servers refuse adapters on Phi's fused layers (qkv_proj, gate_up_proj); --to model runs everywhere",
        (
            "microsoft/Phi-3-mini-128k-instruct has hidden_size 3,072 and not 64, num_hidden_layers 32 and not 2, "
            "vocab_size 32,064 and not 384: the adapter fits the model that was trained, which is another"
        ),
    ]
    manifest = read(tmp_path / "adapter")
    _edit("adapter/adapter_config.json", base_model_name_or_path="../base", r=128)(tmp_path / "adapter")
    seal(tmp_path / "adapter", manifest)
    found = _failed(tmp_path / "adapter")
    assert list(found) == ["base", "adapter"]
    assert "the base is '../base', which nobody else can load" in found["base"]
    assert found["adapter"] == "adapter_config.json says rank 128, the weights have [16]"


def test_what_cannot_be_exported_says_why(lora: Path, model: Path, tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="exists: --overwrite replaces it"):
        export_model(lora, model, name="x")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("x", "utf-8")
    with pytest.raises(OutputError, match="is no bundle: choose another folder"):
        export_model(lora, tmp_path / "mine", name="x", overwrite=True)
    (tmp_path / "out2").mkdir()
    (tmp_path / "out2" / "manifest.json").write_text('{"recipe": {}}', "utf-8")  # of phi3data prepare
    with pytest.raises(OutputError, match="is no bundle: choose another folder"):
        export_model(lora, tmp_path / "out2", name="x", overwrite=True)
    with pytest.raises(OutputError, match="is no run folder"):
        export_model(tmp_path, tmp_path / "out", name="x")
    half = shutil.copytree(lora, tmp_path / "half")
    shutil.rmtree(half / "best")
    with pytest.raises(UsageError, match="has no model yet"):
        export_model(half, tmp_path / "out", name="x")
    assert not (tmp_path / "out").exists()
    with pytest.raises(InputError, match="is no bundle"):
        verify(tmp_path / "mine")


def test_commands(lora: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    output = tmp_path / "support-bot"
    assert command(group, ["export", str(lora), "--to", "adapter", "-o", str(output)]) == 0
    said = capsysbinary.readouterr()
    assert b"adapter 'support-bot', 9 files, 0.1 MB" in said.out
    assert b"warning: some servers refuse adapters" in said.err
    assert command(group, ["verify", str(output), "--json"]) == 0
    assert json.loads(capsysbinary.readouterr().out)["passed"] is True
    (output / "LICENSE").unlink()
    assert command(group, ["verify", str(output)]) == 1
    assert b"failed   files      missing: LICENSE\n" in capsysbinary.readouterr().out


def test_questions_of_the_data_stay_out_of_a_bundle(
    lora: Path, model: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert read(model).facts["training_questions"] == 3
    assert "These questions are of the training data" in (model / "MODEL_CARD.md").read_text("utf-8")
    for kind in ("model", "adapter"):
        output = tmp_path / kind
        assert command(group, ["export", str(lora), "--to", kind, "-o", str(output), "--no-examples"]) == 0
        assert b"questions of the training data" not in capsysbinary.readouterr().out
        wanted = expected.read(output)
        messages = [{"role": "user", "content": "Hello! Who are you?"}]
        assert wanted.request == read_json(output / "deploy" / "test_request.json")
        assert [each.messages for each in wanted.answers] == [messages] == [(wanted.request or {})["messages"]]
        assert read(output).facts["training_questions"] == 0
        card = (output / "MODEL_CARD.md").read_text("utf-8")
        assert "The question is a greeting, and none of the training data." in card
        found = {each.name: each for each in verify(output)}
        assert {each.state for each in found.values()} <= {"passed", "skipped"}
        assert kind == "adapter" or found["loads"].found.endswith(": 1 answer to the letter")
    line = ["export", str(lora), "--to", "finetune", "-o", str(tmp_path / "job"), "--no-examples"]
    assert command(group, line) == 2
    assert b"--no-examples: is for bundles of weights; one for fine-tuning" in capsysbinary.readouterr().err


def test_another_base_than_the_one_that_was_trained_is_refused(base: Path, lora: Path, tmp_path: Path) -> None:
    kept = (base / "model.safetensors").read_bytes()
    try:
        other = write_model(tmp_path / "other", **longrope(), initializer_range=0.03)
        shutil.copy(other / "model.safetensors", base / "model.safetensors")
        with pytest.raises(InputError, match="holds weights other than those that the run began with"):
            export_model(lora, tmp_path / "bundle", name="x")
        assert command(group, ["sample", str(lora), "--prompt", "Hi"]) == 2
    finally:
        (base / "model.safetensors").write_bytes(kept)


_FACTORS = {"short_factor": [1.0], "long_factor": [2.0]}


@pytest.mark.parametrize(
    "settings",
    [
        {"rope_parameters": {"rope_type": "longrope", "rope_theta": 1e4, **_FACTORS},
         "original_max_position_embeddings": 4},
        {"rope_scaling": {"type": "su", **_FACTORS}, "rope_theta": 1e4, "original_max_position_embeddings": 4},
        {"rope_scaling": {"type": "longrope", **_FACTORS}, "original_max_position_embeddings": 4},
    ],
)  # fmt: skip
def test_either_dialect_makes_both(settings: dict[str, Any]) -> None:
    made = dialect.config({"model_type": "phi3", "auto_map": {}, **settings}, dtype="float32")
    assert made["rope_scaling"] == {"type": "longrope", **_FACTORS}
    assert made["rope_parameters"]["rope_type"] == "longrope"
    assert (made["rope_theta"], made["torch_dtype"], made["dtype"]) == (1e4, "float32", "float32")
    assert "auto_map" not in made
    assert dialect.config(made, dtype="float32") == made


def test_a_usual_rope_needs_no_scaling() -> None:
    made = dialect.config({"rope_theta": 250_000.0, "rope_scaling": None}, dtype="bfloat16")
    assert (made["rope_scaling"], made["rope_theta"]) == (None, 250_000.0)
    assert made["rope_parameters"] == {"rope_type": "default", "rope_theta": 250_000.0}


def test_a_bundle_that_could_not_be_replaced_is_put_back(tmp_path: Path) -> None:
    output = tmp_path / "bundle"
    with building(output, overwrite=False) as folder:
        seal(folder, Manifest(kind="model", name="old", base_model="microsoft/Phi-4"))
    with pytest.raises(FileNotFoundError), building(output, overwrite=True) as folder:
        folder.rmdir()  # what was there is moved away, and then there is nothing to put in its place
    assert read(output).name == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["bundle"]


def test_the_manifest_holds_every_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x", "utf-8")
    made = seal(tmp_path, Manifest(kind="model", name="n", base_model="a/b"))
    assert made == read(tmp_path)
    assert made.files["a"].bytes == 1
