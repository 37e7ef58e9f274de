"""The commands as users run them: exit codes, one sentence for each mistake, nothing heavy loaded too early."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from tests.conftest import chat

from phi3data.cli import run as in_process
from phi3data.cli.group import Commands


def run(*args: str | Path, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "phi3data", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, check=False, encoding="utf-8", **options)


def assert_one_line(result: subprocess.CompletedProcess[str], *parts: str) -> None:
    assert result.returncode == 2, result.stderr
    assert "Traceback" not in result.stderr
    last = result.stderr.strip().splitlines()[-1]
    assert len(result.stderr.strip().splitlines()) <= 4
    for part in parts:
        assert part in last, last


@pytest.fixture
def good(jsonl: Any) -> Path:
    path: Path = jsonl([chat(f"question number {n}", f"answer {n}") for n in range(60)])
    return path


def test_prepare_tells_what_became_of_the_rows(good: Path, tmp_path: Path) -> None:
    result = run("prepare", good, "-o", tmp_path / "out")
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    assert re.search(r"rows in +60\n", result.stdout)
    assert re.search(r"kept +60  100.0%\n", result.stdout)
    assert "estimated" in result.stdout
    assert "report.html" in result.stdout
    assert "\x1b" not in result.stdout


def test_an_output_folder_that_holds_something_is_not_touched(good: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("keep")
    assert_one_line(run("prepare", good, "-o", out), "exists and holds mine.txt", "--overwrite")
    assert [item.name for item in out.iterdir()] == ["mine.txt"]
    assert run("prepare", good, "-o", out, "--overwrite").returncode == 0
    assert (out / "mine.txt").read_text() == "keep"
    before = (out / "train.jsonl").read_bytes()
    assert_one_line(run("prepare", good, "-o", out), "exists")
    assert run("prepare", good, "-o", out, "--overwrite", "--seed", "9", "--set", "split.test=0.2").returncode == 0
    assert (out / "test.jsonl").exists()
    assert (out / "train.jsonl").read_bytes() != before
    assert run("prepare", good, "-o", out, "--overwrite").returncode == 0
    assert not (out / "test.jsonl").exists(), "an output of an earlier run was left"
    assert (out / "train.jsonl").read_bytes() == before


MISTAKES: dict[str, tuple[list[str], list[str]]] = {
    "no such file": (
        ["prepare", "rows.jsonk", "-o", "out"],
        ["rows.jsonk: no such file", "did you mean 'rows.jsonl'?"],
    ),
    "empty file": (["prepare", "empty.jsonl", "-o", "out"], ["empty.jsonl: the file is empty", "F101"]),
    "white space only": (["prepare", "blank.jsonl", "-o", "out"], ["blank.jsonl: holds no rows", "F101"]),
    "header only": (["prepare", "header.csv", "-o", "out"], ["header.csv: no row can be read"]),
    "git lfs": (["prepare", "lfs.jsonl", "-o", "out"], ["Git LFS pointer", "git lfs pull"]),
    "web page": (["prepare", "page.jsonl", "-o", "out"], ["web page"]),
    "plain text": (["prepare", "notes.txt", "-o", "out"], ["plain text is no conversation"]),
    "unknown format": (["prepare", "odd.csv", "-o", "out"], ["odd.csv: no known format", "frage"]),
    "damaged archive": (["prepare", "bad.jsonl.gz", "-o", "out"], ["bad.jsonl.gz: the archive is damaged"]),
    "no parquet": (["prepare", "bad.parquet", "-o", "out"], ["bad.parquet: is no readable parquet file"]),
    "no xlsx": (["prepare", "bad.xlsx", "-o", "out"], ["bad.xlsx: is no readable xlsx file"]),
    "nothing matches": (["prepare", "*.zip", "-o", "out"], ["*.zip: no file matches"]),
    "empty folder": (["prepare", "nothing", "-o", "out"], ["nothing: the directory holds no file"]),
    "unknown key": (
        ["prepare", "rows.jsonl", "-o", "out", "--set", "split.sed=1"],
        ["'split.sed'", "did you mean 'split.seed'?"],
    ),
    "bad value": (["prepare", "rows.jsonl", "-o", "out", "--set", "split.validation=-1"], ["split.validation"]),
    "bad choice": (
        ["prepare", "rows.jsonl", "-o", "out", "--set", "dedup.keep=last"],
        ["dedup.keep", "first", "longest"],
    ),
    "no setting": (["prepare", "rows.jsonl", "-o", "out", "--set", "split"], ["expected section.key=value"]),
    "unknown model": (
        ["prepare", "rows.jsonl", "-o", "out", "--model", "phi-3-mni"],
        ["unknown model", "did you mean"],
    ),
    "unknown target": (["prepare", "rows.jsonl", "-o", "out", "--target", "foundri"], ["did you mean 'foundry'?"]),
    "unknown format name": (
        ["prepare", "rows.jsonl", "-o", "out", "--format", "sharegtp"],
        ["did you mean 'sharegpt'?"],
    ),
    "no tokenizer": (
        ["prepare", "rows.jsonl", "-o", "out", "--tokenizer", "nowhere"],
        ["no such directory", "--online"],
    ),
    "missing column": (
        ["prepare", "qa.csv", "-o", "out", "--columns", "question=Frge"],
        ["no column 'Frge'", "'Frage'"],
    ),
    "unknown field": (["prepare", "qa.csv", "-o", "out", "--columns", "qestion=Frage"], ["'qestion'", "'question'"]),
    "missing label": (["prepare", "rows.jsonl", "-o", "out", "--label-column", "topc"], ["no column 'topc'"]),
    "no recipe": (["prepare", "rows.jsonl", "-o", "out", "--recipe", "no.toml"], ["no.toml", "cannot be read"]),
    "broken recipe": (["prepare", "rows.jsonl", "-o", "out", "--recipe", "rows.jsonl"], ["rows.jsonl", "no TOML"]),
    "fill without a text": (
        ["prepare", "rows.jsonl", "-o", "out", "--set", "missing.user=fill"],
        ["missing.fill_with", "user"],
    ),
    "output is a file": (["prepare", "rows.jsonl", "-o", "qa.csv"], ["qa.csv: is a file"]),
    "unknown command": (["prepar"], ["no such command 'prepar'", "did you mean 'prepare'?"]),
    "unknown option": (["prepare", "rows.jsonl", "--outptu", "x"], ["--outptu"]),
    "unknown rule": (["check", "rows.jsonl", "--select", "R4O1"], ["unknown rule 'R4O1'", "did you mean 'R4"]),
    "step over a file": (["clean", "rows.jsonl", "-o", "qa.csv"], ["qa.csv: exists", "--overwrite"]),
    "output under a file": (["prepare", "rows.jsonl", "-o", "qa.csv/out"], ["Not a directory"]),
    "name too long": (["prepare", "x" * 5000, "-o", "out"], ["File name too long"]),
    "output is standard output": (["convert", "rows.jsonl", "-o", "-"], ["written to a file only"]),
    "output is a folder": (["convert", "rows.jsonl", "-o", "nothing", "--overwrite"], ["nothing: is a folder"]),
    "two outputs of one name": (
        ["convert", "rows.jsonl", "-o", "y.jsonl", "--dropped", "y.jsonl"],
        ["two of them name the same file"],
    ),
    "output of another kind": (["convert", "rows.jsonl", "-o", "y.csv"], ["JSON lines", ".jsonl"]),
    "dropped over the input": (
        ["convert", "qa.csv", "-o", "y.jsonl", "--dropped", "qa.csv", "--overwrite"],
        ["qa.csv: would replace the input"],
    ),
    "header in another encoding": (
        ["prepare", "latin.csv", "-o", "out"],
        ["latin.csv: the header", "--encoding cp1252"],
    ),
    "check of a table": (["check", "qa.csv"], ["qa.csv: the rows are no chats", "phi3data convert"]),
    "encoding": (["prepare", "rows.jsonl", "-o", "out", "--encoding", "utf-9"], ["unknown encoding 'utf-9'"]),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_one_sentence_with_place_and_remedy(mistake: str, tmp_path: Path, good: Path) -> None:
    assert good.parent == tmp_path
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "blank.jsonl").write_text("\n \n")
    (tmp_path / "header.csv").write_text("question,answer\n")
    (tmp_path / "lfs.jsonl").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n")
    (tmp_path / "page.jsonl").write_text("<!DOCTYPE html><html><body>Not found</body></html>")
    (tmp_path / "notes.txt").write_text("just some text")
    (tmp_path / "odd.csv").write_text("frage,antwort\na,b\n")
    (tmp_path / "qa.csv").write_text("Frage,Antwort\na,b\n")
    (tmp_path / "bad.jsonl.gz").write_bytes(b"not gzip at all")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1 no")
    (tmp_path / "bad.xlsx").write_bytes(b"no zip")
    (tmp_path / "nothing").mkdir()
    (tmp_path / "latin.csv").write_bytes("question,größe\na,b\n".encode("cp1252"))
    (tmp_path / "share.jsonl").write_text('{"conversations": [{"from": "human", "value": "q"}]}\n')
    before = sorted(item.name for item in tmp_path.iterdir())
    args, parts = MISTAKES[mistake]
    assert_one_line(run(*args, cwd=tmp_path), *parts)
    assert sorted(item.name for item in tmp_path.iterdir()) == before, "something was left behind"


@pytest.mark.skipif(os.name == "posix" and os.geteuid() == 0, reason="root can read everything")
def test_an_unreadable_file_is_one_sentence(good: Path, tmp_path: Path) -> None:
    good.chmod(0)
    assert_one_line(run("prepare", good, "-o", tmp_path / "out"), "cannot be read")


def test_refused_rows_stop_with_their_place(jsonl: Any, tmp_path: Path) -> None:
    path = jsonl([chat("q", "a"), chat("", "a")])
    result = run("prepare", path, "-o", tmp_path / "out", "--set", "missing.user=refuse")
    assert_one_line(result, f"{path}:2: ", "/messages/0/content", "missing.*")


def test_columns_can_be_named_either_way_round(tmp_path: Path) -> None:
    (tmp_path / "qa.csv").write_text("Frage;Antwort;Thema\nWie?;So.;a\nWo?;Da.;b\n")
    for number, mapping in enumerate(("question=Frage,answer=Antwort", "Frage=question,Antwort=answer")):
        out = tmp_path / f"out{number}"
        result = run("prepare", tmp_path / "qa.csv", "-o", out, "--columns", mapping, "--label-column", "Thema")
        assert result.returncode == 0, result.stderr
        assert json.loads((out / "report.json").read_text())["labels"][0]["label"] == "a"


def test_windows_1252_is_named_and_read_when_told(tmp_path: Path) -> None:
    path = tmp_path / "qa.csv"
    path.write_bytes("question,answer\nWie schön?,Sehr.\nQui?,Ja.\n".encode("cp1252"))
    plain = run("prepare", path, "-o", tmp_path / "plain")
    assert "--encoding cp1252" in plain.stdout
    told = run("prepare", path, "-o", tmp_path / "told", "--encoding", "cp1252")
    assert told.returncode == 0
    text = (tmp_path / "told" / "train.jsonl").read_text("utf-8") + (tmp_path / "told" / "validation.jsonl").read_text(
        "utf-8"
    )
    assert "Wie schön?" in text


def test_inputs_are_never_replaced(good: Path, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    good.rename(folder / "train.jsonl")
    before = (folder / "train.jsonl").read_bytes()
    result = run("prepare", folder / "train.jsonl", "-o", folder, "--overwrite")
    assert_one_line(result, "would replace the input")
    assert (folder / "train.jsonl").read_bytes() == before


def test_a_folder_of_outputs_is_read_as_its_rows(good: Path, tmp_path: Path) -> None:
    assert run("prepare", good, "-o", tmp_path / "out").returncode == 0
    again = run("prepare", tmp_path / "out", "-o", tmp_path / "again")
    assert re.search(r"rows in +60\n", again.stdout), again.stderr
    assert run("check", tmp_path / "out").returncode == 0


def test_an_output_inside_the_input_folder_is_not_read(good: Path, tmp_path: Path) -> None:
    for _ in range(2):
        result = run("prepare", tmp_path, "-o", tmp_path / "out[1]", "--overwrite")
        assert re.search(r"rows in +60\n", result.stdout), result.stderr


@pytest.mark.parametrize("kind", ["gzip", "parquet"])
def test_binary_standard_input_is_recognised(good: Path, tmp_path: Path, kind: str) -> None:
    import gzip

    import pyarrow as pa
    import pyarrow.parquet as pq

    path = tmp_path / "stream"
    if kind == "gzip":
        path.write_bytes(gzip.compress(good.read_bytes()))
    else:
        pq.write_table(pa.table({"question": [f"q{n}" for n in range(60)], "answer": ["a"] * 60}), path)
    with path.open("rb") as file:
        result = run("prepare", "-", "-o", tmp_path / "out", stdin=file)
    assert re.search(r"rows in +60\n", result.stdout), result.stderr


def test_nothing_to_train_on_is_exit_2_with_the_rows_kept_aside(jsonl: Any, tmp_path: Path) -> None:
    result = run("prepare", jsonl([chat("", "a"), chat("q", "")]), "-o", tmp_path / "out")
    assert result.returncode == 2
    assert "unusable: None of the 2 rows" in result.stdout
    assert len((tmp_path / "out" / "dropped.jsonl").read_text().splitlines()) == 2


def test_standard_input_is_a_source(good: Path, tmp_path: Path) -> None:
    with good.open("rb") as file:
        result = run("prepare", "-", "-o", tmp_path / "out", stdin=file)
    assert result.returncode == 0, result.stderr
    assert re.search(r"rows in +60\n", result.stdout)


@pytest.mark.parametrize(("command", "kept"), [("convert", 4), ("clean", 4), ("missing", 3), ("dedup", 3)])
def test_a_single_step_writes_rows_dropped_and_ledger(jsonl: Any, tmp_path: Path, command: str, kept: int) -> None:
    path = jsonl([chat("one question", "a "), chat("one question", "a "), chat("two", ""), chat("three", "c")])
    out, dropped, ledger = tmp_path / "out.jsonl", tmp_path / "dropped.jsonl", tmp_path / "ledger.parquet"
    result = run(command, path, "-o", out, "--dropped", dropped, "--ledger", ledger)
    assert result.returncode == 0, result.stderr
    assert result.stdout == ""
    assert len(out.read_text().splitlines()) == kept
    assert len(dropped.read_text().splitlines()) == 4 - kept
    assert ledger.exists()
    assert sorted(item.name for item in tmp_path.iterdir()) == [
        "dropped.jsonl",
        "ledger.parquet",
        "out.jsonl",
        "rows.jsonl",
    ]


def test_a_single_step_makes_no_more_than_is_asked_for(jsonl: Any, tmp_path: Path) -> None:
    path, out = (
        jsonl([chat("one", "a"), chat("one", "a"), {"text": 1}, chat("two", "b")]),
        tmp_path / "new" / "out.jsonl",
    )
    against = jsonl([chat("two", "b"), {"messages": []}, {}], "against.jsonl")
    found = run("dedup", path, "--against", against, "-o", out)
    reasons = "1 no messages, 2 equal to another row"
    assert found.stderr.splitlines() == [
        f"{out}: 4 rows in, 1 kept, 3 dropped ({reasons}): --dropped FILE keeps them",
        f"warning: {against}: 2 rows could not be read, and nothing goes for them",
    ]
    assert [item.name for item in out.parent.iterdir()] == ["out.jsonl"]
    one = jsonl([chat("two", "b"), {}], "one.jsonl")
    found = run("dedup", path, "--against", one, "-o", out, "--overwrite", "-j", "1")
    assert found.stderr.splitlines()[1:] == [f"warning: {one}: 1 row could not be read, and nothing goes for it"]
    assert len(run("dedup", path, "--against", path, "-o", tmp_path / "none.jsonl").stderr.splitlines()) == 2


def test_a_command_ends_in_order(good: Path, tmp_path: Path) -> None:
    said = "import atexit, sys; atexit.register(lambda: print('pyarrow' in sys.modules))"
    program = f"{said}; from phi3data.cli import main; main()"
    command = [sys.executable, "-c", program, "dedup", str(good), "-o", str(tmp_path / "out.jsonl")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout == "True\n"


def test_split_writes_the_splits(good: Path, tmp_path: Path) -> None:
    assert run("split", good, "-o", tmp_path / "out", "--validation", "0.2", "--test", "0.1").returncode == 0
    counts = [
        len((tmp_path / "out" / f"{name}.jsonl").read_text().splitlines()) for name in ("train", "validation", "test")
    ]
    assert counts == [42, 12, 6]


def test_check_exits_0_1_2(jsonl: Any, good: Path, tmp_path: Path) -> None:
    bad = jsonl([chat("q", "a"), {"messages": [{"role": "user", "content": "q"}]}, "text"], "bad.jsonl")
    assert run("check", good).returncode == 0
    found = run("check", bad)
    assert found.returncode == 1
    assert f"{bad}:2:14: R408" in found.stdout
    assert run("check", bad, "--ignore", "R,J").returncode == 0
    assert run("check", bad, "--fail-on", "never").returncode == 0
    as_json = json.loads(run("check", bad, "--output", "json").stdout)
    assert [(item["code"], item["line"]) for item in as_json["findings"]] == [("R408", 2), ("R401", 2), ("J211", 3)]
    assert as_json["summary"]["rows"] == 3


def test_closed_output_leaves_the_exit_code(jsonl: Any, good: Path) -> None:
    bad = jsonl([chat("q", "")], name="bad.jsonl")
    for path, closed, code in ((good, ">&-", 0), (bad, ">&- 2>&-", 1), ("nothing.jsonl", ">&-", 2)):
        ended = subprocess.run(
            ["sh", "-c", f'exec "$@" {closed}', "sh", sys.executable, "-m", "phi3data", "check", str(path)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert (ended.returncode, "Traceback" in ended.stderr) == (code, False)


def test_only_what_goes_on_says_so_when_it_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    program = Commands(
        "program", table={"prepare": "", "rules": ""}, modules={}, package="phi3data.cli", resuming={"prepare"}
    )
    monkeypatch.setattr(Commands, "get_command", lambda *_: click.Command("any", callback=interrupted))
    said = {}
    for name in ("prepare", "rules"):
        assert in_process(program, [name]) == 130
        said[name] = capsysbinary.readouterr().err
    assert said == {
        "prepare": b"\ninterrupted: the same command goes on from here\n",
        "rules": b"\ninterrupted\n",
    }


def test_recipe_init_show_and_schema_agree(tmp_path: Path) -> None:
    import jsonschema

    path = tmp_path / "recipe.toml"
    assert run("recipe", "init", path, "--set", "split.validation=0.25").returncode == 0
    assert_one_line(run("recipe", "init", path), "exists", "--overwrite")
    shown = run("recipe", "show", "--recipe", path).stdout
    assert "validation = 0.25" in shown
    assert shown == run("recipe", "show", "--set", "split.validation=0.25").stdout
    import tomllib

    schema = json.loads(run("recipe", "schema").stdout)
    jsonschema.validate(tomllib.loads(path.read_text("utf-8")), schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"split": {"validation": -1}}, schema)
    assert path.read_text("utf-8").count("#") > 20


def test_version_and_help() -> None:
    from phi3data.version import VERSION

    assert run("--version").stdout == f"phi3data, version {VERSION}\n"
    train = subprocess.run([sys.executable, "-m", "phi3train", "--version"], capture_output=True, text=True, check=True)
    assert train.stdout == f"phi3train, version {VERSION}\n"
    listed = run("--help").stdout
    from phi3data.cli import COMMANDS

    for command in COMMANDS:
        assert command in listed
        assert run(command, "--help").returncode == 0


HEAVY = {"numpy", "pyarrow", "pandas", "duckdb", "jinja2", "rich", "torch", "tokenizers", "multiprocessing", "asyncio"}
# What a clean file does not need, the standard library's own included: each of these costs 1 to 10 ms of a short run.
LATE = {
    *("concurrent", "hashlib", "importlib.metadata", "shutil", "socket", "subprocess", "tempfile", "_pydatetime"),
    *("encodings.cp1251", "encodings.cp1252", "base64", "dataclasses", "glob", "heapq", "json", "string", "tomllib"),
    *("ast", "dis", "inspect", "platform", "tokenize", "phi3data.sources.array"),
    *("phi3data.api", "phi3data.engine", "phi3data.fixes", "phi3data.lint.project", "phi3data.report.lint.sarif"),
    *("phi3data.family.jinja", "phi3data.sources.formats", "phi3data.sources.reader", "phi3data.tokens.estimate"),
    *("phi3data.steps.decontaminate", "phi3data.tokens.exact", "phi3data.tokens.lengths", "phi3data.tokens.vocabulary"),
}


@pytest.mark.parametrize("command", ["check", "--help"])
def test_check_starts_without_anything_heavy(good: Path, command: str) -> None:
    code = (
        "import sys; sys.modules['typing_extensions'] = None; "  # msgspec takes it, and a plain installation has none
        "from phi3data.__main__ import load; load(); from phi3data.cli import group, run; "
        f"run(group, {[command, str(good)] if command == 'check' else [command]!r}); "
        "print(*sys.modules, file=sys.stderr)"
    )
    (good.parent / ".git").mkdir()  # where the search for a configuration, which is TOML, ends
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=good.parent)
    modules = set(result.stderr.split())
    loaded = {name.partition(".")[0] for name in modules}
    assert "click" in loaded
    assert not loaded & HEAVY, loaded & HEAVY
    if command == "check":  # help measures the terminal, with shutil
        assert not modules & LATE, modules & LATE


def test_what_is_put_off_comes_when_it_is_asked_for() -> None:
    code = (
        "import sys; from phi3data.__main__ import load; load(); import click.core, inspect as real; "
        "put_off = click.core.inspect; assert put_off is not real; "
        "assert put_off.signature is real.signature; "
        "texts = ['one', ' two\\t ', 'three\\n    four\\n']; "
        "assert [*map(put_off.cleandoc, texts)] == [*map(real.cleandoc, texts)]; "
        "import platform, uuid; assert uuid.platform is not platform; "
        "assert uuid.platform.system() == platform.system() and uuid.platform.machine is platform.machine"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_extra_names_the_command_that_installs_it(good: Path, tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("raise ModuleNotFoundError(\"No module named 'numpy'\", name='numpy')")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    result = run("prepare", good, "-o", tmp_path / "out", env=environment)
    assert_one_line(result, "pip install 'phi3kit[data]'", "additional_dependencies")
    assert run("check", good, env=environment).returncode == 0
