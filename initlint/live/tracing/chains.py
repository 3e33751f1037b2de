"""Which layers follow one another with nothing between them that gives a signal its scale back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from initlint.facts import LayerProbe, known
from initlint.live.tracing.graph import Node, Trace

__all__ = ["PASSING", "NormReading", "Walker", "chain_names", "restores"]

PASSING = frozenset({"view", "part", "dropout", "bias", "scale", "resize", "elementwise", "glu"})
"""What a signal goes through without being given another scale."""
_ACTING = PASSING - {"resize", "glu"}
_SHRINK = 16
"""A pool that leaves fewer than one position in so many is global: what follows has another reference."""


@dataclass(frozen=True, slots=True)
class NormReading:
    """A norm layer's measured output and the root mean square of its scale (1 where it has none)."""

    probe: LayerProbe
    scale: float


def restores(norm: NormReading | None) -> bool:
    """Whether a norm gave its signal a scale to go on with: its own (a tenth to tenfold) times a std of 1e-3 to 2.

    A scale drawn around zero does not, nor does a norm so far under its eps that next to nothing comes out. The lower
    bound is wide because sound nets pass through it: a LayerScale of 1e-5 without a shortcut leaves a batch norm
    0.004, the next one gives 1, and neither is a signal that vanishes or explodes. A scale of exactly 0 closes a branch
    and is no drift. A norm that was not measured is given the benefit of the doubt.
    """
    if norm is None or not known(norm.probe.total_std):
        return True
    if not norm.scale:
        return True
    return 1e-3 <= norm.probe.total_std / norm.scale <= 2 and 0.1 <= norm.scale <= 10


class Walker:
    """Follows signal upstream through one trace."""

    def __init__(
        self, trace: Trace, ancestors: list[int], depths: list[int], norm_of: Mapping[int, NormReading]
    ) -> None:
        self.trace = trace
        self.ancestors = ancestors
        self.depths = depths
        self.norm_of = norm_of
        self.weighted = sum(1 << node.index for node in trace.applications())
        self.branches: dict[int, int] = {}
        """The side branch (by where it joins the stream) that an application lies in, the innermost one."""
        self._mark_branches()

    def split(self, node: Node) -> tuple[int, int] | None:
        """(skip, branch) operands of a residual sum; None where neither passes the other by."""
        operands = [i for i in dict.fromkeys(node.inputs) if self.trace.nodes[i].data]
        if len(operands) != 2:
            return None
        a, b = operands
        for skip, branch in ((a, b), (b, a)):
            source = self.trace.source(skip)
            if self.ancestors[branch] >> source & 1:
                return skip, branch
        for skip, branch in ((a, b), (b, a)):  # branches side by side: the stream has the others in it already
            if any(self.ancestors[branch] >> addend & 1 for addend in self.trace.addends(skip)):
                return skip, branch
        common = self.ancestors[a] & self.ancestors[b]
        if not common or self.depths[a] == self.depths[b]:
            return None
        skip, branch = (a, b) if self.depths[a] < self.depths[b] else (b, a)
        fork = common.bit_length() - 1
        own = (self.ancestors[skip] | 1 << skip) & ~(self.ancestors[fork] | 1 << fork)
        return (skip, branch) if (own & self.weighted).bit_count() <= 1 else None  # a projected shortcut

    def _mark_branches(self) -> None:
        """Find what lies beside the stream: residual branches, dense layers joined by a cat, gates."""
        for node in self.trace.nodes:
            if not node.data or node.category not in ("sum", "cat", "product"):
                continue
            split = self.split(node) if node.category == "sum" else None
            if split is not None:
                self._mark(node.index, *split)
                continue
            operands = [i for i in dict.fromkeys(node.inputs) if self.trace.nodes[i].data]
            for branch in operands:
                for skip in operands:
                    if skip != branch and self.ancestors[branch] >> self.trace.source(skip) & 1:
                        self._mark(node.index, skip, branch)

    def _mark(self, join: int, skip: int, branch: int) -> None:
        """Note the layers that lie on the branch alone, behind the place where it forks off."""
        source = self.trace.source(skip)
        common = (self.ancestors[skip] | 1 << source) & self.ancestors[branch]
        fork = common.bit_length() - 1
        inside = (self.ancestors[branch] | 1 << branch) & ~(self.ancestors[skip] | 1 << skip) & self.weighted
        while inside:
            lowest = inside & -inside
            index = lowest.bit_length() - 1
            if self.ancestors[index] >> fork & 1:
                self.branches.setdefault(index, join)  # joins come in order: innermost first
            inside ^= lowest

    def before(self, index: int) -> int | None:
        """The application whose signal reaches node ``index`` along the stream; None where a chain starts."""
        nodes = self.trace.nodes
        step = self._upstream(nodes[index])
        while step is not None:
            node = nodes[step]
            if node.category == "application":
                return step
            step = self._upstream(node)
        return None

    def _upstream(self, node: Node) -> int | None:
        nodes = self.trace.nodes
        moving = [i for i in dict.fromkeys(node.inputs) if nodes[i].data]
        if node.category == "norm":
            reading = self.norm_of.get(node.index)
            if reading is None or restores(reading):
                return None
            return max(moving, key=lambda i: nodes[i].numel, default=None)
        if node.category == "application":
            return moving[0] if moving else None
        if node.category == "sum":
            split = self.split(node)
            return split[0] if split is not None else self._through(moving)
        if node.category == "product":
            return self._gated(moving)
        if node.category == "pool" or (node.category == "reduce" and moving):
            largest = max(moving, key=lambda i: nodes[i].numel)
            shrunk = node.category == "reduce" or node.numel * _SHRINK <= nodes[largest].numel
            return None if shrunk else largest
        if node.category in PASSING and moving:
            return max(moving, key=lambda i: nodes[i].numel)
        return None

    def _through(self, moving: list[int]) -> int | None:
        """Of a sum that is no residual one the operand that the signal goes on by.

        k * f(x) + (1 - k) * x, a highway, keeps x. Two linear maps of one signal that are summed, as a graph's of a
        node and of its neighbours, are one wider map: either of them will do.
        """
        if len(moving) != 2:
            return None
        for skip, branch in (moving, moving[::-1]):
            kept = self._carried(self.trace.nodes[skip])
            if kept is not None and self.ancestors[branch] >> self.trace.source(kept) & 1:
                return skip
        common = self.ancestors[moving[0]] & self.ancestors[moving[1]]
        own = [((self.ancestors[each] | 1 << each) & ~common & self.weighted).bit_count() for each in moving]
        return moving[0] if common and own == [1, 1] else None

    def _carried(self, node: Node) -> int | None:
        """Of a product of two signals the one that the other, a gate, was computed from."""
        moving = [i for i in dict.fromkeys(node.inputs) if self.trace.nodes[i].data]
        return self._gated(moving) if node.category == "product" and len(moving) == 2 else None

    def _gated(self, moving: list[int]) -> int | None:
        """Of a product the operand that the gate was computed from, if it is one of the two.

        Either, where both are parts of what one layer gives (a gated unit written out).
        """
        if len(moving) != 2:
            return moving[0] if moving else None
        a, b = moving
        if self.ancestors[b] >> self.trace.source(a) & 1:
            return a
        if self.ancestors[a] >> self.trace.source(b) & 1:
            return b
        given = self._given_by(a)
        return a if given is not None and given == self._given_by(b) else None

    def _given_by(self, index: int) -> int | None:
        """The application that a value is a part of, through an activation at most."""
        node = self.trace.nodes[index]
        while node.category in _ACTING:
            moving = [i for i in dict.fromkeys(node.inputs) if self.trace.nodes[i].data]
            if len(moving) != 1:
                return None
            node = self.trace.nodes[moving[0]]
        return node.index if node.category == "application" else None


def chain_names(
    trace: Trace,
    ancestors: list[int] | None,
    depths: list[int],
    norm_of: Mapping[int, NormReading],
    *,
    wanted: Callable[[str], bool],
    ends_branch: Callable[[str], bool],
) -> list[tuple[str, ...]] | None:
    """Chains as layer names, from input to output, two layers at least; None where the graph is too large to follow.

    ``norm_of`` maps the node of a norm to what was measured of it; ``wanted`` picks the layers a chain is made of.
    Layers of a residual branch form chains of their own; the last of a branch, meant to start small, is left out.
    """
    if ancestors is None or not trace.complete:
        return None
    walker = Walker(trace, ancestors, depths, norm_of)
    first: dict[str, int] = {}
    for node in trace.applications():
        first.setdefault(node.layer, node.index)
    predecessor: dict[int, int] = {}
    followed: set[int] = set()
    chosen = {index for name, index in first.items() if wanted(name)}
    for index in chosen:
        at = walker.before(index)
        while at is not None and at not in chosen:
            at = walker.before(at)
        if at is None or walker.branches.get(at) != walker.branches.get(index):
            continue
        predecessor[index] = at
        followed.add(at)
    chains: set[tuple[str, ...]] = set()
    for index in sorted(chosen - followed):
        names: list[str] = []
        at = index
        while True:
            names.append(trace.nodes[at].layer)
            if at not in predecessor:
                break
            at = predecessor[at]
        names.reverse()
        if ends_branch(names[-1]):
            names.pop()
        if len(names) > 1:
            chains.add(tuple(names))
    order = {name: position for position, name in enumerate(first)}
    return sorted(chains, key=lambda names: ([order[name] for name in names], names))
