"""What only a whole data set shows; and that its parts, read by several processes, add up to the same."""

import random
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phi3data import targets
from phi3data.chat import Conversation, Message
from phi3data.findings import Finding
from phi3data.rules import balance, dataset
from phi3data.rules.options import DEFAULTS
from phi3data.rules.placed import Placed
from phi3data.rules.schema import check_row

FOUNDRY = targets.target("foundry")
TRL = targets.target("trl")


def said(placed: Any) -> list[tuple[str, int | None, str]]:
    return [(item.finding.code, item.line, item.finding.message) for item in placed]


# ---- S303 ----


def formats(names: str) -> dataset.Formats:
    found = dataset.Formats()
    for line, name in enumerate(names.split(), 1):
        found.add(name, line)
    return found


def test_a_file_of_several_formats() -> None:
    assert said(formats("chat chat chat").findings()) == []
    assert said(formats("chat alpaca chat dolly alpaca chat").findings()) == [
        ("S303", 2, "2 rows look like alpaca, 3 like chat: one file, one format"),
        ("S303", 4, "1 row looks like dolly, 3 like chat: one file, one format"),
    ]
    assert [line for _, line, _ in said(formats("chat alpaca").findings())] == [2], (
        "of equal counts the first is the file's"
    )


# ---- S304 ----


def test_a_key_on_many_rows_is_one_finding_and_a_misspelt_one_is_the_rows_own() -> None:
    keys = dataset.ExtraKeys()
    own: list[Finding] = []
    for line in range(1, 5):
        row: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}], "a/b": 1}
        row |= {"tool": []} if line == 2 else {}
        row |= {"topic": "x"} if line > 2 else {}
        own += [finding for finding in check_row(row, FOUNDRY) if not keys.add(finding, line)]
    assert [finding.pointer for finding in own] == ["/tool"]
    assert said(keys.findings(4)) == [
        ("S304", 1, "unknown key 'a/b': Microsoft Foundry drops the column (every row)"),
        ("S304", 3, "unknown key 'topic': Microsoft Foundry drops the column (2 of 4 rows)"),
    ]
    assert [placed.finding.pointer for placed in keys.findings(4)] == ["/a~1b", "/topic"]


def test_keys_that_are_data_are_not_held() -> None:
    keys = dataset.ExtraKeys()
    taken = sum(keys.add(Finding("S304", "", f"/{number}"), number) for number in range(1000))
    assert taken == 200
    assert not keys.add(Finding("S310", "", "/messages/0/weight"), 1)


# ---- S312 ----


def columns(**values: list[Any]) -> list[tuple[str, int | None, str]]:
    found = dataset.Columns()
    for line in range(max(map(len, values.values()))):
        found.add_row({key: items[line] for key, items in values.items() if line < len(items)}, line + 1)
    return said(found.findings())


@pytest.mark.parametrize(
    ("values", "what"),
    [
        (["007", "12"], "numbers"),
        (["1.5", "-2e3"], "numbers"),
        (["2024", "2025"], "numbers"),
        (["2024-01-31", None, "2024-02-01"], "dates"),
        (["2024-01-31T10:00:00Z", "2024-01-31 10:00"], "dates"),
        (["7"], None),
        (["7", "seven"], None),
        ([7, 8], None),
        (["7", 8], None),
        (["2024-01-31", "31.1.2024"], None),
        (["2024-01-31T10:00:00.5", "2024-01-31T10:00:00.7"], None),
        (["10:30", "11:00"], None),
        (["nan", "inf"], None),
        (["", "1"], None),
        (["1_000", "2_000"], None),
        (["true", "false"], None),
    ],
)
def test_texts_that_loaders_take_for_something_else(values: list[Any], what: str | None) -> None:
    found = columns(topic=values)
    assert len(found) == (what is not None)
    if what:
        assert f"look like {what}" in found[0][2]


def test_loaders_do_what_the_rule_says() -> None:
    pa_json = pytest.importorskip("pyarrow.json")
    pd = pytest.importorskip("pandas")
    import io

    def types(values: list[str]) -> tuple[str, str]:
        lines = b"".join(msgspec.json.encode({"a": value}) + b"\n" for value in values)
        frame = pd.read_json(io.BytesIO(lines), lines=True)
        return str(pa_json.read_json(io.BytesIO(lines)).schema.field("a").type), frame["a"].dtype.kind

    for values in (["2024-01-31", "2024-02-01"], ["2024-01-31T10:00:00Z"], ["2024-01-31 10:00"]):
        assert types(values)[0].startswith("timestamp")
    for values in (["007", "12"], ["1.5", "-2e3"]):
        assert types(values)[0] == "string"
        assert types(values)[1] in "if"
    for values in (["2024-01-31T10:00:00.5", "x"], ["10:30"], ["7", "seven"]):
        assert types(values)[0] == "string"
        assert types(values)[1] not in "if"


def test_texts_of_messages_are_dates_or_nothing() -> None:
    def looked_at(*texts: str) -> list[tuple[str, int | None, str]]:
        found = dataset.Columns()
        for line, text in enumerate(texts, 1):
            found.add_turns(Conversation([Message("user", text), Message("assistant", text)]), line)
        return said(found.findings())

    assert looked_at("2024-01-01", "2024-01-02")[0][:2] == ("S312", 1)
    assert looked_at("7", "8") == []
    assert looked_at("2024-01-01", "Hi", "2024-01-01") == []


# ---- S313 ----


def partial(target: targets.TargetProfile, *rows: str) -> list[tuple[str, int | None, str]]:
    found = dataset.PartialKeys(target)
    for line, keys in enumerate(rows, 1):
        found.add(frozenset(keys.split()), line)
    return said(found.findings())


def test_a_key_that_only_some_rows_have_loses_the_others_where_the_target_drops_them() -> None:
    rows = ("messages tools", "messages", "messages tools topic", "messages")
    assert partial(FOUNDRY, *rows) == [
        ("S313", 2, "'tools' is on 2 of 4 rows: Microsoft Foundry drops the other 2 rows in silence")
    ]
    assert partial(TRL, *rows) == []
    assert partial(FOUNDRY, "messages tools", "messages tools") == []
    assert partial(FOUNDRY, "messages", "messages") == []
    assert partial(FOUNDRY, "messages", "tools")[0][1] == 1


def test_rows_may_be_counted_together_and_late() -> None:
    found = dataset.PartialKeys(FOUNDRY)
    found.add(["tools"], 3)
    found.add([], 1, rows=4)
    assert said(found.findings()) == [
        ("S313", 1, "'tools' is on 1 of 5 rows: Microsoft Foundry drops the other 4 rows in silence")
    ]
    several = formats("alpaca")
    several.add("chat", 2, rows=7)
    assert said(several.findings()) == [("S303", 1, "1 row looks like alpaca, 7 like chat: one file, one format")]


# ---- R410 ----


def prompts(*texts: tuple[str, int]) -> list[tuple[str, int | None, str]]:
    found = balance.SystemPrompts()
    line = 0
    for text, count in texts:
        for _ in range(count):
            line += 1
            found.add(text, line)
    return said(found.findings(DEFAULTS.R410.characters))


COMMON = "You help customers of Kaldermoor with coffee machines."


@pytest.mark.parametrize(
    "rare", [COMMON[:-1], COMMON + " ", COMMON.upper(), COMMON.replace("help", "hepl"), COMMON.replace(" ", "  ")]
)
def test_a_rare_prompt_that_is_almost_a_common_one(rare: str) -> None:
    ((code, line, _),) = prompts((COMMON, 20), (rare, 2))
    assert (code, line) == ("R410", 21)


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        ([(COMMON, 20)], "alone"),
        ([(COMMON, 20), (COMMON[:-1], 19)], "neither is rare"),
        ([(COMMON, 20), ("You write poems.", 1)], "another"),
        ([(COMMON, 20), (COMMON.replace("customers", "children"), 1)], "another word"),
        ([("Today is day 12 of the week.", 20), ("Today is day 13 of the week.", 1)], "a number"),
        ([("A", 20), ("B", 1)], "short"),
    ],
)
def test_prompts_that_are_meant_to_differ(texts: list[tuple[str, int]], why: str) -> None:
    assert prompts(*texts) == [], why


def test_prompts_written_for_their_rows_are_not_compared() -> None:
    assert prompts((COMMON, 20), (COMMON[:-1], 1), *((f"{number}", 1) for number in range(100))) == []
    assert prompts((COMMON, 20), (COMMON[:-1], 1))[0][2] == (
        "1 row with a system prompt that on 20 reads '.' for '', after 'omers of Kaldermoor with coffee machines'"
    )


# ---- D801, D806, D807, D808 ----


def test_few_rows() -> None:
    counts = (9, 10, 49, 50, 99, 100)
    found = {
        rows: [(item.severity, item.finding.message) for item in balance.too_few(rows, FOUNDRY)] for rows in counts
    }
    assert found == {
        9: [("error", "9 rows: Microsoft Foundry needs at least 10")],
        10: [("warning", "10 rows: 50 and more are advised")],
        49: [("warning", "49 rows: 50 and more are advised")],
        50: [("info", "50 rows: under 100 an effect may be hard to see")],
        99: [("info", "99 rows: under 100 an effect may be hard to see")],
        100: [],
    }


def categories(
    values: Sequence[str | None], target: targets.TargetProfile = FOUNDRY
) -> list[tuple[str, int | None, str]]:
    found = balance.Categories("label")
    for value in values:
        found.add(value)
    return said(found.findings(target, DEFAULTS.D806.ratio, DEFAULTS.D807.times))


def shuffled(values: list[Any]) -> list[Any]:
    return random.Random(1).sample(values, len(values))


def test_one_value_that_outweighs_another() -> None:
    assert categories(shuffled(["a"] * 60 + ["b"] * 30 + [None] * 6)) == [
        ("D806", None, "label: 'a' on 60 of 96 rows, no label on 6")
    ]
    assert categories(shuffled(["a"] * 50 + ["b"] * 40)) == []
    assert categories(["a"] * 30 + ["b"]) == [], "too few rows"
    assert categories(["a"] * 90) == []
    assert categories([f"{number}" for number in range(90)]) == [], "no category"
    assert categories([f"{number % 2000}" for number in range(20_000)]) == []


def test_values_that_are_guessed_count_from_a_hundredth_of_the_rows() -> None:
    found = balance.Categories("language", 0.01)
    for value in ["English"] * 192 + ["Dutch"] + ["German"] * 8:
        found.add(value)
    assert said(found.findings(TRL, 10, 5)) == [("D806", None, "language: 'English' on 192 of 201 rows, 'German' on 8")]


def test_rows_that_are_sorted_where_the_target_splits_in_order() -> None:
    blocks = ["a"] * 40 + ["b"] * 40 + ["a"] * 20
    problem = "3 blocks of rows by label, 49 if they were shuffled: Microsoft Foundry takes the end for validation"
    assert categories(blocks) == [("D807", None, problem)]
    assert categories(blocks, TRL) == []
    assert categories(shuffled(blocks)) == []


def test_a_prompt_on_many_rows() -> None:
    found = balance.Prompts()
    for text in shuffled(["What now?"] * 120 + [f"Question {number}" for number in range(880)]):
        found.add(text)
    ((code, _, message),) = said(found.findings(DEFAULTS.D808.share))
    assert code == "D808"
    assert message.startswith("the prompt 'What now?' is on 1")
    assert len(found._values) <= balance.Prompts.COUNTERS


def test_a_prompt_that_comes_late_is_seen_too() -> None:
    found = balance.Prompts()
    for text in [*(f"Question {number}" for number in range(800)), *["What now?"] * 200]:
        found.add(text)
    assert [message[:24] for _, _, message in said(found.findings(DEFAULTS.D808.share))] == ["the prompt 'What now?' i"]


def test_no_prompt_is_dominant_where_all_differ() -> None:
    found = balance.Prompts()
    for number in range(5000):
        found.add(f"{number}")
    assert said(found.findings(DEFAULTS.D808.share)) == []


# ---- parts add up ----

MAKERS: dict[str, tuple[Callable[[], Any], Callable[[Any, str, int], Any], Callable[[Any], Any]]] = {
    "formats": (dataset.Formats, lambda a, value, line: a.add(value, line), lambda a: a.findings()),
    "extra keys": (
        dataset.ExtraKeys,
        lambda a, value, line: a.add(Finding("S304", value, f"/{value}"), line),
        lambda a: a.findings(10),
    ),
    "columns": (dataset.Columns, lambda a, value, line: a.add_row({value: "7"}, line), lambda a: a.findings()),
    "partial keys": (
        lambda: dataset.PartialKeys(FOUNDRY),
        lambda a, value, line: a.add(["tools"] if value < "c" else [], line),
        lambda a: a.findings(),
    ),
    "categories": (
        lambda: balance.Categories("label"),
        lambda a, value, line: [a.add(value) for _ in range(30)],
        lambda a: a.findings(FOUNDRY, 10, 5),
    ),
    "prompts": (
        balance.Prompts,
        lambda a, value, line: [a.add(value) for _ in range(30)],
        lambda a: a.findings(0.1),
    ),
    "system prompts": (
        balance.SystemPrompts,
        lambda a, value, line: [a.add(COMMON + value * (value > "c"), line) for _ in range(1 + 11 * (value < "c"))],
        lambda a: a.findings(3),
    ),
}


@pytest.mark.parametrize("name", MAKERS)
@given(values=st.lists(st.sampled_from("aabcde"), max_size=12), cut=st.integers(0, 12))
def test_parts_of_a_file_add_up(name: str, values: list[str], cut: int) -> None:
    make, add, findings = MAKERS[name]
    whole, first, second = make(), make(), make()
    for line, value in enumerate(values, 1):
        add(whole, value, line)
        add(first if line <= cut else second, value, line)
    first.merge(second)
    one: list[Placed] = list(findings(whole))
    assert list(findings(first)) == one
