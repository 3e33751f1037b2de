"""A number that is known to lie between two others, met as a number is met."""

from __future__ import annotations

import math
from typing import Any

from initlint.facts.unknown import UnknownFact

__all__ = ["Range", "bounds", "middle", "ranged"]


class Range:
    """A number between ``low`` and ``high``, both included.

    A comparison answers where it comes out alike for every number in the range, and raises UnknownFact where it does
    not; so a rule that is written for numbers speaks only if the whole range is beyond its limit. Products, quotients
    and powers of positive numbers give ranges again.
    """

    __slots__ = ("high", "low")

    def __init__(self, low: float, high: float) -> None:
        if not low <= high:
            raise ValueError(f"no range from {low} to {high}")
        self.low = float(low)
        self.high = float(high)

    def __lt__(self, other: Any) -> bool:
        low, high = bounds(other)
        return _decided(self.high < low, self.low >= high)

    def __le__(self, other: Any) -> bool:
        low, high = bounds(other)
        return _decided(self.high <= low, self.low > high)

    def __gt__(self, other: Any) -> bool:
        low, high = bounds(other)
        return _decided(self.low > high, self.high <= low)

    def __ge__(self, other: Any) -> bool:
        low, high = bounds(other)
        return _decided(self.low >= high, self.high < low)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, (int, float, Range)):
            return NotImplemented
        low, high = bounds(other)
        return _decided(self.low == self.high == low == high, self.high < low or high < self.low)

    def __hash__(self) -> int:
        return hash((self.low, self.high))

    def __bool__(self) -> bool:
        return self != 0

    def __mul__(self, other: Any) -> Any:
        return _hull(self, other, lambda a, b: a * b)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        return _hull(self, other, _quotient)

    def __rtruediv__(self, other: Any) -> Any:
        return _hull(other, self, _quotient)

    def __pow__(self, other: Any) -> Any:
        return _hull(self, other, _power)

    def __float__(self) -> float:
        if self.low != self.high:
            raise UnknownFact
        return self.low

    def __format__(self, spec: str) -> str:
        low, high = format(self.low, spec), format(self.high, spec)
        return low if low == high else f"{low} to {high}"

    def __repr__(self) -> str:
        return f"Range({self.low!r}, {self.high!r})"


def bounds(value: Any) -> tuple[float, float]:
    """The least and the largest that a number or a range may be."""
    return (value.low, value.high) if isinstance(value, Range) else (value, value)


def middle(value: Any) -> float:
    """The geometric middle of a range of positive numbers, where something has to be named; a number itself."""
    low, high = bounds(value)
    return math.sqrt(low) * math.sqrt(high) if 0 < low < high else (low + high) / 2


def ranged(low: float, high: float) -> Any:
    """The range from ``low`` to ``high``; the number itself where they are one."""
    return low if low == high else Range(low, high)


def _decided(yes: bool, no: bool) -> bool:
    if yes or no:
        return yes
    raise UnknownFact


def _hull(a: Any, b: Any, operation: Any) -> Any:
    ends = [operation(x, y) for x in bounds(a) for y in bounds(b)]
    if any(math.isnan(end) for end in ends):
        raise UnknownFact
    return ranged(min(ends), max(ends))


def _quotient(a: float, b: float) -> float:
    if b == 0:
        raise UnknownFact
    return a / b


def _power(a: float, b: float) -> float:
    try:
        return math.pow(a, b)
    except OverflowError:
        return math.inf
