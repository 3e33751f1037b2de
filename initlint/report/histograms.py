"""Small charts of what parameters hold: a histogram of the values, and the laws that they follow and should follow.

A model may have ten thousand of them, and matplotlib takes 30 ms for one: these are drawn by hand, two paths and a
title each.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from initlint.printable import printable
from initlint.report.table import middle

if TYPE_CHECKING:
    from markupsafe import Markup

    from initlint.result import Curve, LayerRow, Values

__all__ = ["Spread", "of_rows"]

_WIDTH, _HEIGHT, _ROOM = 240, 80, 18
"""Of the drawing and, below it, of the labels."""
_WIDEST = 8.0
"""A fitting law that is wider than the values by more than this factor goes beyond the chart's edges."""
_TALLEST = 2.5
"""A curve that is higher than the bars by more than this factor goes beyond the chart's top."""
_REACH = 3.5
_STEPS = 3
"""A bell has so many points for each standard deviation."""


class Spread(NamedTuple):
    """One chart, as the template wants it: the number of its layer's row, its caption, and what its curves are."""

    row: int
    name: str
    figures: str
    drawing: Markup
    follows: str | None
    fitting: str | None
    flawed: bool


def of_rows(rows: Sequence[LayerRow]) -> list[Spread]:
    """The charts of a model's layers, in their order; those of layers with findings come first."""
    spreads = [
        _spread(number, values, row.verdict != "ok") for number, row in enumerate(rows, 1) for values in row.values
    ]
    return sorted(spreads, key=lambda spread: not spread.flawed)


def _spread(row: int, values: Values, flawed: bool) -> Spread:
    figures = f"{values.size:,} values, mean {_short(values.mean)}, std {_short(values.std)}"
    follows = None if values.follows is None else values.follows.label
    fitting = None if values.fitting is None else values.fitting.label
    title = f"{values.name}: histogram from {_short(values.low)} to {_short(values.high)}"
    return Spread(row, values.name, figures, _svg(values, title), follows, fitting, flawed)


def _svg(values: Values, title: str) -> Markup:
    from markupsafe import Markup, escape

    low, high = _ends(values)
    scale = _WIDTH / (high - low)
    width = (values.high - values.low) / len(values.counts)
    total = sum(values.counts) * width
    bars = [count / total for count in values.counts]
    both = (("follows", values.follows), ("fitting", values.fitting))
    curves = [(name, _points(curve, low, high)) for name, curve in both if curve is not None]
    peak = max(bars)
    top = max([peak, *(min(max(y for _, y in points), _TALLEST * peak) for _, points in curves)])
    paths = "".join(
        f'<path class="{name}" d="{_line([((x - low) * scale, y / top) for x, y in points])}"/>'
        for name, points in curves
    )
    ends = "".join(
        f'<text x="{x}" y="{_HEIGHT + _ROOM - 4}" text-anchor="{anchor}">{_short(value)}</text>'
        for x, anchor, value in ((0, "start", low), (_WIDTH, "end", high))
    )
    zero = f'<path class="zero" d="M{-low * scale:.1f} {_HEIGHT}v4"/>' if low < 0 < high else ""
    bins = _bars(bars, top, (values.low - low) * scale, width * scale)
    return Markup(
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + _ROOM}" role="img"><title>{escape(printable(title))}</title>'
        f'<path class="bars" d="{bins}"/>{paths}{zero}{ends}</svg>'
    )


def _ends(values: Values) -> tuple[float, float]:
    """The ends of the axis: those of the values, widened to hold the fitting law as far as that goes."""
    fitting = values.fitting
    if fitting is None:
        return values.low, values.high
    middle, half = (values.low + values.high) / 2, (values.high - values.low) / 2
    low = max(fitting.mean - _REACH * fitting.std, middle - _WIDEST * half)
    high = min(fitting.mean + _REACH * fitting.std, middle + _WIDEST * half)
    return min(low, values.low), max(high, values.high)


def _bars(heights: Sequence[float], top: float, start: float, width: float) -> str:
    """The outline of adjoining bars, in steps from where the last one ended."""
    steps = [f"M{start:g} {_HEIGHT}"]
    at, x = 0, start
    for index, height in enumerate(heights, 1):
        up = round(_HEIGHT * height / top)
        across = float(f"{start + index * width - x:.2g}")
        steps.append(f"{f'v{at - up}' if up != at else ''}h{across:g}")
        at, x = up, x + across
    return "".join(steps) + f"V{_HEIGHT}z"


def _points(curve: Curve, low: float, high: float) -> list[tuple[float, float]]:
    """Points of a density, from left to right, within the ends of the axis."""
    start, end = max(low, curve.low), min(high, curve.high)
    if start >= end:
        return [(low, 0.0), (high, 0.0)]
    between = (curve.mean + curve.std * step / _STEPS for step in range(-4 * _STEPS, 4 * _STEPS + 1))
    bell = [] if curve.family == "uniform" else [x for x in between if start < x < end]
    points = [(x, curve.density(x)) for x in (start, *bell, end)]
    return [*([(start, 0.0)] if start > low else []), *points, *([(end, 0.0)] if end < high else [])]


def _line(points: Sequence[tuple[float, float]]) -> str:
    """A curve through points whose heights are shares of the chart's, in steps from one to the next."""
    ends = [(round(x), round(_HEIGHT * (1 - min(y, 3)))) for x, y in points]
    steps = [f"{right - x} {down - y}" for (x, y), (right, down) in pairwise(ends) if (x, y) != (right, down)]
    return f"M{ends[0][0]} {ends[0][1]}l" + " ".join(steps).replace(" -", "-") if steps else ""


def _short(value: float) -> str:
    return middle([value], 3)
