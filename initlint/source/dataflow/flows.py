"""What a data-flow graph says of each layer, and the chains that run through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from initlint.facts import KERNELS, UNKNOWN, Activation, Consumer, layer_family
from initlint.record import field, record

if TYPE_CHECKING:
    from initlint.source.dataflow.forward import Graph
    from initlint.source.interpreter.values import Instance

_PASSING = frozenset({"shape", "reduce", "scale"})
MOST_DROPPED = 0.25
"""With more dropped the gain that is needed is off by 15 %, by which two gains are told apart."""
"""Nodes that pass on what they take, up to shape and scale."""

_PRODUCTS = frozenset({"matmul", "bmm"})
"""What matrix products of two values are called."""

_LINEAR = ("linear", *KERNELS)


@record(slots=True, eq=False)
class Node:
    """One operation of a forward. ``uncertain``: it may not happen; ``setting``: leaky_relu's slope, dropout's p."""

    kind: str
    name: str
    instance: Instance | None
    inputs: list[Node]
    uncertain: bool
    setting: float | None = None
    location: Any = None
    outs: list[Node] = field(default_factory=list)
    index: int = 0


@record(frozen=True, slots=True)
class Flow:
    """What becomes of one layer's output; each is UNKNOWN where it is not certain."""

    consumers: Any = UNKNOWN
    activation: Any = UNKNOWN
    normalized: Any = UNKNOWN
    product_normalized: Any = UNKNOWN
    ends_branch: Any = UNKNOWN
    joined: Any = UNKNOWN
    is_head: Any = UNKNOWN


class Flows:
    """Reads a finished graph. ``root``: what the model returns goes into no other layer of the file."""

    def __init__(self, graph: Graph, root: bool) -> None:
        self.root = root
        self.above: dict[int, int] = {}
        """For each node those that it comes from: a bit each, of its index."""
        self.depths: dict[int, int] = {}
        """For each node, how many layers are on the longest way to it."""
        for node in graph.nodes:  # inputs come before what takes them
            above = 0
            for each in node.inputs:
                above |= self.above[each.index] | 1 << each.index
            self.above[node.index] = above
            before = max((self.depths[each.index] for each in node.inputs), default=0)
            self.depths[node.index] = before + (node.kind == "layer")
        self.by_instance: dict[int, list[Node]] = {}
        for node in graph.nodes:
            if node.kind == "layer" and node.instance is not None:
                self.by_instance.setdefault(id(node.instance), []).append(node)
        self.chains: list[list[Instance]] | None = self._chains(graph) if graph.understood else None

    def of(self, instance: Instance, products: list[Node]) -> Flow:
        """What becomes of a layer's output; ``products`` are those of the bare matrices that it owns."""
        nodes = [*self.by_instance.get(id(instance), ()), *products]
        if not nodes or any(node.uncertain for node in nodes):
            return Flow()
        taken = self._taken(nodes, _PASSING)
        if taken is None:
            return Flow()
        consumers = tuple(dict.fromkeys(_consumer(node) for node in taken))
        if _multiplied(nodes):
            consumers = (*consumers, ("scale", "scale"))
        leaves = any(node.kind == "output" for node in taken)
        if leaves and not self.root:
            return Flow()
        ends_branch = self._ends_branch(nodes)
        return Flow(
            consumers=tuple(Consumer(kind=kind, name=name) for kind, name in consumers),
            activation=self._activation(nodes),
            normalized=self._normalized(nodes),
            product_normalized=self._product_normalized(nodes),
            ends_branch=ends_branch,
            joined=() if ends_branch is False else UNKNOWN,  # of a sum it is not read what the terms are
            is_head=self._is_head(nodes),
        )

    def scaled(self, nodes: Iterable[Node]) -> bool | None:
        """Whether a constant multiplies what these layers take, or what they give; None where that is not certain."""
        certain = True
        for node in nodes:
            before, _ = _reached(node.inputs, lambda found: found.inputs)
            after, last = _reached(node.outs, lambda found: found.outs)
            if "scale" in before | after:
                return True
            open_end = after & {"unknown", "merge"} and not last & {"output"}
            certain = certain and not node.uncertain and not before & {"unknown", "merge"} and not open_end
        return False if certain else None

    def _taken(self, nodes: Iterable[Node], through: frozenset[str] | set[str]) -> list[Node] | None:
        """The first nodes behind ``nodes`` that are not of the kinds ``through``; None where some are not certain."""
        found: list[Node] = []
        seen: set[int] = set()
        stack = [out for node in nodes for out in node.outs]
        while stack:
            node = stack.pop()
            if node.index in seen:
                continue
            seen.add(node.index)
            if node.uncertain or node.kind in ("unknown", "merge"):
                return None
            if node.kind in through:
                stack.extend(node.outs)
            else:
                found.append(node)
        return sorted(found, key=lambda node: node.index)

    def _activation(self, nodes: list[Node]) -> Any:
        taken = self._taken(nodes, _PASSING | {"norm", "sum"})
        if taken is None or not taken or self._meets_itself(taken, nodes):
            return UNKNOWN
        names: dict[tuple[str, float | None], Node] = {}
        for node in taken:
            if node.kind == "activation":
                names.setdefault((node.name, node.setting), node)
            elif node.kind == "layer":
                names.setdefault(("identity", None), node)
            elif node.kind == "output":
                if not self.root:
                    return UNKNOWN
                names.setdefault(("identity", None), node)
            else:
                return None
        if len(names) != 1:
            return None
        (name, slope), node = next(iter(names.items()))
        if node.kind == "activation":
            behind = self._taken([node], {"shape"})
            if behind is None or any(each.kind == "activation" for each in behind) or _is_thinned(node):
                return UNKNOWN  # a function of it is what acts
        return activation(name, slope, node.location if node.kind == "activation" else None)

    def _normalized(self, nodes: list[Node]) -> Any:
        taken = self._taken(nodes, _PASSING | {"sum"})
        if not taken or (not self.root and any(node.kind == "output" for node in taken)):
            return UNKNOWN
        norms = [node.kind == "norm" for node in taken]
        if self._meets_itself(taken, nodes):
            return UNKNOWN
        return norms[0] if all(norm is norms[0] for norm in norms) else UNKNOWN

    def _product_normalized(self, nodes: list[Node]) -> Any:
        if self._meets_itself(self._taken(nodes, _PASSING) or (), nodes):
            return UNKNOWN
        found: list[Node] = []
        products = nodes
        while products:
            taken = self._taken(products, _PASSING | {"product"})
            if taken is None:
                return UNKNOWN
            products = [node for node in taken if node.name in _PRODUCTS]
            found += [node for node in taken if node.name not in _PRODUCTS]
        if not found or (not self.root and {node.kind for node in found} <= {"norm", "output"}):
            return UNKNOWN if any(node.kind == "output" for node in found) or not found else True
        return all(node.kind == "norm" for node in found)

    def _ends_branch(self, nodes: list[Node]) -> Any:
        taken = self._taken(nodes, _PASSING | {"norm"})
        if taken is None or (not self.root and any(node.kind == "output" for node in taken)):
            return UNKNOWN
        verdicts = [self._is_residual(node, nodes) for node in taken if node.kind == "sum"]
        return True if True in verdicts else UNKNOWN if None in verdicts else False

    def _is_residual(self, total: Node, nodes: list[Node]) -> bool | None:
        """Whether what a layer's output is added to passes it by; None for branches that are alike."""
        beside = [each for each in total.inputs if not any(self._comes_of(each, node) for node in nodes)]
        if not beside:
            return False  # all of it comes of the layer
        passing = [
            index
            for node in nodes
            for each in beside
            for index in _addends(each)
            if self.above[node.index] >> index & 1
        ]
        if passing or max(self.depths[each.index] for each in beside) < max(self.depths[node.index] for node in nodes):
            return True
        return None

    def _comes_of(self, node: Node, source: Node) -> bool:
        return node is source or bool(self.above[node.index] >> source.index & 1)

    def _meets_itself(self, taken: Iterable[Node], nodes: list[Node]) -> bool:
        """Whether something takes a layer's output and a function of it: what that comes to is not looked into."""
        return any(
            len(node.inputs) > 1 and all(any(self._comes_of(each, source) for source in nodes) for each in node.inputs)
            for node in taken
            if node.kind in ("product", "other")
        )

    def _is_head(self, nodes: list[Node]) -> Any:
        taken = self._taken(nodes, _PASSING | {"activation", "softmax"})
        if taken is None:
            return UNKNOWN
        leaves = any(node.kind == "output" for node in taken)
        return leaves if self.root or not leaves else UNKNOWN

    def _chains(self, graph: Graph) -> list[list[Instance]]:
        """Layers one after another with no norm between; see facts.Chain."""
        members = [
            node
            for node in graph.nodes
            if node.kind == "layer" and node.instance is not None and layer_family(node.instance.kind) in _LINEAR
        ]
        ancestry = self.above
        following: dict[int, Node] = {}
        preceded: dict[int, int] = {}
        for node in members:
            direct, beyond = _next(node, ancestry)
            ahead = beyond or direct
            if len(ahead) == 1:
                following[node.index] = ahead[0]
                preceded[ahead[0].index] = preceded.get(ahead[0].index, 0) + 1
        chains: list[list[Instance]] = []
        for node in members:
            if preceded.get(node.index, 0) == 1:
                continue
            chain: list[Instance] = []
            current: Node | None = node
            while current is not None and current.instance is not None:
                chain.append(current.instance)
                after = following.get(current.index)
                current = after if after is not None and preceded[after.index] == 1 else None
            chains.append(chain)
        return chains


def _addends(node: Node) -> set[int]:
    """A value, or what it is the sum of, through what passes it on."""
    found: set[int] = set()
    stack = [node]
    while stack:
        each = stack.pop()
        if each.index not in found:
            found.add(each.index)
            stack += each.inputs if each.kind in ("sum", "norm", *_PASSING) else ()
    return found


def _multiplied(nodes: list[Node]) -> bool:
    """Whether a constant multiplies what comes of the nodes, or a sum that it goes into."""
    stack, seen = [out for node in nodes for out in node.outs], set[int]()
    while stack:
        node = stack.pop()
        if node.kind == "scale":
            return True
        if node.index not in seen and node.kind in ("shape", "reduce", "sum"):
            seen.add(node.index)
            stack.extend(node.outs)
    return False


def _reached(nodes: Iterable[Node], onward: Callable[[Node], list[Node]]) -> tuple[set[str], set[str]]:
    """The kinds of node met up to the first that does more than reshape, and of those that end the way."""
    kinds: set[str] = set()
    ends: set[str] = set()
    stack, seen = list(nodes), set[int]()
    while stack:
        node = stack.pop()
        if node.index in seen:
            continue
        seen.add(node.index)
        kinds.add(node.kind)
        if node.kind == "shape":
            stack.extend(onward(node))
        else:
            ends.add(node.kind)
    return kinds, ends


def _next(start: Node, ancestry: dict[int, int]) -> tuple[list[Node], list[Node]]:
    """The linear layers that take a layer's output: directly, and by way of residual sums that it is the trunk of."""
    direct: dict[int, Node] = {}
    beyond: dict[int, Node] = {}
    stack: list[tuple[Node, Node, bool]] = [(out, start, False) for out in start.outs]
    seen: set[tuple[int, bool]] = set()
    while stack:
        node, came, summed = stack.pop()
        if (node.index, summed) in seen:
            continue
        if node.kind == "sum":
            others = [source for source in node.inputs if source is not came]
            if not others or not all(ancestry[source.index] >> start.index & 1 for source in others):
                continue
            if any(source is not start and not ancestry[source.index] >> start.index & 1 for source in node.inputs):
                continue
            if _through_layer(came, start, ancestry):
                continue
            seen.add((node.index, summed))
            stack.extend((out, node, True) for out in node.outs)
            continue
        seen.add((node.index, summed))
        if node.kind == "layer":
            if node.instance is not None and layer_family(node.instance.kind) in _LINEAR:
                (beyond if summed else direct)[node.index] = node
        elif node.kind in ("shape", "activation"):
            stack.extend((out, node, summed) for out in node.outs)
    return list(direct.values()), list(beyond.values())


def _through_layer(node: Node, start: Node, ancestry: dict[int, int]) -> bool:
    """Whether another layer stands between ``start`` and ``node``."""
    return any(found.kind == "layer" and found is not start for found in _between(node, start, ancestry))


def _between(node: Node, start: Node, ancestry: dict[int, int]) -> Iterator[Node]:
    stack, seen = [node], {start.index}
    while stack:
        current = stack.pop()
        if current.index in seen or not ancestry[current.index] >> start.index & 1:
            continue
        seen.add(current.index)
        if current.kind == "sum":
            continue
        yield current
        stack.extend(current.inputs)


def _consumer(node: Node) -> tuple[str, str]:
    name = node.name or node.kind
    kinds = {"activation", "norm", "layer", "sum", "product", "softmax", "output"}
    return (node.kind if node.kind in kinds else "other"), name


def _is_thinned(node: Node) -> bool:
    """Whether dropout right behind a node may leave it so few values, scaled up, that another gain is needed.

    What is kept with probability q is divided by q: the second moment is 1/q times what it was, and the gain that
    keeps it sqrt(q) times (Hendrycks & Gimpel 2016, arXiv 1607.02488).
    """
    while len(node.outs) == 1 and (node := node.outs[0]).kind == "shape":
        if node.name.lower().startswith(("dropout", "alphadropout", "alpha_dropout")):
            return node.setting is None or node.setting > MOST_DROPPED
    return False


def activation(name: str, slope: float | None, location: Any) -> Activation:
    """The fact that a nonlinearity follows, with the gains that theory gives it."""
    from initlint.theory import gains

    if name in ("relu", "relu6"):
        slope = 0.0
    return gains.activation(name, UNKNOWN if slope is None else slope, location)
