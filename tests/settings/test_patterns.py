"""Patterns of paths mean what they mean in .gitignore."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from phi3data.settings.patterns import files, matches, relative


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("*.jsonl", "a.jsonl", True),
        ("*.jsonl", "deep/down/a.jsonl", True),
        ("*.jsonl", "a.jsonl.bak", False),
        ("old", "old/a.jsonl", True),
        ("old", "data/old/deep/a.jsonl", True),
        ("old", "older/a.jsonl", False),
        ("old/", "old/a.jsonl", True),
        ("old/", "data/old/a.jsonl", True),
        ("old/", "old", False),
        ("data/old", "data/old/a.jsonl", True),
        ("data/old", "my/data/old/a.jsonl", False),
        ("/a.jsonl", "a.jsonl", True),
        ("/a.jsonl", "data/a.jsonl", False),
        ("./data/*.jsonl", "data/a.jsonl", True),
        ("data/*.jsonl", "data/deep/a.jsonl", False),
        ("data/**/*.jsonl", "data/a.jsonl", True),
        ("data/**/*.jsonl", "data/deep/down/a.jsonl", True),
        ("data/**/*.jsonl", "other/data/a.jsonl", False),
        ("**/a.jsonl", "a.jsonl", True),
        ("**/a.jsonl", "x/y/a.jsonl", True),
        ("data/**", "data/x/y", True),
        ("data/**", "data", False),
        ("part-?.jsonl", "part-1.jsonl", True),
        ("part-?.jsonl", "part-10.jsonl", False),
        ("part-[0-4].jsonl", "part-3.jsonl", True),
        ("part-[0-4].jsonl", "part-5.jsonl", False),
        ("part-[!0-4].jsonl", "part-5.jsonl", True),
        ("a[!b]c", "a/c", False),
        ("a+b (1).jsonl", "a+b (1).jsonl", True),
        ("[", "[", True),
        ("a\\*b", "a*b", True),
        ("a\\*b", "axb", False),
        ("Data/*.jsonl", "data/a.jsonl", False),
    ],
)
def test_a_pattern_matches_as_in_gitignore(pattern: str, path: str, *, expected: bool) -> None:
    assert matches((pattern,), path) is expected


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q", folder], check=True)
    return folder


_names = st.text("ab", min_size=1, max_size=2)
_paths = st.lists(_names, min_size=1, max_size=4).map("/".join)
_parts = st.one_of(st.just("**"), st.text("ab*?", min_size=1, max_size=3).filter(lambda part: "**" not in part))
_patterns = st.builds(
    lambda start, parts, end: start + "/".join(parts) + end,
    st.sampled_from(["", "/"]),
    st.lists(_parts, min_size=1, max_size=4),
    st.sampled_from(["", "/"]),
)


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@settings(max_examples=30)
@given(st.lists(st.tuples(_patterns, _paths), min_size=12, max_size=12))
def test_git_itself_agrees(repository: Path, pairs: list[tuple[str, str]]) -> None:
    for pattern, path in pairs:
        (repository / ".git" / "info" / "exclude").write_text(f"{pattern}\n", "utf-8")
        asked = ["git", "-C", str(repository), "check-ignore", "--no-index", "-q", path]
        ignored = subprocess.run(asked, check=False).returncode == 0
        assert matches((pattern,), path) is ignored, (pattern, path)


@given(st.text(max_size=12), st.text(min_size=1, max_size=12))
def test_any_text_is_a_pattern(pattern: str, path: str) -> None:
    assert matches((pattern,), path) in {True, False}


def test_a_path_is_seen_from_the_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    monkeypatch.chdir(tmp_path / "data")
    assert relative("a.jsonl", tmp_path) == "data/a.jsonl"
    assert relative("../a.jsonl", tmp_path) == "a.jsonl"
    assert relative(str(tmp_path / "data" / "a.jsonl"), tmp_path) == "data/a.jsonl"
    assert relative("a.jsonl", tmp_path / "elsewhere") == (tmp_path / "data" / "a.jsonl").as_posix()


def test_a_linked_folder_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "data").symlink_to(tmp_path / "store")
    (tmp_path / "shortcut").symlink_to(tmp_path / "project")
    assert relative(str(tmp_path / "project" / "data" / "a.jsonl"), tmp_path / "project") == "data/a.jsonl"
    assert relative(str(tmp_path / "shortcut" / "a.jsonl"), tmp_path / "project") == "a.jsonl"


def test_files_of_a_pattern(tmp_path: Path) -> None:
    for name in ("train.jsonl", "data/a.jsonl", "data/b.json", "data/x/c.jsonl", ".cache/d.jsonl", "data/.y/e.jsonl"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()

    def found(*patterns: str) -> list[str]:
        return [path.relative_to(tmp_path).as_posix() for path in files(patterns, tmp_path)]

    assert found("/train.jsonl") == ["train.jsonl"]
    assert found("data/*.jsonl", "data/**/*.jsonl") == ["data/a.jsonl", "data/x/c.jsonl"]
    assert found("*.jsonl") == ["data/a.jsonl", "data/x/c.jsonl", "train.jsonl"]
    assert found("data/") == ["data/a.jsonl", "data/b.json", "data/x/c.jsonl"]
    assert found("data/.y/*") == ["data/.y/e.jsonl"]
    assert found("nowhere/*.jsonl") == []
