"""UPLOAD.md, followed line by line by a reader who knows nothing: every file, command, option and call is real."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import threading
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import create_autospec

import click
import msgspec
import pytest

import phi3data
from phi3data.cli import group as data_commands
from phi3train.cli import group as train_commands
from phi3train.export import guide
from phi3train.export.bundle import read
from phi3train.export.finetune import Job, export_finetune
from tests.train.tiny import write_chats

if TYPE_CHECKING:
    from collections.abc import Iterator

ml = pytest.importorskip("azure.ai.ml", reason="the azure extra is not installed")
openai = pytest.importorskip("openai", reason="the serve extra is not installed")

# What az takes: a command, options that it needs, further ones; "!" marks those without a value. Those of the core are
# as azure-cli 2.91 prints them with --help, those of the extension ml as Microsoft's reference lists them. Group and
# workspace come from az configure where they are not named.
_AZ = {
    "login": ("", "--tenant --use-device-code!"),
    "account set": ("--subscription", "--name"),
    "extension add": ("--name", "--upgrade! --version --yes!"),
    "provider register": ("--namespace", "--wait! --management-group-id"),
    "role assignment create": ("--assignee --role --scope", "--assignee-object-id --assignee-principal-type"),
    "group create": ("--name --location", "--tags"),
    "group delete": ("--name", "--yes! --no-wait!"),
    "configure": ("--defaults", "--list-defaults --scope"),
    "resource show": ("--name --resource-type", "--resource-group --ids --namespace --api-version"),
    "ml workspace create": ("--name", "--resource-group --kind --hub-id --location --file --display-name --no-wait!"),
    "ml workspace show": ("--name", "--resource-group"),
    "ml model list": ("", "--name --registry-name --max-results --resource-group --workspace-name"),
    "ml model archive": ("--name", "--version --label --registry-name --resource-group --workspace-name"),
    "ml data create": ("--file", "--name --version --set --resource-group --workspace-name"),
    "ml data archive": ("--name", "--version --label --resource-group --workspace-name"),
    "ml job create": ("--file", "--name --set --stream! --web! --save-as --resource-group --workspace-name"),
    "ml job show": ("--name", "--web! --resource-group --workspace-name"),
    "ml job cancel": ("--name", "--resource-group --workspace-name"),
    "ml serverless-endpoint create": ("", "--file --name --set --no-wait! --resource-group --workspace-name"),
    "ml serverless-endpoint show": ("--name", "--resource-group --workspace-name"),
    "ml serverless-endpoint get-credentials": ("--name", "--resource-group --workspace-name"),
    "ml serverless-endpoint delete": ("--name", "--no-wait! --resource-group --workspace-name"),
}
_EVERYWHERE = "--output --query --subscription --only-show-errors! --verbose! --debug! --help!"
_LOADS = {"ml job": ml.load_job, "ml data": ml.load_data, "ml serverless-endpoint": ml.load_serverless_endpoint}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose name is no name for an endpoint."""
    folder = tmp_path_factory.mktemp("guide")
    recipe = {"model": "phi-4-mini-instruct", "dedup": {"enabled": False}}
    phi3data.prepare(write_chats(folder / "chats.jsonl", 70, 3), recipe, output=folder / "out")
    job = Job(region="East US 2", price=3.5, hosting_price=0.8, priced="2026-11-20")
    export_finetune(folder / "out", folder / "help_desk", name="help_desk", job=job)
    return folder / "help_desk"


def _text(bundle: Path) -> str:
    return (bundle / "UPLOAD.md").read_text("utf-8")


def _blocks(text: str, language: str) -> list[str]:
    """Return the blocks of code, those in lists too, without their indentation."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```$", text, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in found]


def _commands(text: str) -> Iterator[list[str]]:
    """Yield every command line of the shell's blocks, what stands in $( ) in place of what it is given to."""
    for block in _blocks(text, "sh"):
        subprocess.run(["bash", "-n"], input=block, text=True, check=True)
        for line in block.replace("\\\n", " ").splitlines():
            inner = re.fullmatch(r"\w+=\$\((.*)\)", line)
            for command in (inner[1] if inner else line).split(" && "):
                yield shlex.split(command)


def _options(words: list[str], needed: str, further: str) -> dict[str, list[str]]:
    """Return the options of an az command with their values; fail where az would."""
    known = {option.rstrip("!"): option for option in f"{needed} {further} {_EVERYWHERE}".split()}
    found: dict[str, list[str]] = {}
    for word in words:
        if word.startswith("--"):
            assert word in known, f"{word} is no option of: az … {' '.join(words)}"
            found[word] = []
        else:
            assert found, f"{word} stands before any option"
            found[list(found)[-1]].append(word)
    for option, values in found.items():
        assert bool(values) != known[option].endswith("!"), f"{option} {values}"
    assert set(needed.split()) <= found.keys()
    return found


def test_every_file_is_there_and_every_gap_is_named(bundle: Path) -> None:
    text = _text(bundle)
    named = set(re.findall(r"\b(?:data|classic|v1|deploy|model)/[\w.-]+\.\w+", text))
    assert named == {
        "data/train.jsonl",
        "data/validation.jsonl",
        "classic/finetune.yml",
        "classic/train.data.yml",
        "classic/validation.data.yml",
        "classic/endpoint.yml",
        "v1/job.json",
    }
    assert all((bundle / name).is_file() for name in named)
    assert set(re.findall(r"<[^>]*>", text)) == {"<USER>", "<SUBSCRIPTION>", "<GROUP>", "<HUB>", "<PROJECT>", "<URL>"}
    assert text.count("```") % 2 == 0
    assert "None" not in text


def test_every_az_command_has_the_options_that_az_has(bundle: Path) -> None:
    used = set()
    for words in _commands(_text(bundle)):
        if words[0] != "az":
            continue
        line = " ".join(words[1:])
        name = max((name for name in _AZ if f"{line} ".startswith(f"{name} ")), key=len, default=None)
        assert name is not None, f"az has no command: {line}"
        found = _options(words[1 + len(name.split()) :], *_AZ[name])
        used.add(name)
        if "--file" in found:
            changes = [dict([value.split("=", 1)]) for value in found.get("--set", ())]
            assert _LOADS[name.rpartition(" ")[0]](bundle / found["--file"][0], params_override=changes) is not None
        if name == "ml serverless-endpoint create":
            wanted = "azureml://locations/eastus2/workspaces/$PROJECT_ID/models/help_desk/versions/1"
            assert found["--set"] == [f"model_id={wanted}"]
        if name == "ml serverless-endpoint delete":
            assert found["--name"] == [ml.load_serverless_endpoint(bundle / "classic" / "endpoint.yml").name]
    assert used == set(_AZ)


def test_our_own_commands_parse(bundle: Path) -> None:
    text = _text(bundle)
    lines = [*_commands(text), *(shlex.split(code) for code in re.findall(r"`(phi3\w+ [^`]+)`", text))]
    names = set()
    for words in lines:
        if words[0] not in ("phi3data", "phi3train"):
            assert words[0] in ("az", "pip", "read", "export"), words
            continue
        tool = data_commands if words[0] == "phi3data" else train_commands
        command = tool.get_command(click.Context(tool), words[1])
        names.add(words[1])
        if words[1] == "test-endpoint" and command is None:
            continue
        assert command is not None, words
        command.make_context(words[1], words[2:])
    assert names == {"verify", "test-endpoint"}
    assert ["pip", "install", "azure-ai-ml", "azure-identity"] in lines


class _Workspace:
    """Microsoft's client as far as a call goes: its operations take what the real ones take, and answer nothing."""

    def __init__(self, *args: Any, **options: Any) -> None:
        signature(ml.MLClient.__init__).bind(self, *args, **options)
        self.made: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        kind = getattr(ml.MLClient, name).fget.__annotations__["return"]
        return self.made.setdefault(name, create_autospec(kind, instance=True))


def test_the_python_for_azure_calls_what_there_is(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from azure.ai.ml.entities import Workspace

    monkeypatch.chdir(bundle)
    blocks = [block for block in _blocks(_text(bundle), "python") if "ml." in block]
    assert len(blocks) == 3
    names: dict[str, Any] = {}
    imports, _, rest = blocks[0].partition("\n\n")
    exec(compile(imports, "UPLOAD.md", "exec"), names)
    assert names["MLClient"] is ml.MLClient
    names["MLClient"] = _Workspace
    exec(compile(rest, "UPLOAD.md", "exec"), names)
    used = names["ml"].made
    assert used["jobs"].create_or_update.call_args[0][0].name == "help_desk"
    names["ml"].workspaces.get.return_value = Workspace(name="x", location="eastus2", workspace_id="1-2")
    for block in blocks[1:]:
        exec(compile(block, "UPLOAD.md", "exec"), names)
    endpoint = used["serverless_endpoints"].begin_create_or_update.call_args[0][0]
    assert endpoint.name == "help-desk"
    assert endpoint.model_id == "azureml://locations/eastus2/workspaces/1-2/models/help_desk/versions/1"
    used["serverless_endpoints"].begin_delete.assert_called_once_with("help-desk")
    used["models"].archive.assert_called_once_with("help_desk", version="1")


class _Stub(ThreadingHTTPServer):
    """A service on this machine that answers as the API does and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.asked: list[tuple[str, str, Any]] = []


class _Answers(BaseHTTPRequestHandler):
    server: _Stub

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def _body(self) -> Any:
        kind, size = self.headers.get("Content-Type", ""), int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(size)
        if kind.startswith("multipart/form-data"):
            message = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
            fields = {}
            for part in message.walk():
                if part is message:
                    continue
                field = part.get_param("name", header="content-disposition")
                fields[field] = (part.get_filename(), part.get_payload(decode=True))
            return fields
        return json.loads(body) if body else None

    def _answer(self) -> None:
        assert self.headers["Authorization"] == "Bearer not-a-key"
        self.server.asked.append((self.command, self.path, self._body()))
        name = self.path.rpartition("/v1/")[2]
        file = {"object": "file", "bytes": 1, "created_at": 0, "filename": "x", "purpose": "fine-tune"}
        file |= {"id": f"file-{len(self.server.asked)}", "status": "processed"}
        job = {"id": "ftjob-1", "object": "fine_tuning.job", "status": "pending", "fine_tuned_model": None}
        upload = {"id": "upload-1", "object": "upload", "status": "completed", "file": file}
        message = {"role": "assistant", "content": "Bye"}
        choice = {"index": 0, "finish_reason": "stop", "message": message}
        answers = {
            "chat/completions": {"id": "1", "object": "chat.completion", "created": 0, "choices": [choice]},
            "fine_tuning/jobs": job,
            "fine_tuning/jobs/ftjob-1": {**job, "status": "succeeded", "fine_tuned_model": "Phi-4-mini-instruct.ft-1"},
            "uploads": upload,
            "uploads/upload-1/parts": {"id": "part-1", "object": "upload.part", "created_at": 0},
            "uploads/upload-1/complete": upload,
        }
        body = json.dumps(answers.get(name, file)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = _answer  # noqa: N815 (the server's names)


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch) -> Iterator[_Stub]:
    server = _Stub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}"
    for name, value in {"AZURE_OPENAI_ENDPOINT": f"{url}/", "AZURE_OPENAI_API_KEY": "not-a-key"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FOUNDRY_KEY", "not-a-key")
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


_REQUEST = {
    "model": "Phi-4-mini-instruct",
    "method": {
        "type": "supervised",
        "supervised": {"hyperparameters": {"n_epochs": 3, "batch_size": 1, "learning_rate_multiplier": 1.0}},
    },
    "suffix": "help-desk",
    "trainingType": "Standard",
}


def test_the_python_for_the_api_sends_this(
    bundle: Path, stub: _Stub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(bundle)
    names: dict[str, Any] = {}
    for block in _blocks(_text(bundle), "python"):
        if "fine_tuning" in block or "files.delete" in block:
            exec(compile(block, "UPLOAD.md", "exec"), names)
    said: list[tuple[str, str, Any]] = []
    for name in ("train", "validation"):
        file = {
            "purpose": (None, b"fine-tune"),
            "file": (f"{name}.jsonl", (bundle / f"data/{name}.jsonl").read_bytes()),
        }
        said.append(("POST", "/openai/v1/files", file))
        said.append(("GET", f"/openai/v1/files/file-{len(said)}", None))
    assert stub.asked == [
        *said,
        ("POST", "/openai/v1/fine_tuning/jobs", {**_REQUEST, "training_file": "file-1", "validation_file": "file-3"}),
        ("GET", "/openai/v1/fine_tuning/jobs/ftjob-1", None),
        ("DELETE", "/openai/v1/files/file-1", None),
        ("DELETE", "/openai/v1/files/file-3", None),
    ]
    assert capsys.readouterr().out == "ftjob-1 pending\nsucceeded Phi-4-mini-instruct.ft-1\n"


def test_large_files_go_in_parts(bundle: Path, stub: _Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(bundle)
    manifest = read(bundle)
    sizes = {"train": 150_000_001, "validation": 1}
    text = guide.render(msgspec.structs.replace(manifest, facts={**manifest.facts, "bytes": sizes}))
    block = next(block for block in _blocks(text, "python") if "jobs.create(" in block)
    exec(compile(block, "UPLOAD.md", "exec"), {})
    assert [path for _, path, _ in stub.asked[:3]] == [
        "/openai/v1/uploads",
        "/openai/v1/uploads/upload-1/parts",
        "/openai/v1/uploads/upload-1/complete",
    ]
    train = (bundle / "data" / "train.jsonl").read_bytes()
    assert stub.asked[0][2] == {
        "bytes": len(train),
        "filename": "train.jsonl",
        "mime_type": "application/jsonl",
        "purpose": "fine-tune",
    }
    assert stub.asked[1][2]["data"][1] == train


def test_the_first_question_is_one_of_the_own_data(
    bundle: Path, stub: _Stub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(bundle)
    block = next(block for block in _blocks(_text(bundle), "python") if "chat.completions" in block)
    block = block.replace("<URL>", f"http://127.0.0.1:{stub.server_port}")
    exec(compile(block, "UPLOAD.md", "exec"), {})
    row = json.loads((bundle / "data" / "validation.jsonl").read_text("utf-8").splitlines()[0])
    asked = {"model": "help_desk", "messages": row["messages"][:-1], "max_tokens": 200}
    assert stub.asked == [("POST", "/v1/chat/completions", asked)]
    assert capsys.readouterr().out == f"Bye\nexpected: {row['messages'][-1]['content']}\n"
