"""`phi3data inspect` as people run it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, get_args

import pytest
from tests.cli.test_cli import assert_one_line, run
from tests.conftest import chat
from tests.tokens.tiny import write_tiny

import phi3data
from phi3data.cli.inspect import inspect_command
from phi3data.tokens.encode import ControlText, LossOn

CALL = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}


@pytest.fixture
def rows(jsonl: Any) -> Path:
    path: Path = jsonl(
        [
            chat("Hi", "Hello world"),
            {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [CALL]}]},
            {"messages": "none"},
            chat("Hi \x1b[31m", "  Bye </s>"),
        ]
    )
    return path


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    (tmp_path / "tiny").mkdir()
    return write_tiny(tmp_path / "tiny", "llama")


def test_a_row_is_shown_on_stdout_without_colour(rows: Path, tiny: Path) -> None:
    result = run("inspect", f"{rows}:1", "--tokenizer", tiny)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert " + Hello world⟨<|end|>⟩\n" in result.stdout
    assert "\x1b" not in result.stdout
    order = ["── Chat", "── Text that the model reads", "── Tokens", "── Counts"]
    assert sorted(order, key=result.stdout.index) == order


def test_the_terminals_width_and_wish_for_colour_are_followed(rows: Path, tiny: Path) -> None:
    import os

    env = {**os.environ, "COLUMNS": "44", "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    env.pop("NO_COLOR", None)
    result = run("inspect", f"{rows}:4", "--tokenizer", tiny, env=env)
    assert "\x1b[32m" in result.stdout
    assert "\x1b[31mm" not in result.stdout.replace("⟨U+001B⟩[31m", "")
    result = run("inspect", f"{rows}:4", "--tokenizer", tiny, env={**env, "NO_COLOR": "1"})
    assert "\x1b" not in result.stdout
    assert max(map(len, result.stdout.splitlines())) == 44


def test_raw_is_the_rendered_text_and_nothing_else(rows: Path) -> None:
    result = run("inspect", f"{rows}:4", "--raw")
    messages = json.loads(rows.read_text("utf-8").splitlines()[3])["messages"]
    assert result.stdout == str(phi3data.render(messages))
    assert result.stderr == ""
    assert_one_line(run("inspect", f"{rows}:1", f"{rows}:4", "--raw"), "--raw", "these are 2")


def test_json_is_one_object_a_row(rows: Path, tiny: Path) -> None:
    result = run("inspect", f"{rows}:4", rows, "--tokenizer", tiny, "--json", "--limit", "9", "--loss-on", "all")
    last, first = map(json.loads, result.stdout.splitlines())
    assert (last["row"], first["row"]) == (4, 1)
    messages = json.loads(rows.read_text("utf-8").splitlines()[3])["messages"]
    encoded = phi3data.encode(messages, tokenizer=tiny, loss_on="all")
    assert (last["ids"], last["mask"]) == (encoded.ids, encoded.mask)
    assert [finding["code"] for finding in last["findings"]] == ["T602", "C507"]
    assert last["limit"] == 9
    assert last["counts"]["over"] == len(encoded.ids) - 9


def test_a_row_that_cannot_be_rendered_is_shown_and_the_exit_code_is_1(rows: Path) -> None:
    result = run("inspect", f"{rows}:2")
    assert result.returncode == 1
    assert "T605" in result.stdout
    assert "T605 /messages/1/content" in result.stderr
    assert run("inspect", f"{rows}:4", "--control-text", "error").returncode == 1
    assert run("inspect", f"{rows}:4").returncode == 0


def test_a_row_that_is_no_conversation_is_shown_and_the_exit_code_is_2(rows: Path) -> None:
    result = run("inspect", f"{rows}:3", f"{rows}:1", f"{rows}:2")
    assert result.returncode == 2
    assert '{"messages": "none"}' in result.stdout
    assert "Hello world" in result.stdout
    assert_one_line(result, f"{rows}:3", "S301")
    assert json.loads(run("inspect", f"{rows}:3", "--json").stdout)["raw"] == '{"messages": "none"}'


MISTAKES: dict[str, tuple[list[str], list[str]]] = {
    "no such row": (["{rows}:31"], ["rows.jsonl: has 4 lines, there is no line 31"]),
    "row 0": (["{rows}:0"], ["counted from 1"]),
    "no number": (["{rows}:last"], ["expected the number of a row", "'last'"]),
    "no such file": (["{folder}/rowz.jsonl:2"], ["rowz.jsonl: no such file", "did you mean 'rows.jsonl'?"]),
    "a folder with several files": (["{folder}"], ["names 2 files"]),
    "unknown model": (["{rows}", "--model", "phi-3-mimi"], ["unknown model 'phi-3-mimi'; did you mean"]),
    "unknown format": (["{rows}", "--format", "alpacca"], ["alpacca", "did you mean 'alpaca'?"]),
    "no tokenizer": (["{rows}", "--tokenizer", "{folder}/none"], ["--tokenizer", "no such directory"]),
    "no column": (["{folder}/faq.csv", "--columns", "question=frag"], ["no column 'frag'", "did you mean"]),
    "two outputs": (["{rows}", "--raw", "--json"], ["give one of them"]),
    "page to stdout": (["{rows}", "--html", "-"], ["--html -"]),
    "page over the data": (["{rows}:1", "--html", "{rows}", "--overwrite"], ["would replace the data"]),
    "page over a file": (["{rows}", "--html", "{folder}/faq.csv"], ["exists", "--overwrite"]),
    "page over a folder": (["{rows}", "--html", "{folder}", "--overwrite"], ["is a folder"]),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_are_one_sentence(name: str, rows: Path) -> None:
    (rows.parent / "faq.csv").write_text("frage,answer\na,b\n")
    before = {item.name: item.read_bytes() for item in rows.parent.iterdir()}
    arguments, said = MISTAKES[name]
    result = run("inspect", *(each.format(rows=rows, folder=rows.parent) for each in arguments))
    assert_one_line(result, *said)
    assert result.stdout == ""
    assert {item.name: item.read_bytes() for item in rows.parent.iterdir()} == before


def test_a_page_is_written_whole_and_replaced_only_when_asked(rows: Path, tiny: Path, tmp_path: Path) -> None:
    page = tmp_path / "pages" / "row.html"
    command = ("inspect", f"{rows}:1", f"{rows}:3", "--tokenizer", tiny, "--html", page)
    result = run(*command)
    assert result.returncode == 2, "one of the rows is no conversation"
    assert result.stdout == ""
    text = page.read_text("utf-8")
    assert text.startswith("<!doctype html>")
    assert text.endswith("</html>\n")
    assert [item.name for item in page.parent.iterdir()] == ["row.html"]
    assert_one_line(run(*command), "exists")
    assert "exists" not in run(*command, "--overwrite").stderr
    assert page.read_text("utf-8") == text


def test_stdin_and_the_place_that_check_prints(rows: Path) -> None:
    result = run("inspect", "-:4", "--raw", input=rows.read_text("utf-8"))
    assert "</s>" in result.stdout
    found = run("check", rows, "--select", "S301").stdout.splitlines()[0]
    place = found.partition(" ")[0]
    assert place.startswith(f"{rows}:3:")
    assert "S301" in run("inspect", place).stdout


def test_a_line_of_several_rows_is_told_whatever_is_printed(tmp_path: Path) -> None:
    path = tmp_path / "arr.json"
    path.write_text(json.dumps([chat(f"question {number}", "a") for number in range(3)]))
    result = run("inspect", f"{path}:1")
    assert (result.returncode, result.stderr) == (0, "")
    assert "the first of several on this line" in " ".join(result.stdout.split())
    for option in ("--raw", "--json"):
        result = run("inspect", f"{path}:1", option)
        assert result.returncode == 0
        assert result.stderr == f"{path}:1: the first of several rows on this line: --record FILE:ROW picks one\n"
        assert run("inspect", "--record", f"{path}:2", option).stderr == ""


def test_the_choices_are_those_of_the_encoder() -> None:
    choices = {option.name: option.type for option in inspect_command.params}
    assert tuple(choices["loss_on"].choices) == get_args(LossOn)  # type: ignore[attr-defined]
    assert tuple(choices["control_text"].choices) == get_args(ControlText)  # type: ignore[attr-defined]
