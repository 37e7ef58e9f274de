"""The allow-list: what it covers, and when an entry is called unused."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest

from phi3data import settings

PRINT = "a" * 64


class Found(NamedTuple):
    code: str = "C502"
    path: str = "data/faq.jsonl"
    pointer: str = "/messages/1/content"
    message: str = "the whole message is 'N/A'"
    fingerprint: str = PRINT


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def allowances(folder: Path, *entries: str, before: str = "") -> settings.Allowances:
    path = folder / "phi3data.toml"
    path.write_text(before + "".join(f'[[allow]]\nreason = "so"\n{entry}\n' for entry in entries), "utf-8")
    return settings.Allowances(settings.load(path))


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (f'code = "C502"\nfingerprint = "{PRINT}"', True),
        (f'code = "C501"\nfingerprint = "{PRINT}"', False),
        (f'code = "C502"\nfingerprint = "{"b" * 64}"', False),
        ('code = "C502"\npath = "faq.jsonl"', True),
        ('code = "C502"\npath = "data/"', True),
        ('code = "C502"\npath = "/faq.jsonl"', False),
        ('code = "C502"\npath = "data/*"\npointer = "/messages/1/content"', True),
        ('code = "C502"\npath = "data/*"\npointer = "/messages/1"', False),
        ('code = "C502"\npath = "data/*"\ntext = "N/A"', True),
        ('code = "C502"\npath = "data/*"\ntext = "n/a"', False),
    ],
)
def test_what_an_entry_covers(entry: str, folder: Path, *, expected: bool) -> None:
    assert allowances(folder, entry).allows(Found()) is expected


def unused(allowed: settings.Allowances, *paths: str, whole_project: bool = False) -> list[tuple[int | None, str]]:
    notes = allowed.notes(paths, whole_project=whole_project)
    assert {note.finding.code for note in notes} <= {"Z901"}
    return [(note.line, note.finding.message) for note in notes]


def test_an_entry_by_path_is_unused_where_its_files_were_looked_at(folder: Path) -> None:
    allowed = allowances(folder, 'code = "C502"\npath = "data/"', 'code = "C502"\npath = "other/"')
    message = "nothing to allow: no C502 of path '{}' was found; remove the entry"
    assert unused(allowed, "rows.jsonl") == []
    assert unused(allowed, "rows.jsonl", "data/a.jsonl") == [(1, message.format("data/"))]
    assert unused(allowed, "data/a.jsonl", whole_project=True) == [
        (1, message.format("data/")),
        (5, message.format("other/")),
    ]
    assert allowed.allows(Found())
    assert unused(allowed, "data/a.jsonl", "other/a.jsonl") == [(5, message.format("other/"))]


def test_an_entry_by_fingerprint_is_unused_only_in_the_whole_project(folder: Path) -> None:
    entry = f'code = "C502"\nfingerprint = "{PRINT}"'
    message = f"nothing to allow: no C502 of fingerprint {PRINT} was found; remove the entry"
    assert unused(allowances(folder, entry), "data/a.jsonl") == []
    assert unused(allowances(folder, entry), "data/a.jsonl", whole_project=True) == [(1, message)]


def test_an_entry_of_a_rule_that_did_not_run_is_not_unused(folder: Path) -> None:
    entry = 'code = "C502"\npath = "data/"'
    assert unused(allowances(folder, entry, before='ignore = ["C5"]\n'), "data/a.jsonl") == []
    assert unused(allowances(folder, entry, before='per-file-ignores = {"a*" = ["C5"]}\n'), "data/a.jsonl") == []
    assert len(unused(allowances(folder, entry, before='per-file-ignores = {"b*" = ["C5"]}\n'), "data/a.jsonl")) == 1


def test_every_entry_that_covers_a_finding_is_used(folder: Path) -> None:
    allowed = allowances(folder, 'code = "C502"\npath = "data/"', f'code = "C502"\nfingerprint = "{PRINT}"')
    assert allowed.allows(Found())
    assert unused(allowed, "data/a.jsonl", whole_project=True) == []


def test_notes_about_the_configuration_can_be_ignored(folder: Path) -> None:
    entry = 'code = "C599"\npath = "data/"'
    (note,) = allowances(folder, entry).notes(["data/a.jsonl"], whole_project=True)
    assert (note.finding.code, note.line) == ("Z902", 3)
    assert allowances(folder, entry, before='ignore = ["Z"]\n').notes(["data/a.jsonl"], whole_project=True) == []


def test_entries_in_one_line_have_no_line_of_their_own(folder: Path) -> None:
    (folder / "phi3data.toml").write_text('allow = [{code = "C502", path = "data/", reason = "so"}]')
    allowed = settings.Allowances(settings.load(folder / "phi3data.toml"))
    assert [line for line, _ in unused(allowed, "data/a.jsonl")] == [1]


def test_pyproject_entries_have_their_lines(folder: Path) -> None:
    text = '[tool.phi3data]\n\n[[tool.phi3data.allow]]\ncode = "C502"\npath = "data/"\nreason = "so"\n'
    (folder / "pyproject.toml").write_text(text)
    assert [line for line, _ in unused(settings.Allowances(settings.find(folder)), "data/a.jsonl")] == [3]
