"""Signal and gradient along a chain of facts: measured where it was run, predicted where it was read."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from initlint.facts import UNKNOWN, Activation, Chain, Layer, Model, Parameter, ResidualStream, absent, bounds, known
from initlint.record import NamedTuple
from initlint.theory.drift import deviating, drift
from initlint.theory.nonlinearities import DEFAULT_SLOPES, RECTIFIERS, nonlinearity
from initlint.theory.variance import ChainLayer, predicted_drift

__all__ = [
    "Flow",
    "accounts_for",
    "body_flow",
    "culprit",
    "excess_gain",
    "flow",
    "gives_most",
    "gradient_flow",
    "growth_flow",
    "growth_through_time",
    "heads",
    "is_final",
    "is_only_path",
    "keeps_zero",
    "leading_to",
    "matrices",
    "norm_next",
    "output_scale",
    "signal_flow",
    "steady",
    "variance_factor",
]

_STEADY = 10.0
"""How far the signal may move over a chain for what is wrong with its weights to do no harm at its depth."""


class Flow(NamedTuple):
    """How the standard deviation of signal (or gradient) moves along a chain.

    ``ratio`` is end over start, in the direction of the flow. ``start`` and ``end`` are the values at both ends,
    UNKNOWN if only the ratio follows. ``departs`` is the first layer at which the value has left its start by more
    than tenfold, ``upto`` the layers passed until then. ``ends`` are the layers it starts and ends at. ``measured``
    tells a probe from a prediction.
    """

    ratio: float
    start: float
    end: float
    departs: Layer
    upto: tuple[Layer, ...]
    ends: tuple[Layer, Layer]
    length: int
    measured: bool

    @property
    def told(self) -> str:
        """The ratio in words for a message."""
        if known(self.start) and known(self.end):
            return f"{self.start:.2g} -> {self.end:.2g}"
        return f"by a predicted factor of {self.ratio:.2g}"


def signal_flow(chain: Chain) -> Flow:
    """The across-batch std of each layer's output, as the probe measured it."""
    return _measured(chain.layers, [layer.probe.forward_std for layer in chain.layers])


def growth_flow(chain: Chain) -> Flow:
    """``signal_flow`` up to a layer whose output is scores and nothing else.

    A softmax gives shares whatever the scale of its scores is, and where these differ by too much it is one-hot, which
    is measured by itself. What is the same for all entries of a row (who asks, in graph attention) it does not see.
    """
    last = chain.layers[-1].probe
    scores = known(last) and known(last.scores_only) and last.scores_only and last.calls == 1
    layers = chain.layers[:-1] if scores and len(chain.layers) > 1 else chain.layers
    return _measured(layers, [layer.probe.forward_std for layer in layers])


def body_flow(chain: Chain) -> Flow:
    """``signal_flow`` up to an output layer, which may be drawn small on purpose (policies, DETR's boxes).

    Of a layer called several times the call with the most signal counts: what does not reach it along this chain may
    reach it another way (a discriminator is shown real samples as well).
    """
    layers = _body(chain)
    return _measured(layers, [_most(layer) for layer in layers])


def _most(layer: Layer) -> float:
    """The largest std across the batch that a layer gave in any of its calls; exact zeros are those of all calls."""
    return layer.probe.forward_std if layer.probe.calls == 1 else max(layer.probe.forward_stds)


def _body(chain: Chain) -> tuple[Layer, ...]:
    last = chain.layers[-1]
    return chain.layers[:-1] if len(chain.layers) > 1 and last.is_head else chain.layers


def gradient_flow(chain: Chain) -> Flow:
    """The std of the loss's gradient at each layer's output, from the chain's end to its start.

    An output layer is left out: by a small one all gradients start small, which is no matter of depth. Where what a
    layer gives is returned as well, and the loss is one of initlint's own, which knows of the primary output only, the
    flow ends and another begins: the model's loss may reach it there (what a generator makes is shown to a
    discriminator, and returned). The longest of them is told of.
    """
    parts: list[list[Layer]] = [[]]
    for layer in _body(chain):
        parts[-1].append(layer)
        if layer.model.probe.loss_kind == "target" and layer.returned_too:
            parts.append([])
    layers = max(parts, key=len)[::-1]
    return _measured(layers, [layer.probe.gradient_std for layer in layers])


def flow(chain: Chain) -> Flow:
    """What was measured where the chain was probed, else what the mean-field maps predict from the weights.

    An output layer at the end counts for growth, not for loss: see ``body_flow``.
    """
    if all(known(layer.probe) for layer in chain.layers):
        whole = signal_flow(chain)
        return whole if whole.ratio > 1 else body_flow(chain)
    stages = [
        ChainLayer(
            weight_std=matrix.gain_as_used,
            fan_in=1,
            fan_out=UNKNOWN,  # only the way forward is asked for
            bias_std=_bias_scale(layer),
            phi=layer.activation.name if layer.activation is not None else UNKNOWN,
            slope=_slope(layer.activation),
        )
        for layer, matrix in matrices(chain)
    ]
    ratio = predicted_drift(stages).across_batch
    ends = chain.layers[0], chain.layers[-1]
    return Flow(ratio, UNKNOWN, UNKNOWN, ends[0], chain.layers, ends, len(chain.layers), measured=False)


def steady(layer: Layer) -> bool:
    """Whether a layer was run, and the signal keeps within tenfold along every chain that it stands in."""
    run = layer.model.probe
    if not known(layer.probe) or not known(run) or run.predicted or not known(layer.model.chains):
        return False
    own = [chain for chain in layer.model.chains if any(each.name == layer.name for each in chain.layers)]
    ratios = [signal_flow(chain).ratio for chain in own]
    return bool(ratios) and all(known(ratio) and 1 / _STEADY <= ratio <= _STEADY for ratio in ratios)


def _slope(activation: Activation | None) -> float | None:
    """The slope of a nonlinearity that has one."""
    return activation.slope if activation is not None and activation.name in DEFAULT_SLOPES else None


def _measured(layers: Sequence[Layer], values: list[float]) -> Flow:
    ratio = drift(values)
    at = deviating(values) if known(ratio) else None
    present = [value for value in values if value != 0]
    upto = tuple(layers) if at is None else tuple(layers[: at + 1])
    start, end = (present[0], present[-1]) if present else (0.0, 0.0)
    return Flow(ratio, start, end, upto[-1], upto, (layers[0], layers[-1]), len(layers), measured=True)


def _bias_scale(layer: Layer) -> float:
    """Root mean square of the layer's biases."""
    bias = layer.bias
    if absent(bias) or bias is None:
        return 0.0
    return math.hypot(bias.distribution.mean, bias.distribution.std)


def matrices(chain: Chain) -> list[tuple[Layer, Parameter]]:
    """The weights of the linear maps along a chain, in order, each with its layer (norms and scales left out)."""
    found = []
    for layer in chain.layers:
        matrix = next((parameter for parameter in layer.parameters if parameter.is_weight), None)
        if matrix is not None:
            found.append((layer, matrix))
    return found


def excess_gain(layer: Layer, matrix: Parameter) -> float:
    """The gain a weight has (std x sqrt(fan_in)) over the gain that the nonlinearity behind it needs."""
    if absent(layer.activation) or layer.activation is None:
        return UNKNOWN  # type: ignore[no-any-return]
    return matrix.gain_as_used / layer.activation.gain


def output_scale(layer: Layer) -> tuple[float, str]:
    """The std of a linear map's output without its bias, and how it is known, in words for a message.

    Across the batch as the probe measured it (UNKNOWN where all its samples gave the same), else std x sqrt(fan_in) of
    the weight, which is that of inputs of unit scale.
    """
    if known(layer.probe):
        return layer.probe.forward_std or UNKNOWN, "on this batch"
    return layer.weight.gain_as_used, "for inputs of unit scale"


def variance_factor(stream: ResidualStream) -> float:
    """By how much a branch enlarges the stream's variance: what branches give grows as the stream that they take.

    1 where the first branch gives nothing.
    """
    first, last = stream.ends[0].probe.forward_std, stream.ends[-1].probe.forward_std
    return (last / first) ** (2 / (len(stream.ends) - 1)) if first > 0 else 1.0


def norm_next(layer: Layer) -> bool:
    """Whether only another linear map (a separable convolution), or a ReLU, stands between the layer and a norm.

    The norm undoes the layer's scale then: both pass a positive factor on, and so do ReLU's kin with a slope.
    """
    if absent(layer.activation) or layer.activation is None:
        return False
    if layer.activation.name not in RECTIFIERS:
        return False
    if layer.activation.name != "identity":
        return not layer.is_head and any(chain.layers[-1] is layer for chain in layer.model.chains)
    for chain in layer.model.chains:
        for this, following in zip(chain.layers, chain.layers[1:], strict=False):
            if this is layer:
                return following.normalized
    return False


def growth_through_time(layer: Layer) -> float:
    """By how much the gradient grows on its way back through the calls of a layer in a loop, to the first."""
    return drift(layer.probe.gradient_stds[::-1])


def gives_most(layer: Layer) -> bool:
    """Whether of the layers whose outputs are added up before an activation this one's is the largest (or the only)."""
    if not layer.joined:
        return True
    others = [other for other in layer.model.layers if other.name in layer.joined]
    return all(max(other.probe.forward_stds) <= max(layer.probe.forward_stds) for other in others)


def accounts_for(excesses: Iterable[float], ratio: float) -> bool:
    """Whether gains off by these factors make up at least half of a drift by ``ratio`` (in logarithms).

    Signal that was scaled down on purpose before the chain (LayerScale, a gate) drifts for another reason.
    """
    total = sum(math.log(excess) for excess in excesses)
    furthest = max((abs(math.log(end)) for end in bounds(ratio) if end > 0), default=math.inf)
    return ratio > 0 and (total > 0) == (ratio > 1) and abs(total) >= 0.5 * furthest


def is_only_path(chain: Chain) -> bool:
    """Whether every layer of the model that has a weight stands in the chain, so that no signal passes it by.

    Layers whose weights are all zero let none pass.
    """
    members = {layer.name for layer, _ in matrices(chain)}
    for layer in chain.layers[0].model.layers:
        if absent(layer.kind):  # a module that was not understood may hold anything
            return False
        if layer.name not in members and any(p.is_weight and not p.distribution.is_zero for p in layer.parameters):
            return False
    return True


def keeps_zero(name: str) -> bool:
    """Whether a nonlinearity maps 0 to 0, so that a zero pre-activation passes as zero."""
    phi = nonlinearity(name).phi
    return phi(0.0) == 0.0


def heads(model: Model) -> tuple[Layer, ...]:
    """The layers that are known to give what leaves the model."""
    return tuple(layer for layer in model.layers if known(layer.is_head) and layer.is_head)


def is_final(layer: Layer) -> bool:
    """Whether what a layer gives leaves the model, or is brought to unit length (an embedding that is compared)."""
    if layer.is_head:
        return True
    takers = {(consumer.kind, consumer.name) for consumer in layer.consumers}
    return bool(takers) and takers <= {("norm", "div"), ("norm", "mul")} and not layer.ends_branch


def leading_to(layers: Sequence[Layer], model: Model) -> tuple[Layer, ...]:
    """Those layers, and the others of the chains that they stand in."""
    names = {layer.name for layer in layers}
    chains = model.chains if known(model.chains) else ()
    found = [chain.layers for chain in chains if names & {layer.name for layer in chain.layers}]
    return tuple({layer.name: layer for group in (layers, *found) for layer in group}.values())


def culprit(layer: Layer) -> Parameter | Layer:
    """What a finding about a layer's signal points at: the weight that scales it, else the layer."""
    return next((parameter for parameter in layer.parameters if parameter.is_weight), layer)
