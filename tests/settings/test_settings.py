"""The configuration: where it is found, what it wants of a path, and what is said about a wrong one."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data import settings
from phi3data.errors import InputError, UsageError
from phi3data.rules import RULES
from phi3data.rules.options import DominantPrompt, OverContext, Thresholds


def write(folder: Path, text: str, name: str = "phi3data.toml") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def problem(folder: Path, text: str) -> str:
    path = write(folder, text)
    with pytest.raises(UsageError) as raised:
        settings.load(path)
    message = str(raised.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


def test_every_key(tmp_path: Path) -> None:
    (tmp_path / "tokenizers").mkdir()
    path = write(
        tmp_path,
        """
        select = ["R", "C5"]
        ignore = ["C507"]
        exclude = ["old/"]
        target = "trl"
        model = "phi-4"
        tokenizer = "tokenizers"
        baseline = "known.json"
        fail-on = "error"
        max-per-rule = 3
        [per-file-ignores]
        "legacy/*" = ["R405"]
        [splits]
        train = ["train.jsonl"]
        validation = ["validation.jsonl"]
        test = ["test.jsonl"]
        [rules.L701]
        limit = 2048
        [rules.D808]
        share = 0.2
        [[allow]]
        code = "C502"
        path = "faq.jsonl"
        reason = "the answer is the word"
        """,
    )
    found = settings.load(path)
    keys = found.keys
    assert keys.rules == Thresholds(L701=OverContext(limit=2048), D808=DominantPrompt(share=0.2))
    assert (found.root, found.file, found.unknown) == (tmp_path, path, ())
    assert (keys.target, keys.model, keys.fail_on, keys.max_per_rule) == ("trl", "phi-4", "error", 3)
    assert found.tokenizer == str(tmp_path / "tokenizers")
    assert found.baseline == tmp_path / "known.json"
    assert keys.splits == settings.Splits(
        train=("train.jsonl",), validation=("validation.jsonl",), test=("test.jsonl",)
    )
    assert keys.allow == (settings.Allow(code="C502", reason="the answer is the word", path="faq.jsonl"),)


def test_defaults(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    found = settings.find(tmp_path)
    assert found == settings.Settings(tmp_path)
    assert found.codes("a.jsonl") == RULES.keys()
    assert not found.excluded("a.jsonl")
    assert found.baseline == tmp_path / "phi3data-baseline.json"
    assert found.tokenizer is None
    assert found.split_files() == {}


def test_a_tokenizer_that_is_no_folder_is_a_name(tmp_path: Path) -> None:
    assert settings.load(write(tmp_path, 'tokenizer = "microsoft/phi-4"')).tokenizer == "microsoft/phi-4"


def test_the_nearest_configuration_is_found_up_to_the_repository(tmp_path: Path) -> None:
    outer, project, deep = tmp_path, tmp_path / "project", tmp_path / "project" / "data" / "deep"
    deep.mkdir(parents=True)
    write(outer, 'target = "openai"')
    assert settings.find(deep).file == outer / "phi3data.toml"
    (project / ".git").write_text("gitdir: elsewhere")  # a work tree
    assert settings.find(deep).file is None
    write(project, "[tool.ruff]\n[tool.phi3data-other]\n", "pyproject.toml")
    assert settings.find(deep).file is None
    write(project, '[tool.phi3data]\ntarget = "trl"', "pyproject.toml")
    assert settings.find(deep).keys.target == "trl"
    write(project, 'target = "azure-openai"')
    assert settings.find(deep).keys.target == "azure-openai"
    write(project / "data", "[tool.phi3data]", "pyproject.toml")
    found = settings.find(deep)
    assert (found.file, found.keys.target) == (project / "data" / "pyproject.toml", None)


def test_the_search_ends_at_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    write(tmp_path, 'target = "openai"')
    deep = tmp_path / "home" / "work"
    deep.mkdir(parents=True)
    assert settings.find(deep).file is None
    write(tmp_path / "home", 'target = "trl"')
    assert settings.find(deep).keys.target == "trl"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('selct = ["R"]', "unknown key 'selct'; did you mean 'select'?"),
        ("per_file_ignores = {}", "unknown key 'per_file_ignores'; did you mean 'per-file-ignores'?"),
        ("[splits]\ntrian = []", "unknown key 'splits.trian'; did you mean 'train'?"),
        ("[splits]\nxyz = []", "unknown key 'splits.xyz'; known: train, validation, test"),
        ('[[allow]]\ncode = "R401"\nraeson = ""', "unknown key 'allow.raeson'; did you mean 'reason'?"),
        ("[rules.L740]\ntimes = 3", "unknown key 'rules.L740'; did you mean 'L704'?"),
        ("[rules.L704]\ntime = 3", "unknown key 'rules.L704.time'; did you mean 'times'?"),
        ("[rules.L704]\ntimes = 1", "rules.L704.times: expected float > 1.0"),
        ("[rules.D808]\nshare = 2", "rules.D808.share: expected float <= 1.0"),
        ("[rules.L701]\nlimit = 1.5", "rules.L701.limit: expected int | null, got float"),
        ("rules.L704 = 3", "rules.L704: expected object, got int"),
        ('select = "R"', "select: expected array, got str"),
        ("select = [1]", "select[0]: expected str, got int"),
        ("max-per-rule = 0", "max-per-rule: expected int >= 1"),
        ('fail-on = "info"', "fail-on: invalid enum value 'info': expected one of error, warning, never"),
        ('model = "phi-5"', "unknown model 'phi-5'; did you mean 'phi-3.5'?"),
        ('target = "fundry"', "unknown target 'fundry'; did you mean 'foundry'?"),
        ('exclude = ["*", "!a"]', "'!a': a pattern cannot be turned round with '!'"),
        ('[[allow]]\ncode = "R401"\npath = "a"', "allow[0]: object missing required field reason"),
        ('[[allow]]\ncode = "R401"\npath = "a"\nreason = " "', "allow[0].reason: expected some text"),
        (
            '[[allow]]\ncode = "R401"\nreason = "so"',
            "allow entry 1 (R401): needs a fingerprint or a path, and not both",
        ),
        (
            f'[[allow]]\ncode = "R401"\nreason = "so"\npath = "a"\nfingerprint = "{"0" * 64}"',
            "allow entry 1 (R401): needs a fingerprint or a path, and not both",
        ),
        (
            '[[allow]]\ncode = "R401"\nreason = "so"\nfingerprint = "12ab"',
            "allow entry 1 (R401): a fingerprint is 64 hexadecimal digits; phi3data check --output json shows it",
        ),
        (
            f'[[allow]]\ncode = "R401"\nreason = "so"\nfingerprint = "{"0" * 64}"\ntext = "x"',
            "allow entry 1 (R401): pointer and text go with a path; a fingerprint is one finding already",
        ),
    ],
)
def test_a_wrong_configuration_is_one_sentence(text: str, expected: str, tmp_path: Path) -> None:
    assert problem(tmp_path, text).split("; known: phi")[0].split("; known: foundry")[0] == expected


def test_a_file_that_is_no_toml(tmp_path: Path) -> None:
    path = write(tmp_path, "select = [")
    with pytest.raises(InputError, match=r"phi3data\.toml: the configuration is no TOML: Invalid value"):
        settings.find(tmp_path)
    path.write_bytes(b"\xff")
    with pytest.raises(InputError, match="the configuration is no TOML"):
        settings.find(tmp_path)
    with pytest.raises(InputError, match="the configuration cannot be read: No such file"):
        settings.load(tmp_path / "absent.toml")


def test_a_pyproject_that_is_named_needs_the_table(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no table \[tool.phi3data\]"):
        settings.load(write(tmp_path, "[tool.ruff]", "pyproject.toml"))
    with pytest.raises(UsageError, match=r"tool.phi3data: expected a table"):
        settings.load(write(tmp_path, "tool.phi3data = 1", "pyproject.toml"))


def test_codes_of_a_path(tmp_path: Path) -> None:
    text = 'select = ["R4", "C501"]\nignore = ["R402"]\nper-file-ignores = {"old/" = ["R40"], "*.json" = ["C"]}'
    found = settings.load(write(tmp_path, text))
    everything = {code for code in RULES if code.startswith("R4")} | {"C501"}
    assert found.codes(str(tmp_path / "a.jsonl")) == everything - {"R402"}
    assert found.codes(str(tmp_path / "a.json")) == everything - {"R402", "C501"}
    assert found.codes(str(tmp_path / "old" / "a.json")) == {
        code for code in everything if not code.startswith("R40")
    } - {"C501"}
    assert found.wants("R401", str(tmp_path / "a.jsonl"))
    assert not found.wants("R402", str(tmp_path / "a.jsonl"))
    assert not found.wants("R401", str(tmp_path / "old" / "a.jsonl"))


@given(
    st.lists(st.sampled_from([*RULES, "R", "C5", ""]), max_size=4),
    st.lists(st.sampled_from([*RULES, "R", "C5"]), max_size=4),
)
def test_a_command_line_goes_before_the_configuration(select: list[str], ignore: list[str]) -> None:
    keys = settings.Keys(select=("R", "T"), ignore=("R402",))
    found = settings.Settings(Path("/nowhere"), keys).over(select, ignore).codes("a.jsonl")
    chosen = tuple(select) or ("R", "T")
    assert found == {code for code in RULES if code.startswith(chosen) and not code.startswith((*ignore, "R402"))}


def test_excluded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = settings.load(write(tmp_path, 'exclude = ["old/", "data/*.json"]'))
    assert found.excluded(str(tmp_path / "x" / "old" / "a.jsonl"))
    assert found.excluded(str(tmp_path / "data" / "a.json"))
    assert not found.excluded(str(tmp_path / "a.json"))
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    assert found.excluded("a.json")


def test_unknown_rules_are_findings_with_a_line(tmp_path: Path) -> None:
    text = """select = ["R", "Q7"]
ignore = ["C50", "C5O1"]
per-file-ignores = {"a/b*" = ["R999"]}
[[allow]]
code = "R4"
path = "a"
reason = "so"
"""
    found = settings.load(write(tmp_path, text)).unknown
    assert [(note.line, note.finding.pointer, note.finding.message) for note in found] == [
        (1, "/select/1", "unknown rule 'Q7'"),
        (2, "/ignore/1", "unknown rule 'C5O1'; did you mean 'C517'?"),
        (3, "/per-file-ignores/a~1b*/0", "unknown rule 'R999'"),
        (5, "/allow/0/code", "unknown rule 'R4'; an allow entry names one rule"),
    ]
    assert {note.finding.code for note in found} == {"Z902"}


def test_files_of_the_splits(tmp_path: Path) -> None:
    for name in ("train/a.jsonl", "train/old/b.jsonl", "train/c.jsonl", "dev.jsonl"):
        write((tmp_path / name).parent, "", Path(name).name)
    text = 'exclude = ["old/"]\nsplits = {train = ["train/**/*.jsonl"], validation = ["/dev.jsonl"]}'
    found = settings.load(write(tmp_path, text)).split_files()
    assert found == {
        "train": [tmp_path / "train" / "a.jsonl", tmp_path / "train" / "c.jsonl"],
        "validation": [tmp_path / "dev.jsonl"],
    }
    both = settings.load(write(tmp_path, 'splits = {train = ["train/"], test = ["train/c*"]}'))
    with pytest.raises(UsageError, match=r"phi3data\.toml: splits: train/c\.jsonl is in train and in test"):
        both.split_files()
    none = settings.load(write(tmp_path, 'splits = {train = ["tarin/"]}'))
    with pytest.raises(UsageError, match=r"phi3data\.toml: splits\.train: no file matches tarin/"):
        none.split_files()
