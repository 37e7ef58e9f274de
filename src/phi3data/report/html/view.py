"""What the template draws: positions, shares and groups, computed from the profile.

All positions and widths are percentages of their track, rounded, so that the same profile gives the same bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from phi3data.report.profile import Example, GroupCount, LabelCount, Profile, ReasonCount, TokenProfile

# With less than this share dropped, the axis of the waterfall starts above zero: a loss of 20 rows in 300,000 would be
# a fifteenth of a pixel on a track of 1,000 pixels.
_ZOOM_BELOW = 0.25
# Of a zoomed track, the part that the kept rows take, so that the last bar can be seen.
_KEPT_PART = 0.2
_MOST_LABELS = 20
_MOST_TURNS = 12
_TICKS = 4


def percent(part: float, whole: float) -> float:
    """Return `part` of `whole` in percent within 0–100, rounded to a thousandth; 0 when there is no whole."""
    return round(min(max(100 * part / whole, 0.0), 100.0), 3) if whole else 0.0


def share(part: float, whole: float) -> str:
    """Return `part` of `whole` for people: never "0%" for something, never "100%" for less than all."""
    if not whole:
        return "–"
    value = 100 * part / whole
    if 0 < value < 0.05:
        return "<0.1%"
    if 99.95 <= value < 100:
        return ">99.9%"
    return f"{value:.0f}%" if value in (0, 100) else f"{value:.1f}%"


def size(count: int) -> str:
    """Return a number of bytes in decimal units."""
    if count < 1000:
        return f"{count} B"
    value, units = count / 1000, ["kB", "MB", "GB", "TB"]
    while value >= 999.95 and len(units) > 1:
        value /= 1000
        del units[0]
    return f"{value:.1f} {units[0]}"


@dataclass(frozen=True)
class Slice:
    """What one reason takes away: `width` percent of the track, behind the `rest` percent of the `left` rows."""

    reason: str
    title: str
    rows: int
    left: int
    rest: float
    width: float
    anchor: str

    @property
    def right(self) -> float:
        """The end of the slice, in percent from the right: the side from which it is drawn, however thin it is."""
        return round(max(100 - self.rest - self.width, 0.0), 3)


@dataclass(frozen=True)
class Step:
    """The slices of one step of the pipeline."""

    name: str
    rows: int
    slices: list[Slice]


@dataclass(frozen=True)
class Waterfall:
    """From rows in to rows kept. The track begins at `start` rows; `kept` is the last bar in percent."""

    start: int
    kept: float
    steps: list[Step]


def _round_down(value: float, step: float) -> int:
    """Round down to a figure that is easy to read and lies within a tenth of `step`, about."""
    if value <= 0:
        return 0
    unit = 1
    while unit * 10 <= step:
        unit *= 10
    return int(value // unit) * unit


def waterfall(profile: Profile) -> Waterfall:
    """Place every reason of `profile.dropped`, in the order of the pipeline."""
    start = 0
    if 0 < profile.rows_dropped < _ZOOM_BELOW * profile.rows_in:
        room = profile.rows_dropped / (1 - _KEPT_PART) - profile.rows_dropped
        start = _round_down(profile.rows_kept - room, room)
    whole = profile.rows_in - start
    left = profile.rows_in
    anchors = {(group.step, group.reason): group.anchor for group in example_groups(profile, "dropped")}
    steps: dict[str, list[Slice]] = {}
    for reason in profile.dropped:
        left = max(left - reason.rows, 0)
        steps.setdefault(reason.step, []).append(
            Slice(
                reason=reason.reason,
                title=reason.title,
                rows=reason.rows,
                left=left,
                rest=percent(left - start, whole),
                width=percent(reason.rows, whole),
                anchor=anchors.get((reason.step, reason.reason), ""),
            )
        )
    return Waterfall(
        start=start,
        kept=percent(profile.rows_kept - start, whole),
        steps=[Step(name, sum(one.rows for one in slices), slices) for name, slices in steps.items()],
    )


@dataclass(frozen=True)
class Bar:
    """One bar of a simple chart; `width` is percent of the longest."""

    title: str
    rows: int
    width: float
    reason: str = ""
    anchor: str = ""


def changes(profile: Profile) -> dict[str, list[Bar]]:
    """Return the reasons of changed rows by step, in the order of the pipeline."""
    most = max((reason.rows for reason in profile.changed), default=0)
    anchors = {(group.step, group.reason): group.anchor for group in example_groups(profile, "changed")}
    steps: dict[str, list[Bar]] = {}
    for one in profile.changed:
        bar = Bar(one.title, one.rows, percent(one.rows, most), one.reason, anchors.get((one.step, one.reason), ""))
        steps.setdefault(one.step, []).append(bar)
    return steps


def bars(counts: Iterable[tuple[str, int]]) -> list[Bar]:
    """Return one bar for each name and its count."""
    named = list(counts)
    most = max((rows for _, rows in named), default=0)
    return [Bar(name, rows, percent(rows, most)) for name, rows in named]


def turns(profile: Profile) -> list[Bar]:
    """Return the kept rows per number of messages, shortest first; the longest ones are added up in the last bar."""
    counts = sorted(profile.turns.items())
    if len(counts) > _MOST_TURNS:
        head, tail = counts[: _MOST_TURNS - 1], counts[_MOST_TURNS - 1 :]
        named = [(f"{length:,}", rows) for length, rows in head]
        named.append((f"{tail[0][0]:,}–{tail[-1][0]:,}", sum(rows for _, rows in tail)))
    else:
        named = [(f"{length:,}", rows) for length, rows in counts]
    return bars(named)


@dataclass(frozen=True)
class Labels:
    """The most frequent labels, and how many there are besides. `most` is the largest count, the whole of every bar."""

    shown: list[LabelCount]
    more: int
    more_before: int
    more_after: int
    most: int
    before: int
    after: int
    files: list[str]


def labels(profile: Profile) -> Labels:
    """Cap the labels; `files` names those of train, validation and test that have any row."""
    every = profile.labels
    shown, hidden = every[:_MOST_LABELS], every[_MOST_LABELS:]
    used = {"train": any(one.train for one in every), "validation": any(one.validation for one in every)}
    used["test"] = any(one.test for one in every)
    return Labels(
        shown=shown,
        more=len(hidden),
        more_before=sum(one.before for one in hidden),
        more_after=sum(one.after for one in hidden),
        most=max((max(one.before, one.after) for one in shown), default=0),
        before=sum(one.before for one in every),
        after=sum(one.after for one in every),
        files=[name for name, any_row in used.items() if any_row],
    )


@dataclass(frozen=True)
class Groups:
    """The largest of the groups that were balanced, how many there are besides, and the whole of every bar."""

    shown: list[GroupCount]
    more: int
    most: int


def groups(profile: Profile) -> Groups:
    """Cap the groups that were balanced; no groups where none were."""
    every = profile.balance.groups if profile.balance else []
    shown = every[:_MOST_LABELS]
    more = len(every) - len(shown) + (profile.balance.more if profile.balance else 0)
    return Groups(shown, more, max((max(one.before, one.after) for one in shown), default=0))


@dataclass(frozen=True)
class Bin:
    """One bar of the histogram; from `over` percent of its width on it is above the limit."""

    name: str
    rows: int
    height: float
    over: float


@dataclass(frozen=True)
class Chart:
    """The histogram of tokens. `limit` is its place in percent, or None when it lies beyond the last edge."""

    bins: list[Bin]
    most: int
    limit: float | None
    ticks: list[tuple[float, int]]


def token_chart(tokens: TokenProfile) -> Chart:
    """Lay out the bins side by side in equal widths, whatever their edges are."""
    edges, rows = tokens.histogram.edges, tokens.histogram.rows
    most = max(rows, default=0)
    count = len(rows)
    bins: list[Bin] = []
    limit: float | None = None
    for index, (low, high) in enumerate(pairwise(edges)):
        within = percent(tokens.limit - low, high - low)
        if low <= tokens.limit < high:
            limit = round((100 * index + within) / count, 3)
        name = f"{low:,}–{high - 1:,}" if high - low > 1 else f"{low:,}"
        bins.append(Bin(name, rows[index], percent(rows[index], most), within))
    if edges and tokens.limit == edges[-1]:
        limit = 100.0
    step = max(-(-count // _TICKS), 1)
    places = [place for place in range(0, count, step) if count - place > step / 2] + [count] if count else []
    return Chart(bins, most, limit, [(percent(place, count), edges[place]) for place in places])


@dataclass(frozen=True)
class ExampleGroup:
    """The examples of one reason; `rows` is how many rows the reason has in all, None when nobody counted."""

    anchor: str
    step: str
    reason: str
    title: str
    rows: int | None
    examples: list[Example]


def example_groups(profile: Profile, action: str) -> list[ExampleGroup]:
    """Group the examples of one action ("dropped" or "changed") by reason, in the order of the pipeline."""
    counted: Iterable[ReasonCount] = profile.dropped if action == "dropped" else profile.changed
    totals = {(one.step, one.reason): one for one in counted}
    groups: dict[tuple[str, str], list[Example]] = {key: [] for key in totals}
    for example in profile.examples:
        if example.action == action:
            groups.setdefault((example.step, example.reason), []).append(example)
    return [
        ExampleGroup(
            anchor=f"{action}-{number}",
            step=step,
            reason=reason,
            title=totals[step, reason].title if (step, reason) in totals else examples[0].title,
            rows=totals[step, reason].rows if (step, reason) in totals else None,
            examples=examples,
        )
        for number, ((step, reason), examples) in enumerate(groups.items(), start=1)
        if examples
    ]
