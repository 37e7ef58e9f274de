"""DATASET_CARD.md: a header that the Hub reads, and texts that stay texts."""

import pytest

from phi3data.report.card import escape, render_card
from phi3data.report.profile import Profile


def header(card: str) -> list[str]:
    start, lines, _ = card.split("---\n", 2)
    assert start == ""
    return lines.splitlines()


def test_the_header(rich: Profile, clean: Profile) -> None:
    assert header(render_card(rich)) == [
        "task_categories:",
        "- text-generation",
        "- text-classification",
        "size_categories:",
        "- 10K<n<100K",
        "configs:",
        "- config_name: default",
        "  data_files:",
        "  - split: train",
        "    path: train.jsonl",
        "  - split: validation",
        "    path: validation.jsonl",
        "tags:",
        "- chat",
        "- fine-tuning",
        "- phi3kit",
    ]
    assert "- text-classification" not in header(render_card(clean))
    assert "    path: test.jsonl" in header(render_card(clean))


@pytest.mark.parametrize(
    ("rows", "size"), [(0, "n<1K"), (999, "n<1K"), (1000, "1K<n<10K"), (999_999, "100K<n<1M"), (10**12, "n>1T")]
)
def test_size_categories(clean: Profile, rows: int, size: str) -> None:
    clean.rows_kept = rows
    assert f"- {size}" in header(render_card(clean))


def test_a_set_without_files_has_no_configs(nothing: Profile) -> None:
    card = render_card(nothing)
    assert "configs:" not in card
    assert "## Splits" not in card
    assert "language" not in "".join(header(card))


def test_the_numbers(rich: Profile) -> None:
    card = render_card(rich)
    assert "- Rows kept: 21,480 (87.7%)\n" in card
    assert "| dedup | Exact copy of another row | exact | 1,204 | 4.9% |\n" in card
    assert "| check | Template token inside the text | PH214 | 3 | &lt;0.1% |\n" in card
    assert "| train.jsonl | 19,332 | 90.0% |\n" in card
    assert "| Median row | 288 (estimated) |\n" in card
    assert "| delivery | 5,133 | 2,600 |\n" in card
    assert "seed 42" in card


@pytest.mark.parametrize("estimated", [True, False])
def test_estimated_is_said_only_when_it_is(rich: Profile, estimated: bool) -> None:
    rich.tokens.estimated = estimated
    assert ("estimated" in render_card(rich).lower()) is estimated


def test_no_html_and_no_text_of_rows(rich: Profile) -> None:
    card = render_card(rich)
    assert "<img" not in card.replace("\\<img", "")
    assert "</script" not in card.replace("\\</script", "")
    assert "Where is my parcel?" not in card


def test_tables_keep_their_columns(rich: Profile) -> None:
    rich.labels[0].label = "a|b\nc"
    row = next(line for line in render_card(rich).splitlines() if line.startswith("| a"))
    assert row == "| a\\|b c | 5,133 | 2,600 |"


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("a_b *c* `d`", r"a\_b \*c\* \`d\`"),
        ("[x](http://y)", r"\[x\](http\://y)"),
        ("www.example.com", r"www\.example.com"),
        ("1. one", r"1\. one"),
        ("- item", r"\- item"),
        ("--- \n", r"\---"),
        ("# head", r"\# head"),
        ("&lt;", r"\&lt;"),
        ("back\\slash", r"back\\slash"),
        ("\u202ex", "⟨U+202E⟩x"),
    ],
)
def test_markdown_is_escaped(text: str, escaped: str) -> None:
    assert escape(text) == escaped


def test_the_same_profile_gives_the_same_card(rich: Profile) -> None:
    assert render_card(rich) == render_card(rich)
