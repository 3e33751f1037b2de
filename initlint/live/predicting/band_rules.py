"""What the operations of a graph, other than weights and activations, make of the bands of their operands."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import torch

from initlint.live.predicting.spread import activated
from initlint.live.tracing.graph import Node, Ref, Trace
from initlint.live.tracing.signal_operations import MATMUL
from initlint.theory.signals import Band, Moments, averaged, joined, normalised, product, span, summed, widened

__all__ = ["RULES", "softmax_behind", "window"]

_UNKNOWN_NORMED = Band((-0.7, 0.7), (0.5, 1.0), (0.0, 1.0))
"""What a norm gives from a signal of which nothing is known: a mean square of 1."""


class Walk(Protocol):
    """What a rule asks of the walk along a trace."""

    trace: Trace
    bands: list[Band | None]

    def argument(self, node: Node, position: int) -> Band | None:
        """The band of a tensor among the arguments of an operation."""

    def index(self, node: Node, position: int) -> int | None:
        """The value of a tensor among the arguments of an operation."""

    def independent(self, a: int, b: int) -> bool:
        """Whether one of two values was drawn by weights that the other has not met."""


def _shifted(walk: Walk, node: Node) -> Band | None:
    first, second = walk.argument(node, 0), walk.argument(node, 1)
    if node.op not in ("add", "sub", "rsub") or node.keywords.get("alpha", 1) != 1:
        return None
    return None if first is None or second is None else span(_difference(node.op), first, second)


def _scaled(walk: Walk, node: Node) -> Band | None:
    bands = [walk.bands[i] for i in node.inputs]
    if len(bands) != 2 or bands[0] is None or bands[1] is None or node.op not in ("mul", "div"):
        return None
    if node.op == "mul":
        return span(product, bands[0], bands[1])
    (least, most), variance = bands[1].mean, bands[1].variance
    if variance != (0.0, 0.0) or least != most or not least or walk.index(node, 0) != node.inputs[0]:
        return None  # what divides is not one number, or is the signal itself
    return span(product, bands[0], Band.of(1 / least, 0.0, 0.0))


def _added(walk: Walk, node: Node) -> Band | None:
    operands = [i for i in node.inputs if walk.trace.nodes[i].data]
    bands = [walk.bands[i] for i in operands]
    if len(bands) != 2 or bands[0] is None or bands[1] is None or node.keywords.get("alpha", 1) != 1:
        return None
    if walk.independent(*operands):
        return span(_difference(node.op), bands[0], bands[1])
    ends = [span(lambda a, b, r=r: summed(a, b, r), bands[0], bands[1]) for r in (-1.0, 1.0)]
    if ends[0] is None or ends[1] is None:
        return None
    both = joined(ends[0], ends[1])
    return both._replace(share=(0.0, 1.0)) if node.op == "add" else both._replace(mean=_hull(bands), share=(0.0, 1.0))


def _gated(walk: Walk, node: Node) -> Band | None:
    operands = [i for i in node.inputs if walk.trace.nodes[i].data]
    bands = [walk.bands[i] for i in operands]
    if node.op != "mul" or len(bands) != 2 or bands[0] is None or bands[1] is None:
        return None
    scatter = bands[0].scatter + bands[1].scatter
    return span(product, bands[0], bands[1], scatter=scatter) if walk.independent(*operands) else None


def _halves(walk: Walk, node: Node) -> Band | None:
    x = walk.bands[node.inputs[0]]
    gate = None if x is None else span(lambda m: activated(torch.sigmoid, m), x)
    return None if x is None or gate is None else span(product, x, gate)


def _normed(walk: Walk, node: Node) -> Band | None:
    scale, shift, epsilon, units, centred = None, None, 1e-6, False, True
    arguments = node.arguments
    if node.op in ("mul", "div"):
        return _normed_by_hand(walk, node)
    x = walk.bands[node.inputs[0]]
    if node.op == "native_layer_norm":
        scale, shift, epsilon = 2, 3, float(arguments[4])
    elif node.op in ("_fused_rms_norm", "rms_norm"):
        scale, centred = 2, False
        epsilon = float(arguments[3]) if len(arguments) > 3 and arguments[3] is not None else 1e-7
    elif node.op == "native_group_norm":
        scale, shift, epsilon = 1, 2, float(arguments[7])
    elif "batch_norm" in node.op:
        if len(arguments) > 5 and arguments[5] is False:
            return None  # running statistics of a frozen norm
        scale, shift, units = 1, 2, node.shape[:1] != (1,)
        numbers = [a for a in arguments if isinstance(a, float)]
        epsilon = numbers[-1] if numbers else 1e-5
    found = _whitened(walk, x, node, epsilon, units=units, centred=centred)
    for position, rule in ((scale, product), (shift, summed)):
        if position is not None and position < len(arguments) and isinstance(arguments[position], Ref):
            other = walk.argument(node, position)
            found = None if other is None or found is None else span(rule, found, other)
    return found


def _whitened(walk: Walk, x: Band | None, node: Node, epsilon: float, *, units: bool, centred: bool) -> Band | None:
    if x is None:
        return Band((0.0, 0.0), (0.9, 1.0), (0.0, 1.0)) if centred else _UNKNOWN_NORMED
    found = span(lambda m: normalised(m, epsilon, centred=centred), x, scatter=0.0)
    if units and found is not None:  # what positions have in common stays: all of it, or none
        apart = span(lambda m: normalised(m, epsilon, units=True), x, scatter=0.0)
        if apart is not None:
            found = apart if len(node.shape) == 2 else joined(found, apart)
    return found


def _normed_by_hand(walk: Walk, node: Node) -> Band | None:
    moving = sorted((i for i in node.inputs if walk.trace.nodes[i].data), key=lambda i: -walk.trace.nodes[i].numel)
    x = walk.bands[moving[0]]
    operations, epsilon, numel = _above(walk, moving[-1])
    found = _whitened(walk, x, node, epsilon, units=False, centred=False)
    if found is not None and not operations & {"mean", "var", "std", "var_mean"}:
        share = numel / max(1, node.numel)  # by the length, and not by the root mean square
        found = widened(found, share, share)
    return found


def _above(walk: Walk, index: int) -> tuple[set[str], float, int]:
    """The operations on the way up from a divisor to what it is a mean over, the number added, how many it is."""
    found: set[str] = set()
    epsilon, numel = 0.0, walk.trace.nodes[index].numel
    for _ in range(8):
        node = walk.trace.nodes[index]
        found.add(node.op)
        numel = min(numel, node.numel)  # a divisor may be spread out to the size of what it divides
        if node.op == "add":
            epsilon = next((float(a) for a in node.arguments if isinstance(a, (int, float))), epsilon)
        moving = [i for i in node.inputs if walk.trace.nodes[i].data]
        if not moving or node.category == "reduce":
            break
        index = moving[0]
    return found, epsilon, numel


def _attended(walk: Walk, node: Node) -> Band | None:
    if node.op in ("bmm", "baddbmm"):
        left, right = (walk.index(node, position) for position in MATMUL[node.op])
        if left is None or right is None or softmax_behind(walk.trace, left) is None:
            return None
        values, terms = right, walk.trace.nodes[left].shape[-1]
    else:
        index = walk.index(node, 2)
        if index is None:
            return None
        values, terms = index, walk.trace.nodes[index].shape[-2]
    x = walk.bands[values]
    return None if x is None else _mean_of(x, 1 / max(1, terms))


def softmax_behind(trace: Trace, index: int) -> int | None:
    """The softmax that a value is the result of, masked or dropped out at most."""
    for _ in range(8):
        node = trace.nodes[index]
        if node.category == "softmax":
            return index
        if node.category not in ("view", "dropout", "elementwise") or not node.inputs:
            return None
        index = node.inputs[0]
    return None


def _softened(walk: Walk, node: Node) -> Band | None:
    if node.op != "_softmax" or not node.shape:
        return None
    share = 1 / node.shape[int(node.arguments[1])]
    return Band((share, share), (0.0, share), (0.0, 1.0))


def _pooled(walk: Walk, node: Node) -> Band | None:
    x = walk.bands[node.inputs[0]]
    if x is None:
        return None
    terms = window(walk.trace, node)
    if "max" in node.op:
        reach = math.sqrt(2 * math.log(max(1, terms)) * x.variance[1])
        wide = widened(x, 1 / (1 + math.log(max(1, terms))), 2.0)
        return wide._replace(mean=(x.mean[0], x.mean[1] + reach), share=(0.0, 1.0)) if terms > 1 else x
    return _mean_of(x, 1 / max(1, terms))


def window(trace: Trace, node: Node) -> float:
    """How many values a pool takes together."""
    size = node.arguments[1] if len(node.arguments) > 1 else ()
    if "adaptive" in node.op or not isinstance(size, tuple):
        return trace.nodes[node.inputs[0]].numel / max(1, node.numel)
    return float(math.prod(size))


def _reduced(walk: Walk, node: Node) -> Band | None:
    x = walk.bands[node.inputs[0]]
    terms = walk.trace.nodes[node.inputs[0]].numel / max(1, node.numel)
    if x is None or node.op not in ("mean", "sum"):
        return None
    found = _mean_of(x, 1 / max(1.0, terms))
    return found if node.op == "mean" or found is None else span(product, found, Band.of(terms, 0.0, 0.0))


def _collected(walk: Walk, node: Node) -> Band | None:
    bands = [walk.bands[i] for i in node.inputs if walk.trace.nodes[i].numel]
    return None if any(band is None for band in bands) else joined(*(band for band in bands if band is not None))


def _resized(walk: Walk, node: Node) -> Band | None:
    x = walk.bands[node.inputs[0]]
    if x is None:
        return None
    if node.op in ("cat", "stack"):
        several = [each.index for each in _refs(node.arguments)]
        beside = [walk.bands[index] for index in several if walk.trace.nodes[index].numel]  # a cache begins empty
        return None if any(b is None for b in beside) else joined(x, *(b for b in beside if b is not None))
    if "nearest" in node.op or "reflection" in node.op or "replication" in node.op:
        return x
    least = walk.trace.nodes[node.inputs[0]].numel / max(1, node.numel) if node.op == "constant_pad_nd" else 0.3
    return joined(x, widened(x, min(1.0, least), 1.0))


def _refs(value: Any) -> list[Ref]:
    if isinstance(value, Ref):
        return [value]
    return [ref for item in value for ref in _refs(item)] if isinstance(value, tuple) else []


def _hull(bands: list[Band | None]) -> tuple[float, float]:
    ends = [end for band in bands if band is not None for end in band.mean]
    reach = max(map(abs, ends)) * 2
    return -reach, reach


def _difference(op: str) -> Callable[[Moments, Moments], Moments]:
    """The sum or difference of two signals without correlation."""
    signs = {"sub": (1, -1), "rsub": (-1, 1)}.get(op, (1, 1))

    def rule(a: Moments, b: Moments) -> Moments:
        return summed(a._replace(mean=signs[0] * a.mean), b._replace(mean=signs[1] * b.mean))

    return rule


def _mean_of(x: Band, least: float) -> Band | None:
    """A mean over values of which nothing is known but how many they are."""
    ends = [span(lambda m, a=a, f=f: averaged(m, a, f), x) for a in (least, 1.0) for f in (least, 1.0)]
    found = [band for band in ends if band is not None]
    return joined(*found) if len(found) == len(ends) else None


RULES: dict[str, Callable[[Walk, Node], Band | None]] = {
    "bias": _shifted,
    "scale": _scaled,
    "sum": _added,
    "product": _gated,
    "glu": _halves,
    "norm": _normed,
    "attention": _attended,
    "softmax": _softened,
    "pool": _pooled,
    "reduce": _reduced,
    "cat": _collected,
    "resize": _resized,
}
"""What becomes of the bands of an operation's operands, by the category of its result."""
