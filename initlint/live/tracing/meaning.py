"""What one operation means for the signal that passes through it: which category of node its result is.

Beside the category this notes what each parameter is used for, which is all that tells the roles of bare parameters.
"""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor, nn

from initlint.live.tracing.graph import Node, Trace, Use
from initlint.live.tracing.signal_operations import (
    ATTENTION,
    CAST,
    COLLECTIVES,
    ELEMENTWISE,
    FACTORIES,
    MATMUL,
    NORMS,
    PARTS,
    POOLS,
    RANDOM,
    REARRANGE,
    REDUCTIONS,
    RESIZES,
    SOFTMAX,
)

__all__ = ["Meaning"]


class Meaning:
    """Classifies operations; ``scope`` is the stack of the modules that are running, innermost last."""

    def __init__(self, trace: Trace, scope: list[str]) -> None:
        self.trace = trace
        self.scope = scope

    def classify(
        self, op: str, func: Any, nodes: list[Node], args: Any, results: list[Tensor]
    ) -> tuple[str, dict[str, Any]]:
        """The category of what ``op`` gave from ``nodes``, and the node's fields that differ from the plain reading."""
        trace = self.trace
        if not nodes:
            return ("noise" if op in RANDOM else "constant"), {}
        if op in RANDOM:
            return "noise", {"data": False, "inputs": ()}
        if op in FACTORIES:
            return "constant", {"data": False, "inputs": ()}
        if op in MATMUL:
            return self._product(op, nodes, args)
        if op in ("convolution", "_convolution", "convolution_overrideable"):
            return self._convolution(nodes, args)
        if op in ("_trilinear", "bilinear"):
            return self._apply(nodes, [n for n in nodes if not n.data and n.parameters], Use("bilinear"))
        if op in ("embedding", "_embedding_bag", "_embedding_bag_forward_only", "embedding_renorm"):
            trace.use(nodes[0].parameters, Use("embedding"))
            return "embedding", {
                "data": any(n.data for n in nodes[1:]) or nodes[0].data,
                "layer": self._owner(nodes[0]),
            }
        if op in NORMS:
            return self._norm(op, nodes, args)
        if op in ATTENTION:
            for node in nodes:
                if not node.data:
                    trace.use(node.parameters, Use("token"))
            return "attention", {}
        if op in SOFTMAX:
            return "softmax", {}
        if op == "glu":
            return "glu", {}
        if op == "copy" or op in COLLECTIVES:
            return "view", {}
        if op in ("native_dropout", "_fused_dropout"):
            return "dropout", {}
        if op == "_prelu_kernel":
            trace.use(nodes[1].parameters, Use("scale"))
            return "elementwise", {}
        if op in CAST or op in REARRANGE or func.is_view:
            fewer = results[0].numel() < trace.nodes[nodes[0].index].numel
            return ("part" if fewer else "view"), {}
        if op in PARTS:
            return "part", {}
        if op in ("cat", "stack"):
            for node in nodes:
                if not node.data and node.parameters and any(n.data for n in nodes):
                    trace.use(node.parameters, Use("token"))
            moving = [n for n in nodes if n.data]
            return ("resize", {"inputs": (moving[0].index,)}) if len(moving) == 1 else ("cat", {})
        if op in POOLS:
            return "pool", {}
        if op in RESIZES:
            return "resize", {}
        if op in REDUCTIONS:
            return "reduce", {}
        if op in ELEMENTWISE:
            return self._elementwise(op, nodes, results[0])
        if op == "addcmul" and sum(n.data for n in nodes) == 1 and not nodes[0].data:
            trace.use(nodes[0].parameters, Use("bias" if sum(s > 1 for s in nodes[0].shape) < 2 else "token"))
            trace.use(frozenset().union(*(n.parameters for n in nodes[1:])), Use("scale"))
            signal = next(n.index for n in nodes if n.data)
            return "scale", {"inputs": (signal, *(n.index for n in nodes if n.index != signal))}
        return "other", {}

    def _owner(self, node: Node) -> str:
        for parameter in node.parameters:
            return self.trace.owners.get(parameter, "")
        return ""

    def _owns(self, node: Node) -> bool:
        """Whether the innermost module's own parameter is what the node holds."""
        return node.exact and any(self.trace.owners.get(p) == self.scope[-1] for p in node.parameters)

    def _apply(self, nodes: list[Node], weights: list[Node], use: Use) -> tuple[str, dict[str, Any]]:
        trace = self.trace
        parameters = frozenset().union(*(w.parameters for w in weights)) if weights else frozenset()
        for weight in weights:
            known = use if weight.exact else Use(use.kind)
            trace.use(weight.parameters, known)
        scope = self.scope[-1]
        owners = [trace.owners.get(p, "") for p in parameters]
        within = f"{scope}.parametrizations." if scope else "parametrizations."
        mine = scope in owners or any(owner.startswith(within) for owner in owners)
        return "application", {"data": True, "layer": scope if mine else max(owners, default=""), "weights": parameters}

    def _product(self, op: str, nodes: list[Node], args: Any) -> tuple[str, dict[str, Any]]:
        trace = self.trace
        first, second = MATMUL[op]
        if len(nodes) < 2 or not isinstance(args[first], Tensor) or not isinstance(args[second], Tensor):
            return "other", {}
        left, right = nodes[first], nodes[second]
        candidates = [n for n in (left, right) if not n.data and n.parameters]
        if not (left.data or right.data) and op in ("mv", "addmv", "dot"):
            return "other", {}  # a spectral norm's power iteration
        if len(candidates) == 2:
            owned = [n for n in candidates if self._owns(n)]
            if len(owned) != 1 and not self._in_linear():
                return "other", {}
            candidates = owned[:1] or [right]
        elif candidates and not (left.data or right.data or self._owns(candidates[0]) or self._in_linear()):
            return "other", {}  # a weight times a constant, and no layer's own
        if not candidates:
            return ("attention" if op in ("bmm", "baddbmm") else "product"), {}
        weight = candidates[0]
        matrix = args[second] if weight is right else args[first]
        if weight is right:
            fan_in = matrix.shape[-2] if matrix.dim() > 1 else matrix.shape[0]
            fan_out = matrix.shape[-1] if matrix.dim() > 1 else 1
        else:
            fan_in = matrix.shape[-1]
            fan_out = matrix.shape[-2] if matrix.dim() > 1 else 1
        if first == 1 and nodes[0].parameters and not nodes[0].data:
            trace.use(nodes[0].parameters, Use("bias"))
        inputs = [n.index for n in nodes if n is not weight and n.data]
        category, facts = self._apply(nodes, [weight], Use("matmul", int(fan_in), int(fan_out)))
        if inputs:
            facts["inputs"] = (*inputs, *(n.index for n in nodes if n.index not in inputs))
        return category, facts

    def _in_linear(self) -> bool:
        return isinstance(self.trace.modules.get(self.scope[-1]), nn.Linear)

    def _convolution(self, nodes: list[Node], args: Any) -> tuple[str, dict[str, Any]]:
        trace = self.trace
        signal, weight = nodes[0], nodes[1]
        if weight.data or not weight.parameters:
            return "other", {}
        shape = tuple(args[1].shape)
        transposed, groups = bool(args[6]), int(args[8])
        taps = math.prod(shape[2:])
        if transposed:
            met = math.prod(args[3]) if len(args[3]) == len(shape) - 2 else args[3][0] ** (len(shape) - 2)
            fans = max(1, round(shape[0] // groups * taps / met)), shape[1] * taps
        else:
            fans = shape[1] * taps, shape[0] // groups * taps
        if len(nodes) > 2 and isinstance(args[2], Tensor):
            trace.use(nodes[2].parameters, Use("bias"))
        if not signal.data and not self._owns(weight):
            return "other", {}
        return self._apply(nodes, [weight], Use("convolution", *fans))

    def _norm(self, op: str, nodes: list[Node], args: Any) -> tuple[str, dict[str, Any]]:
        tensors = [a for a in args if isinstance(a, Tensor)]
        by_tensor = {id(t): n for t, n in zip(tensors, nodes, strict=False)}
        weight, bias = (2, 3) if op == "native_layer_norm" else (1, 2)
        for position, kind in ((weight, "norm_scale"), (bias, "norm_bias")):
            if len(args) > position and isinstance(args[position], Tensor):
                node = by_tensor[id(args[position])]
                self.trace.use(node.parameters, Use(kind))
        return "norm", {"data": nodes[0].data, "inputs": (nodes[0].index, *(n.index for n in nodes[1:]))}

    def _elementwise(self, op: str, nodes: list[Node], result: Tensor) -> tuple[str, dict[str, Any]]:
        trace = self.trace
        moving = [n for n in nodes if n.data]
        fixed = [n for n in nodes if not n.data]
        if op in ("mul", "div") and len(moving) == 2:
            if _normalises(trace, moving[0].index, moving[1].index, op) or (
                op == "mul" and _normalises(trace, moving[1].index, moving[0].index, op)
            ):
                return "norm", {}
            return "product", {}
        if op in ("add", "sub") and len(moving) == 2:
            return "sum", {}
        if len(moving) != 1:
            return ("elementwise" if moving else "other"), {}
        signal = moving[0]
        parametric = [n for n in fixed if n.parameters]
        if op in ("mul", "div"):
            if parametric:
                after_norm = _after_norm(trace, signal.index)
                trace.use(parametric[0].parameters, Use("norm_scale" if after_norm else "scale"))
                return "scale", {"inputs": (signal.index, *(n.index for n in fixed))}
            if fixed and fixed[0].category in ("noise", "other") and not fixed[0].value and _noisy(trace, fixed[0]):
                return "dropout", {"inputs": (signal.index,)}
            if fixed and fixed[0].value is None and fixed[0].numel > 1:
                return "scale", {"inputs": (signal.index, *(n.index for n in fixed))}
        if op in ("add", "sub", "rsub") and fixed:
            if parametric:
                wide = sum(size > 1 for size in parametric[0].shape) > 1
                kind = "token" if wide else "norm_bias" if _after_norm(trace, signal.index) else "bias"
                trace.use(parametric[0].parameters, Use(kind))
            if parametric or (fixed[0].value is None and fixed[0].numel > 1):
                return "bias", {"inputs": (signal.index, *(n.index for n in fixed))}
        if op in ("where", "masked_fill") and parametric:
            trace.use(parametric[0].parameters, Use("token"))
        elif parametric:
            trace.use(parametric[0].parameters, Use("scale" if op != "maximum" else "other"))
        return "elementwise", {}


def _noisy(trace: Trace, node: Node) -> bool:
    """Whether a value was drawn at random, possibly scaled since."""
    for _ in range(6):
        if node.category == "noise":
            return True
        if not node.inputs:
            return False
        node = trace.nodes[node.inputs[0]]
    return False


def _after_norm(trace: Trace, index: int) -> bool:
    for _ in range(8):
        node = trace.nodes[index]
        if node.category == "norm":
            return True
        if node.category not in ("view", "scale", "dropout") or not node.inputs:
            return False
        index = node.inputs[0]
    return False


def _normalises(trace: Trace, signal: int, divisor: int, op: str) -> bool:
    """Whether ``divisor`` is a root mean square, a deviation or a norm of ``signal`` (its inverse, for a product).

    Looked for on the way up from the divisor: a root, and a reduction, before the signal itself (or what it was
    centred from) is met.
    """
    origins = {signal}
    at = trace.nodes[signal]
    for _ in range(4):  # through casts and centring
        if (at.category in ("view",) and at.inputs) or (at.op == "sub" and at.inputs):
            at = trace.nodes[at.inputs[0]]
        else:
            break
        origins.add(at.index)
    inverse = op == "div"
    rooted = reduced = False
    index = divisor
    for _ in range(14):
        if index in origins:
            return rooted and reduced and inverse
        node = trace.nodes[index]
        if node.category == "statistic":
            return False
        if node.op in ("rsqrt", "reciprocal"):
            inverse = True
            rooted = rooted or node.op == "rsqrt"
        elif node.op in ("sqrt", "norm", "linalg_vector_norm", "std"):
            rooted = True
            reduced = reduced or node.op != "sqrt"
        elif node.op == "pow":
            exponents = [a for a in node.arguments if isinstance(a, (int, float))]
            if exponents and exponents[-1] in (-0.5, 0.5):
                rooted = True
                inverse = inverse or exponents[-1] < 0
        elif node.category == "reduce" and node.op in ("mean", "sum", "var"):
            reduced = True
        elif node.category not in ("view", "elementwise", "product", "sum", "bias", "scale"):
            return False
        moving = [i for i in node.inputs if trace.nodes[i].data]
        if not moving:
            return False
        index = moving[0]
    return False
