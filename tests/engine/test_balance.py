"""Balance end to end: training rows only, every copy in the ledger, the same choice whatever the order of the rows."""

from __future__ import annotations

import json
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

import click
import pytest
from tests.conftest import chat
from tests.engine.test_prepare import digests

import phi3data
from phi3data.cli import group, run
from phi3data.errors import UsageError
from phi3data.report.terminal import summary

if TYPE_CHECKING:
    from pathlib import Path

WORDS = [first + last for first in ("bal", "dor", "kim", "lun") for last in ("ta", "ven", "mos", "ri", "kel")][:19]
SETTINGS = {"balance": {"cap": 30, "floor": 20}}


def made(count: int, seed: int = 0) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    labels = ["billing"] * 12 + ["returns"] * 4 + ["warranty"]
    return [
        chat(*(" ".join(rng.choices(WORDS, k=size)) for size in (8, 16)), label=rng.choice(labels))
        for _ in range(count)
    ]


def said(rows: Any) -> Counter[str]:
    return Counter(json.dumps(row["messages"]) for row in rows)


@pytest.fixture(scope="module")
def rows() -> list[dict[str, Any]]:
    return made(150)


@pytest.fixture(scope="module")
def balanced(rows: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory) -> phi3data.Prepared:
    path = tmp_path_factory.mktemp("balanced") / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return phi3data.prepare(path, SETTINGS, path.parent / "out")


def test_train_is_balanced_and_nothing_else(balanced: phi3data.Prepared, rows: list[dict[str, Any]]) -> None:
    plain = phi3data.prepare(rows)
    before, after = said(plain.train), said(balanced.train)
    assert said(balanced.validation) == said(plain.validation)
    assert not set(after) - set(before)
    told = balanced.profile.balance
    assert told is not None
    assert (told.by, told.more) == ("label", 0)
    label = {json.dumps(row["messages"]): row["label"] for row in rows}
    for one in told.groups:
        assert one.before == sum(label[key] == one.group for key in before)
        mine = {key: times for key, times in after.items() if label[key] == one.group}
        assert one.after == sum(mine.values())
        assert one.added == sum(times - 1 for times in mine.values())
        assert max(mine.values()) - min(mine.values()) <= 1
    assert [(one.group, one.after) for one in told.groups] == [("billing", 30), ("returns", 24), ("warranty", 20)]
    assert told.groups[2].added == 20 - told.groups[2].before
    assert told.effective_before < 2.2
    assert told.effective_after > 2.9
    assert told.entropy_after == pytest.approx(1.5651, abs=1e-4)


def test_every_line_of_train_is_in_the_ledger_and_the_counts_add_up(
    balanced: phi3data.Prepared, rows: list[dict[str, Any]]
) -> None:
    ledger, counts, profile = balanced.ledger.to_pylist(), balanced.manifest["counts"], balanced.profile
    assert len({line["row_id"] for line in ledger}) == len(ledger) == len(rows) + counts["added"]
    actions = Counter(line["action"] for line in ledger)
    assert actions == {"kept": counts["kept"], "dropped": counts["dropped"], "added": counts["added"]}
    assert counts["in"] == len(rows) == counts["kept"] + counts["dropped"]
    assert sum(counts["outputs"].values()) == counts["kept"] + counts["added"]
    assert counts["outputs"] == {"train.jsonl": 74, "validation.jsonl": len(balanced.validation)}
    assert counts["added"] > 0
    train = list(balanced.train)
    mine = [line for line in ledger if line["output"] == "train.jsonl"]
    assert [line["output_line"] for line in mine] == list(range(1, len(train) + 1))
    number = {f"1:{place}": row["messages"] for place, row in enumerate(rows, start=1)}
    for line in mine:
        assert train[line["output_line"] - 1]["messages"] == number[line["row_id"].partition("#")[0]]
    copy = next(line for line in ledger if line["action"] == "added")
    warranty = next(one for one in profile.balance.groups if one.group == "warranty") if profile.balance else None
    assert warranty is not None
    assert copy["row_id"].endswith("#1")
    assert (copy["step"], copy["reason"], copy["label"]) == ("balance", "repeated", "warranty")
    assert copy["evidence"] == f'{{"group":"warranty","before":{warranty.before},"after":20}}'
    gone = next(line for line in ledger if line["action"] == "dropped")
    assert (gone["step"], gone["reason"], gone["output"]) == ("balance", "over-quota", None)
    assert json.loads(gone["evidence"])["after"] == 30
    assert len(balanced.dropped) == counts["dropped"]
    tokens = sum(line["tokens"] for line in ledger if line["output"])
    assert counts["tokens"] == tokens == profile.tokens.total
    assert sum(profile.tokens.histogram.rows) == sum(profile.turns.values()) == counts["kept"] + counts["added"]
    assert [(one.label, one.train) for one in profile.labels] == [("billing", 30), ("returns", 24), ("warranty", 20)]
    assert all(one.after == one.train + one.validation for one in profile.labels)


def test_the_report_shows_the_groups_before_and_after(balanced: phi3data.Prepared) -> None:
    profile = balanced.profile
    assert profile.balance is not None
    billing, _, warranty = profile.balance.groups
    shown = click.unstyle(summary(profile, "out")).splitlines()
    assert f"added    {warranty.added:>8}  copies of kept rows, in train.jsonl" in shown
    assert f"         billing       {billing.before:>9}         30" in shown
    assert f"         warranty      {warranty.before:>9}         20  {warranty.added} of them copies" in shown
    assert max(map(len, shown)) <= 100
    page, text = (profile_text(balanced, name) for name in ("report.html", "DATASET_CARD.md"))
    even = f"{profile.balance.effective_before:.1f} before, 3.0 after"
    assert f"Effective number of groups: {even}" in page
    assert f"| warranty | {warranty.before} | 20 | {warranty.added} |" in text
    detail = f"its group, billing, has {billing.before} rows, of which 30 are kept"
    assert detail in {example.detail for example in profile.examples}
    assert not [warning for warning in profile.warnings if "dropped" in warning], "rows that were to go are no warning"


def profile_text(prepared: phi3data.Prepared, name: str) -> str:
    return (prepared.folder / name).read_text("utf-8")


def test_the_choice_does_not_depend_on_the_order_of_the_rows(
    balanced: phi3data.Prepared, rows: list[dict[str, Any]], tmp_path: Path
) -> None:
    turned = rows[::-1]
    random.Random(3).shuffle(turned)
    again = phi3data.prepare(turned, SETTINGS)
    assert said(again.train) == said(balanced.train)
    source = balanced.folder.parent / "rows.jsonl"
    cut = phi3data.prepare(source, SETTINGS, tmp_path / "cut", shard_bytes=9000)
    assert digests(cut.folder) == digests(balanced.folder)


def test_groups_by_what_a_row_is(tmp_path: Path) -> None:
    long = "Das ist eine lange Antwort, und sie ist nicht auf Englisch, sondern auf Deutsch, damit man es merkt."
    english = "This is the other answer that one can give to it, and it is not as long as the first one was."
    kinds = [("You are brief.", long, "north"), ("You are kind.", english, "south"), (None, english, None)]
    files = []
    for name, first in (("a.jsonl", 0), ("b.jsonl", 12)):
        path = tmp_path / name
        with path.open("w") as file:
            for number in range(first, first + 12):
                system, answer, region = kinds[(number % 6 > 2) + (number % 6 > 4)]
                row = chat(f"question number {number} of {WORDS[number % 19]}?", f"{answer} It is {number}.")
                if system:
                    row["messages"].insert(0, {"role": "system", "content": system})
                file.write(json.dumps({**row, "region": region}) + "\n")
        files.append(path)

    def groups(by: str) -> dict[str, int]:
        told = phi3data.balance(files, {"balance": {"by": by, "cap": 5}}).profile.balance
        assert told is not None
        assert all(one.after == min(one.before, 5) for one in told.groups)
        return {one.group: one.before for one in told.groups}

    assert groups("column:region") == {"north": 12, "south": 8, "(none)": 4}
    assert groups("system") == {"You are brief.": 12, "You are kind.": 8, "(none)": 4}
    with pytest.raises(UsageError) as caught:
        groups("column:regoin")
    assert str(caught.value) == "balance.by: no row has a value in the column 'regoin'; did you mean 'region'?"


def test_rows_that_differ_come_before_more_of_the_same() -> None:
    told = random.Random(7).choices(WORDS, k=100)
    template = [chat(" ".join([*told[:50], f"slot{n}", *told[50:]]), f"It is number {n}.") for n in range(40)]
    others = made(6, seed=5)
    rows = [{"messages": row["messages"], "label": "one"} for row in [*template, *others]]

    def kept(*, spread: bool) -> int:
        train = phi3data.balance(rows, {"balance": {"cap": 8, "spread": spread}}).train
        assert len(train) == 8
        return sum(row["messages"] in [other["messages"] for other in others] for row in train)

    assert kept(spread=True) >= 5
    assert kept(spread=False) <= 3


def test_the_command(rows: list[dict[str, Any]], tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert (
        run(group, ["balance", str(path), "-j", "1", "-o", str(out), "--share", "warranty=0.2", "--rows", "100"]) == 0
    )
    label = {json.dumps(row["messages"]): row["label"] for row in rows}
    found = Counter(label[json.dumps(json.loads(line)["messages"])] for line in out.read_text().splitlines())
    assert (found.total(), found["warranty"]) == (100, 20)
    assert "effective number of groups: " in capfd.readouterr().err
    mistakes = {
        (): "balance: give --cap, --floor, --rows, --share or --temperature: how many rows a group is to have",
        ("--share", "warranty"): "--share warranty: expected GROUP=SHARE, for example --share billing=0.4",
        ("--share", "waranty=0.2"): "balance.shares: no row has the label 'waranty'; did you mean 'warranty'?",
    }
    for options, message in mistakes.items():
        assert run(group, ["balance", str(path), "-j", "1", "-o", str(tmp_path / "no.jsonl"), *options]) == 2
        assert capfd.readouterr().err.splitlines()[-1] == f"error: {message}"
    with pytest.raises(UsageError, match=r"balance\.by: nothing says how many rows a group is to have"):
        phi3data.prepare(path, {"balance": {"by": "source"}})
    with pytest.raises(UsageError, match=r"balance\.by: nothing says how many rows a group is to have"):
        phi3data.balance(path)
