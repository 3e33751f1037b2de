"""How the values of a layer's parameters spread, beside the laws that they follow and should follow: for charts."""

from __future__ import annotations

import math
from collections.abc import Iterator

from initlint.facts import UNKNOWN, Distribution, Layer, Parameter, known
from initlint.result import Curve, Values
from initlint.theory.truncation import parent_std

__all__ = ["named", "spreads"]

_ALIKE = 1.05
"""Laws whose standard deviations differ by less than this factor look the same."""
_BELLS = frozenset({"normal", "orthogonal"})
"""Families whose elements are normal, or as good as."""


def spreads(layer: Layer) -> Iterator[Values]:
    """The parameters of a layer that hold more than one value, as they were measured."""
    for parameter in layer.parameters if known(layer.parameters) else ():
        histogram, measured = parameter.histogram, parameter.statistics
        if not known(histogram) or histogram is None or not known(measured):
            continue
        law = parameter.distribution if known(parameter.measured) else UNKNOWN
        follows = _curve(law, named(law) or "") if known(law) else None
        fitting = _fitting(layer, parameter, law)
        if follows is not None and fitting is not None and _alike(follows.std, fitting.std):
            through = fitting.label.partition(", ")[0]
            follows, fitting = _curve(law, f"{named(law)}, {through}"), None
        yield Values(
            name=parameter.name,
            size=measured.count,
            mean=measured.mean,
            std=measured.std,
            low=histogram.low,
            high=histogram.high,
            counts=histogram.counts,
            follows=follows,
            fitting=fitting,
        )


def named(law: Distribution) -> str | None:
    """A distribution in a word: its scheme, or its family with its figures."""
    if known(law.scheme) and law.scheme is not None:
        return law.scheme
    if not known(law.family):
        return None
    if law.family == "constant":
        return f"constant {law.mean:.3g}" if known(law.mean) else "constant"
    return f"{law.family} {law.std:.2g}" if known(law.std) and law.is_random else law.family


def _alike(first: float, second: float) -> bool:
    return max(first, second) < _ALIKE * min(first, second)


def _curve(law: Distribution, label: str) -> Curve | None:
    """The density of a law that has one, None for all others and where its figures are not known."""
    if not known(law.family) or not known(law.mean) or not known(law.std) or not 0 < law.std < math.inf:
        return None
    if law.family in _BELLS:
        return Curve(label, "normal", law.mean, law.std)
    if not known(law.low) or not known(law.high) or not law.low < law.high:
        return None
    if law.family == "uniform" and math.isfinite(law.high - law.low):
        return Curve(label, "uniform", law.mean, law.std, law.low, law.high)
    if law.family == "truncated_normal":
        return Curve(label, "normal", law.mean, parent_std(law.mean, law.std, law.low, law.high), law.low, law.high)
    return None


def _fitting(layer: Layer, parameter: Parameter, law: Distribution) -> Curve | None:
    """The law of std gain / sqrt(fan_in) for the nonlinearity that follows (He et al. 2015).

    None for what is no weight, for one whose layer a norm, a residual sum or nobody follows, and where it is not known
    what does.
    """
    if not known(parameter.role) or parameter.role != "weight" or not known(parameter.fan_in):
        return None
    facts = (layer.activation, layer.normalized, layer.ends_branch, layer.is_head)
    if not all(map(known, facts)) or layer.activation is None or any(facts[1:]) or not known(layer.activation.gain):
        return None
    std = layer.activation.gain / math.sqrt(parameter.fan_in)
    after = "the next layer" if layer.activation.name == "identity" else layer.activation.name
    label = f"keeps the signal's size through {after}, std {std:.2g}"
    if known(law) and known(law.family) and law.family == "uniform":
        bound = math.sqrt(3) * std
        return Curve(label, "uniform", 0.0, std, -bound, bound)
    return Curve(label, "normal", 0.0, std)
