"""Forward and gradient std over the depth of a model as two lines of characters, one for each layer or few layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from initlint.result import LayerRow

__all__ = ["BLOCKS", "sparklines"]

BLOCKS, PLAIN = "▁▂▃▄▅▆▇█", "_.-:=+*#"
"""Levels from low to high; the second for streams that lack the first."""

_FEWEST = 4
_DECADES = 2.0
"""A line spans at least so many powers of ten: what moves by less is to look level."""
_WIDEST = 80


def sparklines(rows: Sequence[LayerRow], *, width: int | None, plain: bool = False) -> str:
    """The two charts, on a logarithmic scale, with their least and largest values; "" for fewer than four layers.

    ``width`` is how many columns there are, None for as many as it takes. A blank stands for exactly 0, "!" for what is
    not finite. Where there are more layers than columns, a character is the mean of several.
    """
    lines = []
    for title, values in (
        ("fwd std ", [row.forward_std for row in rows]),
        ("grad std", [row.gradient_std for row in rows]),
    ):
        there = [value for value in values if value is not None]
        measured = [value for value in there if value > 0 and math.isfinite(value)]
        if len(there) < _FEWEST or not measured:
            continue
        range_of = f"{_figure(min(measured))} .. {_figure(max(measured))}"
        room = min(_WIDEST, _WIDEST if width is None else width - len(title) - len(range_of) - 4)
        lines.append(f"{title}  {_chart(there, max(room, _FEWEST), PLAIN if plain else BLOCKS)}  {range_of}\n")
    return "".join(lines)


def _chart(values: Sequence[float], room: int, levels: str) -> str:
    measured = [math.log10(value) for value in values if value > 0 and math.isfinite(value)]
    low, high = min(measured), max(measured)
    spare = max(0.0, _DECADES - (high - low)) / 2
    low, high = low - spare, high + spare
    count = min(room, len(values))
    cuts = [round(index * len(values) / count) for index in range(count + 1)]
    return "".join(_level(values[a:b], low, high, levels) for a, b in pairwise(cuts))


def _level(values: Sequence[float], low: float, high: float, levels: str) -> str:
    if not all(map(math.isfinite, values)):
        return "!"
    logs = [math.log10(value) for value in values if value > 0]
    if not logs:
        return " "
    share = (sum(logs) / len(logs) - low) / (high - low)
    return levels[min(len(levels) - 1, int(share * len(levels)))]


def _figure(value: float) -> str:
    if 0.001 <= value < 1000:
        return f"{value:.2g}"
    mantissa, _, exponent = f"{value:.1e}".partition("e")
    return f"{mantissa}e{int(exponent)}"
