"""Kernels that were compiled before are loaded without numba, and do what numba's do."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from phi3data.native import sources
from tests.conftest import ROOT

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
import numpy as np
from phi3data.jit import kernel


@kernel
def described(values, by):
    total = most = 0
    for place in range(len(values)):
        total += values[place] * by
        most = max(most, values[place])
    return total, most, len(values)


@kernel
def last(values):
    return np.sort(values)[-1]


@kernel
def filled(values, number):
    values[:] = number
"""
PROGRAM = """
import sys
import numpy as np
from phi3data.native import Kernels

kernels = Kernels("mine")
values = np.arange(6, dtype=np.int64)
assert not kernels.loaded
print(*kernels.described(values, -2))
print(*kernels.described(values[3:], 2))
print(*kernels.described(values.astype(np.uint8), 2))
pairs = values.reshape(3, 2)
print(kernels.filled(pairs[:1], 7), pairs.tolist())
assert kernels.loaded
print("numba" in sys.modules)
{more}
"""
SAID = ["-30 5 6", "24 5 3", "30 5 6", "None [[7, 7], [2, 3], [4, 5]]"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path: Path = tmp_path_factory.mktemp("native")
    (path / "mine.py").write_text(MODULE)
    assert said(path) == [*SAID, "True"]
    return path


def said(folder: Path, more: str = "") -> list[str]:
    paths = os.pathsep.join([str(folder), str(ROOT / "src")])
    env = {**os.environ, "PYTHONPATH": paths, "NUMBA_CACHE_DIR": str(folder / "kept")}
    command = [sys.executable, "-c", PROGRAM.format(more=more)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
    return result.stdout.splitlines()


def test_what_is_kept_needs_no_numba(folder: Path) -> None:
    kept = sorted(path.name.partition("-")[0] for path in (folder / "kept").glob("*.kernel"))
    assert kept == ["mine.described", "mine.described", "mine.filled"]
    assert said(folder) == [*SAID, "False"]


def test_a_kernel_that_takes_memory_is_left_to_numba(folder: Path) -> None:
    assert said(folder, "print(kernels.last(values), 'numba' in sys.modules)") == [*SAID, "False", "7 True"]
    assert not list((folder / "kept").glob("mine.last*.kernel"))


def test_a_damaged_file_and_another_source_are_compiled_anew(folder: Path) -> None:
    for path in (folder / "kept").glob("mine.filled*.kernel"):
        path.write_bytes(path.read_bytes()[:40])
    assert said(folder) == [*SAID, "True"]
    assert said(folder) == [*SAID, "False"]
    before = set((folder / "kept").glob("mine.described*"))
    (folder / "mine.py").write_text(MODULE.replace("values[place] * by", "values[place] + by"))
    assert said(folder)[0] == "3 5 6"
    after = set((folder / "kept").glob("mine.described*"))
    assert len(after) == len(before)
    assert not after & before, "what was made of the older source is gone"


def test_what_a_kernel_imports_is_a_part_of_it() -> None:
    """Constants are compiled into a kernel: a kept one must not outlive them."""
    names = {"/".join(path.parts[-2:]) for path in sources("phi3data.rules.pair_kernel")}
    assert {"rules/pair_kernel.py", "rules/characters_kernel.py", "phi3data/jit.py", "text/language.py"} <= names
