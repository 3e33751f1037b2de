"""What the operations of a graph hand back to their operands of the gradient that comes back to their results."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol

import torch

from initlint.live.predicting.band_rules import softmax_behind, window
from initlint.live.predicting.propagation import SCATTER, Propagation, inside, setting
from initlint.live.predicting.spread import activated, slopes
from initlint.live.tracing.graph import Node
from initlint.live.tracing.signal_operations import MATMUL
from initlint.theory.gradients import NONE, Gradient, back_through
from initlint.theory.signals import Band

__all__ = ["RULES"]


class Walk(Protocol):
    """What a rule asks of the walk back along a trace."""

    forward: Propagation
    bare: list[bool]
    """Whether there is a way from a value to the loss through no map."""


_NORMAL = 3.0
"""E[z^4] / E[z^2]^2 of a normal law."""
Rule = Callable[[Walk, Node, Node, Gradient], Gradient | None]
"""Of an operation's result, one of its operands, and the gradient of the result, that of the operand."""


def _passed(walk: Walk, node: Node, operand: Node, given: Gradient) -> Gradient:
    """To each element of an operand what comes back to the elements that it went into, alike or not."""
    ratio = node.numel / max(1, operand.numel)
    return given.times(ratio, ratio * max(1.0, ratio))


def _partly(walk: Walk, node: Node, operand: Node, given: Gradient) -> Gradient | None:
    return None if node.op in ("index", "gather") else _passed(walk, node, operand, given)


def _shifted(walk: Walk, node: Node, operand: Node, given: Gradient) -> Gradient | None:
    return None if node.keywords.get("alpha", 1) != 1 else _passed(walk, node, operand, given)


def _scaled(walk: Walk, node: Node, operand: Node, given: Gradient) -> Gradient | None:
    others = [index for index in node.inputs if index != operand.index]
    band = walk.forward.bands[others[0]] if len(others) == 1 else None
    if band is None or node.op not in ("mul", "div"):
        return None
    least, most = band.second()
    if node.op == "div":
        if walk.forward.index(node, 0) != operand.index or not least or band.variance != (0.0, 0.0):
            return None
        least, most = 1 / most, 1 / least
    return _passed(walk, node, operand, given).times(least, most, band.scatter)


def _gated(walk: Walk, node: Node, operand: Node, given: Gradient) -> Gradient | None:
    roots = walk.forward.roots
    if len({roots[index] for index in node.inputs}) != 2:
        return None  # a value times a function of itself
    found = _scaled(walk, node, operand, given) if node.op == "mul" else None
    return None if found is None else found.peaked(_NORMAL)


def _halves(walk: Walk, node: Node, operand: Node, given: Gradient) -> Gradient | None:
    band = walk.forward.bands[operand.index]
    if band is None:
        return None
    ends: list[float] = []
    for value in band.corners():
        gate, slope = activated(torch.sigmoid, value), slopes(torch.sigmoid, value)
        if gate is None or slope is None:
            return None
        ends.append((gate.second + value.second * slope[0]) / 2)
    return given.times(min(ends), max(ends), band.scatter).peaked(_NORMAL)


def _masked(walk: Walk, node: Node, operand: Node, given: Gradient) -> Gradient | None:
    return _passed(walk, node, operand, given).times(0.0, 1.0) if node.op in ("masked_fill", "where") else None


# -- norms

_UNEVEN = 8.0


def _unevenness(walk: Walk, index: int) -> float:
    """How much larger the mean of 1 / variance over the channels of a batch norm may be than 1 / the mean variance.

    Of sums of n independent terms drawn at random it is 1 + 2 / n or so; what a kernel's taps see is alike, and so are
    few channels.
    """
    trace = walk.forward.trace
    node = trace.nodes[trace.source(index)]
    if node.category != "application" or node.op == "recurrent":
        return _UNEVEN
    weights = [trace.nodes[i] for i in node.inputs if not trace.nodes[i].data and len(trace.nodes[i].shape) > 1]
    if not weights:
        return _UNEVEN
    transposed = node.op not in MATMUL and bool(node.arguments[6])
    width = weights[0].shape[0] if transposed or node.op in MATMUL else weights[0].shape[1]
    return 1 + _UNEVEN / max(1, width)


def _normed(walk: Walk, node: Node, operand: Node, given: Gradient) -> Gradient | None:
    if node.op in ("mul", "div"):
        return _normed_by_hand(walk, node, operand, given)
    x, scale, epsilon, together, most = walk.forward.bands[operand.index], 1, 1e-5, 1.0, 1.0
    if x is None or operand.index != node.inputs[0]:
        return None
    arguments, variance = node.arguments, x.variance
    if node.op in ("native_layer_norm", "_fused_rms_norm", "rms_norm"):
        scale, together = 2, float(math.prod(arguments[1]))
        variance = x.variance if node.op == "native_layer_norm" else x.second()
        epsilon = 0.0
    elif node.op == "native_group_norm":
        together, epsilon = node.numel / max(1, int(arguments[3]) * int(arguments[6])), 0.0
    elif "batch_norm" in node.op and (len(arguments) <= 5 or arguments[5] is not False):
        together, most = node.numel / max(1, node.shape[1]), _unevenness(walk, operand.index)
        least = x.variance[0] * x.share[0]
        variance = (least, x.variance[1] * x.share[1] if len(node.shape) == 2 else x.variance[1])
    else:
        return None
    gain = (1.0, 1.0)
    if walk.forward.index(node, scale) is not None:
        band = walk.forward.argument(node, scale)
        if band is None:
            return None
        gain = band.second()
    if variance[0] + epsilon <= 0:
        return None
    least = 0.0 if walk.bare[node.index] else max(0.0, 1 - 4 / together)
    return given.times(least * gain[0] / (variance[1] + epsilon), most * gain[1] / (variance[0] + epsilon), x.scatter)


def _normed_by_hand(walk: Walk, node: Node, operand: Node, given: Gradient) -> Gradient | None:
    nodes, bands = walk.forward.trace.nodes, walk.forward.bands
    signal, *others = sorted((i for i in node.inputs if nodes[i].data), key=lambda i: -nodes[i].numel)
    if operand.index != signal:
        return NONE  # what comes by the divisor is counted with what comes by the signal
    before, after = bands[signal], bands[node.index]
    if before is None or after is None or not others or before.second()[0] <= 0:
        return None
    together = node.numel / max(1, nodes[others[-1]].numel)
    least = 0.0 if walk.bare[node.index] else max(0.0, 1 - 4 / together)
    (low, high), (into_low, into_high) = after.second(), before.second()
    return given.times(least * low / into_high, high / into_low, before.scatter)


# -- maps


def _applied(walk: Walk, node: Node, operand: Node, given: Gradient) -> Gradient | None:
    forward = walk.forward
    if node.op in MATMUL and node.op != "_grouped_mm":
        left, right = (forward.index(node, position) for position in MATMUL[node.op])
        if left is None or right is None or node.keywords.get("alpha", 1) != 1:
            return None
        signal, weight = (left, right) if left == operand.index else (right, left)
        shape = forward.trace.nodes[weight].shape
        terms = 1.0 if len(shape) < 2 else float(shape[-1] if weight == right else shape[-2])
    elif node.op in ("convolution", "_convolution", "convolution_overrideable"):
        found = forward.index(node, 0), forward.index(node, 1)
        if found[0] is None or found[1] is None:
            return None
        signal, weight = found[0], found[1]
        terms = _products(node, operand, forward.trace.nodes[weight].shape)
    else:
        return None
    w = forward.bands[weight]
    if w is None or signal != operand.index or forward.trace.nodes[weight].data:
        return None
    handed = back_through(given, terms, w.mean, w.variance, operand.numel / max(1, node.numel))
    return handed._replace(scatter=given.scatter + w.scatter + SCATTER / max(1.0, terms))


def _products(node: Node, operand: Node, shape: tuple[int, ...]) -> float:
    """In how many products with a weight each element of a convolution's input stands, on the whole."""
    transposed = bool(node.arguments[6])
    many, few = (node, operand) if transposed else (operand, node)
    found = float(shape[1])
    for axis, size in enumerate(shape[2:]):
        stride, padding, dilation = (setting(node.arguments[position], axis) for position in (3, 4, 5))
        found *= size * inside(many.shape[axis + 2], few.shape[axis + 2], size, stride, padding, dilation)
    return found if transposed else found * few.numel / max(1, many.numel)


# -- several values made one, and one several


def _pooled(walk: Walk, node: Node, operand: Node, given: Gradient) -> Gradient | None:
    terms = max(1.0, window(walk.forward.trace, node))
    fewer = node.numel / max(1, operand.numel)
    overlap = max(1.0, terms * fewer)
    if "max" in node.op:
        return given.times(fewer, fewer * overlap)
    return given.times(overlap / terms**2, (overlap / terms) ** 2)


def _reduced(walk: Walk, node: Node, operand: Node, given: Gradient) -> Gradient | None:
    terms = operand.numel / max(1, node.numel)
    if node.op == "mean":
        return given.times(terms**-2, terms**-2)
    if node.op == "sum":
        return given
    return given.times(1 / terms, 1 / terms) if node.op in ("max", "min", "amax", "amin") else None


def _collected(walk: Walk, node: Node, operand: Node, given: Gradient) -> Gradient | None:
    return given if node.op in ("cat", "stack") else None


def _resized(walk: Walk, node: Node, operand: Node, given: Gradient) -> Gradient | None:
    ratio = node.numel / max(1, operand.numel)
    if node.op in ("cat", "stack"):
        return given
    if "pad" in node.op:
        return given.times(0.5, 2.0 if node.op == "constant_pad_nd" else 4.0)
    return given.times((1.0 if "nearest" in node.op and ratio >= 1 else 0.2) * ratio, ratio * max(1.0, ratio))


# -- attention


def _softened(walk: Walk, node: Node, operand: Node, given: Gradient) -> Gradient | None:
    if node.op != "_softmax" or not node.shape:
        return None
    terms = node.shape[int(node.arguments[1])]
    return given.times(0.0, min(0.25, 2 * _peaks(walk.forward.bands[operand.index]) / terms**2))


def _peaks(scores: Band | None) -> float:
    """How much larger the mean square of a softmax's entries is than of equal ones, for normal scores."""
    return math.inf if scores is None else math.exp(min(scores.variance[1], 300.0))


def _attended(walk: Walk, node: Node, operand: Node, given: Gradient) -> Gradient | None:
    forward = walk.forward
    nodes, bands = forward.trace.nodes, forward.bands
    if node.op in ("bmm", "baddbmm"):
        left, right = (forward.index(node, position) for position in MATMUL[node.op])
        if left is None or right is None or node.op != "bmm":
            return None
        queries, keys = nodes[left].shape[-2:]
        other = bands[left if operand.index == right else right]
        softmax = softmax_behind(forward.trace, left)
        if softmax is not None and operand.index == right:
            return _from_values(given, queries, keys, _peaks(bands[nodes[softmax].inputs[0]]))
        if other is None:
            return None
        terms = float(nodes[right].shape[-1] if operand.index == left else queries)
        alike = terms if softmax is None or walk.bare[node.index] else 1.0
        least, most = other.second()
        return given.times(terms * least, terms * most * alike, other.scatter)
    found = [forward.index(node, position) for position in range(3)]
    q, k, v = (None if index is None else bands[index] for index in found)
    if found[0] is None or found[1] is None or q is None or k is None or v is None:
        return None
    queries, keys, width = nodes[found[0]].shape[-2], nodes[found[1]].shape[-2], nodes[found[0]].shape[-1]
    scale = node.keywords.get("scale")
    factor = (1 / width) if scale is None else float(scale) ** 2
    peaks = _peaks(Band.of(0.0, factor * width * q.second()[1] * k.second()[1], 0.0))
    if operand.index == found[2]:
        return _from_values(given, queries, keys, peaks)
    beside = k if operand.index == found[0] else q
    return given.times(0.0, 2 * peaks * factor * width * beside.second()[1] * v.second()[1], beside.scatter)


def _from_values(given: Gradient, queries: int, keys: int, peaks: float) -> Gradient:
    """To the values of attention: from a mean over all, to all of it at few of them (a causal mask leaves few)."""
    return given.times(queries / keys**2, min(2 * peaks * (queries / keys) ** 2, float(queries)))


RULES: dict[str, Rule] = {
    "view": _passed,
    "part": _partly,
    "dropout": _passed,
    "bias": _shifted,
    "sum": _shifted,
    "scale": _scaled,
    "product": _gated,
    "glu": _halves,
    "elementwise": _masked,
    "norm": _normed,
    "application": _applied,
    "pool": _pooled,
    "reduce": _reduced,
    "cat": _collected,
    "resize": _resized,
    "softmax": _softened,
    "attention": _attended,
}
"""By the category of a result."""
