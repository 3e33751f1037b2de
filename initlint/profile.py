"""A model's table: one row a layer, what was drawn, what follows, what the probe measured, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any, NamedTuple

from initlint.facts import Distribution, Layer, Model, Parameter, bounds, known, middle
from initlint.findings import Finding
from initlint.result import LayerRow

__all__ = ["rows"]


_NARROW = 4.0
"""The ratio of its ends up to which a range is told by one figure."""


def rows(model: Model, findings: Iterable[Finding]) -> tuple[LayerRow, ...]:
    """The table of a model, in the order in which signal passes where that is known; unknown figures are None."""
    codes: dict[str, set[str]] = {}
    for finding in findings:
        if finding.model == model.name:
            for name in {finding.layer, *(parameter.rpartition(".")[0] for parameter in finding.parameters)} - {None}:
                codes.setdefault(name or "", set()).add(finding.code)
    before = _predecessors(model)
    table: list[LayerRow] = []
    above = _Stds()
    for layer in model.layers:
        own, earlier = _stds(layer), before.get(layer.name)
        table.append(_row(layer, own, above if earlier is None else _stds(earlier), codes.get(layer.name, set())))
        above = _Stds(*(mine if mine is not None else theirs for mine, theirs in zip(own, above, strict=True)))
    return tuple(table)


class _Stds(NamedTuple):
    """Standard deviations of a layer's output and of the gradient there; None where not known."""

    forward: float | None = None
    gradient: float | None = None


def _stds(layer: Layer) -> _Stds:
    if not known(layer.probe):
        return _Stds()
    return _Stds(_figure(layer.probe.forward_std), _figure(layer.probe.gradient_std))


def _predecessors(model: Model) -> dict[str, Layer]:
    """For each layer the one before it in the longest chain that holds both."""
    found: dict[str, Layer] = {}
    if known(model.chains):
        for chain in sorted(model.chains, key=lambda chain: len(chain.layers)):
            for earlier, later in zip(chain.layers, chain.layers[1:], strict=False):
                found[later.name] = earlier
    return found


def _row(layer: Layer, own: _Stds, before: _Stds, codes: set[str]) -> LayerRow:
    main = _main(layer)
    law = main.distribution if main is not None and _has_law(main) else None
    probe = layer.probe if known(layer.probe) else None
    activation = layer.activation
    return LayerRow(
        name=layer.name,
        kind=layer.class_name if known(layer.class_name) else _or_none(layer.kind) or "?",
        shape=_or_none(main.shape) if main is not None else None,
        scheme=_scheme(law) if law is not None else None,
        gain=_gain(main, law) if main is not None and law is not None else None,
        activation=activation.name if known(activation) and activation is not None else None,
        forward_std=own.forward,
        forward_ratio=_ratio(own.forward, before.forward),
        gradient_std=own.gradient,
        gradient_ratio=_ratio(own.gradient, before.gradient),
        dead_fraction=_or_none(probe.dead_fraction) if probe else None,
        verdict=" ".join(sorted(codes)) or "ok",
        total_std=_or_none(probe.total_std) if probe else None,
    )


def _main(layer: Layer) -> Parameter | None:
    """The parameter a row speaks of: the weight of the map, else the largest."""
    if not known(layer.parameters) or not layer.parameters:
        return None
    for parameter in layer.parameters:
        if known(parameter.role) and parameter.is_weight:
            return parameter
    return max(layer.parameters, key=lambda p: math.prod(p.shape) if known(p.shape) else 0)


def _has_law(parameter: Parameter) -> bool:
    if known(parameter.measured):
        return True
    return known(parameter.writes) and bool(parameter.writes) and parameter.writes[-1].overwrites


def _scheme(law: Distribution) -> str | None:
    """A distribution in a word: its scheme, or its family with its figures."""
    if known(law.scheme) and law.scheme is not None:
        return law.scheme
    if not known(law.family):
        return None
    if law.family == "constant":
        return f"constant {law.mean:.3g}" if known(law.mean) else "constant"
    return f"{law.family} {law.std:.2g}" if known(law.std) and law.is_random else law.family


def _gain(parameter: Parameter, law: Distribution) -> float | None:
    """std x sqrt(fan_in): what the weight multiplies a signal's standard deviation by."""
    if known(parameter.role) and parameter.is_weight and known(law.std) and known(parameter.fan_in):
        return law.std * math.sqrt(parameter.fan_in)
    return None


def _ratio(value: float | None, reference: float | None) -> float | None:
    return value / reference if value and reference else None  # 0 is a branch that starts at zero, and no factor


def _figure(value: Any) -> float | None:
    """A figure for the table: of a range its middle, where the range is narrow enough for one."""
    if not known(value):
        return None
    low, high = bounds(value)
    return middle(value) if high <= _NARROW * low or low == high else None


def _or_none(value: Any) -> Any:
    return value if known(value) else None
