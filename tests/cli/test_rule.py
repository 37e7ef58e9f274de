"""phi3data rule and rules, and the page that is made from the same texts."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from phi3data.cli import group
from phi3data.errors import UsageError
from phi3data.report.lint.explain import FAMILIES, OTHER, example, family, markdown
from phi3data.rules import RULES, Rule

ROOT = Path(__file__).parents[2]
RULE = Rule(
    "R999",
    "made-up",
    "warning",
    "a <made> up rule",
    "It teaches nothing.",
    '{"a":"\x01"}',
    '{"a":"b"}',
    "phi-4",
)


def run(*args: str) -> Result:
    return CliRunner().invoke(group, args)


def test_a_rule_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RULES, "R999", RULE)
    result = run("rule", "R999")
    assert result.exit_code == 0
    lines = result.output.splitlines()
    assert lines[:5] == ["R999 made-up", "", "  A <made> up rule. It teaches nothing.", "", "  severity   warning"]
    assert lines[5:] == [
        "  looks at   turns",
        "  model      phi-4",
        "",
        "  Fires on",
        '    {"a":"⟨U+0001⟩"}',
        "",
        "  Silent on",
        '    {"a":"b"}',
    ]


@pytest.mark.parametrize("code", RULES)
def test_every_rule_can_be_explained_by_code_and_name(code: str) -> None:
    rule = RULES[code]
    output = run("rule", code).output
    assert rule.name in output
    assert rule.why.split()[0] in output
    assert run("rule", rule.name).output == output
    assert run("rule", code.lower()).output == output
    assert rule.fires is None or example(rule.fires) in output
    assert rule.silent is None or example(rule.silent) in output


def test_several_rules_at_once() -> None:
    output = run("rule", "R405", "j201").output
    assert re.findall(r"^[A-Z]\d{3}", output, re.MULTILINE) == ["R405", "J201"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["rule", "R4O5"], "unknown rule 'R4O5'; did you mean 'R405'?"),
        (["rule", "consecutive-rol"], "unknown rule 'consecutive-rol'; did you mean 'consecutive-role'?"),
        (["rule", "????"], "unknown rule '????': phi3data rules lists them"),
        (["rule", ""], "unknown rule '': phi3data rules lists them"),
        (["rule", "r40"], "phi3data rules --select R40"),
        (["rules", "--select", "R,R4O5"], "unknown rule 'R4O5'; did you mean 'R405'?"),
    ],
)
def test_mistakes(args: list[str], message: str) -> None:
    result = run(*args)
    assert isinstance(result.exception, UsageError)
    assert message in str(result.exception)


def test_the_list_has_every_rule() -> None:
    lines = run("rules").output.splitlines()
    assert [line.split()[0] for line in lines] == list(RULES)
    for line, rule in zip(lines, RULES.values(), strict=True):
        assert line.split()[1:3] == [rule.name, rule.severity]
        assert line.endswith(rule.title)


def test_the_list_by_prefixes() -> None:
    codes = [line.split()[0] for line in run("rules", "--select", "R40, J201").output.splitlines()]
    assert codes == [code for code in RULES if code.startswith("R40") or code == "J201"]


def test_the_list_for_programs() -> None:
    rules = msgspec.json.decode(run("rules", "--json").output, type=list[Rule])
    assert rules == list(RULES.values())
    assert [rule["code"] for rule in json.loads(run("rules", "--json", "--select", "J").output)] == [
        code for code in RULES if code.startswith("J")
    ]


def test_rules_load_nothing_heavy() -> None:
    code = "import sys; from phi3data.cli import group, run; run(group, ['rule', 'R405']); print(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in result.stdout.splitlines()[-1].split()}
    assert "phi3data" in loaded
    assert not loaded & {
        "numpy",
        "pyarrow",
        "pandas",
        "duckdb",
        "jinja2",
        "rich",
        "markupsafe",
        "tokenizers",
        "asyncio",
    }


def test_examples_are_fit_to_be_shown() -> None:
    assert example('{"a":"\x1b"}') == '{"a":"⟨U+001B⟩"}'
    assert example("[" * 5000) == "[" * 40 + "… (5,000 characters)"


def test_families() -> None:
    assert family("R405") == "turns"
    assert family("trailing-space") == family("undesirable") == family("Q101") == OTHER
    assert {code[0] for code in RULES if code[1:].isdigit()} <= FAMILIES.keys()


def test_markdown_of_a_rule() -> None:
    assert markdown(RULE) == (
        "A <made> up rule. It teaches nothing.\n\n- severity: warning\n- looks at: turns\n- model: phi-4\n\n"
        'Fires on:\n\n```json\n{"a":"⟨U+0001⟩"}\n```\n\nSilent on:\n\n```json\n{"a":"b"}\n```\n'
    )


def test_the_page_of_rules_is_made_from_them() -> None:
    from scripts.write_rule_docs import page

    text = (ROOT / "docs" / "rules.md").read_text("utf-8")
    assert text == page(), "run scripts/write_rule_docs.py"
    anchors = {heading.lower().replace(" ", "-") for heading in re.findall(r"^### (.+)$", text, re.MULTILINE)}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) == anchors
    assert len(anchors) == len(RULES)
    prose = "".join(text.split("```")[::2])
    assert "<" not in prose, "taken for HTML"
