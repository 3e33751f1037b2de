"""Arithmetic in which UNKNOWN is contagious instead of raising: one unknown operand makes the result unknown."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from initlint.facts import UNKNOWN, known

__all__ = ["number", "product", "size", "sizes"]


def number(value: object) -> float:
    """``value`` as a float; UNKNOWN where it is unknown, NaN or no number (a bool is none: torch refuses it too)."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return UNKNOWN  # type: ignore[no-any-return]
    try:
        result = float(value)
    except OverflowError:
        return UNKNOWN  # type: ignore[no-any-return]
    return UNKNOWN if math.isnan(result) else result


def size(value: object) -> int:
    """``value`` as a positive whole number (a dimension, a number of groups); UNKNOWN where it is none."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        return UNKNOWN  # type: ignore[no-any-return]
    return value


def sizes(shape: object) -> tuple[int, ...]:
    """The dimensions of ``shape``, each possibly UNKNOWN; UNKNOWN where not even their number is known."""
    if not known(shape) or isinstance(shape, (str, bytes)) or not isinstance(shape, Iterable):
        return UNKNOWN  # type: ignore[no-any-return]
    return tuple(size(dimension) for dimension in shape)


def product(factors: Iterable[Any]) -> Any:
    """The product of ``factors`` (1 of none), UNKNOWN if one of them is."""
    result: Any = 1
    for factor in factors:
        if not known(factor):
            return UNKNOWN
        result *= factor
    return result
