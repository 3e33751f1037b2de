"""What becomes of each layer's output: read from the graph of one traced forward pass."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from torch import nn

from initlint.facts import UNKNOWN, Activation, Consumer, known
from initlint.live.tracing.activations import Function, gated
from initlint.live.tracing.graph import Trace
from initlint.live.tracing.summed import Sum, returns, sum_of
from initlint.live.tracing.ways import Path, Ways

__all__ = ["Fate", "Reader"]

_MAX_LOOKED_AT = 60
"""Values beyond which no constant factor is looked for."""


@dataclass(slots=True)
class Fate:
    """What the trace says of one layer; see facts.Layer for what each field means.

    ``function`` is the activation itself, for counting dead and saturated units; ``through`` is the layer whose norm
    stands between this layer and its activation. ``sums``, call by call: what its output is added to before that.
    ``halves``: the names of the two functions whose product is its activation, each of a part of its output.
    """

    consumers: tuple[Consumer, ...] = UNKNOWN
    activation: Activation | None = UNKNOWN
    normalized: bool = UNKNOWN
    product_normalized: bool = UNKNOWN
    ends_branch: bool = UNKNOWN
    sum_normalized: bool = UNKNOWN
    is_head: bool = UNKNOWN
    returned_too: bool = UNKNOWN
    function: Function | None = None
    through: str | None = None
    sums: tuple[Sum | None, ...] = ()
    halves: tuple[str, ...] = ()
    returns: int = UNKNOWN


def _merge(calls: list[Fate]) -> Fate:
    """One fate for a layer applied several times: what all calls agree on whose result anything uses."""
    calls = [call for call in calls if not known(call.consumers) or call.consumers] or calls[:1]
    first = calls[0]
    if len(calls) == 1:
        return first
    merged = Fate(function=first.function, through=first.through)
    merged.sums = tuple(sum for call in calls for sum in call.sums)
    if all(known(c.consumers) for c in calls):
        merged.consumers = tuple({(c.kind, str(c.name)): c for call in calls for c in call.consumers}.values())
    names = {call.activation.name if known(call.activation) and call.activation else None for call in calls}
    if len(names) == 1 and None not in names:
        merged.activation = first.activation
    else:
        merged.function = None
    for attribute in ("normalized", "product_normalized", "ends_branch", "sum_normalized", "is_head"):
        values = [getattr(call, attribute) for call in calls]
        if all(known(v) for v in values) and len(set(values)) == 1:
            setattr(merged, attribute, values[0])
    if all(known(call.returned_too) for call in calls):
        merged.returned_too = any(call.returned_too for call in calls)
    return merged


class Reader:
    """Answers questions about one trace."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.ancestors = _ancestors(trace)
        self.depths = _depths(trace)
        self._ways = Ways(trace)

    def fates(self) -> dict[str, Fate]:
        """The fate of every layer that was applied, by its name."""
        found: dict[str, list[Fate]] = {}
        applied: dict[str, list[int]] = {}
        for node in self.trace.applications():
            if node.layer in self.trace.modules:
                found.setdefault(node.layer, []).append(self.fate(node.index))
                applied.setdefault(node.layer, []).append(node.index)
        for name, index in self.norms():
            found.setdefault(name, []).append(self.fate(index))
        merged = {name: _merge(calls) for name, calls in found.items()}
        if self.trace.complete:
            for name, nodes in applied.items():
                merged[name].returns = returns(self.trace, nodes, self.ancestors, self.depths)
        for name, fate in merged.items():
            if isinstance(self.trace.modules[name], (nn.RNNBase, nn.RNNCellBase)):  # its own gates come first
                fate.activation = UNKNOWN
                fate.function = None
        return merged

    def is_norm(self, name: str) -> bool:
        """Whether a module returns a normalised value."""
        returned = self.trace.returned.get(name, [])
        return bool(returned) and self.norm_inside(returned[0], name) is not None

    def gives_own_result(self, name: str, index: int) -> bool:
        """Whether what a module returned is its own weight's, or norm's, result: viewed, shifted or scaled at most."""
        if self.norm_inside(index, name) is not None:
            return True
        node = self.trace.nodes[index]
        while node.category in ("view", "bias") and node.inputs and node.module == name:
            node = self.trace.nodes[node.inputs[0]]
        return node.category == "application" and node.layer == name

    def norms(self) -> Iterator[tuple[str, int]]:
        """(layer, value) for each call of a module that returns a normalised value."""
        for name, returned in self.trace.returned.items():
            module = self.trace.modules.get(name)
            if module is None or next(module.parameters(recurse=False), None) is None:
                continue
            for index in returned:
                if self.norm_inside(index, name) is not None:
                    yield name, index

    def norm_inside(self, index: int, module: str) -> int | None:
        """The norm computed inside a module that a value is the result of, scaled and shifted at most."""
        nodes = self.trace.nodes
        for _ in range(10):
            node = nodes[index]
            if node.module != module:
                return None
            if node.category == "norm":
                return index
            if node.category not in ("view", "bias", "scale") or not node.inputs:
                return None
            index = node.inputs[0]
        return None

    # -- one value

    def fate(self, index: int) -> Fate:
        """What becomes of one value; all UNKNOWN where it cannot be followed."""
        joined = sum_of(self.trace, index, self.ancestors, self.depths)
        if joined is not None:
            direct = [Consumer(kind="sum", name=self.trace.nodes[joined.node].op)]
            if self._multiplied(index):
                direct.append(Consumer(kind="scale", name="scale"))
            fate = self.fate(joined.node)
            returned = UNKNOWN if not known(fate.returned_too) else fate.returned_too or index in self.trace.outputs
            return replace(fate, consumers=tuple(direct), sums=(joined,), returned_too=returned)
        self._ways.looked_at = 0
        paths = self._ways.paths(index)
        fate = Fate(sums=(None,), returned_too=self._ways.returned_too(index))
        if paths is None:
            return fate
        direct = []
        for path in paths:
            if path.activation is not None:
                direct.append(Consumer(kind="activation", name=path.activation.name))
            else:
                direct.extend(Consumer(kind=kind, name=name) for kind, name, _ in path.sinks)
        if not direct:
            fate.consumers = ()
            return fate
        if any(path.activation is None for path in paths) and self._multiplied(index):
            direct.append(Consumer(kind="scale", name="scale"))
        fate.consumers = tuple({(c.kind, c.name): c for c in direct}.values())
        sinks = [sink for path in paths for sink in path.sinks]
        kinds = {kind for kind, _, _ in sinks}
        fate.is_head = kinds == {"output"} or self._reaches_primary(paths) or self._leaves_as_shares(paths)
        firsts = {c.kind for c in fate.consumers}
        fate.normalized = firsts == {"norm"} if "norm" not in firsts or len(firsts) == 1 else UNKNOWN
        fate.product_normalized = self._product_normalized(paths)
        fate.ends_branch = self._ends_branch(index, paths)
        if known(fate.ends_branch) and fate.ends_branch:
            fate.sum_normalized = self._sum_normalized(paths[0])
        self._name_activation(fate, paths)
        return fate

    def _multiplied(self, index: int) -> bool:
        """Whether a constant multiplies a value, or a sum that it goes into, before anything else is done to it."""
        stack, seen = list(self.trace.consumers[index]), set[int]()
        while stack and len(seen) < _MAX_LOOKED_AT:
            index = stack.pop()
            node = self.trace.nodes[index]
            if node.category == "scale" or (node.category == "elementwise" and node.op in ("mul", "div")):
                return True
            if index not in seen and node.category in ("view", "bias", "sum", "dropout"):
                seen.add(index)
                stack.extend(self.trace.consumers[index])
        return False

    def _reaches_primary(self, paths: list[Path]) -> bool:
        return any(node == -1 and name == "primary" for path in paths for _, name, node in path.sinks)

    def _leaves_as_shares(self, paths: list[Path]) -> bool:
        """Whether a softmax of a value, or its logarithm, leaves the model and goes nowhere else."""
        sinks = [(path.activation, kind, node) for path in paths for kind, _, node in path.sinks]
        if any(activation is not None or kind != "softmax" for activation, kind, _ in sinks):
            return False
        behind = [self._ways.paths(node) for _, _, node in sinks]
        return all(each and {kind for path in each for kind, _, _ in path.sinks} == {"output"} for each in behind)

    def _name_activation(self, fate: Fate, paths: list[Path]) -> None:
        acting = self._gate(paths)
        if acting:
            fate.activation = gated(*acting)
            fate.halves = tuple(each.name for each in acting) if len(acting) == 2 else ()
            return
        if len({p.activation.name if p.activation else "" for p in paths}) != 1:
            return
        path = paths[0]
        if path.activation is not None:
            fate.activation, fate.function = path.activation, path.function
            return
        kinds = {kind for p in paths for kind, _, _ in p.sinks}
        if kinds <= {"layer", "output"}:
            fate.activation = Activation(name="identity", gain=1.0, backward_gain=1.0)
        elif kinds == {"norm"} and len({node for p in paths for _, _, node in p.sinks}) == 1:
            after = self._after_norm(path.sinks[0][2])
            beyond = self.fate(after)
            fate.activation, fate.function = beyond.activation, beyond.function
            fate.through = self.trace.nodes[after].module or None

    def _after_norm(self, index: int) -> int:
        """The norm's output with its scale and shift."""
        trace = self.trace
        while True:
            ahead = [i for i in trace.consumers[index] if trace.nodes[i].data]
            if len(ahead) == 1 and trace.nodes[ahead[0]].category in ("scale", "bias", "view"):
                if trace.nodes[ahead[0]].module != trace.nodes[index].module:
                    return index
                index = ahead[0]
            else:
                return index

    def _gate(self, paths: list[Path]) -> list[Activation]:
        """What acts in a gated unit: two parts of one output, one or both through an activation, meet in one product.

        Empty where it is none.
        """
        if len(paths) == 1 and len(paths[0].sinks) == 1 and paths[0].sinks[0][0] == "glu":
            return [Activation(name="sigmoid")]
        if len(paths) != 2:
            return []
        meeting = [{node for kind, _, node in path.sinks if kind == "product"} for path in paths]
        one_sink = all(len(path.sinks) == 1 for path in paths)
        acting = [path.activation for path in paths if path.activation is not None]
        return acting if one_sink and meeting[0] and meeting[0] == meeting[1] else []

    def _ends_branch(self, index: int, paths: list[Path]) -> bool:
        """Whether the value goes into a residual sum whose other operand passed it by (a norm may come first)."""
        if len(paths) != 1 or paths[0].activation is not None or len(paths[0].sinks) != 1:
            return False
        kind, _, node = paths[0].sinks[0]
        if kind == "norm":
            after = self._after_norm(node)
            if after == index:
                return False
            beyond = self._ways.paths(after)
            return beyond is not None and self._ends_branch(after, beyond)
        if kind != "sum":
            return False
        mine, other = self._operands(node, index)
        if other is None:
            return UNKNOWN  # type: ignore[no-any-return]
        if self.ancestors is not None and mine is not None:
            before = self.ancestors[mine]
            if any(before >> addend & 1 for addend in self.trace.addends(other)):
                return True
        return self.depths[other] < self.depths[index] or UNKNOWN

    def _sum_normalized(self, path: Path) -> bool:
        """Whether nothing but norms takes the sum that a branch ends in (a norm may come before it)."""
        kind, _, node = path.sinks[0]
        if kind == "norm":
            beyond = self._ways.paths(self._after_norm(node))
            return UNKNOWN if not beyond else self._sum_normalized(beyond[0])
        after = self._ways.paths(node)
        if not after:
            return UNKNOWN  # type: ignore[no-any-return]
        return all(each.activation is None and sink[0] == "norm" for each in after for sink in each.sinks)

    def _product_normalized(self, paths: list[Path]) -> bool:
        """Whether nothing but norms takes a value's products with other values."""
        for path in paths:
            for kind, _, node in path.sinks:
                if path.activation is not None:
                    return False
                if kind == "norm":
                    continue
                if node < 0 or self.trace.nodes[node].category not in ("product", "attention"):
                    return False
                beyond = self._ways.paths(node)
                if not beyond:
                    return UNKNOWN  # type: ignore[no-any-return]
                after = self._product_normalized(beyond)
                if not known(after) or not after:
                    return after
        return True

    def _operands(self, node: int, index: int) -> tuple[int | None, int | None]:
        mine = other = None
        for operand in dict.fromkeys(self.trace.nodes[node].inputs):
            if self.ancestors is not None and (operand == index or self.ancestors[operand] >> index & 1):
                mine = operand
            else:
                other = operand
        return mine, self.trace.source(other) if other is not None else None


def _ancestors(trace: Trace) -> list[int] | None:
    """For each node the set of nodes it depends on, as bits; None where the graph is too large for that."""
    if len(trace.nodes) > 20_000:
        return None
    sets: list[int] = []
    for node in trace.nodes:
        bits = 0
        for source in set(node.inputs):
            if trace.nodes[source].data:
                bits |= sets[source] | 1 << source
        sets.append(bits)
    return sets


def _depths(trace: Trace) -> list[int]:
    """For each node, how many weights were applied on the longest way to it."""
    depths: list[int] = []
    for node in trace.nodes:
        before = max((depths[i] for i in node.inputs), default=0)
        depths.append(before + (node.category == "application"))
    return depths
