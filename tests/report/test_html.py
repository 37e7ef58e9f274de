"""report.html: safe, complete, right, and the same every time."""

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from itertools import pairwise

import msgspec
import pytest

from phi3data.report.html import render
from phi3data.report.html.view import share, size, token_chart, turns, waterfall
from phi3data.report.profile import Histogram, Profile, SourceProfile

VOID = {"meta", "link", "circle", "path", "br", "img"}


@dataclass
class Page(HTMLParser):
    """The elements and the visible text of a page."""

    html: str
    elements: list[tuple[str, dict[str, str]]] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.html)
        self.close()
        assert self.stack == [], "every element is closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.stack:
            self.parts.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self.parts))


PROFILES = ["rich", "nothing", "clean", "crumbs"]


@pytest.fixture(params=PROFILES)
def profile(request: pytest.FixtureRequest) -> Profile:
    value = request.getfixturevalue(request.param)
    assert isinstance(value, Profile)
    return value


def test_nothing_runs_and_nothing_is_loaded(profile: Profile) -> None:
    page = Page(render(profile))
    assert not {tag for tag, _ in page.elements} & {"script", "img", "iframe", "object", "embed", "base", "form"}
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        for name in ("src", "href", "action", "srcset", "data"):
            assert attributes.get(name, "#").startswith("#") or (tag, attributes[name]) == ("link", "data:,")
    policy = [a["content"] for tag, a in page.elements if a.get("http-equiv") == "Content-Security-Policy"]
    assert policy == ["default-src 'none'; style-src 'unsafe-inline'; img-src data:"]
    styles = render(profile).split("<style>")[1].split("</style>")[0]
    assert "url(" not in styles
    assert "@import" not in styles


def test_hostile_texts_are_shown_as_they_are(rich: Profile) -> None:
    page = Page(render(rich))
    assert page.text.count("</script><img src=x onerror=alert(1)>") >= 7
    assert "{{ 7*7 }} {% raw %} {# note #} ${7*7} <%= 7*7 %>" in page.text
    assert "<b>agent</b>" in page.text
    assert "\u202e" not in page.html
    assert "\x00" not in page.html


def test_every_message_and_every_reason_is_there(rich: Profile) -> None:
    page = Page(render(rich))
    for reason in [*rich.dropped, *rich.changed]:
        assert f"{reason.title} {reason.reason}" in page.text
        assert f"{reason.rows:,}" in page.text
    for example in rich.examples:
        assert f"{example.source}, line {example.line}" in page.text
        assert example.row_id in page.text
        assert example.detail in page.text
    assert "أين طلبي رقم 4821؟" in page.text
    assert "请问我的订单什么时候可以发货" in page.text
    assert "👨‍👩‍👧" in page.text


def test_a_reason_leads_to_its_examples(rich: Profile) -> None:
    page = Page(render(rich))
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = [attributes["href"][1:] for tag, attributes in page.elements if tag == "a"]
    assert set(links) <= set(ids)
    assert len([link for link in links if re.fullmatch(r"(dropped|changed)-\d+", link)]) == 10


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("estimated", [True, False])
def test_estimated_is_said_where_and_only_where_it_is(
    name: str, estimated: bool, request: pytest.FixtureRequest
) -> None:
    profile = request.getfixturevalue(name)
    profile.tokens.estimated = estimated
    html = render(profile)
    assert ("estimated" in html) is estimated
    if estimated and profile.rows_kept:
        text = Page(html).text
        for figure in ("Tokens", "supervised", "shortest", "median", "90% up to", "99% up to", "longest"):
            assert f"{figure}, estimated" in text
        assert "supervised, estimated" in text
        assert "above it (estimated)" in text


@pytest.mark.parametrize(("name", "words"), [("rich", "Take a look"), ("nothing", "Unusable"), ("clean", "Ready")])
def test_the_verdict_is_said_in_words(name: str, words: str, request: pytest.FixtureRequest) -> None:
    profile = request.getfixturevalue(name)
    html = render(profile)
    assert f"<h1>{words}</h1>" in html
    assert f"<title>{words}: " in html
    assert profile.headline in Page(html).text


def test_the_figures(rich: Profile) -> None:
    text = Page(render(rich)).text
    for figure in (
        "24,505",
        "21,480",
        "2,070",
        "3,025",
        "7,214,332",
        "87.7% of rows in",
        "9.6% of kept",
        "57.0% supervised",
    ):
        assert figure in text
    assert "and 4 more, with 1,100 rows before and 1,100 after." in text
    assert "topic 15" in text
    assert "topic 16" not in text
    assert "2 rows are above it" in text
    assert "limit 4,096" in text
    assert '<code title="9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08">9f86d081884c…' in render(
        rich
    )


def test_the_empty_set_says_so(nothing: Profile) -> None:
    text = Page(render(nothing)).text
    assert "No rows were kept, so there is nothing to count." in text
    assert "No file was written." in text
    assert "Labels" not in text


def test_a_profile_of_no_rows_at_all(nothing: Profile) -> None:
    nothing.rows_in = nothing.rows_dropped = 0
    nothing.dropped, nothing.sources = [], []
    assert "Nothing: all 0 rows were kept." in Page(render(nothing)).text


def test_changes_are_marked(rich: Profile) -> None:
    html = render(rich)
    assert "<del>Ã©</del><ins>é</ins>" in html
    assert "<del>&lt;/script&gt;" in html
    assert re.search(r'password\?<del>(<span class="ch sign" title="U\+0020 space">␠</span>){3}</del>', html)
    assert "U+200B × 40" in html


def test_the_same_profile_gives_the_same_bytes(profile: Profile) -> None:
    again = msgspec.json.decode(msgspec.json.encode(profile), type=Profile)
    assert render(again).encode() == render(profile).encode()


def test_headings_are_in_order(profile: Profile) -> None:
    levels = [int(tag[1]) for tag, _ in Page(render(profile)).elements if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(deeper - level <= 1 for level, deeper in pairwise(levels))


def test_bars_have_names_and_tables_have_headers(rich: Profile) -> None:
    page = Page(render(rich))
    assert all(attributes.get("aria-label") for _, attributes in page.elements if attributes.get("role") == "img")
    assert all("scope" in attributes for tag, attributes in page.elements if tag == "th")


def test_many_sources_are_folded(rich: Profile) -> None:
    one = rich.sources[0]
    rich.sources = [SourceProfile(**{**msgspec.structs.asdict(one), "path": f"part-{n:03}.csv"}) for n in range(30)]
    text = Page(render(rich)).text
    assert "and 10 more" in text
    assert "part-029.csv" in text


def test_a_path_that_is_not_unicode_can_be_written(clean: Profile) -> None:
    clean.sources[0].path = "caf\udce9.jsonl"
    assert "caf⟨U+DCE9⟩.jsonl" in render(clean).encode("utf-8").decode()


def test_the_waterfall_ends_at_the_kept_rows(rich: Profile) -> None:
    fall = waterfall(rich)
    slices = [one for step in fall.steps for one in step.slices]
    assert [step.name for step in fall.steps] == ["read", "missing", "check", "dedup", "decontaminate", "balance"]
    assert slices[-1].left == rich.rows_kept
    assert fall.kept == slices[-1].rest
    assert all(abs(one.rest + one.width - before.rest) < 0.01 for before, one in pairwise(slices))


def test_small_losses_can_be_seen(crumbs: Profile) -> None:
    fall = waterfall(crumbs)
    assert fall.start == 299_975
    assert {one.width for step in fall.steps for one in step.slices} == {4.0}
    assert "Bars start at 299,975 rows" in Page(render(crumbs)).text


def test_large_losses_start_at_zero(nothing: Profile) -> None:
    fall = waterfall(nothing)
    assert (fall.start, fall.kept) == (0, 0)
    assert fall.steps[0].slices[0].width == 100


@pytest.mark.parametrize(("limit", "at"), [(100, 25.0), (300, 62.5), (400, 75.0), (800, 100.0), (801, None)])
def test_the_limit_is_placed_within_its_bin(clean: Profile, limit: int, at: float | None) -> None:
    clean.tokens.histogram = Histogram(edges=[0, 100, 200, 400, 800], rows=[1, 2, 3, 4])
    clean.tokens.limit = limit
    assert token_chart(clean.tokens).limit == at


def test_long_conversations_are_added_up(rich: Profile) -> None:
    assert [(bar.title, bar.rows) for bar in turns(rich)][-2:] == [("14", 12), ("16–30", 6)]


@pytest.mark.parametrize(
    ("part", "whole", "text"),
    [(0, 0, "–"), (0, 9, "0%"), (9, 9, "100%"), (1, 300_000, "<0.1%"), (299_999, 300_000, ">99.9%"), (1, 3, "33.3%")],
)
def test_shares(part: int, whole: int, text: str) -> None:
    assert share(part, whole) == text


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_960, "1.0 MB"), (5 * 10**15, "5000.0 TB")]
)
def test_sizes(count: int, text: str) -> None:
    assert size(count) == text
