"""How far a fan-scaled draw lies off the one that its scheme prescribes for the map that the tensor is."""

from __future__ import annotations

import math
from collections.abc import Iterable

from initlint.facts import UNKNOWN, Misfit, known
from initlint.theory.fans import Fans

__all__ = ["PLAUSIBLE_SIZES", "fan_of", "misfit"]

PLAUSIBLE_SIZES = (16, 64, 512)
"""What a number of features that was not read may be: small, ordinary and large."""


def fan_of(fans: Fans, mode: str) -> float:
    """The number that a scheme's std is divided by the root of; UNKNOWN where it is."""
    fan_in, fan_out = fans
    if mode == "fan_in":
        return fan_in
    if mode == "fan_out":
        return fan_out
    if not known(fan_in) or not known(fan_out):
        return UNKNOWN  # type: ignore[no-any-return]
    if mode == "fan_avg":
        return (fan_in + fan_out) / 2
    return max(fan_in, fan_out) if mode == "longer" else UNKNOWN


def misfit(mode: str, cases: Iterable[tuple[Fans, Fans]]) -> Misfit:
    """Compare the fans that an initialiser took with those of the map, for every case of sizes that may be.

    ``mode`` is "fan_in", "fan_out", "fan_avg", or "longer" for orthogonal matrices (std 1 / sqrt(max(rows, columns))).
    Who asks for fan_out of a matrix stored (in, out) gets its fan-in, and may have meant it: the fan that is nearer
    counts. UNKNOWN where a fan of a case is, or where there is no case.
    """
    ratios: list[float] = []
    last: tuple[float, float] = (UNKNOWN, UNKNOWN)
    for taken, own in cases:
        read = fan_of(taken, mode)
        fans = [fan_of(own, mode)] if mode != "fan_out" else list(own)
        if not known(read) or read <= 0 or not all(known(fan) and fan > 0 for fan in fans):
            return UNKNOWN  # type: ignore[no-any-return]
        meant = min(fans, key=lambda fan: abs(math.log(fan / read)))
        ratios.append(math.sqrt(meant / read))
        last = read, meant
    if not ratios:
        return UNKNOWN  # type: ignore[no-any-return]
    exact = len(ratios) == 1
    return Misfit(
        mode=mode,
        least=min(ratios),
        most=max(ratios),
        taken=last[0] if exact else UNKNOWN,
        own=last[1] if exact else UNKNOWN,
    )
