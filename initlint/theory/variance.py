"""How variance runs through depth, in the limit of wide layers with independent weights of mean 0.

One layer maps the variance q of its pre-activations to

    q' = sigma_w^2 E[phi(sqrt(q) z)^2] + sigma_b^2,   sigma_w^2 = fan_in Var(w),   z ~ N(0, 1)

and a small difference between two inputs, as well as the gradient, is multiplied in the square by

    chi = sigma_w^2 E[phi'(sqrt(q) z)^2]

(Poole et al. 2016, arXiv 1606.05340; Schoenholz et al. 2017, arXiv 1611.01232; for chi = 1 in linear and rectified
networks Glorot & Bengio 2010, Saxe et al. 2014, He et al. 2015; for a stable q* = 1 Klambauer et al. 2017). The
moments are taken at the variance that is there, not at 1.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from initlint.facts import UNKNOWN, known
from initlint.record import NamedTuple
from initlint.theory.contagion import number
from initlint.theory.gains import Function, derivative_moment, resolve, second_moment
from initlint.theory.nonlinearities import RECTIFIERS, Nonlinearity

__all__ = [
    "ChainLayer",
    "Drift",
    "chi",
    "correlation_depth",
    "fixed_point",
    "pair_step",
    "predicted_drift",
    "step",
]


def step(q: float, sigma_w2: float, sigma_b2: float, phi: Function, *, slope: float | None = None) -> float:
    """The variance of the next layer's pre-activations; UNKNOWN if anything is, or where it is not finite.

    ``sigma_w2`` is fan_in times the weights' variance, ``sigma_b2`` the biases' variance.
    """
    moment, weight, bias = second_moment(phi, q, slope=slope), number(sigma_w2), number(sigma_b2)
    if not (known(moment) and known(weight) and known(bias)):
        return UNKNOWN  # type: ignore[no-any-return]
    return _finite(weight * moment + bias)


def chi(q: float, sigma_w2: float, phi: Function, *, slope: float | None = None) -> float:
    """What one layer multiplies the square of a small difference, and of the gradient, with; UNKNOWN if anything is."""
    weight = number(sigma_w2)
    if not known(weight):
        return UNKNOWN  # type: ignore[no-any-return]
    moment = derivative_moment(phi, q, slope=slope)
    return _finite(weight * moment) if known(moment) else UNKNOWN


def fixed_point(
    sigma_w2: float, sigma_b2: float, phi: Function, *, slope: float | None = None, start: float = 1.0
) -> float:
    """The variance q* that repeated layers settle at from ``start``: 0 where the signal dies out.

    UNKNOWN if anything is, where it grows without bound, and where it has not settled to six digits in 2000 layers.
    """
    q = number(start)
    for _ in range(2000):
        following = step(q, sigma_w2, sigma_b2, phi, slope=slope)
        if not known(following) or following > 1e30:
            return UNKNOWN  # type: ignore[no-any-return]
        if following < 1e-30:
            return 0.0
        if abs(following - q) <= 1e-9 * following:
            return following
        q = following
    return UNKNOWN  # type: ignore[no-any-return]


def correlation_depth(q: float, sigma_w2: float, phi: Function, *, slope: float | None = None) -> float:
    """Layers over which two inputs lose all but 1/e of what sets them apart: -1 / ln(chi), at the fixed point ``q``.

    Infinite at chi = 1. UNKNOWN for chi > 1, where inputs move apart to a correlation below 1 (Schoenholz et al.
    2017, section 3), and if anything is.
    """
    slope_at_one = chi(q, sigma_w2, phi, slope=slope)
    if not known(slope_at_one) or slope_at_one > 1 + 1e-9:
        return UNKNOWN  # type: ignore[no-any-return]
    if slope_at_one <= 0:
        return 0.0
    return math.inf if slope_at_one >= 1 - 1e-9 else -1 / math.log(slope_at_one)


def pair_step(q: float, difference: float, sigma_w2: float, phi: Function, *, slope: float | None = None) -> float:
    """The across-batch variance of the next layer, where it is ``difference`` out of a total ``q`` in this one.

    Two inputs' pre-activations u, v have variance q and covariance q - difference; the next layer's across-batch
    variance is sigma_w^2 E[(phi(u) - phi(v))^2] / 2. Biases drop out. With u, v = a + b, a - b for independent a of
    variance q - difference / 2 and b of variance difference / 2, nothing cancels, however small the difference.
    Good to 1% where the nonlinearity has a kink, to eight digits where it has none.
    """
    unit = _ungated(phi, slope)
    total, apart, weight = number(q), number(difference), number(sigma_w2)
    if not (known(unit) and known(total) and known(apart) and known(weight)) or total < 0:
        return UNKNOWN  # type: ignore[no-any-return]
    apart = min(apart, total)
    if apart < 1e-6 * total:  # linear in the difference, and finite differences would lose digits
        rate = chi(total, weight, phi, slope=slope)
        return _finite(rate * apart) if known(rate) else UNKNOWN
    if unit.name in RECTIFIERS:
        return _finite(weight * _rectified_pair(total, apart, -unit.phi(-1.0)))
    if unit.name == "custom":
        return _finite(weight * _pair_moment(unit.phi, total, apart, _FINE))
    spacing = _FINE if unit.kinks or total > 1 else _COARSE
    return _finite(weight * _named_pair_moment(unit.phi, total, apart, spacing))


def _rectified_pair(total: float, apart: float, slope: float) -> float:
    """E[(phi(u) - phi(v))^2] / 2 of a rectifier, by the arc-cosine kernel (Cho & Saul 2009).

    ``slope`` is that of the negative side: phi(x) = slope x + (1 - slope) max(x, 0).
    """
    covariance = total - apart
    cosine = covariance / total if total else 1.0
    kernel = total / (2 * math.pi) * (math.sqrt(max(1 - cosine * cosine, 0.0)) + cosine * (math.pi - math.acos(cosine)))
    squares = total * (1 + slope * slope) / 2
    return squares - ((1 - slope) ** 2 * kernel + slope * covariance)


_FINE, _COARSE = 0.2, 0.4
"""Spacings of the grid. Where phi is smooth and its argument within the unit scale, the coarse one is good to ten
digits: the rule's error falls as exp(-2 pi d / spacing) with the distance d to the nearest pole, pi / 2 for tanh."""


def _pair_moment(phi: Callable[[float], float], total: float, apart: float, spacing: float) -> float:
    """E[(phi(u) - phi(v))^2] / 2."""
    outer, inner = math.sqrt(total - apart / 2), math.sqrt(apart / 2)
    moment = 0.0
    for b, weight_b in _grid(spacing):
        if b > 0:  # the integrand is even in b
            shift = inner * b
            row = [weight_a * (phi(outer * a + shift) - phi(outer * a - shift)) ** 2 for a, weight_a in _grid(spacing)]
            moment += weight_b * math.fsum(row)
    return moment


_named_pair_moment = functools.lru_cache(maxsize=1024)(_pair_moment)
"""The blocks of a network are alike, and several rules ask."""


@functools.cache
def _grid(spacing: float) -> tuple[tuple[float, float], ...]:
    """Nodes and weights of the trapezium rule for the normal law, which converges faster than any power of the step."""
    reach = round(6.4 / spacing)
    nodes = [spacing * (index + 0.5) for index in range(-reach, reach)]
    weights = [math.exp(-0.5 * node * node) for node in nodes]
    total = math.fsum(weights)
    return tuple((node, weight / total) for node, weight in zip(nodes, weights, strict=True))


def _ungated(phi: Function, slope: float | None) -> Nonlinearity:
    unit = resolve(phi, slope)
    return UNKNOWN if known(unit) and unit.gated else unit


def _finite(value: Any) -> float:
    result: float = value if known(value) and math.isfinite(value) else UNKNOWN
    return result


class ChainLayer(NamedTuple):
    """One layer of a chain: its weights' std (mean 0), fans as used, biases' std, and the nonlinearity behind it.

    ``phi`` is a name or a scalar function; "identity" where there is none. Any of them may be UNKNOWN.
    """

    weight_std: float
    fan_in: int
    fan_out: int
    bias_std: float
    phi: Function
    slope: float | None = None


class Drift(NamedTuple):
    """Ratios of standard deviations over a chain, each UNKNOWN where it does not follow from what is known.

    ``forward``: pre-activations of the last layer over those of the first, over all elements. ``across_batch``: the
    same for the part that differs between samples, which biases do not hide. ``backward``: gradient with respect to
    the first layer's output over that to the last's.
    """

    forward: float
    across_batch: float
    backward: float


def predicted_drift(layers: Iterable[ChainLayer], *, input_moment: float = 1.0) -> Drift:
    """How far signal and gradient drift along a chain, by the maps above, layer by layer.

    ``input_moment`` is the second moment of what the first layer is given; samples are taken to be uncorrelated
    there. Correlation is followed for ordinary nonlinearities only (not for gated units). A chain of fewer than two
    layers has no drift.
    """
    chain = list(layers)
    if len(chain) < 2:
        return Drift(UNKNOWN, UNKNOWN, UNKNOWN)
    totals, apart = [_first(chain[0], input_moment)], [_first(chain[0]._replace(bias_std=0.0), input_moment)]
    backward: float = 1.0
    for layer, following in itertools.pairwise(chain):
        weight = _product_of_variances(following.weight_std, following.fan_in)
        bias = number(following.bias_std)
        bias_variance = bias * bias if known(bias) else UNKNOWN
        q = totals[-1]
        totals.append(step(q, weight, bias_variance, layer.phi, slope=layer.slope))
        apart.append(pair_step(q, apart[-1], weight, layer.phi, slope=layer.slope))
        returned = chi(q, _product_of_variances(following.weight_std, following.fan_out), layer.phi, slope=layer.slope)
        backward = _finite(backward * returned) if known(backward) and known(returned) else UNKNOWN
    return Drift(_root_ratio(totals), _root_ratio(apart), math.sqrt(backward) if known(backward) else UNKNOWN)


def _first(layer: ChainLayer, moment: float) -> float:
    weight, bias, moment = _product_of_variances(layer.weight_std, layer.fan_in), number(layer.bias_std), number(moment)
    if not (known(weight) and known(bias) and known(moment)):
        return UNKNOWN  # type: ignore[no-any-return]
    return _finite(weight * moment + bias * bias)


def _product_of_variances(std: float, fan: float) -> float:
    std, fan = number(std), number(fan)
    return _finite(std * std * fan) if known(std) and known(fan) else UNKNOWN


def _root_ratio(variances: Sequence[float]) -> float:
    first, last = variances[0], variances[-1]
    if not known(first) or not known(last) or first <= 0:
        return UNKNOWN  # type: ignore[no-any-return]
    return math.sqrt(last / first)
