"""The rows that can be near-duplicates: read a little at a time, nominated in ranges of keys, compared in batches."""

from __future__ import annotations

import json
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from bench.make_duplicates import planted
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.conftest import chat
from tests.engine.test_prepare import digests

import phi3data
from phi3data.engine import decisions, duplicates, nominate, verify
from phi3data.engine.facts import ROW_BITS, SIGNED
from phi3data.engine.signed import Signed
from phi3data.similarity.bands import BANDS
from phi3data.similarity.buckets import unpacked
from phi3data.workers import threads

RECIPES: list[dict[str, Any]] = [
    {"split": {"validation": 0.2, "test": 0.1}},
    {"dedup": {"keep": "longest", "conflicts": "best"}},
    {"dedup": {"keep": "newest", "conflicts": "drop"}, "source": {"group_by": "group"}},
    {"target": "trl", "dedup": {"threshold": 0.75}},
]


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Planted duplicates, more copies of one row than are compared with one another, and rows of a given split."""
    rng, folder = random.Random(4), tmp_path_factory.mktemp("rows")
    made = [item.row for item in planted(700, seed=5)]
    words = [f"w{n}" for n in range(120)]
    for _ in range(60):
        edited = [*words]
        edited[rng.randrange(120)] = f"edit{rng.randrange(50)}"
        made.append(chat("What is to be said about all of these words, please?", " ".join(edited)))
    for number, row in enumerate(made):
        row |= {"group": f"g{number // 3}", "label": rng.choice("ab")}
    rng.shuffle(made)
    paths = [folder / f"{name}.jsonl" for name in ("one", "other", "given")]
    for path, some in zip(paths, (made[:400], made[400:], made[:700:9]), strict=True):
        path.write_text("".join(json.dumps(row) + "\n" for row in some))
    return paths


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("with_given", [False, True])
def test_what_is_found_does_not_depend_on_how_much_is_looked_at_at_a_time(
    recipe: dict[str, Any], with_given: bool, rows: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def prepare(name: str) -> phi3data.Prepared:
        validation = rows[2] if with_given else None
        return phi3data.prepare(rows[:2], recipe, tmp_path / name, validation=validation, shard_bytes=30_000)

    whole = prepare("whole")
    assert {line["kind"] for line in map(_evidence, whole.dropped)} >= {"near", "exact", "prefix"}
    for module, name, size in (
        (duplicates, "_PART", 90),
        (duplicates, "_OPENED", 130),
        (decisions, "_RANGE", 100),
        (decisions, "_KEEPERS", 150),
        (nominate, "_KEYS", 60),
        (nominate, "_PAIRS", 20),
    ):
        monkeypatch.setattr(module, name, size)
    assert digests(prepare("parts").folder) == digests(whole.folder)


def test_folders_named_as_partitions_are_no_columns(rows: list[Path], tmp_path: Path) -> None:
    expected = digests(phi3data.prepare(rows[:2], output=tmp_path / "out").folder)
    assert digests(phi3data.prepare(rows[:2], output=tmp_path / "kind=x" / "seq=5").folder) == expected


def _evidence(dropped: dict[str, Any]) -> dict[str, Any]:
    return {"kind": None, **dropped["evidence"]}


def test_no_pair_is_told_twice_where_rows_are_nominated_again(tmp_path: Path) -> None:
    rng, words = random.Random(4), [f"w{n}" for n in range(120)]

    def edited(edits: int) -> dict[str, Any]:
        found = [*words]
        for at in rng.sample(range(5, 115), edits):
            found[at] = f"edit{rng.randrange(10**6)}"
        return chat("What is to be said about all of these words, please?", " ".join(found))

    prepared = phi3data.prepare([edited(1 + number % 2) for number in range(300)], output=tmp_path / "out")
    assert 0 < len(prepared.dropped) < 299
    told = pq.read_table(prepared.folder / "duplicates.parquet").to_pylist()
    pairs = [frozenset((line["row_id"], line["other_id"])) for line in told]
    assert len(set(pairs)) == len(pairs) > 5_000  # no two rows are much less similar than the threshold


@st.composite
def shards(draw: st.DrawFn) -> tuple[list[dict[str, np.ndarray]], list[np.ndarray]]:
    """Columns of `SIGNED` of some shards, one of which may have no rows, and their keys."""
    columns, keys = [], []
    for shard, size in enumerate(draw(st.lists(st.integers(0, 9), min_size=1, max_size=5))):
        rng = np.random.default_rng(draw(st.integers(0, 99)))
        places = np.sort(rng.permutation(30)[:size])
        held = {name: rng.integers(0, 1000, size).astype(kind) for name, kind in SIGNED.items()}
        columns.append(held | {"seq": (shard << ROW_BITS) + places})
        keys.append(rng.choice(np.array([0, 5, 2**31, 2**32 - 1], np.uint32), (BANDS, size)))
    return columns, keys


@settings(max_examples=40)
@given(shards(), st.data())
def test_columns_and_keys_of_any_rows(
    tmp_path_factory: pytest.TempPathFactory,
    made: tuple[list[dict[str, np.ndarray]], list[np.ndarray]],
    data: st.DataObject,
) -> None:
    columns, keys = made
    folder = tmp_path_factory.mktemp("shards")
    for shard, (held, keyed) in enumerate(zip(columns, keys, strict=True)):
        parts = [held[name].tobytes() for name in SIGNED]
        (folder / f"{shard:06d}.signed").write_bytes(b"".join([*parts, keyed.tobytes()]))
    signed = Signed(folder, [shard % 3 for shard in range(len(columns))])
    joined = {name: np.concatenate([held[name] for held in columns]) for name in SIGNED}
    count = len(joined["seq"])
    assert len(signed) == count
    rows = np.array(data.draw(st.lists(st.integers(0, count - 1), max_size=20)) if count else [], np.uint32)
    for name, column in joined.items():
        assert signed.column(name, rows).tolist() == column[rows].tolist()
    assert signed.shard(rows).tolist() == (joined["seq"][rows] >> ROW_BITS).tolist()
    assert signed.given(rows).tolist() == [int(seq >> ROW_BITS) % 3 for seq in joined["seq"][rows]]
    others = np.array(data.draw(st.lists(st.integers(0, 5 << ROW_BITS), max_size=3)), np.int64)
    seqs = np.concatenate([joined["seq"][np.unique(rows)], np.setdiff1d(others, joined["seq"])])
    assert signed.numbers(np.random.default_rng(0).permutation(seqs)).tolist() == np.unique(rows).tolist()
    band = data.draw(st.integers(0, BANDS - 1))
    keyed = np.concatenate([some[band] for some in keys])
    assert signed.keys_of(band, rows).tolist() == keyed[rows].tolist()
    wanted = np.isin(np.arange(count), rows)
    low, high = sorted(data.draw(st.lists(st.sampled_from([0, 4, 6, 2**31, 2**32 - 1]), min_size=2, max_size=2)))
    room = np.empty(data.draw(st.integers(0, 20)), np.uint64)
    expected = [int(key) << 32 | row for row, key in enumerate(keyed) if wanted[row] and low <= key <= high]
    assert signed.packed(band, low, high, wanted, room).tolist() == expected


def test_a_crowd_is_compared_with_a_given_row_and_with_like_beside_like(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    keys = rng.permutation(BANDS * 40).astype(np.uint32).reshape(BANDS, 40)
    keys[3] = 7  # one key for all of them
    for shard, mine in enumerate((slice(0, 30), slice(30, 40))):
        columns = {name: rng.permutation(40)[mine].astype(kind) for name, kind in SIGNED.items()}
        held = [*(columns[name].tobytes() for name in SIGNED), keys[:, mine].tobytes()]
        (tmp_path / f"{shard:06d}.signed").write_bytes(b"".join(held))
    wanted = np.ones(40, np.bool_)
    wanted[[5, 32]] = False
    with threads(2) as here:
        found, crowded = nominate.nominate(Signed(tmp_path, [0, 1]), wanted, here)
    assert crowded.tolist() == [row for row in range(40) if wanted[row]]
    beside = [row for row in np.argsort(keys[4]).tolist() if wanted[row]]
    expected = {*pairwise(beside), *((30, row) for row in beside if row != 30)}
    assert [*zip(*(ends.tolist() for ends in unpacked(found)), strict=True)] == sorted(
        {(min(pair), max(pair)) for pair in expected}
    )


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 30)), max_size=80))
def test_a_batch_ends_after_a_group_or_where_it_is_much_too_large(made: list[tuple[int, int]]) -> None:
    group = np.sort(np.array([number for number, _ in made], np.uint32))
    size = np.array([size for _, size in made], np.int64)
    expected, start = [], 0
    for place in range(1, len(made) + 1):
        pairs, held = place - start, size[start:place].sum()
        border = place == len(made) or group[place] != group[place - 1]
        if ((pairs >= 7 or held >= 50) and border) or pairs >= 20 or held >= 150 or place == len(made):
            expected.append(place)
            start = place
    with pytest.MonkeyPatch.context() as patch:
        for name, most in (("_BATCH", 7), ("_TEXTS", 50), ("_MOST_PAIRS", 20), ("_MOST_TEXTS", 150)):
            patch.setattr(verify, name, most)
        assert [*verify._ends(group, size)] == expected
