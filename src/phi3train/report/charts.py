"""Curves as numbers for the template: positions in thousandths of the plot, ticks in percent.

The plot is an SVG that is stretched to its frame; words stand beside it as HTML, so that they keep their size.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from phi3train.report.story import Story

Points = Sequence[tuple[float, float]]
_MOST = 300  # points of a line: more are not to be told apart on a screen
_COLOURS = 6  # that run.css has
_LEAST = 1e-12  # what differs by less is the same
_SMOOTH = 20  # parts of a run: a mean over one of them is what the eye follows


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One curve. `faint` is what a mean was taken of; `dots` are x, y and the words of single points."""

    name: str
    colour: int  # number of the series, from 0
    faint: bool = False
    points: str = ""
    dots: list[tuple[float, float, str]] = []


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """A chart with its ticks (place in percent, words) and a sentence for those who cannot see it."""

    title: str
    unit: str
    along: str
    lines: list[Line]
    x_ticks: list[tuple[float, str]]
    y_ticks: list[tuple[float, str]]
    spoken: str


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """A curve before it is drawn. `marked` are the points to be shown as dots, with their words."""

    name: str
    colour: int
    points: Points
    faint: bool = False
    marked: Sequence[tuple[float, float, str]] = ()


def chart(title: str, unit: str, series: Sequence[Series], *, along: str = "step", zero: bool = False) -> Chart | None:
    """Return a chart, None where no series has a point. `zero`: the axis starts there."""
    shown = [each for each in series if each.points or each.marked]
    every = [point for each in shown for point in [*each.points, *((x, y) for x, y, _ in each.marked)]]
    if not every:
        return None
    x_low, x_high = _range([x for x, _ in every])
    x_ticks = [tick for tick in _ticks(x_low, x_high) if x_low <= tick <= x_high]
    y_ticks = _ticks(0.0 if zero else min(y for _, y in every), max(y for _, y in every))
    low, high = y_ticks[0], y_ticks[-1]

    def place(x: float, y: float) -> tuple[float, float]:
        return round(1000 * (x - x_low) / (x_high - x_low), 1), round(1000 * (high - y) / (high - low), 1)

    lines = [
        Line(
            name=each.name,
            colour=each.colour,
            faint=each.faint,
            points=" ".join("{:g},{:g}".format(*place(x, y)) for x, y in thinned(each.points)),
            dots=[(*place(x, y), said) for x, y, said in each.marked],
        )
        for each in shown
    ]
    ends = [each for each in shown if each.points and not each.faint] or shown
    return Chart(
        title=title,
        unit=unit,
        along=along,
        lines=lines,
        x_ticks=[(round(100 * (tick - x_low) / (x_high - x_low), 2), number(tick)) for tick in x_ticks],
        y_ticks=[(round(100 * (high - tick) / (high - low), 2), number(tick)) for tick in y_ticks],
        spoken=f"{title}: " + "; ".join(_spoken(each) for each in ends),
    )


def curves(story: Story) -> list[Chart]:
    """Return the curves of a run: loss and evaluations first, then what the optimiser did."""
    steps = story.steps
    losses = [(each.step, each.loss) for each in steps if each.loss is not None]
    spikes = [
        (each.step, each.loss, f"step {each.step:,}: spike to {each.loss:.4f}")
        for each in steps
        if each.spike is not None and each.loss is not None
    ]
    evaluated = [(each.step, each.eval_loss) for each in story.evaluations if each.eval_loss is not None]
    told = [(step, loss, f"step {step:,}: evaluation {loss:.4f}") for step, loss in evaluated]
    unit = "nats a row" if story.config.method.kind == "classify" else "nats a token"
    loss = [
        Series(name="each step", colour=0, points=losses, faint=True),
        Series(name="training, mean", colour=0, points=smooth(losses)),
        Series(name="evaluation", colour=1, points=evaluated, marked=told),
        Series(name="spike", colour=2, points=[], marked=spikes),
    ]
    f1 = [(each.step, each.eval_macro_f1) for each in story.evaluations if each.eval_macro_f1 is not None]
    drawn = [
        chart("Loss", unit, loss),
        chart("Macro-F1", "validation rows", [Series(name="macro-F1", colour=1, points=f1)], zero=True),
        _single("Learning rate", "", [(each.step, each.learning_rate) for each in steps]),
        _single("Gradient norm", "before it is shortened", [(each.step, each.grad_norm) for each in steps]),
        # The first step warms the machine up and says nothing about the others.
        _single("Speed", "tokens/s", [(each.step, each.tokens_per_second) for each in steps[1:]]),
    ]
    return [each for each in drawn if each is not None]


def together(names: Sequence[str], stories: Sequence[Story]) -> list[Chart]:
    """Return the curves of several runs over each other, along the tokens that they were trained on."""
    losses, evaluated, rates = [], [], []
    for place, (name, story) in enumerate(zip(names, stories, strict=True)):
        at = story.tokens_at
        known = [(each.tokens, each.loss) for each in story.steps if each.loss is not None]
        seen = [(at.get(each.step, 0), each.eval_loss) for each in story.evaluations if each.eval_loss is not None]
        speed = [(each.tokens, each.tokens_per_second) for each in story.steps[1:]]
        told = [(x, y, f"{name}: {y:.4f} after {x:,} tokens") for x, y in seen]
        colour = place % _COLOURS
        losses.append(Series(name=name, colour=colour, points=smooth(known)))
        evaluated.append(Series(name=name, colour=colour, points=seen, marked=told))
        rates.append(Series(name=name, colour=colour, points=smooth(speed)))
    drawn = [
        chart("Evaluation", "loss", evaluated, along="tokens"),
        chart("Training loss", "mean", losses, along="tokens"),
        chart("Speed", "tokens/s", rates, along="tokens", zero=True),
    ]
    return [each for each in drawn if each is not None]


def smooth(points: Points) -> Points:
    """Return the mean over a twentieth of the points before each, at least one."""
    width, total = max(1, len(points) // _SMOOTH), 0.0
    out: list[tuple[float, float]] = []
    for index, (x, y) in enumerate(points):
        total += y - (points[index - width][1] if index >= width else 0.0)
        out.append((x, total / min(index + 1, width)))
    return out


def thinned(points: Points) -> Points:
    """Return at most `_MOST` points: of each stretch its lowest and its highest, so that no peak is lost."""
    if len(points) <= _MOST:
        return points
    out: list[tuple[float, float]] = []
    size = 2 * len(points) / _MOST
    for part in range(_MOST // 2):
        stretch = points[math.floor(part * size) : math.floor((part + 1) * size)]
        out += sorted({min(stretch, key=lambda point: point[1]), max(stretch, key=lambda point: point[1])})
    return out


def number(value: float) -> str:
    """Return a number as an axis has it: 1.5k, 2M, 1.5e-05, 0.25."""
    for size, sign in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.4g}{sign}"
    return f"{value:.2g}" if 0 < abs(value) < 1e-3 else f"{value:.4g}"


def _single(title: str, unit: str, points: Sequence[tuple[float, float | None]]) -> Chart | None:
    known = [(x, y) for x, y in points if y is not None]
    return chart(title, unit, [Series(name=title.lower(), colour=0, points=known)], zero=True)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _ticks(low: float, high: float) -> list[float]:
    """Return about four round numbers that hold both ends between them."""
    if high - low <= max(1e-9 * max(abs(low), abs(high)), _LEAST):
        high = low + max(abs(low), 1e3 * _LEAST)
    rough = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * (1 - 1e-9))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [float(f"{index * step:.12g}") for index in range(first, last + 1)]


def _spoken(series: Series) -> str:
    points = list(series.points) or [(x, y) for x, y, _ in series.marked]
    return f"{series.name} from {points[0][1]:.4g} to {points[-1][1]:.4g}"
