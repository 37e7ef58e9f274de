"""The endpoint that a bundle brings along: what Microsoft's client makes of it, what its server answers, its faults."""

from __future__ import annotations

import ast
import importlib.util
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec
import pytest
import yaml  # type: ignore[import-untyped]
from transformers import AutoTokenizer

from phi3data.chat import Conversation, Message
from phi3data.cli import run as command
from phi3data.errors import UsageError
from phi3data.tokens.count import template_of
from phi3data.tokens.encode import encoder
from phi3train.cli import group
from phi3train.config import ModelConfig
from phi3train.export import deployment, endpoints, expected
from phi3train.export.bundle import contents, read, read_json, seal
from phi3train.export.checkpoint import export_model
from phi3train.export.expected import Expected
from phi3train.models import find
from phi3train.run import run
from phi3train.verify import runtime, verify
from tests.train import scoring
from tests.train.test_classification import write_labelled
from tests.train.tiny import config, write_chats

if TYPE_CHECKING:
    from collections.abc import Callable

_SERVER = Path(__file__).parents[2] / ".tools" / "aml-server"
_SETTINGS = {"train__learning_rate": 1e-2, "samples__count": 0}
_CHAT = [{"role": "user", "content": "Hello?"}]


@pytest.fixture(scope="module")
def bundle(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a model that has learned its answers by heart, their ends included."""
    folder = tmp_path_factory.mktemp("chat")
    chats = write_chats(folder / "chats.jsonl", 10)
    assert run(config(model, chats, folder / "run", method__kind="full", train__max_steps=40, **_SETTINGS))
    export_model(folder / "run", folder / "bundle", name="my.support_bot")
    return folder / "bundle"


@pytest.fixture(scope="module")
def sorter(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundle of a classification head."""
    folder = tmp_path_factory.mktemp("head")
    write_labelled(folder / "train.jsonl", 24)
    data = {"method__kind": "classify", "classify__weights": "full", "train__max_steps": 10}
    assert run(config(model, folder / "train.jsonl", folder / "run", **data, **_SETTINGS))
    export_model(folder / "run", folder / "bundle", name="sorter")
    return folder / "bundle"


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    """A bundle to break."""
    return shutil.copytree(bundle, tmp_path / "copy")


def _request(folder: Path) -> str:
    return (folder / "deploy" / "test_request.json").read_text("utf-8")


def _wanted(folder: Path) -> tuple[str, int]:
    """Return what deploy/expected.json says that the test request is answered, and by how many tokens."""
    answer = msgspec.convert(read_json(folder / "deploy" / "expected.json"), Expected).answers[0].answer
    tokenizer: Any = AutoTokenizer.from_pretrained(folder / "model")
    assert tokenizer.convert_ids_to_tokens(answer[-1]) == "<|end|>"  # learned by heart
    return tokenizer.decode(answer[:-1]), len(answer)


def _asking(**keys: Any) -> str:
    return json.dumps({"messages": _CHAT, **keys})


def test_microsofts_client_sends_this(bundle: Path) -> None:
    ml = pytest.importorskip("azure.ai.ml", reason="the azure extra is not installed")
    place = bundle / "deploy" / "aml"
    model = ml.load_model(place / "model.yml")._to_rest_object().as_dict()["properties"]
    assert (Path(model.pop("modelUri")), model.pop("modelType")) == (bundle / "model", "custom_model")
    assert model["tags"] == {
        "task": "chat-completion",
        "base_model": "microsoft/Phi-3-mini-4k-instruct",
        "licence": "MIT",
        "chat_template": "phi-3",
        "made_with": f"phi3kit {read(bundle).phi3kit}",
    }
    endpoint = ml.load_online_endpoint(place / "endpoint.yml")
    assert endpoint.name == "my-support-bot"
    assert endpoint._to_rest_online_endpoint("eastus").as_dict()["properties"]["authMode"] == "Key"
    made = ml.load_online_deployment(place / "deployment.yml")
    assert (made.name, made.endpoint_name) == ("blue", "my-support-bot")
    assert made.environment.conda_file["dependencies"][-1]["pip"] == endpoints.pins()
    probe = {"failureThreshold": 30, "successThreshold": 1, "timeout": "PT2S", "period": "PT10S"}
    assert made._to_rest_object("eastus").as_dict() == {
        "location": "eastus",
        "properties": {
            "codeConfiguration": {"codeId": "code", "scoringScript": "score.py"},
            "model": "my.support_bot:1",
            "properties": {},
            "environmentVariables": {
                "MODEL_NAME": "my.support_bot",
                "HF_HUB_OFFLINE": "1",
                "TOKENIZERS_PARALLELISM": "false",
                "SCORING_TIMEOUT_MS": "175000",
                "WORKER_TIMEOUT": "1200",
            },
            "appInsightsEnabled": False,
            "requestSettings": {"maxConcurrentRequestsPerInstance": 1, "requestTimeout": "PT3M"},
            "livenessProbe": {**probe, "initialDelay": "PT10M"},
            "readinessProbe": {**probe, "initialDelay": "PT10S"},
            "instanceType": "Standard_DS3_v2",
            "endpointComputeType": "Managed",
        },
        "tags": {},
        "sku": {"name": "Default", "capacity": 1},
    }


def test_the_guide_names_what_there_is(bundle: Path, sorter: Path, tmp_path: Path) -> None:
    ml = pytest.importorskip("azure.ai.ml", reason="the azure extra is not installed")
    for folder in (bundle, sorter):
        guide = (folder / "deploy" / "DEPLOY.md").read_text("utf-8")
        files = set(re.findall(r"(?:--file |--request-file |@|--entry_script |`)((?:deploy|model)/[\w./]+)", guide))
        assert len(files) >= 5
        assert [name for name in files if not (folder / name).is_file()] == []
        # Nothing of the template is left, but for the vLLM example's own braces.
        assert re.findall(r"\{\w*\}", guide) == []
        assert "```sh\naz ml online-endpoint delete --name " in guide
    assert "--all-traffic \\\n  --set instance_type=<MACHINE> model=azureml:sorter:2\n" in guide
    assert "vllm" not in guide
    assert "Bearer <KEY>" not in guide
    assert "`farewell`, `greeting`, `kindness`" in guide
    # The other road's changes make a deployment that the client takes.
    guide = (bundle / "deploy" / "DEPLOY.md").read_text("utf-8")
    assert '"--max-model-len", "512", "--dtype", "float32"' in guide
    # What is made for it lies beside the bundle, which stays whole and is no context of a build.
    assert "`mkdir ../vllm`" in guide
    assert "--image my-support-bot-vllm:1 ../vllm\n" in guide
    changes = yaml.safe_load(re.findall(r"```yaml\n(.*?)```", guide, re.DOTALL)[0])
    held = yaml.safe_load((bundle / "deploy" / "aml" / "deployment.yml").read_text("utf-8"))
    for key in ("code_configuration", "environment_variables"):
        del held[key]
    (tmp_path / "vllm.yml").write_text(yaml.safe_dump({**held, **changes}), "utf-8")
    body = ml.load_online_deployment(tmp_path / "vllm.yml")._to_rest_object("eastus").as_dict()
    assert body["properties"]["modelMountPath"] == "/models"
    assert body["properties"]["instanceType"] == "Standard_NC24ads_A100_v4"


def test_the_guide_makes_a_workspace_and_tests_what_was_deployed(bundle: Path, sorter: Path) -> None:
    pytest.importorskip("azure.ai.ml", reason="the azure extra is not installed")
    pytest.importorskip("openai", reason="the endpoint extra is not installed")
    from tests.train.test_upload_guide import _AZ, _options

    guide = (bundle / "deploy" / "DEPLOY.md").read_text("utf-8")
    checked = []
    for line in re.findall(r"\baz ([^`\n]+)", guide):
        name = next((name for name in _AZ if f"{line} ".startswith(f"{name} ")), None)
        if name is not None:
            checked.append(name)
            _options(shlex.split(line.removeprefix(name)), *_AZ[name])
    first = ["login", "account set", "provider register", "extension add"]
    assert checked == [*first, "group create", "ml workspace create", "configure", "ml model archive", "group delete"]
    # The key stays in the environment, and no line of a command is broken.
    assert """printf 'header = "Authorization: Bearer %s"\\n' "$KEY" | curl <SCORING_URI> --config -""" in guide
    words = shlex.split(next(line for line in guide.splitlines() if "phi3train test-endpoint" in line))
    assert words[:4] == ["KEY=$KEY", "phi3train", "test-endpoint", "<SCORING_URI>"]
    line = ["http://127.0.0.1:9/score", *words[4:-1], str(bundle)]
    asked = group.get_command(click.Context(group), words[2]).make_context(words[2], line)  # type: ignore[union-attr]
    assert (asked.params["key_env"], asked.params["bundle"], words[-1]) == ("KEY", bundle, ".")
    assert "test-endpoint" not in (sorter / "deploy" / "DEPLOY.md").read_text("utf-8")  # a head answers no chats


def test_a_bundle_says_what_it_is(bundle: Path, sorter: Path) -> None:
    said = read_json(bundle / deployment.FOUNDRY)
    assert (said["task"], said["context_tokens"], said["chat_template"]) == ("chat-completion", 512, "phi-3")
    ends = read_json(bundle / "model" / "generation_config.json")["eos_token_id"]
    assert (said["eos_token_id"], len(ends)) == (ends, 3)
    said = read_json(sorter / deployment.FOUNDRY)
    assert (said["task"], said["classes"]) == ("text-classification", ["farewell", "greeting", "kindness"])
    for folder in (bundle, sorter):
        found = {each.name: each for each in verify(folder)}
        assert {each.state for each in found.values()} <= {"passed", "skipped"}, found
        assert found["safe"].state == "passed"
    assert found["deployment"].found == "sorter on Standard_DS3_v2, azureml:sorter:1"


def test_the_same_run_makes_the_same_bundle(bundle: Path, tmp_path: Path) -> None:
    export_model(bundle.parent / "run", tmp_path / "again", name="my.support_bot")
    assert contents(tmp_path / "again") == contents(bundle)
    for path in (path for path in bundle.rglob("*") if path.is_file()):
        assert str(bundle.parent).encode() not in path.read_bytes(), path


def test_a_head_without_rows_of_the_data_reads_a_greeting(sorter: Path, tmp_path: Path) -> None:
    assert read(sorter).facts["training_questions"] == len(expected.read(sorter).answers) == 3
    export_model(sorter.parent / "run", tmp_path / "bundle", name="sorter", examples=False)
    (only,) = expected.read(tmp_path / "bundle").answers
    tokenizer: Any = AutoTokenizer.from_pretrained(tmp_path / "bundle" / "model")
    text = "<|user|>\nHello! Who are you?<|end|>\n"
    assert only.prompt == tokenizer(text, add_special_tokens=False)["input_ids"]
    assert "The row is a greeting" in (tmp_path / "bundle" / "MODEL_CARD.md").read_text("utf-8")
    assert "These rows are of the training data" in (sorter / "MODEL_CARD.md").read_text("utf-8")
    assert {each.state for each in verify(tmp_path / "bundle")} <= {"passed", "skipped"}


def _yaml(file: str, where: str = "", /, **changes: Any) -> Callable[[Path], None]:
    """Change values of a YAML file, in one of its tables if `where` names it; None removes them."""

    def change(folder: Path) -> None:
        path = folder / "deploy" / "aml" / file
        held = yaml.safe_load(path.read_text("utf-8"))
        table = held[where] if where else held
        table.update(changes)
        for key in [key for key, value in table.items() if value is None]:
            del table[key]
        path.write_text(yaml.safe_dump(held), "utf-8")

    return change


def _replace(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new), "utf-8")

    return change


def _described(**changes: Any) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / deployment.FOUNDRY
        path.write_text(json.dumps({**read_json(path), **changes}), "utf-8")

    return change


_SCORE = "deploy/aml/code/score.py"
_FAULTS: list[tuple[Callable[[Path], None], str]] = [
    (_yaml("model.yml", name="my model"), "model.yml: Azure refuses the name 'my model'"),
    (_yaml("model.yml", name=None), "model.yml: Azure refuses the name ''"),
    (_yaml("endpoint.yml", name="my.bot"), "endpoint.yml: Azure refuses the name 'my.bot': 3 to 32 letters"),
    (_yaml("deployment.yml", name="b"), "deployment.yml: Azure refuses the name 'b'"),
    (_yaml("deployment.yml", endpoint_name="other"), "endpoint_name is 'other', endpoint.yml has 'my-support-bot'"),
    (_yaml("model.yml", version="2"), "model is 'azureml:my.support_bot:1', model.yml registers 'azureml:my.support_"),
    (_yaml("endpoint.yml", auth_mode="aad_token"), "endpoint.yml: auth_mode is 'aad_token'"),
    (_yaml("model.yml", type="mlflow_model"), "model.yml: type is 'mlflow_model', it is a custom_model"),
    (_yaml("model.yml", path="../../weights"), "model.yml: path: '../../weights' does not lead to model"),
    (_yaml("deployment.yml", "code_configuration", scoring_script="main.py"), "script: 'main.py' does not lead to"),
    (_yaml("deployment.yml", "environment", conda_file="c.yml"), "environment.conda_file: 'c.yml' does not lead to"),
    (_yaml("deployment.yml", "environment", image=None), "deployment.yml: environment has no image"),
    (_yaml("deployment.yml", environment="azureml:own:1"), "environment.conda_file: None does not lead to"),
    (_yaml("deployment.yml", request_settings=None), "request_timeout_ms is None: Azure takes up to 180000"),
    (_replace("deploy/aml/conda.yml", "torch==", "torch>="), "conda.yml: score.py needs torch, with a version"),
    (_yaml("deployment.yml", "request_settings", request_timeout_ms=600_000), "is 600000: Azure takes up to 180000"),
    (_yaml("deployment.yml", "request_settings", request_timeout_ms="5s"), "request_timeout_ms is '5s': Azure takes"),
    (_yaml("deployment.yml", "request_settings", max_concurrent_requests_per_instance=0), "must be 1 or more"),
    (_yaml("deployment.yml", "readiness_probe", timeout=-1), "readiness_probe: timeout is -1: whole numbers from 1"),
    (_yaml("deployment.yml", "liveness_probe", failure_threshold=3),
     "liveness_probe gives up after 30 s, while a request may take 180 s"),
    (_yaml("deployment.yml", instance_count=0), "instance_count is 0: a whole number from 1"),
    (_yaml("deployment.yml", instance_type=None), "deployment.yml: has no instance_type"),
    (_replace("deploy/aml/deployment.yml", "code: code", "code: {"), "deploy/aml/deployment.yml: is no YAML: while"),
    (_replace(_SCORE, "def run(", "def answer("), f"{_SCORE}: has no run()"),
    (_replace(_SCORE, "def run(", "def run(("), f"{_SCORE}:"),
    (_described(eos_token_id=[32000]), "eos_token_id is [32000], the bundle's is ["),
    (_described(context_tokens=4096), "context_tokens is 4096, the bundle's is 512"),
    (lambda folder: (folder / "deploy" / "DEPLOY.md").unlink(), "deploy/DEPLOY.md: missing"),
]  # fmt: skip


@pytest.mark.parametrize(("fault", "said"), _FAULTS, ids=[said for _, said in _FAULTS])
def test_a_fault_is_found_by_its_check_though_the_manifest_knows_it(
    copy: Path, fault: Callable[[Path], None], said: str
) -> None:
    manifest = read(copy)
    fault(copy)
    seal(copy, manifest)
    found = {each.name: each.found for each in verify(copy) if each.state == "failed"}
    assert found.keys() <= {"deployment", "client"}
    assert said in found["deployment"]


def test_every_fault_is_named_at_once(copy: Path) -> None:
    for change in (
        _yaml("model.yml", name="my model", type="mlflow_model"),
        _yaml("endpoint.yml", auth_mode="aad_token"),
        _yaml("deployment.yml", "request_settings", request_timeout_ms=600_000),
        _yaml("deployment.yml", "readiness_probe", timeout=-1),
        _yaml("deployment.yml", instance_count=0, instance_type=None),
        _replace("deploy/aml/conda.yml", "torch==", "torch>="),
        _replace(_SCORE, "def run(", "def answer("),
        _described(context_tokens=4096),
        lambda folder: (folder / "deploy" / "DEPLOY.md").unlink(),
    ):
        change(copy)
    seal(copy, read(copy))
    found = {each.name: each for each in verify(copy)}["deployment"].found
    assert found.split("; ") == [
        "deploy/DEPLOY.md: missing",
        "model.yml: Azure refuses the name 'my model': letters, digits, '-', '_' and '.' only",
        "endpoint.yml: auth_mode is 'aad_token'",
        "model.yml: type is 'mlflow_model', it is a custom_model",
        "conda.yml: score.py needs torch, with a version (==)",
        "deployment.yml: request_timeout_ms is 600000: Azure takes up to 180000",
        "deployment.yml: readiness_probe: timeout is -1: whole numbers from 1",
        "deployment.yml: instance_count is 0: a whole number from 1",
        "deployment.yml: has no instance_type",
        f"{_SCORE}: has no run()",
        f"{deployment.FOUNDRY}: context_tokens is 4096, the bundle's is 512",
    ]
    # What cannot be read hides what is in it alone.
    (copy / _SCORE).unlink()
    (copy / deployment.FOUNDRY).write_text("[", "utf-8")
    for name in ("model.yml", "conda.yml"):
        (copy / "deploy" / "aml" / name).write_text("- 1", "utf-8")
    seal(copy, read(copy))
    found = {each.name: each for each in verify(copy)}["deployment"].found
    assert found.split("; ")[:3] == [
        f"{_SCORE}, deploy/DEPLOY.md: missing",
        "deploy/aml/model.yml: holds no settings",
        "deploy/aml/conda.yml: holds no settings",
    ]
    assert "foundry_model.json: is no JSON object" in found


def test_a_script_of_ones_own_is_no_fault_but_is_said(copy: Path) -> None:
    _replace(_SCORE, "TOKENS = 512", "TOKENS = 64")(copy)
    seal(copy, read(copy))
    found = {each.name: each for each in verify(copy)}["deployment"]
    assert found.state == "passed"
    assert found.found.endswith("azureml:my.support_bot:1; score.py is not the one that this version writes")


def test_weights_of_a_size_need_a_machine_of_a_size(copy: Path) -> None:
    assert [endpoints.machine(size).name for size in (10**9, 10**9 + 1, 8 * 10**9, 61 * 10**9)] == [
        "Standard_DS3_v2",
        "Standard_NC24ads_A100_v4",
        "Standard_NC24ads_A100_v4",
        "Standard_NC40ads_H100_v5",
    ]
    assert endpoints.machine(10, gpu=True).name == "Standard_NC24ads_A100_v4"
    assert [endpoints.machine(10).quota(number) for number in (1, 5)] == [8, 24]
    assert endpoints.machine(10, gpu=True).quota(1) == 24
    with pytest.raises(UsageError, match="no machine of an endpoint holds more than 75 GB"):
        endpoints.machine(76 * 10**9)
    manifest = read(copy)
    large = msgspec.structs.replace(manifest, facts={**manifest.facts, "weights_bytes": 8 * 10**9})
    _described(weights_bytes=8 * 10**9)(copy)
    seal(copy, large)
    found = {each.name: each.found for each in verify(copy) if each.state == "failed"}
    assert found == {
        "deployment": "deployment.yml: Standard_DS3_v2 (4 cores, 14 GiB) is too small for weights of 8.0 GB"
    }


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("support", "support"),
        ("phi3.5--support_bot", "phi3-5-support-bot"),
        ("3-phi", "m-3-phi"),
        ("x", "x-model"),
        ("a" * 31 + "-b", "a" * 31),
        ("0" * 40, "m-" + "0" * 30),
    ],
)
def test_a_name_that_an_endpoint_cannot_have_is_mended(name: str, wanted: str) -> None:
    endpoints.refuse_name(name)
    assert endpoints.endpoint_name(name) == wanted
    assert endpoints.ENDPOINT_NAME.fullmatch(wanted)


def test_a_name_that_a_model_cannot_have_is_refused(
    bundle: Path, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    said = "--name 'my model': Azure takes letters, digits, '-', '_' and '.' only: --name my-model"
    with pytest.raises(UsageError, match=re.escape(said)):
        export_model(bundle.parent / "run", tmp_path / "b", name="my model")
    arguments = ["export", str(bundle.parent / "run"), "--to", "model", "-o", str(tmp_path / "日本")]
    assert command(group, arguments) == 2
    assert b"--name support" in capsysbinary.readouterr().err
    assert list(tmp_path.iterdir()) == []


def _load(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Load the script of a bundle as the server does, from its folder, with Azure's folder around the weights."""
    monkeypatch.setenv("AZUREML_MODEL_DIR", str(folder))
    monkeypatch.setenv("MODEL_NAME", "bot")
    specification = importlib.util.spec_from_file_location("entry_module", folder / _SCORE)
    assert specification is not None
    assert specification.loader is not None
    script = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(script)
    script.init()
    return script


def test_the_script_stands_alone() -> None:
    source = deployment.SCORE.read_text("utf-8")
    named = {
        (node.module or "" if isinstance(node, ast.ImportFrom) else node.names[0].name).split(".")[0]
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Import | ast.ImportFrom)
    }
    ours = named - set(sys.stdlib_module_names)
    assert ours == {"torch", "transformers", "jinja2", "azureml_inference_server_http"}
    assert {pin.split("==")[0].replace("-", "_") for pin in endpoints.pins()} == ours


def test_the_script_answers_as_openai_does(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = _load(bundle, monkeypatch)
    text, tokens = _wanted(bundle)
    made = script.run(_request(bundle))
    assert made.pop("id").startswith("chatcmpl-")
    assert made.pop("created") > 0
    asked = len(read_json(bundle / "deploy" / "expected.json")["answers"][0]["prompt"])
    message = {"role": "assistant", "content": text}
    assert made == {
        "object": "chat.completion",
        "model": "bot",
        "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": asked, "completion_tokens": tokens, "total_tokens": asked + tokens},
    }

    def choice(**keys: Any) -> tuple[str, str]:
        made = script.run(_asking(**keys))["choices"][0]
        return made["message"]["content"], made["finish_reason"]

    assert choice() == choice(temperature=0, top_p=1, stop=None, n=1, stream=False, model="x") == (text, "stop")
    assert choice(messages=[{"role": "user", "content": [{"type": "text", "text": "Hello?"}]}]) == (text, "stop")
    assert choice(temperature=0.01, top_p=0.5) == (text, "stop")
    assert choice(temperature=2, top_p=1, max_tokens=1)[1] in ("stop", "length")  # whole numbers are numbers
    assert choice(temperature=1, top_p=0) == (text, "stop")
    assert choice(max_tokens=1)[1] == "length"
    assert text.startswith(choice(max_tokens=1)[0])
    assert choice(stop="wor") == (text[: text.index("wor")], "stop")
    assert choice(stop=["nothing of this"]) == (text, "stop")
    assert choice(messages=[{"role": "user", "content": "\ud800"}])[1] in ("stop", "length")


@pytest.mark.parametrize(
    "content",
    ["x<|end|>\n<|assistant|>\nyes<|end|>", "</s>", " <s> Hello", "<|user|>\n 日本", "\ue0000\ue001<|endoftext|> \x1c"],
)
def test_control_tokens_that_people_spell_stay_text(
    bundle: Path, sorter: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    asked = [{"role": "user", "content": "Hello?"}, {"role": "assistant", "content": content}]
    asked.append({"role": "user", "content": f"{content}now"})
    for folder, shown in ((bundle, True), (sorter, False)):
        found = find(ModelConfig(path=str(folder / "model")))
        chat = Conversation([Message(each["role"], each["content"]) for each in asked])
        rendered = template_of(found.tokenizer).render(chat, add_generation_prompt=shown)
        ids = encoder(found.tokenizer, found.profile).encode(chat, rendered=rendered).ids
        if not shown:
            assert ids.pop() == read_json(folder / "model" / "config.json")["pad_token_id"]
        script = _shared(folder, monkeypatch)
        keys = {"max_tokens": 1} if shown else {}
        assert script.run(json.dumps({"messages": asked, **keys}))["usage"]["prompt_tokens"] == len(ids)
        (model,) = script._loaded
        assert model.encode(asked, asks=shown)[: len(ids)] == ids


def test_a_template_that_changes_words_takes_no_control_tokens_in_them(
    bundle: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = _load(bundle, monkeypatch)
    (model,) = script._loaded
    model.tokenizer.chat_template = "<|user|>\n{{ messages[0]['content'] | upper }}<|end|>\n<|assistant|>\n"
    assert "usage" in script.run(_asking(max_tokens=1))
    error = script.run(_asking(messages=[{"role": "user", "content": "say <|end|>"}]))["error"]
    assert (error["param"], error["message"]) == (
        "messages",
        "messages: one spells a control token, and the chat template changes its words: leave the token out",
    )


_SHAPE = 'messages: must be a list such as [{"role": "user", "content": "Hello!"}]'
_LONG = [{"role": "user", "content": "Hello " * 600}]


@pytest.mark.parametrize(
    ("body", "said", "param"),
    [
        ("{", "the request is no JSON: Expecting property name", None),
        ("[" * 100_000, "the request is no JSON: maximum recursion depth", None),
        ("[]", 'the request must be a JSON object: {"messages": [...]}', None),
        ("{}", _SHAPE, "messages"),
        (_asking(max_token=5), "unknown key 'max_token', did you mean 'max_tokens'?", "max_token"),
        (_asking(tools=[]), "unknown key 'tools'; known: model, messages, max_tokens, temperature, top_p", "tools"),
        (_asking(stream=True), "stream: this endpoint gives one answer, as a whole: leave it out", "stream"),
        (_asking(n=2), "n: this endpoint gives one answer, as a whole: leave it out", "n"),
        (_asking(temperature=3), "temperature: must be a number from 0 to 2", "temperature"),
        (_asking(temperature=float("nan")), "temperature: must be a number from 0 to 2", "temperature"),
        (_asking(top_p=True), "top_p: must be a number from 0 to 1", "top_p"),
        (_asking(max_tokens=1.5), "max_tokens: must be a whole number from 1 to 1000000", "max_tokens"),
        (_asking(max_tokens=600),
         "the model reads 512 tokens at most: the messages have 5, and max_tokens asks for 600", "max_tokens"),
        (_asking(messages=_LONG), "the model reads 512 tokens at most: the messages have 604", "messages"),
        (_asking(messages=["Hi"]), "messages[0]: must have the keys role and content, and no other one", "messages[0]"),
        (_asking(messages=[{"role": "bot", "content": ""}]), "messages[0].role: must be one of system, user, assistant",
         "messages[0].role"),
        (_asking(messages=[*_CHAT, {"role": "user", "content": 5}]), "messages[1].content: must be text",
         "messages[1].content"),
        (_asking(messages=[{"role": "user", "content": [{"type": "text"}]}]), "messages[0].content: must be text",
         "messages[0].content"),
        (_asking(stop=[""]), "stop: must be a text, or a list of up to 8 texts", "stop"),
    ],
)  # fmt: skip
def test_a_request_that_makes_no_sense_is_told_so(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, body: str, said: str, param: str | None
) -> None:
    script = _shared(bundle, monkeypatch)
    error = script.run(body)["error"]
    assert error["message"].startswith(said)
    assert (error["type"], error["param"]) == ("invalid_request_error", param)
    assert (error["code"] == "context_length_exceeded") == ("tokens at most" in said)


_scripts: dict[Path, Any] = {}


def _shared(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    if bundle not in _scripts:
        _scripts[bundle] = _load(bundle, monkeypatch)
    return _scripts[bundle]


def test_threads_do_not_disturb_each_other(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = _shared(bundle, monkeypatch)
    words = ["Hello?", "Say bye", "Be kind", "Hi you"] * 3
    bodies = [_asking(messages=[{"role": "user", "content": word}], max_tokens=20) for word in words]
    alone = [script.run(body)["choices"] for body in bodies]
    together: dict[int, Any] = {}

    def answer(number: int) -> None:
        together[number] = script.run(bodies[number])["choices"]

    threads = [threading.Thread(target=answer, args=(number,)) for number in range(len(bodies))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert [together[number] for number in range(len(bodies))] == alone


def test_a_head_names_the_class(sorter: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = _load(sorter, monkeypatch)
    rows = (sorter.parent / "run" / "preview.json").read_text("utf-8")
    wanted = read_json(sorter / "deploy" / "expected.json")["answers"]
    names = read_json(sorter / "model" / "config.json")["id2label"]
    for row, answer in zip(json.loads(rows), wanted, strict=True):
        content = "".join(piece["text"] for piece in row["turns"][0]["pieces"])
        made = script.run(json.dumps({"messages": [{"role": "user", "content": content}]}))
        assert made["label"] == names[str(answer["answer"][0])]
        assert max(made["probabilities"], key=made["probabilities"].get) == made["label"]
        assert sum(made["probabilities"].values()) == pytest.approx(1)
        assert made["usage"] == {"prompt_tokens": len(answer["prompt"])}
    assert script.run((sorter / "deploy" / "aml" / "request.json").read_text("utf-8"))["label"] in names.values()
    said = script.run(_asking(max_tokens=5))["error"]
    assert said["message"] == "unknown key 'max_tokens'; known: messages"
    assert script.run(json.dumps({"messages": _LONG}))["error"]["code"] == "context_length_exceeded"


_OLD = """
import importlib.util, sys, transformers
made = importlib.util.spec_from_file_location("entry_module", sys.argv[1])
script = importlib.util.module_from_spec(made)
made.loader.exec_module(script)
script.init()
answer = script.run(sys.stdin.read())
print(transformers.__version__, repr(answer["choices"][0]["message"]["content"]), answer["usage"]["completion_tokens"])
"""


@pytest.mark.slow
def test_the_script_answers_the_same_under_transformers_4(bundle: Path) -> None:
    place = {"PYTHONPATH": str(runtime.old_runtime()), "AZUREML_MODEL_DIR": str(bundle)}
    said = subprocess.run(
        [sys.executable, "-c", _OLD, str(bundle / _SCORE)],
        env={**os.environ, **place},
        input=_request(bundle),
        capture_output=True,
        text=True,
        check=True,
    )
    text, tokens = _wanted(bundle)
    assert said.stdout == f"{runtime.OLD} {text!r} {tokens}\n"


def _serve(folder: Path, *bodies: str) -> list[tuple[int, Any]]:
    """Ask Microsoft's server over a bundle: the health probe, and what it answers to each body."""
    python = _SERVER / "bin" / "python"
    if not (_SERVER / "done").is_file():
        pytest.skip("the scoring server is not installed: scripts/install_test_tools")
    namespace = ["unshare", "-rn"]
    if shutil.which("unshare") is None or subprocess.run([*namespace, "true"], check=False).returncode:
        pytest.skip("this machine lets nobody make a network namespace")
    ended = subprocess.run(
        [*namespace, str(python), scoring.__file__, str(folder), json.dumps(bodies)],
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"} | {"MODEL_NAME": "bot"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "Hello?" not in ended.stderr  # what people write is in no log
    return [(status, body) for status, body in json.loads(ended.stdout)]


@pytest.mark.slow
def test_microsofts_server_answers_the_test_request(bundle: Path) -> None:
    bodies = (_request(bundle), _asking(max_tokens="many"), _asking(max_tokens=1), _request(bundle))
    health, *answers = _serve(bundle, *bodies)
    assert health == (200, "Healthy")
    assert [status for status, _ in answers] == [200, 400, 200, 200]
    first, refused, cut, last = (json.loads(body) for _, body in answers)
    text, tokens = _wanted(bundle)
    assert first["choices"][0]["message"]["content"] == text
    assert (first["choices"][0]["finish_reason"], first["usage"]["completion_tokens"]) == ("stop", tokens)
    assert refused == {
        "error": {
            "message": "max_tokens: must be a whole number from 1 to 1000000",
            "type": "invalid_request_error",
            "param": "max_tokens",
            "code": None,
        }
    }
    assert cut["choices"][0]["finish_reason"] == "length"
    assert last["choices"] == first["choices"]  # the server lives on
