"""The hooks in a git repository, run by pre-commit itself.

The definitions are those of `.pre-commit-hooks.yaml` but for one word: `language: python` would build an environment
from a package index, and `language: system` takes the command from the environment of the tests.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import ROOT, chat

MANIFEST = ROOT / ".pre-commit-hooks.yaml"
BIN = Path(sys.executable).parent
GOOD = chat("What is 2 + 2?", "4.")
ALONE = {"messages": [{"role": "user", "content": "alone"}]}  # R401

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
    pytest.mark.skipif(not (BIN / "pre-commit").exists(), reason="pre-commit is not installed"),
]


class Project:
    """A git repository that uses the hooks."""

    def __init__(self, folder: Path) -> None:
        self.root, self._home = folder / "project", folder / "home"
        hooks = folder / "hooks"
        for made in (self.root, self._home, hooks):
            made.mkdir()
        text = MANIFEST.read_text("utf-8")
        assert text.count("language: python\n") == text.count("- id: ")
        (hooks / MANIFEST.name).write_text(text.replace("language: python\n", "language: system\n"), "utf-8")
        self.git("init", "-q", at=hooks)
        self.git("add", ".", at=hooks)
        self.git("commit", "-q", "-m", "hooks", at=hooks)
        revision = self.git("rev-parse", "HEAD", at=hooks).strip()
        self.git("init", "-q")
        ids = re.findall(r"^- id: (\S+)$", text, re.MULTILINE)
        used = ", ".join(f"{{id: {name}, verbose: true}}" for name in ids)
        self.write(".pre-commit-config.yaml", f"repos: [{{repo: {hooks}, rev: {revision}, hooks: [{used}]}}]\n")

    def write(self, name: str, content: Any) -> Path:
        """Write a file and stage it; a list is written as JSON lines, other objects as JSON."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, list) and path.suffix != ".json":
            content = "".join(json.dumps(row) + "\n" for row in content)
        path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
        self.git("add", name)
        return path

    def git(self, *args: str, at: Path | None = None) -> str:
        command = ["git", "-c", "user.name=a", "-c", "user.email=a@example.com", *args]
        return subprocess.run(
            command, cwd=at or self.root, env=self._environment(), check=True, capture_output=True, text=True
        ).stdout

    def hook(self, name: str, *args: str) -> tuple[int, str]:
        """Run a hook on what is staged; return its exit code and what was shown."""
        command = [str(BIN / "pre-commit"), "run", name, "--color", "never", *args]
        ran = subprocess.run(
            command, cwd=self.root, env=self._environment(), capture_output=True, text=True, check=False
        )
        return ran.returncode, ran.stdout + ran.stderr

    def _environment(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "PRE_COMMIT", "SKIP"))}
        own = {"HOME": str(self._home), "PRE_COMMIT_HOME": str(self._home), "GIT_CONFIG_NOSYSTEM": "1"}
        return kept | own | {"PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return Project(tmp_path)


def files_of(hook: str) -> re.Pattern[str]:
    (part,) = (part for part in MANIFEST.read_text("utf-8").split("- id: ") if part.startswith(f"{hook}\n"))
    (found,) = re.findall(r"^  files: '(.+)'$", part, re.MULTILINE)
    assert "types" not in part, "types know nothing of .jsonl"
    return re.compile(found)


@pytest.mark.parametrize(
    ("name", "hooks"),
    [
        ("rows.jsonl", "check check-dataset fix"),
        ("deep/rows.ndjson", "check check-dataset fix"),
        ("rows.jsonl.gz", "check check-dataset"),
        ("chats.json", "check check-dataset"),
        ("phi3data.toml", "check-dataset"),
        ("sub/pyproject.toml", "check-dataset"),
        ("rows.jsonl.bak", ""),
        ("jsonl", ""),
        ("notes.md", ""),
        ("my-phi3data.toml", ""),
    ],
)
def test_the_names_that_a_hook_asks_for(name: str, hooks: str) -> None:
    asked = {hook for hook in ("check", "check-dataset", "fix") if files_of(f"phi3data-{hook}").search(name)}
    assert asked == set(hooks.split())


class TestCheck:
    def test_every_kind_of_chat_file_is_seen(self, project: Project) -> None:
        seen = ("rows.jsonl", "data/rows.ndjson")
        for name in seen:
            project.write(name, [GOOD, ALONE])
        project.write("chats.json", [GOOD, ALONE])
        code, shown = project.hook("phi3data-check")
        assert code == 1
        for name in (*seen, "chats.json"):
            assert f"{name}:" in shown, f"{name} was skipped"

    def test_files_of_other_things_are_left_alone(self, project: Project) -> None:
        project.write("package.json", {"name": "a", "version": "1"})
        project.write("tsconfig.json", {"compilerOptions": {"strict": True}})
        project.write("notes.md", "# Notes\n")
        project.write("broken.csv", "a,b\n1\n")
        code, shown = project.hook("phi3data-check")
        assert code == 0, shown
        project.write("rows.jsonl", [GOOD] * 3)
        code, shown = project.hook("phi3data-check")
        assert code == 0, shown
        assert "package.json" not in shown

    def test_the_configuration_is_the_project_s(self, project: Project) -> None:
        project.write("old/rows.jsonl", [ALONE])
        assert project.hook("phi3data-check")[0] == 1
        project.write("phi3data.toml", 'exclude = ["old/"]\n')
        code, shown = project.hook("phi3data-check")
        assert code == 0, shown
        project.write("rows.jsonl", [ALONE])
        code, shown = project.hook("phi3data-check")
        assert code == 1
        assert "\nrows.jsonl:1:" in shown
        assert "old/rows.jsonl" not in shown

    def test_what_is_not_staged_is_not_looked_at(self, project: Project) -> None:
        project.write("rows.jsonl", [GOOD] * 3)
        (project.root / "aside.jsonl").write_text(json.dumps(ALONE) + "\n")
        code, shown = project.hook("phi3data-check")
        assert code == 0, shown

    def test_the_log_is_clean(self, project: Project) -> None:
        project.write("rows.jsonl", [ALONE] * 50)
        _, shown = project.hook("phi3data-check")
        assert "\x1b" not in shown
        assert "\r" not in shown


class TestCheckDataset:
    def test_the_whole_project_is_looked_at_when_a_part_changes(self, project: Project) -> None:
        splits = '[tool.phi3data.splits]\ntrain = ["/train.jsonl"]\nvalidation = ["/validation.jsonl"]\n'
        rows = [chat(f"How heavy is number {n}?", f"It weighs {n} kg.") for n in range(200)]
        project.write("pyproject.toml", splits)
        project.write("train.jsonl", rows[:150])
        project.git("commit", "-q", "-m", "train")
        project.write("validation.jsonl", [*rows[150:], rows[0]])
        code, shown = project.hook("phi3data-check-dataset")
        assert code == 1
        assert "D805" in shown
        project.write("validation.jsonl", rows[150:])
        assert "D805" not in project.hook("phi3data-check-dataset")[1]

    def test_a_commit_of_other_things_costs_nothing(self, project: Project) -> None:
        project.write("notes.md", "# Notes\n")
        code, shown = project.hook("phi3data-check-dataset")
        assert code == 0
        assert "Skipped" in shown


class TestFix:
    def test_what_was_mended_fails_once(self, project: Project) -> None:
        path = project.write("rows.jsonl", [GOOD])
        path.write_bytes(path.read_bytes() + b"\n" + path.read_bytes())  # a blank line: J203
        project.git("add", "rows.jsonl")
        code, shown = project.hook("phi3data-fix")
        assert code == 1
        assert "files were modified by this hook" in shown
        assert path.read_text() == (json.dumps(GOOD) + "\n") * 2
        project.git("add", "rows.jsonl")
        code, shown = project.hook("phi3data-fix")
        assert code == 0, shown

    def test_json_and_other_files_are_left_alone(self, project: Project) -> None:
        text = json.dumps([GOOD], indent=2) + "\n\n"
        path = project.write("chats.json", text)
        assert "Skipped" in project.hook("phi3data-fix")[1]
        assert path.read_text() == text
