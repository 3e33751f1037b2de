"""Whether saturation is a matter of one layer among several, which learn all the same, or of the network."""

from __future__ import annotations

from initlint.facts import Layer, known

__all__ = ["flat_alone", "flat_run_alone"]


def flat_alone(layer: Layer, share: float) -> bool:
    """Whether the layers before the same function are flat for a ``share`` of their values at most, all in all.

    Not of a layer that is called again and again: what it takes from the signal, it takes at every call.
    """
    if layer.probe.calls > 1 or layer.activation is None:
        return False
    seen = [each for each in layer.model.layers if known(each.probe) and known(each.probe.saturated_fraction)]
    alike = [each for each in seen if each.activation is None or each.activation.name == layer.activation.name]
    return _mean([each.probe.saturated_fraction for each in alike]) <= share


def flat_run_alone(layer: Layer, share: float) -> bool:
    """The same of torch's recurrent layers, each of which may hold several."""
    probes = [other.probe for other in layer.model.layers if known(other.probe)]
    runs = [run for probe in probes if known(probe.recurrences) for run in probe.recurrences]
    return _mean([run.saturated_fraction for run in runs if known(run.saturated_fraction)]) <= share


def _mean(shares: list[float]) -> float:
    return sum(shares) / len(shares)
