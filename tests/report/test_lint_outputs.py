"""--output FORMAT[:FILE]: what is asked for, where it goes, and that no data is lost to a report."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.report.test_lint_text import BASE

from phi3data.errors import OutputError, UsageError
from phi3data.report.lint import REPORTERS, reporter
from phi3data.report.lint.outputs import Output, parse, write
from phi3data.report.lint.results import Options, Results

RESULTS = Results([BASE], 10, ("a.jsonl",))


def printed(*values: str, colour: bool = False, results: Results = RESULTS) -> bytes:
    stdout = io.BytesIO()
    write(parse(values), results, Options(), stdout=stdout, colour=colour)
    return stdout.getvalue()


def test_what_is_asked_for() -> None:
    assert parse([]) == (Output("text"),)
    assert parse(["json"]) == (Output("json"),)
    assert parse(["sarif:out/x.sarif", "text"]) == (Output("sarif", Path("out/x.sarif")), Output("text"))
    assert parse(["json:C:\\x.json"])[0].file == Path("C:\\x.json")
    assert parse(["json:-"]) == (Output("json"),)


@pytest.mark.parametrize(
    ("values", "parts"),
    [
        (["sarfi"], ["--output sarfi: unknown format 'sarfi'", "did you mean 'sarif'?"]),
        (["sarfi:x"], ["did you mean 'sarif'?"]),
        (["Q"], ["unknown format 'Q'", "text, json, jsonl, github, sarif, junit"]),
        ([""], ["unknown format ''"]),
        (["json:"], ["expected the name of a file after the colon"]),
        (["text", "json"], ["--output text and --output json: one report goes to stdout", "--output json:FILE"]),
        (["text", "text"], ["one report goes to stdout"]),
        (["json:a", "sarif:./a"], ["--output sarif:a: another report is written to this file"]),
        (["json:data/../rows.jsonl"], ["would replace the data: choose another name"]),
    ],
)
def test_mistakes(values: list[str], parts: list[str]) -> None:
    with pytest.raises(UsageError) as error:
        parse(values, inputs=["rows.jsonl", "-", "*.jsonl"])
    for part in parts:
        assert part in str(error.value)


def test_several_reports_in_one_run(tmp_path: Path) -> None:
    files = {name: tmp_path / "new" / f"out.{name}" for name in REPORTERS if name != "text"}
    stdout = printed(*(f"{name}:{path}" for name, path in files.items()), "text")
    assert stdout.startswith(b"a.jsonl:2:6: R405 messages 1 and 2")
    for name, path in files.items():
        assert path.read_text("utf-8") == "".join(reporter(name)(RESULTS, Options())), name
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == sorted(path.name for path in files.values())
    assert json.loads(files["json"].read_text("utf-8"))["summary"]["findings"] == 1
    assert printed(f"json:{files['json']}") == b""


def test_a_report_is_whole_or_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.jsonl"
    path.write_text("before")

    class BrokenError(Exception):
        pass

    def stops(*_: object) -> object:
        yield "{"
        raise BrokenError

    monkeypatch.setattr("phi3data.report.lint.document.report_lines", stops)
    with pytest.raises(BrokenError):
        printed(f"jsonl:{path}")
    assert path.read_text() == "before"
    assert [item.name for item in tmp_path.iterdir()] == ["out.jsonl"]


def test_colours_are_for_a_terminal(tmp_path: Path) -> None:
    assert b"\x1b[" not in printed("text")
    assert b"\x1b[" in printed("text", colour=True)
    assert printed(f"text:{tmp_path / 'out.txt'}", colour=True) == b""
    assert b"\x1b[" not in (tmp_path / "out.txt").read_bytes()


def test_the_data_is_never_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "a.jsonl"
    data.write_text("data")
    # Given as a directory or glob: only the results know the names.
    with pytest.raises(UsageError, match="would replace the data"):
        write(parse([f"json:{data}"], [str(tmp_path)]), RESULTS, Options(), stdout=io.BytesIO(), colour=False)
    assert data.read_text() == "data"


def test_files_that_cannot_be_written_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in (tmp_path, tmp_path / "file" / "out.json"):
        with pytest.raises(OutputError, match=r": cannot be written: (Is a directory|Not a directory|File exists)"):
            printed(f"json:{name}")
    assert sorted(item.name for item in tmp_path.iterdir()) == ["file"]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs a named pipe")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reader:
        printed(f"jsonl:{pipe}")
        try:
            assert json.loads(reader.communicate(timeout=30)[0])["code"] == "R405"
        finally:
            reader.kill()
    assert pipe.is_fifo()


def test_long_reports_are_written_in_pieces_without_loss() -> None:
    results = Results([BASE] * 2000, 10, ("a.jsonl",))
    assert printed("jsonl", results=results).decode() == "".join(reporter("jsonl")(results, Options()))


LOADED = {
    "text": "text",
    "json": "document",
    "jsonl": "document",
    "github": "github",
    "sarif": "sarif",
    "junit": "junit",
}


@pytest.mark.parametrize("name", REPORTERS)
def test_only_the_module_of_the_format_is_loaded(name: str) -> None:
    code = (
        "import sys; from phi3data.report.lint import reporter; from phi3data.report.lint.results import *; "
        f"list(reporter({name!r})(Results([], 0, ()), Options())); print(*sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(result.stdout.split())
    ours = {module.rpartition(".")[2] for module in loaded if module.startswith("phi3data.report.lint.")}
    assert ours & set(LOADED.values()) == {LOADED[name]}
    assert not loaded & {"numpy", "rich", "jinja2", "markupsafe", "xml", "urllib.request", "http", "email", "asyncio"}
