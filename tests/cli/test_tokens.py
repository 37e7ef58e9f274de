"""`phi3data tokens` as users run it."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner, Result
from tests.cli.test_cli import assert_one_line, run
from tests.conftest import chat
from tests.tokens.tiny import write_tiny

import phi3data
from phi3data.cli import group
from phi3data.engine import tokens
from phi3data.engine.recipe import load
from phi3data.engine.tokens import tally
from phi3data.report.tokens import TokenReport, report
from phi3data.sources.inputs import find


@pytest.fixture(autouse=True)
def no_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))


@pytest.fixture
def tiny(tmp_path: Path) -> str:
    (tmp_path / "tiny").mkdir()
    return str(write_tiny(tmp_path / "tiny", "llama"))


@pytest.fixture
def many(jsonl: Any) -> list[Path]:
    """Three files: lines with blank and broken ones among them, a table, an array printed over many lines."""
    rows: list[Any] = [chat("hello " * (n * 37 % 90), "see you now " * (n * 53 % 300)) for n in range(400)]
    path: Path = jsonl(rows)
    lines = path.read_text().splitlines()
    lines[10:10] = ["", '{"messages": [}', "   ", '{"messages": 3}']
    path.write_text("\n".join(lines) + "\n")
    table = path.with_name("faq.csv")
    cells = [('"hello\nworld"', "see you now " * 900), *[("hi", "bye")] * 300, ("hello", "bye " * 2000)]
    table.write_text("question,answer\n" + "".join(f"{question},{answer}\n" for question, answer in cells))
    array = path.with_name("rows.json")
    array.write_text(json.dumps([{"instruction": "say hello", "output": "hello " * n} for n in range(50)], indent=2))
    return [path, table, array]


def within(*args: str | Path) -> Result:
    """Return what a command says in this process: to start the program takes many times as long as what it does."""
    result = CliRunner().invoke(group, list(map(str, args)), standalone_mode=False)
    assert result.return_value in (None, 0), result.output  # what the program makes its exit code
    return result


def test_one_json_object_with_everything(many: list[Path], tiny: str) -> None:
    options = ("--limit", "100", "--price", "3", "--epochs", "2", "--tokens-per-second", "50", "--per-hour", "1.5")
    result = run("tokens", *many, "--tokenizer", tiny, "--json", *options)
    assert (result.returncode, result.stderr) == (0, "")
    found = json.loads(result.stdout)
    assert list(found) == [field.name for field in msgspec.structs.fields(TokenReport)]
    assert not found["estimated"]
    assert (found["tokenizer"], found["template"]) == (tiny, "phi-3")
    assert (found["model"], found["context"], found["loss_on"]) == ("phi-3-mini-4k-instruct", 4096, "assistant")
    assert [(file["format"], file["rows"], file["unreadable"]) for file in found["files"]] == [
        ("chat", 400, 2), ("question-answer", 302, 0), ("alpaca", 50, 0),
    ]  # fmt: skip
    assert found["files"][0]["first_unreadable_line"] == 12
    assert found["files"][0]["first_unreadable_code"] == "J201"
    assert (found["rows"], found["unreadable"]) == (752, 2)
    assert found["limits"][0]["limit"] == 100
    ledger = phi3data.convert(list(map(str, many)), {"length": {"tokenizer": tiny}}).ledger.to_pylist()
    counted = [row for row in ledger if row["tokens"] is not None]
    assert found["tokens"] == sum(row["tokens"] for row in counted)
    assert found["supervised"] == sum(row["supervised_tokens"] for row in counted)
    counted.sort(key=lambda row: -row["tokens"])
    assert [(row["path"], row["line"], row["record"], row["tokens"]) for row in found["longest"]] == [
        (row["source"], row["line"], int(row["row_id"].rpartition(":")[2]), row["tokens"]) for row in counted[:5]
    ]
    assert [file["layout"] for file in found["files"]] == ["lines", "table", "array"]
    assert found["cost"] == {
        "epochs": 2.0,
        "trained_tokens": 2 * found["tokens"],
        "price_per_million": 3.0,
        "cost": pytest.approx(6 * found["tokens"] / 1e6),
        "tokens_per_second": 50.0,
        "hours": pytest.approx(2 * found["tokens"] / 50 / 3600),
        "price_per_hour": 1.5,
        "cost_by_the_hour": pytest.approx(3 * found["tokens"] / 50 / 3600),
    }


@pytest.mark.slow
@pytest.mark.parametrize("tokenizer", [None, "tiny"])
def test_workers_and_shards_do_not_change_a_number(
    tokenizer: str | None, many: list[Path], tiny: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = load(None, {"length.tokenizer": tiny} if tokenizer else {})
    packed = tmp_path / "more.jsonl.gz"
    packed.write_bytes(gzip.compress(many[0].read_bytes()))
    inputs = [*map(str, many), str(packed)]
    made = [
        msgspec.json.encode(report(tally(find(inputs), recipe, loss_on="last", **options)))  # type: ignore[arg-type]
        for options in ({}, {"shard_bytes": 999}, {"shard_bytes": 20_000, "workers": 3})
    ]
    monkeypatch.setattr(tokens, "_BATCH", 7)
    made.append(msgspec.json.encode(report(tally(find(inputs), recipe, loss_on="last"))))
    assert made[0] == made[1] == made[2] == made[3]
    command = ["tokens", *inputs, "--json", "--loss-on", "last", *(["--tokenizer", tiny] if tokenizer else [])]
    printed = [run(*command, "-j", jobs).stdout for jobs in ("1", "3")]
    assert printed[0] == printed[1]
    assert msgspec.json.decode(printed[0]) == msgspec.json.decode(made[0])


def test_what_is_supervised_can_be_chosen(jsonl: Any) -> None:
    turns = [{"role": role, "content": "hello world"} for role in ("user", "assistant") * 2]
    path = jsonl([{"messages": turns}])
    found = {
        on: json.loads(within("tokens", path, "--json", "--loss-on", on).stdout) for on in ("assistant", "last", "all")
    }
    assert found["last"]["supervised"] < found["assistant"]["supervised"] < found["all"]["supervised"]
    assert len({each["tokens"] for each in found.values()}) == 1
    turns[1]["weight"] = turns[3]["weight"] = 0  # type: ignore[assignment]
    result = within("tokens", jsonl([{"messages": turns}]))
    assert result.exit_code == 0
    assert "0 of them supervised (0%)" in result.stdout
    assert "1 row without a supervised token" in result.stdout


def test_a_pipe_in_and_a_pipe_out(jsonl: Any, many: list[Path]) -> None:
    result = run("tokens", "-", input=many[0].read_text())
    assert (result.returncode, result.stderr) == (0, "")
    assert "400 rows, an estimated" in result.stdout
    assert "<stdin>: 2 rows could not be read" in result.stdout
    assert "Longest rows (estimated)" in result.stdout
    assert "phi3data inspect" not in result.stdout
    assert "phi3data check - says why" in result.stdout
    assert "\x1b" not in result.stdout
    assert "faq.csv:302\n" in run("tokens", *many).stdout


def test_the_places_of_long_rows_are_those_that_inspect_shows(tmp_path: Path) -> None:
    path = tmp_path / "arr.json"
    path.write_text(json.dumps([chat("hello " * n, "bye") for n in range(20)]))
    shown = run("tokens", path).stdout.partition("Longest rows")[2]
    assert "phi3data inspect --record FILE:ROW" in shown
    place = next(word for word in shown.split() if word.startswith(str(path)))
    assert place == f"{path}:20"
    assert run("inspect", "--record", place, "--raw").stdout.count("hello") == 19


def test_the_help_of_the_tokenizer_says_all_that_it_decides() -> None:
    for command in ("tokens", "inspect"):
        said = " ".join(run(command, "--help").stdout.split())
        assert "Tokenizer, and with it the chat template and the control tokens" in said


def test_a_limit_beyond_32_bits(jsonl: Any) -> None:
    path = jsonl([chat("q", "a")])
    result = within("tokens", path, "--limit", "3000000000", "--json")
    assert result.exit_code == 0, result.stderr
    assert json.loads(result.stdout)["limits"][-1]["limit"] == 3_000_000_000
    for command in ("tokens", "inspect"):
        for options in ((), ("--json",)):
            result = within(command, path, "--limit", str(10**30), *options)
            assert (result.exit_code, result.stderr) == (0, "")


def test_reading_options_are_those_of_prepare(tmp_path: Path) -> None:
    path = tmp_path / "fragen.csv"
    path.write_bytes("Frage;Antwort\nWer?;Müller\nWas?;Nichts\n".encode("cp1252"))
    options = ["--encoding", "cp1252", "--columns", "question=Frage,answer=Antwort", "--json"]
    plain = json.loads(within("tokens", path, *options).stdout)
    told = json.loads(within("tokens", path, *options, "--system", "Sei kurz.").stdout)
    assert plain["rows"] == told["rows"] == 2
    assert told["tokens"] > plain["tokens"]
    limited = json.loads(within("tokens", path, *options, "--set", "length.limit=77", "--model", "phi-4").stdout)
    assert [limit["limit"] for limit in limited["limits"]] == [77, 512, 16384]


MISTAKES: dict[str, tuple[list[str], list[str]]] = {
    "no such file": (["rows.jsonk"], ["rows.jsonk: no such file", "did you mean 'rows.jsonl'?"]),
    "empty file": (["empty.jsonl"], ["empty.jsonl: the file is empty", "F101"]),
    "nothing can be read": (["broken.jsonl"], ["broken.jsonl: no row can be read", "J201"]),
    "nothing can be converted": (
        ["odd.jsonl", "--format", "chat"],
        ["no row can be read as chat", "line 1"],
    ),
    "no tokenizer": (["rows.jsonl", "--tokenizer", "nowhere"], ["no such directory", "--online"]),
    "unknown model": (["rows.jsonl", "--model", "phi-3-mni"], ["unknown model", "did you mean"]),
    "hours without speed": (["rows.jsonl", "--per-hour", "2"], ["--per-hour needs --tokens-per-second"]),
    "no number": (["rows.jsonl", "--price", "nan"], ["--price", "nan"]),
    "endless": (["rows.jsonl", "--epochs", "inf"], ["--epochs", "inf"]),
    "no epochs": (["rows.jsonl", "--epochs", "0"], ["--epochs"]),
    "no limit": (["rows.jsonl", "--limit", "0"], ["--limit"]),
    "no such loss": (["rows.jsonl", "--loss-on", "user"], ["--loss-on", "assistant"]),
    "no data": ([], ["DATA"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_one_sentence(mistake: str, jsonl: Any, tmp_path: Path) -> None:
    jsonl([chat("q", "a")])
    (tmp_path / "empty.jsonl").write_text("")
    (tmp_path / "broken.jsonl").write_text('{"messages": [}\n')
    (tmp_path / "odd.jsonl").write_text('{"messages": 3}\n')
    arguments, parts = MISTAKES[mistake]
    result = run("tokens", *arguments, cwd=tmp_path)
    assert_one_line(result, *parts)
    assert result.stdout == ""


def test_an_interruption_leaves_nothing(tmp_path: Path) -> None:
    pipe = tmp_path / "rows.jsonl"
    os.mkfifo(pipe)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    # What a shell starts in the background ignores the keys, and so does what that starts, unless it is told to heed.
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{heed}; from phi3data.cli import main; main()", "tokens", str(pipe)]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    process = subprocess.Popen(command, stdout=-1, stderr=-1, text=True, env=environment)
    with process, pipe.open("w") as writer:  # opens when the command reads
        writer.write(json.dumps(chat("q", "a")) + "\n")
        writer.flush()
        while not list(scratch.rglob("*.part")):
            time.sleep(0.01)
        for _ in range(5):  # Python can lose one that comes in a callback; whoever waits presses the keys again
            process.send_signal(signal.SIGINT)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=15)
                break
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert (out, err) == ("", "interrupted\n")
    assert not list(scratch.iterdir())


def test_colours_and_a_bar_on_a_terminal_only(jsonl: Any) -> None:
    path = jsonl([chat("hello " * n, "bye") for n in range(50)])
    ours, theirs = os.openpty()
    quiet = ("CI", "NO_COLOR", "PRE_COMMIT")
    environment = {key: value for key, value in os.environ.items() if key not in quiet}
    environment |= {"TERM": "xterm-256color", "COLUMNS": "80"}
    command = [sys.executable, "-m", "phi3data", "tokens", str(path)]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs, env=environment) as process:
        os.close(theirs)
        chunks = list(iter(lambda: _read(ours), b""))
    os.close(ours)
    assert process.returncode == 0
    shown = b"".join(chunks).decode()
    assert "\x1b[1m" in shown
    assert "Counting" in shown
    assert "50 rows, an estimated" in shown


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # Linux says so where the other side has closed
        return b""
