"""The baseline counts, reads well, and only shrinks."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data.errors import InputError
from phi3data.settings import Baseline


class Found(NamedTuple):
    code: str
    fingerprint: str
    path: str = "a.jsonl"
    pointer: str = ""
    message: str = ""


findings = st.lists(st.builds(Found, st.sampled_from(["R401", "C501"]), st.sampled_from("abc"), st.sampled_from("xy")))


def test_the_file_has_one_finding_a_line_sorted(tmp_path: Path) -> None:
    path = tmp_path / "new" / "baseline.json"
    Baseline.of([Found("R401", "b"), Found("C501", "z"), Found("R401", "a"), Found("R401", "b")]).save(path)
    assert path.read_text() == (
        '{\n  "version": 1,\n  "findings": [\n'
        '    {"code":"C501","fingerprint":"z","count":1},\n'
        '    {"code":"R401","fingerprint":"a","count":1},\n'
        '    {"code":"R401","fingerprint":"b","count":2}\n'
        "  ]\n}\n"
    )
    Baseline.of([]).save(path)
    assert path.read_text() == '{\n  "version": 1,\n  "findings": []\n}\n'
    assert Baseline.load(path).total == 0


@given(findings, st.randoms())
def test_what_is_saved_is_loaded_whatever_the_order(found: list[Found], random: object) -> None:
    import tempfile
    from random import Random

    assert isinstance(random, Random)
    with tempfile.TemporaryDirectory() as folder:
        one, two = Path(folder) / "one.json", Path(folder) / "two.json"
        Baseline.of(found).save(one)
        random.shuffle(found)
        Baseline.of(found).save(two)
        assert one.read_bytes() == two.read_bytes()
        assert Baseline.load(one) == Baseline.of(found)


@given(findings, findings)
def test_only_what_is_new_passes(old: list[Found], now: list[Found]) -> None:
    new = list(Baseline.of(old).filter(now))
    for key in {(found.code, found.fingerprint) for found in now}:
        before, after = (sum((found.code, found.fingerprint) == key for found in some) for some in (old, now))
        assert sum((found.code, found.fingerprint) == key for found in new) == max(0, after - before)
    assert list(Baseline.of(now).filter(now)) == []
    assert list(Baseline.of([]).filter(now)) == now


@given(findings, findings)
def test_pruning_never_grows_and_changes_no_verdict(old: list[Found], now: list[Found]) -> None:
    before = Baseline.of(old)
    pruned = before.prune(now)
    assert all(0 < count <= before.counts[key] for key, count in pruned.counts.items())
    assert list(pruned.filter(now)) == list(before.filter(now))
    assert pruned.prune(now) == pruned
    assert before.prune(old) == before


def test_a_further_copy_of_a_known_finding_is_new() -> None:
    known = Found("R401", "a")
    copy = Found("R401", "a", path="copy.jsonl")
    assert list(Baseline.of([known]).filter([known, copy])) == [copy]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "no baseline: Input data was truncated; phi3data baseline write --overwrite makes it anew"),
        ("<<<<<<< HEAD\n{}", "no baseline: JSON is malformed: invalid character (byte 0); "),
        ("[]", "no baseline: Expected object, got array; "),
        ("{}", "no baseline: Object missing required field version; "),
        ('{"version":1,"findings":[{"code":"R401"}]}', "no baseline: Object missing required field fingerprint - at "),
        ('{"version":1,"findings":[],"more":1}', "no baseline: Object contains unknown field more; "),
        ('{"version":0,"findings":[]}', "no baseline: Invalid enum value 0 - at $.version; "),
        ('{"version":2}', "a baseline of version 2, made by a later phi3data"),
        (
            '{"version":1,"findings":[{"code":"R401","fingerprint":"a","count":0}]}',
            "no baseline: a fingerprint twice, or a count below 1 (a merge gone wrong?); ",
        ),
        (
            (
                '{"version":1,"findings":[{"code":"R401","fingerprint":"a","count":1},'
                '{"code":"R401","fingerprint":"a","count":1}]}'
            ),
            "no baseline: a fingerprint twice, or a count below 1 (a merge gone wrong?); ",
        ),
    ],
)
def test_a_corrupt_file_is_one_sentence(text: str, expected: str, tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text(text)
    with pytest.raises(InputError) as raised:
        Baseline.load(path)
    assert str(raised.value).startswith(f"{path}: {expected}")


def test_a_missing_file_says_what_makes_it(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no baseline; phi3data baseline write makes it$"):
        Baseline.load(tmp_path / "absent.json")
    with pytest.raises(InputError, match="the baseline cannot be read: Is a directory"):
        Baseline.load(tmp_path)


def test_by_code() -> None:
    found = [Found("R401", "b"), Found("C501", "z"), Found("R401", "a"), Found("R401", "b")]
    assert list(Baseline.of(found).by_code().items()) == [("C501", 1), ("R401", 3)]
