"""What the operations of a network make of the moments of a signal, when all that is known are bounds.

A signal is told by its mean and variance over all its elements and by the share of the variance that differs between
the samples of a batch (the rest differs between units or positions, and is the same for every sample). Weights are
independent and of mean 0 unless said otherwise, so that a linear map takes each part of the second moment to
fan_in Var(w) times itself (He et al. 2015, arXiv 1502.01852; Poole et al. 2016, arXiv 1606.05340). A band holds what
the moments may be; each rule is a function of numbers, and a band's image spans what it gives at the band's corners,
which is exact where the rule is monotone in each of them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable

from initlint.record import NamedTuple

__all__ = [
    "Band",
    "Moments",
    "averaged",
    "joined",
    "linear",
    "normalised",
    "product",
    "scattered",
    "span",
    "summed",
    "widened",
]

_SIGMAS = 2.0
"""How many standard deviations of a finite width's scatter the bounds of a band allow for."""
_SAMPLING = 0.01
"""The scatter of a variance that is taken of the few samples and units which a probe looks at."""
_ROUNDING = 1e-6
"""What rounding in float32 makes of equal samples over some layers, as a share of the whole."""


class Moments(NamedTuple):
    """Mean and variance over all elements, and the share of the variance that is across the batch, in [0, 1]."""

    mean: float
    variance: float
    share: float

    @property
    def second(self) -> float:
        """The mean square."""
        return self.variance + self.mean * self.mean

    @property
    def across(self) -> float:
        """The variance across the batch."""
        return self.variance * self.share


class Band(NamedTuple):
    """Bounds (least, most) of the moments; ``scatter`` is the variance of the logarithm of the variance that comes of
    layers of finite width, in which the bounds do not count it."""

    mean: tuple[float, float]
    variance: tuple[float, float]
    share: tuple[float, float]
    scatter: float = 0.0

    @classmethod
    def of(cls, mean: float, variance: float, share: float, scatter: float = 0.0) -> Band:
        """A band without width."""
        return cls((mean, mean), (variance, variance), (share, share), scatter)

    def corners(self) -> list[Moments]:
        """The moments at the ends of the bounds."""
        return [Moments(*each) for each in itertools.product(*(sorted(set(pair)) for pair in self[:3]))]

    def total_std(self) -> tuple[float, float]:
        """Bounds of the standard deviation over all elements, scatter included."""
        return scattered(self.variance, self.scatter)

    def second(self) -> tuple[float, float]:
        """Bounds of the mean square."""
        low, high = self.mean
        least = 0.0 if low <= 0 <= high else min(low * low, high * high)
        return self.variance[0] + least, self.variance[1] + max(low * low, high * high)

    def across_std(self) -> tuple[float, float]:
        """Bounds of the standard deviation across the batch, scatter included, and what rounding alone may make."""
        across = self.variance[0] * self.share[0], self.variance[1] * self.share[1]
        low, high = scattered(across, self.scatter)
        return low, max(high, _ROUNDING * self.total_std()[1]) if self.share[1] else high


def scattered(square: tuple[float, float], scatter: float) -> tuple[float, float]:
    """Bounds of a root mean square, of those of its square and of how far that scatters (as Band's)."""
    factor = math.exp(min(_SIGMAS * math.sqrt(scatter + _SAMPLING), 300.0) / 2)
    return math.sqrt(square[0]) / factor, math.sqrt(square[1]) * factor


def span(rule: Callable[..., Moments | None], *bands: Band, scatter: float | None = None) -> Band | None:
    """What a rule makes of bands; None where it gives nothing, or what is not finite, at some corner.

    ``scatter`` is that of the result; by default the largest there is.
    """
    found: list[Moments] = []
    for corner in itertools.product(*(band.corners() for band in bands)):
        result = rule(*corner)
        if result is None or not all(map(math.isfinite, result)):
            return None
        found.append(result)
    return joined(
        *(Band.of(*each) for each in found),
        scatter=max((band.scatter for band in bands), default=0.0) if scatter is None else scatter,
    )


def joined(*bands: Band, scatter: float | None = None) -> Band:
    """The least band that holds them all."""
    return Band(
        (min(band.mean[0] for band in bands), max(band.mean[1] for band in bands)),
        (max(0.0, min(band.variance[0] for band in bands)), max(band.variance[1] for band in bands)),
        (max(0.0, min(band.share[0] for band in bands)), min(1.0, max(band.share[1] for band in bands))),
        max(band.scatter for band in bands) if scatter is None else scatter,
    )


def widened(band: Band, low: float, high: float) -> Band:
    """The band with the bounds of its variance multiplied by ``low`` and ``high``, its mean by their roots."""
    ends = [end * math.sqrt(factor) for end in band.mean for factor in (low, high)]
    return band._replace(mean=(min(ends), max(ends)), variance=(band.variance[0] * low, band.variance[1] * high))


def linear(x: Moments, terms: float, weight_mean: float, weight_std: float, *, aligned: float = 0.0) -> Moments:
    """Sums of ``terms`` products of a weight and a value, without a bias.

    Where weights have a mean, ``aligned`` says how much of the signal's deviation from its mean all terms have in
    common, between 0 and 1.
    """
    gain = terms * weight_std * weight_std
    common = (terms * weight_mean) ** 2 * aligned
    variance = gain * x.second + common * x.variance
    across = (gain + common) * x.across
    return _moments(terms * weight_mean * x.mean, variance, across)


def summed(a: Moments, b: Moments, correlation: float = 0.0) -> Moments:
    """The sum of two signals of a given correlation."""

    def both(x: float, y: float) -> float:
        return max(0.0, x + y + 2 * correlation * math.sqrt(x * y))

    across = both(a.across, b.across)
    fixed = both(a.variance - a.across, b.variance - b.across)
    return _moments(a.mean + b.mean, across + fixed, across)


def product(a: Moments, b: Moments) -> Moments:
    """The product of two independent signals."""
    mean = a.mean * b.mean
    second = a.second * b.second
    fixed = (a.second - a.across) * (b.second - b.across)
    return _moments(mean, max(0.0, second - mean * mean), max(0.0, second - fixed))


def normalised(x: Moments, epsilon: float, *, centred: bool = True, units: bool = False) -> Moments:
    """A signal divided by its root mean square, after its mean was taken off if it is ``centred``.

    ``units``: each unit by itself over the batch, which takes off what is the same for all samples.
    """
    if units:
        variance = x.across
        return Moments(0.0, variance / (variance + epsilon), 1.0) if variance > 0 else Moments(0.0, 0.0, 0.0)
    scale = (x.variance if centred else x.second) + epsilon
    if scale <= 0:
        return Moments(0.0, 0.0, 0.0)
    return Moments(0.0 if centred else x.mean / math.sqrt(scale), x.variance / scale, x.share)


def averaged(x: Moments, across: float, fixed: float) -> Moments:
    """A mean over values that leaves these shares of the variance across the batch, and of the rest of it.

    Of n independent values it leaves 1 / n, of equal ones all.
    """
    part = x.across * across
    return _moments(x.mean, part + (x.variance - x.across) * fixed, part)


def _moments(mean: float, variance: float, across: float) -> Moments:
    return Moments(mean, variance, min(1.0, across / variance) if variance > 0 else 0.0)
