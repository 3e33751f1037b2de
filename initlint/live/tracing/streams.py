"""Residual streams that nothing normalises: the branches that are added to one signal, one after another."""

from __future__ import annotations

from initlint.live.tracing.chains import PASSING, Walker
from initlint.live.tracing.graph import Node, Trace

__all__ = ["stream_names"]


def stream_names(trace: Trace, ancestors: list[int] | None, depths: list[int]) -> list[tuple[str, ...]] | None:
    """The layer that ends each branch, in order, for each stream of two branches or more; None as ``chain_names``.

    Between two sums of a stream stands nothing but views, dropout, activations and the like, and no branch holds a
    norm: whatever scale the stream has, the next branch is given it.
    """
    if ancestors is None or not trace.complete:
        return None
    walker = Walker(trace, ancestors, depths, {})
    ends: dict[int, str] = {}
    before: dict[int, int] = {}
    for node in trace.nodes:
        split = walker.split(node) if node.data and node.category == "sum" else None
        if split is None:
            continue
        skip, branch = split
        layer = _branch_end(trace, ancestors, skip, branch)
        if layer is None:
            continue
        ends[node.index] = layer
        earlier = _previous_sum(trace, skip)
        if earlier in ends:
            before[node.index] = earlier
    streams = []
    for index in sorted(ends.keys() - before.values()):
        names, at = [ends[index]], index
        while at in before:
            at = before[at]
            names.append(ends[at])
        if len(names) > 1:
            streams.append(tuple(reversed(names)))
    return streams


def _moving(trace: Trace, node: Node) -> list[int]:
    return [i for i in dict.fromkeys(node.inputs) if trace.nodes[i].data]


def _branch_end(trace: Trace, ancestors: list[int], skip: int, branch: int) -> str | None:
    """The layer whose output the branch adds; None where a norm lies on the branch, or no one layer ends it."""
    own = (ancestors[branch] | 1 << branch) & ~(ancestors[skip] | 1 << skip)
    while own:
        lowest = own & -own
        if trace.nodes[lowest.bit_length() - 1].category == "norm":
            return None
        own ^= lowest
    node = trace.nodes[branch]
    while node.category != "application":
        moving = _moving(trace, node)
        if node.category not in PASSING or len(moving) != 1:
            return None
        node = trace.nodes[moving[0]]
    return node.layer or None


def _previous_sum(trace: Trace, index: int) -> int:
    """The sum that a stream comes from, seen from a later place on it; -1 where something else stands between."""
    node = trace.nodes[index]
    while node.category != "sum":
        moving = _moving(trace, node)
        if node.category not in PASSING or len(moving) != 1:
            return -1
        node = trace.nodes[moving[0]]
    return node.index
