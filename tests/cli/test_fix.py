"""phi3data fix: what it prints, what it writes, how it ends."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from phi3data.cli.fix import fix_command
from phi3data.errors import InputError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

ROW = '{"messages":[{"role":"%s","content":"Hi"},{"role":"assistant","content":"%s"}]}\n'
CLEAN = ROW % ("user", "Hello!")
DIRTY = ROW % ("human", "Hel\\u200blo!") + ROW % ("user", "nan")


def run(*args: object) -> Result:
    return CliRunner().invoke(fix_command, [str(arg) for arg in args], standalone_mode=False, catch_exceptions=False)


@pytest.fixture
def dirty(tmp_path: Path) -> Path:
    path = tmp_path / "rows.jsonl"
    path.write_text(DIRTY, "utf-8")
    return path


def test_safe_fixes_are_made_in_place_and_once(dirty: Path) -> None:
    result = run(dirty)
    assert result.return_value == 0
    assert result.stdout.splitlines() == [
        "      1  C506  Removes the invisible characters.",
        "      1  S307  Writes the role as chat data spells it.",
        "2 fixed in 1 line of 1 file",
    ]
    assert dirty.read_text("utf-8") == CLEAN + ROW % ("user", "nan")
    again = run(dirty)
    assert (again.return_value, again.stdout) == (0, "nothing to fix\n")


def test_unsafe_fixes_are_asked_for(dirty: Path) -> None:
    result = run(dirty, "--unsafe-fixes")
    assert result.stdout.splitlines()[-1] == "3 fixed in 2 lines of 1 file, 1 row dropped"
    assert dirty.read_text("utf-8") == CLEAN


def test_a_diff_writes_nothing_and_exits_with_1(dirty: Path) -> None:
    result = run("--diff", "--select", "S", dirty)
    assert result.return_value == 1
    assert result.stdout.splitlines() == [
        f"--- {dirty}",
        f"+++ {dirty} (fixed)",
        "@@ -1 +1 @@ S307 /messages/0/role",
        "-human",
        "+user",
    ]
    assert result.stderr.splitlines()[-1] == "1 would be fixed in 1 line of 1 file"
    assert dirty.read_text("utf-8") == DIRTY
    dirty.write_text(CLEAN, "utf-8")
    assert run("--diff", dirty).return_value == 0


def test_codes_are_chosen(dirty: Path) -> None:
    run(dirty, "--ignore", "C506")
    assert dirty.read_text("utf-8") == ROW % ("user", "Hel\\u200blo!") + ROW % ("user", "nan")


def test_the_ledger_tells_every_change_of_every_file(dirty: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.jsonl"
    other.write_text(DIRTY, "utf-8")
    ledger = tmp_path / "ledger.out"
    assert run(tmp_path, "--ledger", ledger).return_value == 0
    told = [json.loads(line) for line in ledger.read_text("utf-8").splitlines()]
    assert [(change["path"], change["line"], change["code"]) for change in told] == [
        (str(path), 1, code) for path in (other, dirty) for code in ("S307", "C506")
    ]
    assert told[0] == {
        "path": str(other),
        "line": 1,
        "code": "S307",
        "pointer": "/messages/0/role",
        "before": "human",
        "after": "user",
    }


def test_the_model_and_the_destination_decide(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    system = CLEAN.replace('[{"role":"user"', '[{"role":"system","content":"Be kind."},{"role":"user"')
    labelled = CLEAN.replace("}]}", '}],"label":"a"}')
    path.write_text(system + labelled, "utf-8")
    run(path, "--target", "trl", "--unsafe-fixes")
    assert path.read_text("utf-8") == system + labelled
    run(path, "--model", "phi-3-medium", "--unsafe-fixes")
    assert path.read_text("utf-8") == CLEAN.replace('"Hi"', '"Be kind.\\n\\nHi"') + CLEAN


def test_nothing_is_changed_where_an_argument_is_wrong(dirty: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text("question,answer\na,b\n")
    with pytest.raises(InputError, match=r"table\.csv: fix writes \.jsonl files only"):
        run(dirty, table)
    with pytest.raises(UsageError, match="unknown rule 'C50X'; did you mean"):
        run(dirty, "--select", "C50X")
    with pytest.raises(UsageError, match="--select R401: there is no fix for it, phi3data rule R401 explains it"):
        run(dirty, "--select", "R401")
    with pytest.raises(UsageError, match="this is one of the files to fix"):
        run(dirty, "--ledger", dirty)
    assert dirty.read_text("utf-8") == DIRTY


def test_rows_that_others_make_superfluous_go_with_the_whole_project_in_view(tmp_path: Path) -> None:
    train, held = tmp_path / "train.jsonl", tmp_path / "validation.jsonl"
    rows = [ROW % ("user", answer) for answer in ("Hello!", "Good day!", "hello!")]
    train.write_text("".join(rows))
    held.write_text(rows[1] + ROW.replace("Hi", "Bye") % ("user", "Goodbye!"))
    assert "nothing to fix" in run(tmp_path).stdout
    assert "1  D802" in run(tmp_path, "--project").stdout
    assert train.read_text() == rows[0] + rows[1]
    assert held.read_text().startswith(rows[1]), "what is held out goes with unsafe fixes only"
    found = run(tmp_path, "--project", "--unsafe-fixes", "--ledger", tmp_path / "ledger.json")
    assert found.exit_code == 0
    assert held.read_text() == ROW.replace("Hi", "Bye") % ("user", "Goodbye!")
    assert json.loads((tmp_path / "ledger.json").read_text())["code"] == "D805"
    assert "nothing to fix" in run(tmp_path, "--project", "--unsafe-fixes").stdout


def test_rows_in_blocks_are_shuffled_where_one_file_is_all(tmp_path: Path) -> None:
    train = tmp_path / "train.jsonl"
    sources = [("wiki", "forum")[number >= 30] for number in range(60)]
    rows = [
        ROW.replace("Hi", f"{number}?").replace("}]}", f'}}],"source":"{source}"}}') % ("user", f"It is {number}.")
        for number, source in enumerate(sources)
    ]
    train.write_text("".join(rows))
    assert "D807" not in run(tmp_path, "--select", "D807").stdout
    shuffled = run(tmp_path, "--project", "--select", "D807")
    assert "1  D807  Puts the rows in random order" in shuffled.stdout
    assert sorted(train.read_text().splitlines(keepends=True)) == sorted(rows)
    assert train.read_text() != "".join(rows)
    assert "nothing to fix" in run(tmp_path, "--project", "--select", "D807").stdout
    (tmp_path / "train-2.jsonl").write_text("".join(rows[:30]))
    train.write_text("".join(rows[30:]))
    assert "nothing to fix" in run(tmp_path, "--project", "--select", "D807").stdout
