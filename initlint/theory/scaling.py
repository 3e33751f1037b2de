"""How a quantity scales with another: the exponent of a power law, fitted."""

from __future__ import annotations

import math
from collections.abc import Sequence

__all__ = ["exponent"]


def exponent(sizes: Sequence[float], values: Sequence[float]) -> float:
    """The slope of log(value) against log(size), by least squares. Sizes differ, values are positive."""
    x = [math.log(size) for size in sizes]
    y = [math.log(value) for value in values]
    middle, level = math.fsum(x) / len(x), math.fsum(y) / len(y)
    spread = math.fsum((each - middle) ** 2 for each in x)
    return math.fsum((a - middle) * (b - level) for a, b in zip(x, y, strict=True)) / spread
