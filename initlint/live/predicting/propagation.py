"""Moments carried along the graph of a traced pass, by theory, from the distributions of parameters and the batch.

Every value of the graph gets a band (theory.signals), or none where nothing is known of it; the next norm gives what
follows it a band again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from initlint.facts import Distribution, known
from initlint.live.predicting.band_rules import RULES
from initlint.live.predicting.spread import activated
from initlint.live.tracing.activations import Function, replay
from initlint.live.tracing.flow import Reader
from initlint.live.tracing.graph import Node, Ref, Trace
from initlint.live.tracing.signal_operations import ELEMENTWISE, MATMUL
from initlint.theory.signals import (
    Band,
    Moments,
    joined,
    linear,
    span,
    summed,
    widened,
)

__all__ = ["SCATTER", "Propagation", "inside", "measured_band", "setting"]

SCATTER = 5.0
"""Variance of the logarithm of a layer's second moment, times its width: E[f^4] / E[f^2]^2 - 1 of a ReLU."""
_LARGEST = 1 << 22
"""Elements of a real tensor up to which its moments are taken."""


def measured_band(tensor: Tensor, *, batched: bool) -> Band | None:
    """The moments of a real tensor; ``batched`` says that its dimension 0 holds samples, which differ."""
    if tensor.device.type == "meta" or tensor.layout is not torch.strided or not tensor.is_floating_point():
        return None
    if not 0 < tensor.numel() <= _LARGEST:
        return None
    values = tensor.detach().double()
    mean, variance = float(values.mean()), float(values.var(unbiased=False))
    if not math.isfinite(mean) or not math.isfinite(variance):
        return None
    share = (0.0, 0.0)
    if batched:
        if values.dim() < 2 or values.shape[0] < 2:
            share = (0.0, 1.0)
        elif variance > 0:
            across = float(values.var(dim=0).mean()) / variance
            share = (min(1.0, across),) * 2
    return Band((mean, mean), (variance, variance), share)


def law_band(law: Distribution) -> Band | None:
    """The moments of what is drawn from a distribution; the same for all samples."""
    if not known(law) or not known(law.mean) or not known(law.std):
        return None
    return Band.of(law.mean, law.std * law.std, 0.0) if math.isfinite(law.mean + law.std) else None


class Propagation:
    """The bands of the values of one trace.

    ``laws`` are the distributions of parameters by identity, ``inputs`` the tensors of the batch in the order in which
    the trace met them.
    """

    def __init__(self, trace: Trace, reader: Reader, laws: Mapping[int, Distribution], inputs: list[Tensor]) -> None:
        self.trace = trace
        self.reader = reader
        self.laws = laws
        self.bands: list[Band | None] = []
        self.roots: list[int] = []
        """The value that each is an elementwise function of; itself for a value of its own."""
        self.members: dict[int, set[int]] = {}
        self.functions: dict[int, Function] = {}
        """How a value that is no root comes of its root."""
        given = iter(inputs)
        self.batch = {node.index: next(given) for node in trace.nodes if node.category == "input"}
        for node in trace.nodes:
            self.roots.append(node.index)
            self.members[node.index] = {node.index}
            self.bands.append(None)
            band = self._band(node)
            self.bands[node.index] = band

    # -- one value

    def _band(self, node: Node) -> Band | None:
        if node.category == "input":
            given = self.batch[node.index]
            return measured_band(given if given.is_floating_point() else given.float(), batched=True)
        if node.category == "parameter":
            return next((law_band(self.laws[p]) for p in node.parameters if p in self.laws), None)
        if node.value is not None:
            return Band.of(node.value, 0.0, 0.0)
        if not node.inputs:
            return self._given(node)
        if node.category in ("view", "dropout", "part") and node.op != "index":
            return self._passed(node)
        closed = self._elementwise(node)
        if closed is not None:
            return closed
        if node.category in ("application", "embedding"):
            return self._applied(node) if node.category == "application" else self._embedded(node)
        rule = RULES.get(node.category)
        found = rule(self, node) if rule is not None else None
        return _BOUNDED.get(node.op) if found is None else found

    def _given(self, node: Node) -> Band | None:
        original = self.trace.originals.get(node.index)
        if original is not None:
            return measured_band(original, batched=False)
        if node.op in ("arange", "linspace") and node.numel <= _LARGEST:
            return measured_band(_made(node), batched=False)
        return {"randn": Band.of(0.0, 1.0, 1.0), "randn_like": Band.of(0.0, 1.0, 1.0)}.get(node.op)

    def _passed(self, node: Node) -> Band | None:
        source = node.inputs[0]
        if node.category == "view" and self.trace.nodes[source].numel == node.numel:
            self.roots[node.index] = self.roots[source]
            self.members[node.index] = self.members[source] | {node.index}
            if source in self.functions:
                self.functions[node.index] = self.functions[source]
        return self.bands[source]

    def _elementwise(self, node: Node) -> Band | None:
        """The band of an elementwise function of one value; None for anything else."""
        if node.op not in ELEMENTWISE or node.category not in ("elementwise", "product", "sum"):
            return None
        moving = [i for i in node.inputs if self.trace.nodes[i].data]
        roots = {self.roots[i] for i in moving}
        if len(roots) != 1 or any(self.trace.nodes[i].numel != node.numel for i in moving):
            return None
        root = roots.pop()
        band = self.bands[root]
        members = {node.index}.union(*(self.members[i] for i in moving))
        function = replay(self.trace, root, node.index, members) if band is not None else None
        if band is None or function is None:
            return None
        result = span(lambda x: activated(function, x), band)
        if result is not None:
            self.roots[node.index], self.members[node.index] = root, members
            self.functions[node.index] = function
        return result

    def argument(self, node: Node, position: int) -> Band | None:
        """The band of a tensor among the arguments of an operation."""
        index = self.index(node, position)
        return None if index is None else self.bands[index]

    @staticmethod
    def index(node: Node, position: int) -> int | None:
        """The value of a tensor among the arguments of an operation; None for none."""
        value = node.arguments[position] if position < len(node.arguments) else None
        return value.index if isinstance(value, Ref) else None

    def independent(self, a: int, b: int) -> bool:
        """Whether one of two values was drawn by weights that the other has not met: another map's, or other rows."""
        ancestors = self.reader.ancestors
        if ancestors is None:
            return False
        (first, part), (second, other_part) = self._draw(a), self._draw(b)
        if first is not None and first == second:
            return part != other_part
        return any(
            draw is not None and draw != other and not ancestors[other] >> draw & 1
            for draw, other in ((first, b), (second, a))
        )

    def _draw(self, index: int) -> tuple[int | None, int | None]:
        """The map whose weights a value was last drawn by, and the part of its result that the value came of."""
        nodes, part = self.trace.nodes, None
        for _ in range(40):
            node = nodes[index]
            if node.category in ("application", "embedding"):
                return index, part
            moving = [i for i in node.inputs if nodes[i].data]
            if not moving or node.category not in _KEEPING:
                break
            part = index if node.category == "part" else part
            index = max(moving, key=lambda i: nodes[i].numel) if node.category != "attention" else moving[-1]
        return None, None

    # -- operations

    def _applied(self, node: Node) -> Band | None:
        if node.op in MATMUL:
            return self._multiplied(node)
        if node.op in ("convolution", "_convolution", "convolution_overrideable"):
            return self._convolved(node)
        return None

    def _multiplied(self, node: Node) -> Band | None:
        left, right = (self.index(node, position) for position in MATMUL[node.op])
        if left is None or right is None or node.op == "_grouped_mm":
            return None
        weight, signal = (right, left) if not self.trace.nodes[right].data else (left, right)
        if self.trace.nodes[weight].data:
            return None
        shape = self.trace.nodes[left].shape
        bias = self.argument(node, 0) if min(MATMUL[node.op]) == 1 else None
        if min(MATMUL[node.op]) == 1 and (bias is None or node.keywords.get("beta", 1) != 1):
            return None
        if node.keywords.get("alpha", 1) != 1:
            return None
        width = node.shape[-1] if weight == right else node.shape[-2] if len(node.shape) > 1 else 1
        return self._linear(signal, weight, bias, terms=float(shape[-1]), least=1.0, width=width)

    def _convolved(self, node: Node) -> Band | None:
        signal, weight = self.index(node, 0), self.index(node, 1)
        if signal is None or weight is None:
            return None
        shape, given = self.trace.nodes[weight].shape, self.trace.nodes[signal].shape
        bias = self.argument(node, 2) if self.index(node, 2) is not None else None
        if bias is None and self.index(node, 2) is not None:
            return None
        transposed, groups = bool(node.arguments[6]), int(node.arguments[8])
        taps = float(shape[0] // groups if transposed else shape[1])
        least = 1.0
        for axis, size in enumerate(shape[2:]):
            stride, padding, dilation = (setting(node.arguments[position], axis) for position in (3, 4, 5))
            if transposed:
                taps, least = taps * size / stride, least * max(1, size // stride) * stride / size
            else:
                taps *= size
                least *= inside(given[axis + 2], node.shape[axis + 2], size, stride, padding, dilation)
        return self._linear(signal, weight, bias, terms=taps, least=least, width=node.shape[1])

    def _linear(
        self, signal: int, weight: int, bias: Band | None, *, terms: float, least: float, width: int
    ) -> Band | None:
        """A linear map of ``terms`` terms, of which a share of ``least`` are there on the whole (at a border)."""
        x, w = self.bands[signal], self.bands[weight]
        if x is None or w is None:
            return None
        scatter = x.scatter + w.scatter + SCATTER / max(1, min(width, int(terms) or 1))

        def rule(x: Moments, w: Moments, aligned: float) -> Moments:
            return linear(x, terms, w.mean, math.sqrt(w.variance), aligned=aligned)

        found = span(lambda x, w: rule(x, w, 0.0), x, w, scatter=scatter)
        if found is not None and w.mean != (0.0, 0.0):
            common = span(lambda x, w: rule(x, w, 1.0), x, w, scatter=scatter)
            found = None if common is None else joined(found, common)
        if found is None:
            return None
        if least < 1:
            found = joined(found, widened(found, least, least))
        return found if bias is None else span(summed, found, bias, scatter=scatter)

    def _embedded(self, node: Node) -> Band | None:
        table, index = self.argument(node, 0), self.index(node, 1)
        if node.op != "embedding" or table is None or index is None:
            return None
        share = self._apart(index)
        return table._replace(share=share, scatter=SCATTER / max(1, node.shape[-1]) if node.shape else 0.0)

    def _apart(self, index: int) -> tuple[float, float]:
        """Bounds of the share of pairs of samples in which an index differs."""
        node = self.trace.nodes[index]
        if not node.data:
            return (0.0, 0.0)
        indices = self.batch.get(self.trace.source(index))
        if indices is None or indices.device.type == "meta" or indices.dim() < 2 or indices.shape[0] < 2:
            return (0.0, 1.0)
        rows = indices.reshape(indices.shape[0], -1)[:64]
        differ = (rows[:, None] != rows[None]).double().mean() * len(rows) / (len(rows) - 1)
        return (float(differ), float(differ)) if tuple(indices.shape) == node.shape else (0.0, 1.0)


def setting(value: Any, axis: int) -> int:
    """A convolution's setting for one axis; one number may stand for all."""
    return int(value[axis] if len(value) > axis else value[0])


def inside(size: int, out: int, kernel: int, stride: int, padding: int, dilation: int) -> float:
    """The share of a kernel's taps, over all positions along one axis, that fall inside and not on padding."""
    starts = range(-padding, -padding + min(out, 512) * stride, stride)
    taps = [0 <= start + tap * dilation < size for start in starts for tap in range(kernel)]
    return sum(taps) / len(taps) if taps else 1.0


def _made(node: Node) -> Tensor:
    """What a factory made, made again for real."""
    keywords = {key: value for key, value in node.keywords.items() if key not in ("device", "pin_memory", "layout")}
    made: Tensor = node.function(*node.arguments, **keywords)
    return made.float()


_UNIT = Band((-1.0, 1.0), (0.0, 1.0), (0.0, 1.0))
_BOUNDED = {"sin": _UNIT, "cos": _UNIT, "tanh": _UNIT, "sigmoid": Band((0.0, 1.0), (0.0, 0.25), (0.0, 1.0))}
"""What functions give whatever they are given."""

_KEEPING = frozenset(
    ["view", "part", "dropout", "bias", "scale", "pool", "resize", "elementwise", "norm", "attention", "glu", "product"]
)
"""Categories that hand on what a signal was drawn by."""
