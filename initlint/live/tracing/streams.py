"""Residual streams that nothing normalises: the branches that are added to one signal, one after another."""

from __future__ import annotations

from dataclasses import dataclass

from initlint.live.tracing.chains import PASSING, Walker
from initlint.live.tracing.graph import Node, Trace

__all__ = ["Stream", "stream_names"]


@dataclass(frozen=True, slots=True)
class Stream:
    """The names of the layers of a facts.ResidualStream."""

    ends: tuple[str, ...]
    inner: tuple[tuple[str, ...], ...]
    entry: str | None


def stream_names(trace: Trace, ancestors: list[int] | None, depths: list[int]) -> list[Stream] | None:
    """The layers of each branch, in order, for each stream of two branches or more; None as ``chain_names``.

    Between two sums of a stream stands nothing but views, dropout, activations and the like, and no branch holds a
    norm: whatever scale the stream has, the next branch is given it.
    """
    if ancestors is None or not trace.complete:
        return None
    walker = Walker(trace, ancestors, depths, {})
    ends: dict[int, str] = {}
    inner: dict[int, tuple[str, ...]] = {}
    before: dict[int, int] = {}
    for node in trace.nodes:
        split = walker.split(node) if node.data and node.category == "sum" else None
        if split is None:
            continue
        skip, branch = split
        own = _own(trace, ancestors, skip, branch)
        if any(each.category == "norm" for each in own):
            continue
        end = _layer_before(trace, branch)
        if end is None:
            continue
        ends[node.index] = end
        inner[node.index] = tuple(n.layer for n in own if n.category == "application" and n.layer != end)
        earlier = _previous_sum(trace, skip)
        if earlier in ends:
            before[node.index] = earlier
    streams = []
    for index in sorted(ends.keys() - before.values()):
        sums, at = [index], index
        while at in before:
            at = before[at]
            sums.append(at)
        if len(sums) > 1:
            sums.reverse()
            split = walker.split(trace.nodes[sums[0]])
            entry = _layer_before(trace, split[0]) if split is not None else None
            streams.append(Stream(tuple(ends[each] for each in sums), tuple(inner[each] for each in sums), entry))
    return streams


def _moving(trace: Trace, node: Node) -> list[int]:
    return [i for i in dict.fromkeys(node.inputs) if trace.nodes[i].data]


def _own(trace: Trace, ancestors: list[int], skip: int, branch: int) -> list[Node]:
    """What lies on a branch and not on the stream that it is added to, in order."""
    own = (ancestors[branch] | 1 << branch) & ~(ancestors[skip] | 1 << skip)
    found = []
    while own:
        lowest = own & -own
        found.append(trace.nodes[lowest.bit_length() - 1])
        own ^= lowest
    return found


def _layer_before(trace: Trace, index: int) -> str | None:
    """The layer that gives a value, viewed, scaled or through an activation at most; None where no one layer does."""
    node = trace.nodes[index]
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
