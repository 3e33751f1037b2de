"""Whether an embedding's table is the output projection too, and at which scale that comes in and goes out."""

from __future__ import annotations

import math
from typing import Any

from torch import Tensor

from initlint.facts import UNKNOWN
from initlint.live.tracing.graph import Node, Trace

__all__ = ["logits_std", "projects", "spread"]

_FARTHEST = 32
_ROWS = 64
"""Of logits that are looked at."""


def projects(trace: Trace | None, parameter: int) -> int | None:
    """As Parameter.projects, of the parameter with that id; UNKNOWN where the graph was not followed to its end."""
    if trace is None or not trace.complete:
        return UNKNOWN  # type: ignore[no-any-return]
    uses = trace.uses.get(parameter, ())
    terms = [use.fan_in for use in uses if use.kind == "matmul" and use.fan_in]
    if not uses or uses[0].kind != "embedding":
        return None  # or a code book, of which a code is chosen first and looked up then
    places = [node for node in trace.applications() if parameter in node.weights and node.op != "recurrent"]
    if not terms or not places or any(_is_scaled(trace, node) for node in places):
        return None
    return min(terms)


def spread(logits: Tensor) -> Tensor | None:
    """The std of some rows (0-d); None of what has no values of its own (fake tensors, pieces of sharded ones)."""
    if type(logits) is not Tensor or logits.is_meta or not logits.is_floating_point() or logits.numel() < 2:
        return None
    rows = logits.detach().flatten(0, -2) if logits.dim() > 1 else logits.detach()[None]
    return rows[:: max(1, len(rows) // _ROWS)].float().std()


def logits_std(trace: Trace | None, parameter: int) -> float | None:
    """As Parameter.logits_std, of the parameter with that id."""
    if trace is None:
        return None
    found = [float(std) for index, std in trace.spreads.items() if parameter in trace.nodes[index].weights]
    return max(filter(math.isfinite, found), default=None)


def _is_scaled(trace: Trace, product: Node) -> bool:
    """Whether a number scales what goes into a product, or anything what comes out of it."""
    node: Any = next((trace.nodes[index] for index in product.inputs if trace.nodes[index].data), None)
    for _ in range(_FARTHEST):
        if node is None or not (_passes(node) or _scales(node)):
            break
        if _scales(node) and not any(trace.nodes[index].parameters for index in node.inputs):
            return True
        node = next((trace.nodes[index] for index in node.inputs if trace.nodes[index].data), None)
    reached, stack = {product.index}, [product.index]
    while stack and len(reached) < _FARTHEST:
        for index in trace.consumers[stack.pop()]:
            if index not in reached:
                reached.add(index)
                if _scales(trace.nodes[index]):
                    return True
                if _passes(trace.nodes[index]):
                    stack.append(index)
    return False


def _passes(node: Node) -> bool:
    return node.category in ("view", "part", "dropout", "bias")


def _scales(node: Node) -> bool:
    return node.category in ("scale", "product") or node.op in ("mul", "div")
