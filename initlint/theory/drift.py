"""Drift of measured standard deviations along a chain of layers, and where it sets in."""

from __future__ import annotations

import math
from collections.abc import Sequence

from initlint.facts import UNKNOWN, bounds, known, middle, ranged

__all__ = ["SHORT", "beyond", "deviating", "drift", "least_ratio"]

SHORT = 8
"""A chain with fewer values than this is judged by its ends; quarters of it would hold a single value each anyway."""

_FORGIVING = 10


def least_ratio(layers: int) -> float:
    """How far signal may fall along so many layers before it costs training: 1e-2, and 1e-3 in a shallow stack.

    Eight ReLU layers learn as well at 1e-2 as at 1 with SGD, sixteen do not (measured). Most mutants
    of at most nine layers between the two figures train as the sound network does, some are slower
    (benchmarks/mutants.py).
    """
    return 1e-3 if layers < _FORGIVING else 1e-2


def drift(values: Sequence[float]) -> float:
    """How far the values have moved over the chain: median of the last quarter over median of the first.

    A chain of fewer than ``SHORT`` values is judged last over first. Exact zeros are skipped (branches that start at
    zero), before anything is counted. UNKNOWN with fewer than two values left, where one is UNKNOWN, negative or NaN,
    and where both ends are infinite. Of ranges it is a range, since a median grows with each of its values.
    """
    if not _usable(values):
        return UNKNOWN  # type: ignore[no-any-return]
    present = [bounds(value) for value in values if value != 0]
    if len(present) < 2:
        return UNKNOWN  # type: ignore[no-any-return]
    lows, highs = [low for low, _ in present], [high for _, high in present]
    least = _quotient(_reference(lows[::-1]), _reference(highs))
    most = _quotient(_reference(highs[::-1]), _reference(lows))
    ratio: float = ranged(least, most) if known(least) and known(most) else UNKNOWN
    return ratio


def deviating(values: Sequence[float], factor: float = 10.0) -> int | None:
    """Index of the first value that has departed from the chain's beginning, towards its end, by more than ``factor``.

    Beginning and end are what ``drift`` divides. Exact zeros are skipped but counted in the index. None where no value
    departs; UNKNOWN where ``drift`` would be. Ranges are taken by their middle: this names a place, and judges nothing.
    """
    ratio = drift(values)
    if not known(ratio):
        return UNKNOWN  # type: ignore[no-any-return]
    likely = [middle(value) for value in values]
    reference = _reference([value for value in likely if value != 0])
    for index, value in enumerate(likely):
        if value != 0 and (value > factor * reference if middle(ratio) > 1 else value * factor < reference):
            return index
    return None


def beyond(ratio: float, limit: float) -> bool:
    """Whether a ratio, all of it, has passed a limit, which is a lower bound below 1 and an upper one above."""
    least, most = bounds(ratio)
    return most < limit if limit < 1 else least > limit


def _quotient(last: float, first: float) -> float:
    if math.isinf(first):
        return UNKNOWN if math.isinf(last) else 0.0
    return last / first


def _usable(values: Sequence[float]) -> bool:
    return known(values) and all(known(value) and value >= 0 for value in values)


def _reference(present: Sequence[float]) -> float:
    """The first value of a short chain, the median of the first quarter of a longer one."""
    if len(present) < SHORT:
        return present[0]
    quarter = sorted(present[: len(present) // 4])
    middle = len(quarter) // 2  # the statistics module would cost a rule 5 ms to import
    return quarter[middle] if len(quarter) % 2 else (quarter[middle - 1] + quarter[middle]) / 2
