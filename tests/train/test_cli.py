from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from phi3data.cli import run
from phi3train import settings
from phi3train.cli import COMMANDS, group
from tests.train.tiny import config, write_chats

if TYPE_CHECKING:
    from pathlib import Path

    from phi3train.config import Config

# What makes a command slow to start; the names of the libraries and of the modules that load them.
_HEAVY = ("torch", "transformers", "trl", "peft", "datasets", "numpy", "tokenizers", "msgspec", "phi3train.config")


@pytest.mark.parametrize("args", [["--help"], ["--version"], *([name, "--help"] for name in COMMANDS)])
def test_help_loads_nothing_heavy(args: list[str]) -> None:
    code = (
        "import sys; from phi3data.cli import run; from phi3train.cli import group; "
        f"code = run(group, {args!r}); "
        f"print([name for name in {_HEAVY!r} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert done.stderr.strip() == "[]"
    assert done.stdout


def test_a_command_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(group, ["trian"]) == 2
    assert "no such command 'trian'" in capsys.readouterr().err
    assert run(group, ["chek"]) == 2
    assert "did you mean 'check'?" in capsys.readouterr().err


def _file(tmp_path: Path, made: Config) -> str:
    path = tmp_path / "train.toml"
    path.write_text(settings.to_toml(made), "utf-8")
    return str(path)


def test_check_names_what_is_lost(tmp_path: Path, model: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    chats = write_chats(tmp_path / "chats.jsonl", 12)
    path = _file(tmp_path, config(model, chats, tmp_path / "run"))
    assert run(group, ["check", path]) == 0
    assert b"train: 12 rows, " in capsysbinary.readouterr().out
    with chats.open("a", encoding="utf-8") as file:
        file.write('{"messages": [{"role": "user", "content": "Hi"}]}\n')
    assert run(group, ["check", path, "--set", "truncation.max_tokens=11"]) == 1
    out = capsysbinary.readouterr().out.decode()
    assert f"  1 left out: no token of it is learned\n    {chats}:13: no token of it is learned\n" in out
    assert "left out: longer than the limit\n" in out
    assert run(group, ["check", path, "--json"]) == 1
    found = json.loads(capsysbinary.readouterr().out)
    assert found["splits"]["train"]["dropped"] == {"nothing": 1}


def test_check_says_when_tokenizer_and_model_differ(
    tmp_path: Path, model: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    small = tmp_path / "small"
    small.mkdir()
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (small / name).write_bytes((model / name).read_bytes())
    table = json.loads((model / "config.json").read_text("utf-8"))
    (small / "config.json").write_text(json.dumps({**table, "vocab_size": 300}), "utf-8")
    made = config(small, write_chats(tmp_path / "a.jsonl", 5), tmp_path / "run", model__weights="random")
    assert run(group, ["check", _file(tmp_path, made)]) == 1
    assert b"the model's embedding has 300 rows: they do not belong together" in capsysbinary.readouterr().out
    assert run(group, ["run", _file(tmp_path, made)]) == 2
    assert b"tokenizer and model do not belong together" in capsysbinary.readouterr().err


def test_preview_in_the_terminal_and_as_a_page(
    tmp_path: Path, model: Path, chats: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = _file(tmp_path, config(model, chats, tmp_path / "run"))
    page = tmp_path / "preview.html"
    assert run(group, ["preview", path, "-n", "2"]) == 0
    out = capsysbinary.readouterr().out.decode()
    assert out.count("── Tokens ") == 2
    assert "+ trained on" in out
    assert run(group, ["preview", path, "--html", str(page)]) == 0
    assert page.read_text("utf-8").count(", trained on") > 3
    assert run(group, ["preview", path, "--html", str(page)]) == 2
    assert b"exists: choose another name, or replace it with --overwrite" in capsysbinary.readouterr().err


def test_plan_of_a_model_that_is_not_here(tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    path = tmp_path / "train.toml"
    path.write_text('[model]\nname = "phi-4"\n[method]\nkind = "full"\n', "utf-8")
    assert run(group, ["plan", str(path), "--memory", "80"]) == 1
    out = capsysbinary.readouterr().out.decode()
    assert "phi-4: 14,659,507,200 parameters" in out
    assert "DOES NOT FIT" in out
    assert "advice       " in out
    assert run(group, ["plan", str(path), "--set", "method.kind=qlora", "--json"]) == 0
    assert json.loads(capsysbinary.readouterr().out)["fits"] is True


def test_init_writes_a_file_that_check_takes(
    tmp_path: Path, model: Path, chats: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = str(tmp_path / "train.toml")
    args = ["init", path, "--model", str(model), "--data", str(chats), "--set", "seed=3"]
    assert run(group, args) == 0
    assert run(group, ["check", path]) == 0
    assert settings.load(path).seed == 3
    assert run(group, args) == 2
    assert b"exists: choose another name" in capsysbinary.readouterr().err
    assert run(group, ["schema"]) == 0


def test_a_run_from_the_command_line(
    tmp_path: Path, model: Path, chats: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    made = config(model, chats, tmp_path / "run", train__max_steps=2, packing__length=64)
    assert run(group, ["run", _file(tmp_path, made)]) == 0
    assert b"done at step 2, " in capsysbinary.readouterr().out
    assert run(group, ["eval", str(tmp_path / "run"), "--data", str(chats), "--answers", "2", "--max-tokens", "3"]) == 0
    out = capsysbinary.readouterr().out.decode()
    assert "nats per token" in out
    assert "stop rate" in out
    assert run(group, ["sample", str(tmp_path / "run"), "--prompt", "Hi", "--max-tokens", "3", "--json"]) == 0
    assert json.loads(capsysbinary.readouterr().out)["tokens"] <= 3
    assert run(group, ["eval", str(tmp_path / "run")]) == 2
    assert b"the run has no test and no validation rows" in capsysbinary.readouterr().err
