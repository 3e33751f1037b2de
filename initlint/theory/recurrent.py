"""Torch's recurrent layers as the probe ran them again: where small weights lose the signal."""

from __future__ import annotations

from collections.abc import Iterator

from initlint.facts import Layer, Parameter, Recurrence, absent
from initlint.record import NamedTuple
from initlint.theory.chains import accounts_for
from initlint.theory.excess import drawn

__all__ = ["FORGETFUL", "Stack", "driven", "falling", "forgetful"]

FORGETFUL = 0.2
"""The share of the gain needed from which a recurrent weight keeps nothing of a step for the one after next."""
_DRIVEN = 10.0
"""The gain of a recurrent weight from which a state opens and shuts its gates by itself, whatever a step brings."""
_STEPS = 4
"""Steps from which a recurrent weight is judged by what it keeps of a state."""
_LEAST = {"LSTM": 2, "GRU": 3}
"""Layers from which a stack fails to learn by small weights; two layers of GRU learn as well at a 100th of the scale
(measured, with Adam, a classifier of short texts)."""


class Stack(NamedTuple):
    """Layers with gates one on the other: the weights that take the input, the std at both ends, how many layers."""

    weights: tuple[Parameter, ...]
    start: float
    end: float
    layers: int


def forgetful(layer: Layer) -> Iterator[tuple[Parameter, Recurrence]]:
    """The weights that carry a state without gates from step to step, and lose it."""
    for run in layer.probe.recurrences:
        matrix = layer.parameter(run.recurrent_weight)
        if run.gated or run.steps < _STEPS or matrix is None or not drawn(matrix):
            continue
        if matrix.gain_as_used < FORGETFUL * run.activation.gain:
            yield matrix, run


def driven(layer: Layer) -> Iterator[tuple[Parameter, Recurrence]]:
    """The weights that carry a state with gates from step to step, so large that the gates know of nothing else."""
    for run in layer.probe.recurrences:
        matrix = layer.parameter(run.recurrent_weight)
        if run.gated and run.steps >= _STEPS and matrix is not None and drawn(matrix) and matrix.gain_as_used > _DRIVEN:
            yield matrix, run


def falling(layer: Layer, limit: float, least_gain: float) -> Stack | None:
    """A stack whose signal falls below ``limit`` by weights that all have a gain under ``least_gain``, else None.

    At least half of the fall has to come of the gains. A single small weight among sound ones does no harm, and none
    does where a norm follows.
    """
    if layer.kind not in _LEAST:
        return None
    runs = layer.probe.recurrences
    start, end, layers = runs[0].input_std, runs[-1].state_std, runs[-1].depth + 1
    if layers < _LEAST[layer.kind] or layer.normalized or start <= 0 or end >= limit * start:
        return None
    weights = tuple(weight for run in runs if (weight := layer.parameter(run.weight)) is not None)
    if not all(drawn(weight) and absent(weight.distribution.scheme) for weight in weights):
        return None
    gains = {run.depth: weight.gain_as_used for run, weight in zip(runs, weights, strict=True)}
    if max(gains.values()) >= least_gain or not accounts_for(gains.values(), end / start):
        return None
    return Stack(weights, start, end, layers)
