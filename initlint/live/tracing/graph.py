"""The graph of one forward pass: its values, what each was made from, and what parameters were used for."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

__all__ = ["Node", "Ref", "Trace", "Use", "tensors_in"]

_ADDENDS = 8
"""How many terms of a sum are looked for: of a deep residual stream every block is one."""


@dataclass(frozen=True, slots=True)
class Ref:
    """Stands in a recorded argument list for the value of a node."""

    index: int


@dataclass(slots=True, eq=False)
class Node:
    """One value. ``data`` says that it depends on the input, ``parameters`` which parameters it was derived from alone.

    ``category``: "input", "parameter", "constant", "noise" for what is given; "view" (also casts), "part", "dropout",
    "bias", "scale", "pool", "resize" for what leaves a signal what it was; "elementwise", "norm", "application" (of a
    weight), "sum", "product", "attention", "softmax", "reduce", "cat", "other" for what does not.
    """

    index: int
    category: str
    op: str = ""
    inputs: tuple[int, ...] = ()
    shape: tuple[int, ...] = ()
    data: bool = False
    parameters: frozenset[int] = frozenset()
    exact: bool = True  # its parameter's own values, in whatever arrangement
    module: str = ""
    function: Any = None
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)
    value: float | None = None  # of a constant that is one number
    layer: str = ""  # of an application
    weights: frozenset[int] = frozenset()
    tracked: bool = True  # autograd looked on

    @property
    def numel(self) -> int:
        """How many elements."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class Use:
    """One use of a parameter. ``kind``: "matmul", "convolution", "bilinear", "embedding", "bias", "scale",
    "norm_scale", "norm_bias", "token", "recurrent", "attention", "other". Fans are None where they cannot be told.
    """

    kind: str
    fan_in: int | None = None
    fan_out: int | None = None


class Trace:
    """What one forward pass showed."""

    def __init__(self, module: nn.Module, stand_for: Mapping[int, Tensor] | None = None) -> None:
        """``stand_for``: the tensors that others stand in for while the module runs, by the others' identity."""
        self.stand_for = stand_for or {}
        self.originals: dict[int, Tensor] = {}
        """What a constant node holds, where a tensor stood in for it."""
        self.nodes: list[Node] = []
        self.consumers: list[list[int]] = []
        self.uses: dict[int, list[Use]] = {}
        self.outputs: set[int] = set()
        self.primary: set[int] = set()
        self.complete = False
        self.one_hot: dict[int, Tensor] = {}
        """By the node of a softmax or of fused attention: the share of its rows that are one-hot (0-d)."""
        self.spreads: dict[int, Tensor] = {}
        """By the node of a product with a table that was looked up before: the std of what it gives (0-d)."""
        self.read: set[int] = set()
        """The buffers, by id, that the pass read before it wrote them."""
        self.returned: dict[str, list[int]] = {}
        """The node that each call of a module returned, by the module's name."""
        self.owners: dict[int, str] = {}
        self.modules: dict[str, nn.Module] = {}
        for name, child in module.named_modules():
            self.modules[name] = child
            for parameter in child.parameters(recurse=False):
                self.owners.setdefault(self.identity(parameter), name)

    def identity(self, tensor: Tensor) -> int:
        """What a parameter is known by: the id of the module's own."""
        return id(self.stand_for.get(id(tensor), tensor))

    def add(self, node: Node) -> int:
        """Append a node; its inputs learn of it."""
        self.nodes.append(node)
        self.consumers.append([])
        for source in dict.fromkeys(node.inputs):
            self.consumers[source].append(node.index)
        return node.index

    def applications(self) -> Iterator[Node]:
        """The places where a weight met a signal, in order."""
        return (node for node in self.nodes if node.category == "application")

    def use(self, parameters: frozenset[int], use: Use) -> None:
        """Note what a parameter was used for."""
        for parameter in parameters:
            self.uses.setdefault(parameter, []).append(use)

    def source(self, index: int) -> int:
        """The value that a chain of views, casts and dropout comes from."""
        while self.nodes[index].category in ("view", "dropout") and self.nodes[index].inputs:
            index = self.nodes[index].inputs[0]
        return index

    def addends(self, index: int) -> Iterator[int]:
        """A value, and where it is a sum what was summed up: of parallel branches each is added to the one before."""
        stack, seen = [index], set[int]()
        while stack and len(seen) < _ADDENDS:
            index = self.source(stack.pop())
            if index in seen:
                continue
            seen.add(index)
            yield index
            if self.nodes[index].category == "sum":
                stack.extend(self.nodes[index].inputs)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in a nest of lists, tuples, mappings and plain objects."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from tensors_in(item)
    elif (
        hasattr(value, "__dict__") and not isinstance(value, (nn.Module, type)) and type(value).__module__ != "builtins"
    ):
        for item in vars(value).values():
            if isinstance(item, (Tensor, list, tuple, Mapping)):
                yield from tensors_in(item)
