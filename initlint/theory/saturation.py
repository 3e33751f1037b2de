"""Whether saturation is a matter of one layer among several, which learn all the same, or of the network."""

from __future__ import annotations

from initlint.facts import Layer, Model, known

__all__ = ["decided", "flat_alone", "flat_run_alone", "has_learned"]

_DECIDED, _DECIDED_AMONG_LARGE = 0.3, 0.1
"""The share of one-hot rows, a mean over attention layers, from which they learn less, and the one where all weights of
their network are large."""
_LARGE = 2.0
"""The median gain of such weights; sound ones have .6 to 1.4."""


_FLAT, _FLAT_IN_A_ROW, _ROW = 0.5, 0.45, 4
"""The share of flat values, a mean over layers, up to which they learn; and that of as many and more in a row."""


def flat_alone(layer: Layer) -> bool:
    """Whether the layers before the same function are flat for so few of their values, all in all, that they learn.

    Fewer may be where four and more stand in one chain: each takes its part of the gradient that the next one left.
    Not of a layer that is called again and again: what it takes from the signal, it takes at every call.
    """
    if layer.probe.calls > 1 or layer.activation is None:
        return False
    seen = [each for each in layer.model.layers if known(each.probe) and known(each.probe.saturated_fraction)]
    alike = [each for each in seen if each.activation is None or each.activation.name == layer.activation.name]
    names = {each.name for each in alike}
    rows = [{each.name for each in chain.layers} & names for chain in layer.model.chains]
    longest = max((len(row) for row in rows if layer.name in row), default=1)
    limit = _FLAT if longest < _ROW else _FLAT_IN_A_ROW
    return _mean([each.probe.saturated_fraction for each in alike]) <= limit


def flat_run_alone(layer: Layer, share: float) -> bool:
    """The same of torch's recurrent layers, each of which may hold several, up to a ``share``."""
    probes = [other.probe for other in layer.model.layers if known(other.probe)]
    runs = [run for probe in probes if known(probe.recurrences) for run in probe.recurrences]
    return _mean([run.saturated_fraction for run in runs if known(run.saturated_fraction)]) <= share


def decided(model: Model) -> list[Layer]:
    """The attention layers of a model, most decided first, if several and too often one-hot before they learned.

    None otherwise. Softmaxes that choose among a layer's units, as a router's, are left out, and what has learned.
    """
    found = [each for each in model.layers if known(each.probe) and known(each.probe.one_hot_fraction)]
    found = [each for each in found if not each.probe.one_hot_gates and not has_learned(each)]
    if len(found) < 2:
        return []
    mean = _mean([each.probe.one_hot_fraction for each in found])
    if mean <= _DECIDED and (mean <= _DECIDED_AMONG_LARGE or _median_gain(model) <= _LARGE):
        return []
    return sorted(found, key=lambda each: -each.probe.one_hot_fraction)


def has_learned(layer: Layer) -> bool:
    """Whether a checkpoint was seen to give the layer a weight: what that decides it was trained to."""
    written = [p.writes[-1] for p in layer.parameters if p.is_weight and known(p.writes) and p.writes]
    return any(write.author == "checkpoint" and write.overwrites for write in written)


def _median_gain(model: Model) -> float:
    """Of the trained weights that were drawn at random."""
    weights = [p for p in model.parameters if known(p.role) and p.is_weight and p.trainable]
    gains = sorted(p.gain_as_used for p in weights if p.distribution.is_random)
    return gains[len(gains) // 2] if gains else 0.0


def _mean(shares: list[float]) -> float:
    return sum(shares) / len(shares)
