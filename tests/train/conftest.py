"""The tiny model, made once for all tests of phi3train."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

pytest.importorskip("trl", reason="the train extra is not installed")

import torch

from tests.train.tiny import write_chats, write_model

if TYPE_CHECKING:
    from pathlib import Path


torch.set_num_threads(1)  # a tiny model waits for its threads longer than it computes


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def chats(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_chats(tmp_path_factory.mktemp("chats") / "chats.jsonl", 40, 3)
