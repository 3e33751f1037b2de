"""Whether an embedding's table is the output projection too, and at which scale what it is multiplied by comes in."""

from __future__ import annotations

from typing import Any

from initlint.facts import UNKNOWN
from initlint.live.tracing.graph import Node, Trace

__all__ = ["projects"]

_FARTHEST = 32


def projects(trace: Trace | None, parameter: int) -> int | None:
    """As Parameter.projects, of the parameter with that id; UNKNOWN where the graph was not followed to its end."""
    if trace is None or not trace.complete:
        return UNKNOWN  # type: ignore[no-any-return]
    terms = [use.fan_in for use in trace.uses.get(parameter, ()) if use.kind == "matmul" and use.fan_in]
    places = [node for node in trace.applications() if parameter in node.weights and node.op != "recurrent"]
    if not terms or not places or any(_is_scaled(trace, node) for node in places):
        return None
    return min(terms)


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
