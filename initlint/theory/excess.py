"""A weight that is too large, or before sines too small, whatever the signal of its chain comes to from end to end."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import pairwise

from initlint.facts import UNKNOWN, Chain, Layer, Model, Parameter, ResidualStream, absent, known
from initlint.theory.chains import body_flow, excess_gain, heads, matrices, norm_next
from initlint.theory.drift import least_ratio
from initlint.theory.nonlinearities import passes_on

__all__ = [
    "bearable",
    "drawn",
    "drowns",
    "faint",
    "leaps",
    "outputs_huge",
    "outputs_modest",
    "stands_out",
    "straight",
    "undone",
    "wrapped",
]

_HEADS = ((10.0, 10.0), (4.0, 20.0))
"""The gain of one output layer, and the std of what it gives, from which logits drown what is learned; 1% of sound
layers have a gain above 4.9."""
_HUGE = 150.0
"""The std of an output that no loss puts up with, whatever made it so large."""
_LEAP = 30.0
"""How much a hidden layer alone may multiply the signal by, over what the nonlinearity behind it needs."""
_FAR = 10.0
"""The std that a layer in no chain must give besides: there is no signal before it to compare with."""
_PERIOD = math.pi
"""The std from which most of a signal wraps round in a sine. Two layers of 3 train as of 1, two of 4 do not."""
_STRAIGHT = 0.25
"""The std up to which a sine is a straight line: what it bends by, z^3 / 6, is 1% of most of the signal."""
_EXCESS = 1.5
_GROWN = 10.0
_TELLING = 0.1
"""The share of an output's std that its biases' is not beyond where weights alone made it large."""
_FAINT = 0.2
"""The share of the gain needed under which a residual stream and its branches do not help each other up."""
_BRANCHES = 4


def drawn(matrix: Parameter) -> bool:
    """Whether a weight is trained and was drawn at random."""
    return matrix.trainable and matrix.distribution.is_random


def drowns(head: Parameter) -> bool:
    """Whether an output layer's weight makes its output so large that what is learned drowns in it."""
    gain, output = head.gain_as_used, head.layer.probe.total_std
    return head.layer.is_head and any(gain > least and output > far for least, far in _HEADS)


def leaps(chain: Chain) -> Iterator[tuple[Layer, Layer, Parameter]]:
    """The hidden layers of a chain that multiply the signal by far more than they need, by their own gain.

    Each comes behind the layer before it, and with its weight.
    """
    for (before, _), (layer, matrix) in pairwise(matrices(chain)[:-1]):
        start, end = before.probe.forward_std, layer.probe.forward_std
        if start > 0 and min(excess_gain(layer, matrix), end / start) > _LEAP and drawn(matrix):
            yield before, layer, matrix


def wrapped(chain: Chain) -> list[tuple[Layer, Parameter]]:
    """The layers behind the first whose outputs are spread over more than the period of the sine behind them.

    One alone does no harm (random Fourier features): then there are none.
    """
    found = [pair for pair in matrices(chain)[1:] if _wraps(*pair)]
    return found if len(found) > 1 else []


def _wraps(layer: Layer, matrix: Parameter) -> bool:
    if layer.activation is None or layer.activation.name != "sin" or not drawn(matrix):
        return False
    return layer.probe.forward_std > _PERIOD and excess_gain(layer, matrix) > _EXCESS


def straight(chain: Chain, least: float) -> tuple[list[Layer], list[Parameter]]:
    """The layers behind which sines stand, two at least, and those of their weights by which none of the sines bends.

    These were drawn by no recognised scheme, with less than ``least`` of the gain needed. None where a sine bends.
    """
    found = [pair for pair in matrices(chain) if pair[0].activation is not None and pair[0].activation.name == "sin"]
    if len(found) < 2 or any(layer.probe.forward_std >= _STRAIGHT for layer, _ in found):
        return [], []
    small = [m for layer, m in found if drawn(m) and absent(m.distribution.scheme) and excess_gain(layer, m) < least]
    return [layer for layer, _ in found], small


def faint(stream: ResidualStream) -> list[Parameter]:
    """The weights that give a stream its signal and those within its branches, if all of them are far too small.

    None where a norm takes what the stream comes to, and where a nonlinearity stands before it: what passes the
    branches by is then no linear map, and learns. The last weight of a branch may be small: it is left out.
    """
    if stream.entry is None or len(stream.ends) < _BRANCHES or stream.ends[-1].sum_normalized:
        return []
    before = stream.entry.activation  # UNKNOWN of a layer that the stream and its first branch take as it is
    if known(before) and before is not None and before.name != "identity":
        return []
    first = stream.entry.weight
    within = [[(layer, p) for layer in layers for p in layer.parameters if p.is_weight] for layers in stream.inner]
    pairs = [pair for several in within for pair in several]
    if first.gain_as_used >= _FAINT or any(_share_of_need(*pair) >= _FAINT for pair in pairs):
        return []
    weights = [first, *(matrix for _, matrix in pairs)]
    return weights if all(within) and all(map(drawn, weights)) else []


def _share_of_need(layer: Layer, matrix: Parameter) -> float:
    """The gain of a weight within a branch over the one needed; over 1 before a gated unit without a name.

    A gate takes its part of the signal however it is drawn: 4 and 8 branches of tanh times sigmoid, which asks for 2.9,
    learned .94 and more of what they can with gains of .3 and .55, and .93 and .87 with .15.
    """
    if not known(layer.activation) or layer.activation is None:
        return UNKNOWN  # type: ignore[no-any-return]
    return matrix.gain_as_used if layer.activation.name == "custom" else excess_gain(layer, matrix)


def stands_out(matrix: Parameter) -> bool:
    """Whether the weight of a layer in no chain is too large, and the layer's output far from unit scale."""
    layer = matrix.layer
    return layer.probe.total_std > _FAR and _outside_chains(layer) and excess_gain(layer, matrix) > _LEAP


def undone(layer: Layer) -> bool:
    """Whether nothing is left of a layer's excess where the model was run and its outputs leave it.

    None of them is large: a norm behind the sum that it goes into, or small weights behind it, have made it good. Not
    where it drowns what its output is added to before the nonlinearity, nor before one that keeps nothing of a large
    signal.
    """
    activation = layer.activation
    if absent(activation) or activation is None or not passes_on(activation.name):
        return False
    return known(layer.joined) and not layer.joined and outputs_modest(layer.model)


def outputs_modest(model: Model) -> bool:
    """Whether a model was run, and no layer that gives what leaves it was seen to give more than a head may."""
    if not known(model) or not known(model.probe) or model.probe.predicted:
        return False
    stds = [layer.probe.total_std if known(layer.probe) else math.inf for layer in heads(model)]
    return bool(stds) and all(known(std) and std <= _HEADS[0][1] for std in stds)


def bearable(layer: Layer) -> bool:
    """Whether a layer was run, and its scale does not cost training, whatever it should be.

    The signal falls along none of the chains that it stands in by as much as costs training at their depth, it grows
    along none more than tenfold, and no output of the model is large.
    """
    if not known(layer.model) or not outputs_modest(layer.model) or not known(layer.model.chains):
        return False
    own = [chain for chain in layer.model.chains if any(each.name == layer.name for each in chain.layers)]
    flows = [body_flow(chain) for chain in own]
    return bool(flows) and all(known(f.ratio) and least_ratio(f.length) <= f.ratio <= _GROWN for f in flows)


def outputs_huge(model: Model) -> bool:
    """Whether a model was run, and some layer whose output leaves it was seen to give far more than a loss stands.

    Of an output with biases that differ between its units (the means of what is to be predicted, in their units) only
    what differs between samples counts.
    """
    if model.probe.predicted:
        return False
    return any(known(layer.probe) and _given(layer) > _HUGE for layer in heads(model))


def _given(layer: Layer) -> float:
    """The std of what a layer's weights give."""
    bias = layer.bias
    telling = bias is not None and bias.distribution.std > _TELLING * layer.probe.total_std
    return layer.probe.forward_std if telling else layer.probe.total_std


def _outside_chains(layer: Layer) -> bool:
    """Whether a layer stands alone (behind or before a concatenation, say), with no norm behind its nonlinearity.

    Not before one that may ask for a large signal, as a sine does (random Fourier features).
    """
    activation = layer.activation
    if activation is None or activation.name == "identity" or not passes_on(activation.name) or norm_next(layer):
        return False
    return all(other.name != layer.name for chain in layer.model.chains for other in chain.layers)
