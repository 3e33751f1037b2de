"""Gradients carried back along the graph of a traced pass, by theory, from the moments of its values.

Every value gets bounds of the mean square of the loss's gradient with respect to it (theory.gradients), or none where
one of the ways back to it is not understood. What comes back to an elementwise function of a value comes back to the
value itself, times the function's derivative there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import NamedTuple

from initlint.live.predicting.gradient_rules import RULES
from initlint.live.predicting.propagation import Propagation
from initlint.live.predicting.spread import slopes
from initlint.live.tracing.graph import Node
from initlint.theory.gradients import NONE, Gradient, added
from initlint.theory.signals import Band

__all__ = ["Backward"]

_LOSS = -1
"""Stands for the loss among the users of a value."""
_FLAT = frozenset(["argmax", "argmin", "argsort", "eq", "ge", "gt", "le", "lt", "ne", "ceil", "floor", "round", "sign"])
"""What has no slope."""


class _Part(NamedTuple):
    """What comes back to a value from one of its users; ``share``: of the value's elements, where it takes some."""

    user: int
    gradient: Gradient | None
    share: float = 0.0


class _Slope(NamedTuple):
    """Bounds of the mean square slope of a function, and E[f'^4] / E[f'^2]^2."""

    least: float
    most: float
    kurtosis: float


class Backward:
    """The gradients of the values of one trace.

    ``trainable`` are the parameters that gradients are asked of, by identity; ``seeds`` what the loss itself gives.
    """

    def __init__(self, forward: Propagation, trainable: frozenset[int], seeds: Mapping[int, Gradient]) -> None:
        self.forward = forward
        self.trace = forward.trace
        self.seeds = seeds
        self.needed: list[bool] = []
        """Whether autograd keeps a gradient for each value."""
        for node in self.trace.nodes:
            self.needed.append(self._is_needed(node, trainable))
        self.bare, self._firsts = self._ways_on()
        self._own: dict[int, list[_Part]] = {}
        """What comes back to each value, but what comes through elementwise functions of it."""
        self._members: dict[int, list[int]] = {}
        """The elementwise functions of a value, itself among them, by the value."""
        self._slopes: dict[int, _Slope | None] = {}
        self._roots: dict[int, Gradient | None] = {}
        for node in reversed(self.trace.nodes):
            if node.data:
                root = forward.roots[node.index]
                self._own[node.index] = list(self._coming_back(node))
                self._members.setdefault(root, []).append(node.index)
                if root == node.index:
                    self._roots[root] = self._total(root)

    def std(self, index: int) -> tuple[float, float] | None:
        """Bounds of the std of the gradient with respect to a value; None if not known, or autograd keeps none."""
        node = self.trace.nodes[index]
        if not node.data or not self.needed[index] or not self.seeds:
            return None
        gradient = self._roots[index] if index in self._roots else self._total(index)
        outputs = sum(self.trace.nodes[seed].numel for seed in self.seeds)
        return None if gradient is None else gradient.std(outputs / max(1, node.numel))

    # -- one value

    def _coming_back(self, node: Node) -> Iterator[_Part]:
        if node.index in self.seeds:
            yield _Part(_LOSS, self.seeds[node.index])
        for user in dict.fromkeys(self.trace.consumers[node.index]):
            inside = user in self._own and self.forward.roots[user] != user
            if inside or not self.trace.nodes[user].data:
                continue
            part = self.trace.nodes[user].category == "part"
            share = self.trace.nodes[user].numel / max(1, node.numel) if part else 0.0
            yield _Part(user, self._back(self.trace.nodes[user], node), share)

    def _back(self, user: Node, node: Node) -> Gradient | None:
        """What one user of a value hands back to it."""
        given = self._roots[user.index]
        if given is not None and given.most == 0:
            return NONE
        if user.op in _FLAT or user.category in ("embedding", "statistic"):
            return NONE
        rule = RULES.get(user.category)
        return None if given is None or rule is None or not user.tracked else rule(self, user, node, given)

    def _total(self, index: int) -> Gradient | None:
        """What comes back to a value altogether."""
        root = self.forward.roots[index]
        parts: list[_Part] = []
        for member in self._members[root]:
            if index not in (member, root) and index not in self.forward.members[member]:
                continue
            for part in self._own[member]:
                through = part.gradient
                if through is not None and through.most > 0 and member != index:
                    slope = None if index in self.forward.functions else self._slope(root, member)
                    through = None if slope is None else through.times(*slope[:2]).peaked(slope.kurtosis)
                parts.append(part._replace(gradient=through))
        return self._sum(parts)

    def _slope(self, root: int, member: int) -> _Slope | None:
        """Of an elementwise function of a value."""
        function, band = self.forward.functions.get(member), self.forward.bands[root]
        if not all(self.trace.nodes[step].tracked for step in self.forward.members[member]):
            return None  # what autograd did not see has its own way back, or none
        if function is None:
            return _Slope(1.0, 1.0, 1.0)
        if band is not None and member not in self._slopes:
            found = [slopes(function, moments) for moments in band.corners()]
            squares, kurtoses = zip(*(each or (math.nan, math.nan) for each in found), strict=True)
            told = not any(map(math.isnan, squares))
            self._slopes[member] = _Slope(min(squares), max(squares), max(kurtoses)) if told else None
        return self._slopes.get(member)

    def _sum(self, parts: list[_Part]) -> Gradient | None:
        total, met = NONE, list[_Part]()
        for part in parts:
            if part.gradient is None:
                return None
            if part.gradient.most > 0:
                total = added(total, part.gradient, independent=all(self._are_independent(part, one) for one in met))
                met.append(part)
        return total

    # -- which gradients have nothing in common

    def _are_independent(self, a: _Part, b: _Part) -> bool:
        """Whether one of two gradients came by weights that the other has not met, or they are of different elements"""
        if a.share and b.share and a.share + b.share <= 1:
            return True
        return self._comes_alone(a.user, b.user) or self._comes_alone(b.user, a.user)

    def _comes_alone(self, user: int, other: int) -> bool:
        ancestors = self.forward.reader.ancestors
        if ancestors is None or user == _LOSS or self.bare[user]:
            return False
        return other == _LOSS or not any(map_ == other or ancestors[map_] >> other & 1 for map_ in self._firsts[user])

    def _ways_on(self) -> tuple[list[bool], list[frozenset[int]]]:
        """For each value the maps that it meets first on its ways on, and whether it meets the loss before any."""
        nodes, used = self.trace.nodes, self._uses()
        bare = [index in self.seeds for index in range(len(nodes))]
        firsts: list[frozenset[int]] = [frozenset()] * len(nodes)
        for node in reversed(nodes):
            if node.category == "application" and node.data:
                sound = self._is_drawn_around_zero(node) and all(used[weight] == 1 for weight in node.weights)
                bare[node.index], firsts[node.index] = not sound, frozenset({node.index} if sound else ())
                continue
            users = [user for user in self.trace.consumers[node.index] if nodes[user].data]
            bare[node.index] |= any(bare[user] for user in users)
            firsts[node.index] = frozenset().union(*(firsts[user] for user in users))
        return bare, firsts

    def _uses(self) -> dict[int, int]:
        """In how many maps each weight stands."""
        found: dict[int, int] = {}
        for node in self.trace.applications():
            for weight in node.weights:
                found[weight] = found.get(weight, 0) + 1
        return found

    def _is_drawn_around_zero(self, node: Node) -> bool:
        weights = [self.forward.bands[i] for i in node.inputs if not self.trace.nodes[i].data and self._is_weight(i)]
        return bool(weights) and all(isinstance(band, Band) and band.mean == (0.0, 0.0) for band in weights)

    def _is_weight(self, index: int) -> bool:
        return sum(size > 1 for size in self.trace.nodes[index].shape) > 1

    def _is_needed(self, node: Node, trainable: frozenset[int]) -> bool:
        if not node.data:
            return bool(node.parameters & trainable)
        return node.tracked and (bool(node.weights & trainable) or any(self.needed[i] for i in node.inputs))
