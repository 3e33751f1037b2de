"""Layers whose outputs are added to one another before anything acts on them, and layers that a loop feeds themselves.

``tanh(i(x) + h(state))`` of a recurrent cell written out, or a graph layer's map of a node and map of its neighbours:
the activation acts on the sum, so it is the activation of both layers, and no layer's alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from initlint.live.tracing.graph import Trace

__all__ = ["Calls", "Sum", "calls_of", "returns", "sum_of"]

_MAX_TERMS = 8
Calls = Mapping[int, tuple[str, int]]
"""By the node of an application: the layer, and which of its calls it is."""


@dataclass(frozen=True, slots=True)
class Sum:
    """A sum of layers' outputs: its node, and the applications that it adds up. ``whole``: each of them as it is, and
    not a part of it, one value to one of the sum's."""

    node: int
    terms: tuple[int, ...]
    whole: bool


def sum_of(trace: Trace, index: int, ancestors: Sequence[int] | None, depths: Sequence[int]) -> Sum | None:
    """The sum that an application goes into with other layers' applications; None where it is no such sum.

    A shortcut with a projection is none: what it maps goes through more layers on the other side of the sum.
    """
    top = _top(trace, index)
    if top is None or ancestors is None:
        return None
    terms = _terms(trace, top)
    if terms is None or len(terms) < 2:
        return None
    for term, entry in terms:
        for other, _ in terms:
            if other != term and ancestors[other] >> entry & 1 and depths[other] > depths[term]:
                return None
    applications = tuple(term for term, _ in terms)
    shape = trace.nodes[top].shape
    whole = all(trace.nodes[term].shape == shape for term in applications)
    return Sum(top, applications, whole)


def _top(trace: Trace, index: int) -> int | None:
    """The outermost sum that a value goes into and nowhere else."""
    top = None
    while True:
        ahead = [i for i in trace.consumers[index] if trace.nodes[i].data]
        if len(ahead) != 1 or trace.nodes[ahead[0]].category not in ("view", "bias", "sum"):
            return top
        index = ahead[0]
        if trace.nodes[index].category == "sum":
            top = index


def _terms(trace: Trace, top: int) -> list[tuple[int, int]] | None:
    """(application, the value that it maps or the part of it that is taken) for each term; None if one is no layer's"""
    found: dict[int, int] = {}
    stack = [top]
    while stack:
        index = stack.pop()
        entry = None
        node = trace.nodes[index]
        while node.category in ("view", "bias", "part") and node.inputs:
            if node.category == "part":
                entry = node.index
            node = trace.nodes[node.inputs[0]]
        if node.category == "sum" and entry is None:
            stack.extend(i for i in dict.fromkeys(node.inputs) if trace.nodes[i].data)
        elif node.category == "application" and node.layer in trace.modules and node.inputs:
            found[node.index] = trace.source(node.inputs[0]) if entry is None else entry
        else:
            return None
        if len(found) + len(stack) > _MAX_TERMS:
            return None
    return list(found.items())


def calls_of(trace: Trace) -> Calls:
    """Which call of which layer each application is, where the layer returns its result."""
    found: dict[int, tuple[str, int]] = {}
    for name, returned in trace.returned.items():
        for call, index in enumerate(returned):
            node = trace.nodes[index]
            while node.category in ("view", "bias") and node.inputs and node.module == name:
                node = trace.nodes[node.inputs[0]]
            if node.category == "application" and node.layer == name:
                found[node.index] = (name, call)
    return found


def returns(trace: Trace, applications: Sequence[int], ancestors: Sequence[int] | None, depths: Sequence[int]) -> int:
    """How often in a row the output of a layer, applied at those nodes in order, comes back to it: see facts.Layer."""
    longest = run = 0
    for before, after in itertools.pairwise(applications):
        run = run + 1 if _comes_back(trace, before, after, ancestors, depths) else 0
        longest = max(longest, run)
    return longest


def _comes_back(trace: Trace, before: int, after: int, ancestors: Sequence[int] | None, depths: Sequence[int]) -> bool:
    """Whether a layer's input is the activation of a sum that its output went into, beside what came in since."""
    step: int | None = after
    while step is not None:
        moving = [i for i in dict.fromkeys(trace.nodes[step].inputs) if trace.nodes[i].data]
        if trace.nodes[step].category == "sum":
            sum = sum_of(trace, before, ancestors, depths)
            return sum is not None and sum.node == step
        if step != after and trace.nodes[step].category not in ("view", "dropout", "bias", "elementwise"):
            return False
        step = moving[0] if len(moving) == 1 else None
    return False
