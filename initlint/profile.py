"""A model's table: one row a layer, what was drawn, what follows, what the probe measured, and the verdict."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from initlint.facts import Distribution, Layer, Model, Parameter, bounds, known, middle
from initlint.findings import Finding
from initlint.result import LayerRow
from initlint.spread import named, spreads

__all__ = ["rows"]


_INSIDE = ".parametrizations."
_NARROW = 4.0
"""The ratio of its ends up to which a range is told by one figure."""


def rows(model: Model, findings: Iterable[Finding]) -> tuple[LayerRow, ...]:
    """The table of a model, in the order in which signal passes where that is known; unknown figures are None.

    What a parametrization of torch's keeps for a layer is told in the layer's own row. ``findings`` have the places
    that the facts have.
    """
    codes = _codes(model, findings)
    before = _predecessors(model)
    kept = _kept_for(model)
    table: list[LayerRow] = []
    above = _Stds()
    for layer in model.layers:
        if _INSIDE in f".{layer.name}.":
            continue
        own, earlier = _stds(layer), before.get(layer.name)
        row = _row(layer, own, above if earlier is None else _stds(earlier), kept.get(layer.name, ()))
        table.append(replace(row, verdict=" ".join(sorted(codes.get(layer.name, ()))) or "ok"))
        above = _Stds(*(mine if mine is not None else theirs for mine, theirs in zip(own, above, strict=True)))
    return tuple(table)


def _owner(name: str) -> str:
    """The layer itself of what a parametrization keeps for it ("fc" of "fc.parametrizations.weight.0")."""
    return f".{name}.".partition(_INSIDE)[0].strip(".")


def _kept_for(model: Model) -> dict[str, list[Layer]]:
    """The layers that a parametrization makes inside of others, by those."""
    found: dict[str, list[Layer]] = {}
    for layer in model.layers:
        if _INSIDE in f".{layer.name}.":
            found.setdefault(_owner(layer.name), []).append(layer)
    return found


def _codes(model: Model, findings: Iterable[Finding]) -> dict[str, set[str]]:
    """The codes of the findings about each layer: those that name it, and those at the statement that wrote it."""
    found: dict[str, set[str]] = {}
    at: dict[tuple[str, int], set[str]] = {}
    for finding in findings:
        if finding.model == model.name:
            for name in {finding.layer, *(parameter.rpartition(".")[0] for parameter in finding.parameters)} - {None}:
                found.setdefault(_owner(name or ""), set()).add(finding.code)
        elif finding.model is None and not finding.parameters and finding.location is not None:
            at.setdefault((finding.location.path, finding.location.line), set()).add(finding.code)
    for parameter in model.parameters if at else ():
        writes = parameter.writes if known(parameter.writes) else ()
        where = writes[-1].location if writes and known(writes[-1].location) else None
        if where is not None and (where.path, where.line) in at:
            found.setdefault(_owner(parameter.name.rpartition(".")[0]), set()).update(at[where.path, where.line])
    return found


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


def _row(layer: Layer, own: _Stds, before: _Stds, kept: Sequence[Layer]) -> LayerRow:
    main = _main((layer, *kept))
    law = main.distribution if main is not None and _has_law(main) else None
    probe = layer.probe if known(layer.probe) else None
    activation = layer.activation
    return LayerRow(
        name=layer.name,
        kind=layer.class_name if known(layer.class_name) else _or_none(layer.kind) or "?",
        shape=_or_none(main.shape) if main is not None else None,
        scheme=named(law) if law is not None else None,
        gain=_gain(main, law) if main is not None and law is not None else None,
        activation=activation.name if known(activation) and activation is not None else None,
        forward_std=own.forward,
        forward_ratio=_ratio(own.forward, before.forward),
        gradient_std=own.gradient,
        gradient_ratio=_ratio(own.gradient, before.gradient),
        dead_fraction=_figure(probe.dead_fraction) if probe else None,
        total_std=_figure(probe.total_std) if probe else None,
        gradients=tuple((p.name, p.gradient) for each in (layer, *kept) for p in each.parameters if known(p.gradient)),
        values=tuple(values for each in (layer, *kept) for values in spreads(each)),
    )


def _main(layers: Sequence[Layer]) -> Parameter | None:
    """The parameter a row speaks of: the weight of the map, else the largest that is trained."""
    parameters = [parameter for layer in layers if known(layer.parameters) for parameter in layer.parameters]
    for parameter in parameters:
        if known(parameter.role) and parameter.is_weight:
            return parameter
    trained = [each for each in parameters if not each.is_buffer and known(each.shape)]
    return max(trained or parameters, key=lambda p: math.prod(p.shape) if known(p.shape) else 0, default=None)


def _has_law(parameter: Parameter) -> bool:
    if known(parameter.measured):
        return True
    return known(parameter.writes) and bool(parameter.writes) and parameter.writes[-1].overwrites


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
