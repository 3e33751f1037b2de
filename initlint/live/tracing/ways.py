"""The ways out of one value of a trace: what acts on it elementwise, and what then uses it."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import Any

from initlint.facts import UNKNOWN, Activation
from initlint.live.tracing.activations import Function, describe, prelu, replay
from initlint.live.tracing.graph import Node, Ref, Trace
from initlint.live.tracing.signal_operations import ELEMENTWISE

__all__ = ["Path", "Ways"]

_PASSING = frozenset({"view", "dropout", "bias", "scale", "pool", "resize"})
_MAX_MEMBERS = 60
_MAX_VALUES = 500
"""How many values are looked at for the fate of one; beyond it the fate is unknown."""
_SINKS = {
    "sum": "sum",
    "norm": "norm",
    "application": "layer",
    "product": "product",
    "softmax": "softmax",
}


@dataclass(slots=True)
class Path:
    """One way out of a value: the activation met on it (None: none), and what stands at its end."""

    activation: Activation | None
    function: Function | None
    sinks: list[tuple[str, str, int]]
    """Kind, name and node; "output" has node -1."""


class Ways:
    """Follows values of one trace. ``looked_at``: how many, since the last time that it was set to 0."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.looked_at = 0

    def paths(self, index: int) -> list[Path] | None:
        """Every way out of a value; None where there are too many to follow."""
        self.looked_at += 1
        members, exits = self._closure(index)
        if exits is None or self.looked_at > _MAX_VALUES:
            return None
        paths: list[Path] = []
        for end in exits:
            special = self._prelu(end)
            function = None if end == index else replay(self.trace, index, end, members)
            if end != index and function is None and special is None and not self._passes(index, end, members):
                return None
            activation = special or (describe(function) if function is not None else None)
            sinks: list[tuple[str, str, int]] = []
            follow: list[int] = []
            self._sinks(end, members, sinks, follow)
            if not sinks and not follow:
                continue
            if sinks:
                paths.append(Path(activation, function if activation is not None else None, sinks))
            for further in follow:
                beyond = self.paths(further)
                if beyond is None:
                    return None
                for path in beyond:
                    if activation is None:
                        paths.append(path)
                    else:
                        paths.append(Path(activation, function, path.sinks))
        return _combine(paths)

    def returned_too(self, index: int) -> Any:
        """Whether a value, or what is computed from it elementwise, is an output besides the primary one, and used.

        UNKNOWN where there is too much to follow.
        """
        trace = self.trace
        primary = {trace.source(i) for i in trace.primary}
        besides = {i for i in trace.outputs if trace.source(i) not in primary}
        if not besides:
            return False
        members, exits = self._closure(index)
        if exits is None:
            return UNKNOWN
        inner = {consumer for end in exits for consumer in trace.consumers[end] if consumer not in members}
        return not besides.isdisjoint(exits) and any(trace.nodes[consumer].data for consumer in inner)

    def _prelu(self, end: int) -> Activation | None:
        node = self.trace.nodes[end]
        if node.op != "_prelu_kernel":
            return None
        for parameter in self.trace.nodes[node.inputs[1]].parameters:
            owner = self.trace.modules.get(self.trace.owners.get(parameter, ""))
            slopes = getattr(owner, "weight", None)
            if slopes is not None and id(slopes) == parameter and not slopes.is_meta:
                return prelu(slopes.detach().flatten().cpu().double().tolist())
        return Activation(name="prelu")

    def _passes(self, start: int, end: int, members: set[int]) -> bool:
        return all(self.trace.nodes[i].category in ("view", "dropout", "part") for i in members if start < i <= end)

    def _closure(self, index: int) -> tuple[set[int], list[int] | None]:
        """The values computed elementwise from one value alone, and those of them that something else uses.

        A part of the value is a value of its own: the closure stops there.
        """
        trace = self.trace
        numel = trace.nodes[index].numel
        members, exits = {index}, set()
        queue = list(trace.consumers[index])
        heapq.heapify(queue)
        rejected: dict[int, set[int]] = {}
        seen: set[int] = set()
        while queue:
            current = heapq.heappop(queue)
            if current in seen:
                continue
            seen.add(current)
            node = trace.nodes[current]
            if self._belongs(node, members, numel):
                members.add(current)
                if len(members) > _MAX_MEMBERS:
                    return members, None
                for consumer in trace.consumers[current]:
                    heapq.heappush(queue, consumer)
            else:
                rejected[current] = {i for i in node.inputs if i in members}
        for sources in rejected.values():
            exits |= sources
        exits |= members & self.trace.outputs
        return members, sorted(exits)

    def _belongs(self, node: Node, members: set[int], numel: int) -> bool:
        trace = self.trace
        if node.numel != numel:
            return False
        if node.category in ("view", "dropout") and node.op != "index_select":
            return node.inputs[0] in members
        if node.op == "_prelu_kernel":
            return node.inputs[0] in members
        if node.op not in ELEMENTWISE or node.category not in ("elementwise", "product", "sum"):
            return False
        moving = [i for i in node.inputs if trace.nodes[i].data]
        fixed = [i for i in node.inputs if not trace.nodes[i].data]
        if not moving or not all(i in members for i in moving):
            return False
        if any(trace.nodes[i].value is None for i in fixed):
            return False
        refs = [a for a in node.arguments if isinstance(a, Ref)]
        return bool(refs)

    def _sinks(self, end: int, members: set[int], sinks: list[tuple[str, str, int]], follow: list[int]) -> None:
        """What uses an exit: things that end the walk, and values to walk on from."""
        trace = self.trace
        if end in self.trace.outputs:
            others = any(c not in members and trace.nodes[c].data for c in trace.consumers[end])
            primary = trace.source(end) in {trace.source(i) for i in trace.primary}
            if primary or not others:
                sinks.append(("output", "primary" if primary else "output", -1))
        for consumer in trace.consumers[end]:
            if consumer in members:
                continue
            node = trace.nodes[consumer]
            if node.category in _PASSING or node.category == "part":
                follow.append(consumer)
            elif node.category == "statistic" or (node.category == "reduce" and self._feeds_norm(end, consumer)):
                continue
            elif node.category in _SINKS:
                name = node.layer if node.category == "application" else node.op
                if node.category == "norm" and "batch_norm" in name and node.shape[:1] == (1,):
                    name = "instance_norm"  # which torch computes as the norm of a batch of one: a channel an instance
                sinks.append((_SINKS[node.category], name, consumer))
            elif node.category == "glu":
                sinks.append(("glu", "glu", consumer))
            elif self._feeds_norm(end, consumer):
                continue
            elif node.data:
                sinks.append(("other", node.op, consumer))

    def _feeds_norm(self, end: int, consumer: int) -> bool:
        """Whether a value is part of computing a hand-written norm of ``end``."""
        frontier, trace = {consumer}, self.trace
        for _ in range(10):
            ahead: set[int] = set()
            for index in frontier:
                for following in trace.consumers[index]:
                    node = trace.nodes[following]
                    if node.category == "norm" and node.op in ("mul", "div"):
                        return True
                    if node.category in ("reduce", "elementwise", "view", "product", "sum"):
                        ahead.add(following)
            if not ahead or len(ahead) > 8:
                return False
            frontier = ahead
        return False


def _combine(paths: list[Path]) -> list[Path]:
    """Ways out that are alike (the same activation to the same end) count once."""
    kept: list[Path] = []
    for path in paths:
        name = path.activation.name if path.activation else ""
        alike = next(
            (
                p
                for p in kept
                if (p.activation.name if p.activation else "") == name and set(p.sinks) == set(path.sinks)
            ),
            None,
        )
        if alike is None:
            kept.append(path)
    return kept
