"""Whether what is the same for all samples drowns what differs between them, wherever a network sets its scale."""

from __future__ import annotations

from collections.abc import Sequence

from initlint.facts import KERNELS, MAPS, Layer, Model, known
from initlint.record import NamedTuple
from initlint.theory.chains import is_final

__all__ = ["Drowned", "drowned_ends", "drowned_norms"]

_GIVEN = 0.25
"""The share of the std of what each norm gives that differs between samples. Below both limits 43 of 45 networks made
for the question learned .81 of what they can or less (docs/thresholds.md)."""
_PUT_OUT = 3e-3
"""The same of the outputs: what the layers behind the norms, small themselves, leave of it."""
_ATTENTION = 2
"""How many layers of attention make a network in which tokens learn from one another."""
_COMPARED = 1e-2
"""The same of what is brought to unit length, to be compared."""
_BEFORE_AN_END = 3
"""How many maps a tower has, its end among them, that does not make good by itself what is drowned."""
_DIFFERING = 0.3
"""How much of the batch itself has to differ: samples that are next to equal say nothing of the model."""
_OVER_THE_BATCH = ("BatchNorm", "SyncBatchNorm")


class Drowned(NamedTuple):
    """The layers that give too little that differs, in order, and the largest share of that in what one of them gives.

    ``maps`` are the model's linear maps, of which some are too small. ``put_out``: the largest share of an output's,
    where the layers are norms.
    """

    layers: list[Layer]
    maps: list[Layer]
    given: float
    put_out: float = 0.0


def drowned_norms(model: Model) -> Drowned | None:
    """What norms and outputs keep of the samples, if it is too little for attention to learn from; None otherwise.

    A norm gives its input unit scale, and so holds what is not drowned as small as it is beside the rest: biases,
    positions, a class token. None where a norm over the batch takes off what is the same for all samples, and of a
    model that was not run.
    """
    if not _was_run(model) or _attends(model) < _ATTENTION:
        return None
    norms = [layer for layer in model.layers if layer.family == "norm"]
    if not norms or _over_the_batch(norms):
        return None
    maps = _maps(model)
    given, put_out = _largest(norms), _largest([layer for layer in maps if layer.is_head])
    return Drowned(norms, maps, given, put_out) if given < _GIVEN and 0 < put_out < _PUT_OUT else None


def drowned_ends(model: Model) -> Drowned | None:
    """The same of the ends of towers, which are brought to unit length and compared; None where one has enough.

    A tower of one hidden layer learns whatever it starts with. None where convolutions or attention stand in it: what
    becomes of those was not measured, and a class token behind a LayerScale of 1e-5 is drowned on purpose.
    """
    if not _was_run(model) or _attends(model):
        return None
    maps = _maps(model)
    norms = [layer for layer in model.layers if layer.family == "norm"]
    if any(layer.family in KERNELS for layer in maps) or _over_the_batch(norms):
        return None
    ends = [layer for layer in maps if is_final(layer) and not layer.is_head]
    if not ends or len(maps) < _BEFORE_AN_END * len(ends):
        return None
    given = _largest(ends)
    return Drowned(ends, maps, given) if 0 < given < _COMPARED else None


def _was_run(model: Model) -> bool:
    """Whether on samples that differ."""
    return known(model.probe) and not model.probe.predicted and model.probe.batch_spread >= _DIFFERING


def _maps(model: Model) -> list[Layer]:
    return [layer for layer in model.layers if layer.family in MAPS]


def _over_the_batch(norms: Sequence[Layer]) -> bool:
    return any(norm.kind.startswith(_OVER_THE_BATCH) for norm in norms)


def _attends(model: Model) -> int:
    """How many layers are a softmax's scores, or attention's queries, and no router's."""
    found = [layer.probe for layer in model.layers if known(layer.probe) and known(layer.probe.one_hot_fraction)]
    return sum(not probe.one_hot_gates for probe in found)


def _largest(layers: Sequence[Layer]) -> float:
    """Of the shares of what layers give that differ between samples; 0 of none, and of those that give nothing."""
    measured = [layer.probe for layer in layers]
    return max((probe.forward_std / probe.total_std for probe in measured if probe.total_std), default=0.0)
