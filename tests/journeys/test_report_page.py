"""The report in a real browser: it opens from the disk, loads nothing, runs nothing, and shows the verdict."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import chat

import phi3data

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
HOSTILE = "</script><img src=x onerror=\"document.title='broken in'\"><b>{{ 7*7 }}</b>"


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import json

    folder = tmp_path_factory.mktemp("page")
    path = folder / "rows <b>&.jsonl"
    rows: list[Any] = [
        chat(f"question {n} {HOSTILE}", f"answer {n} {HOSTILE} \u200b", label=HOSTILE) for n in range(80)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + HOSTILE + "\n")
    return phi3data.prepare(path, output=folder / "out").folder / "report.html"


def browse(page: Path, *options: str) -> subprocess.CompletedProcess[str]:
    if BROWSER is None:
        pytest.skip("no chromium on this machine: scripts/install_test_tools installs it")
    profile = page.parent / "browser"
    flags = [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--enable-logging=stderr",
    ]  # fmt: skip
    command = [BROWSER, *flags, f"--user-data-dir={profile}", *options, f"file://{page}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.slow
def test_the_page_opens_and_nothing_hostile_runs(page: Path) -> None:
    found = browse(page, "--dump-dom")
    dom = found.stdout
    assert "80 of 81 rows are ready" in dom
    assert "<title>broken in" not in dom
    assert "onerror" in dom, "the hostile text is not shown"
    assert "<img" not in dom
    assert "{{ 7*7 }}" in dom
    assert "CONSOLE" not in found.stderr, found.stderr


@pytest.mark.slow
def test_the_page_fits_a_narrow_screen(page: Path, tmp_path: Path) -> None:
    picture = tmp_path / "page.png"
    browse(page, f"--screenshot={picture}", "--window-size=500,900", "--hide-scrollbars")
    assert picture.stat().st_size > 10_000
