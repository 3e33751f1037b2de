"""One forward pass, followed operation by operation: which parameter each one uses and what becomes of its result.

A dispatch mode sees every operation below autograd, whatever Python was wrapped around it. Values are known by the
storage they lie in and the view taken of it, since an in-place operation changes a value without a new tensor. Each
value becomes a ``Node``; the nodes, in order, are the graph that ``flow`` and ``chains`` read.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from initlint.live.signal_operations import (
    ATTENTION,
    CAST,
    ELEMENTWISE,
    FACTORIES,
    MATMUL,
    NORMS,
    PARTS,
    POOLS,
    RANDOM,
    REARRANGE,
    REDUCTIONS,
    RESIZES,
    SOFTMAX,
)

__all__ = ["Node", "Ref", "Trace", "Use", "trace_forward"]

_MAX_NODES = 60_000  # a graph beyond this (long recurrent loops) is not followed to its end


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

    def __init__(self, module: nn.Module) -> None:
        self.nodes: list[Node] = []
        self.consumers: list[list[int]] = []
        self.uses: dict[int, list[Use]] = {}
        self.outputs: set[int] = set()
        self.primary: set[int] = set()
        self.complete = False
        self.returned: dict[str, list[int]] = {}
        """The node that each call of a module returned, by the module's name."""
        self.owners: dict[int, str] = {}
        self.names: dict[int, str] = {}
        self.modules: dict[str, nn.Module] = {}
        for name, child in module.named_modules():
            self.modules[name] = child
            for leaf, parameter in child.named_parameters(recurse=False):
                self.owners.setdefault(id(parameter), name)
                self.names.setdefault(id(parameter), f"{name}.{leaf}" if name else leaf)

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


def _flatten(value: Any) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _flatten(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _flatten(item)
    elif hasattr(value, "__dict__") and not isinstance(value, (nn.Module, type)) and type(value).__module__ != "builtins":
        for item in vars(value).values():
            if isinstance(item, (Tensor, list, tuple, Mapping)):
                yield from _flatten(item)


class _Recorder(TorchDispatchMode):
    def __init__(self, trace: Trace) -> None:
        super().__init__()
        self.trace = trace
        self.views: dict[int, dict[tuple[Any, ...], int]] = {}
        self.latest: dict[int, int] = {}
        self.alive: list[Any] = []  # a storage that died could lend its address to another value
        self.scope: list[str] = [""]
        self.opaque = 0
        self.full = False

    # -- which node a tensor is

    def _storage(self, tensor: Tensor) -> int:
        try:
            storage = tensor.untyped_storage()
        except (NotImplementedError, RuntimeError):  # sparse and other wrappers have none
            self.alive.append(tensor)
            return -id(tensor)
        key = storage._cdata
        if key not in self.latest:
            self.alive.append(storage)
        return key

    @staticmethod
    def _view(tensor: Tensor) -> tuple[Any, ...]:
        try:
            return (tensor.storage_offset(), tuple(tensor.shape), tensor.stride(), tensor.dtype)
        except (NotImplementedError, RuntimeError):
            return (tuple(tensor.shape),)

    def lookup(self, tensor: Tensor) -> int:
        key = self._storage(tensor)
        found = self.views.get(key, {}).get(self._view(tensor))
        if found is None:
            found = self.latest.get(key)
        if found is None:
            value = _single_value(tensor)
            found = self.new("constant", tensor, value=value)
        return found

    def bind(self, tensor: Tensor, index: int, *, fresh: bool) -> None:
        key = self._storage(tensor)
        if fresh or key not in self.latest:
            self.latest[key] = index
            self.views[key] = {}
        self.views.setdefault(key, {})[self._view(tensor)] = index

    def new(self, category: str, tensor: Tensor, **facts: Any) -> int:
        node = Node(
            len(self.trace.nodes), category, shape=tuple(tensor.shape), module=self.scope[-1], **facts
        )
        index = self.trace.add(node)
        self.bind(tensor, index, fresh=category in ("input", "constant", "noise"))
        return index

    def register_parameters(self, module: nn.Module) -> None:
        for parameter in module.parameters():
            index = self.trace.add(
                Node(len(self.trace.nodes), "parameter", shape=tuple(parameter.shape), parameters=frozenset({id(parameter)}))
            )
            key = self._storage(parameter)
            self.latest.setdefault(key, index)
            self.views.setdefault(key, {})[self._view(parameter)] = index

    # -- one operation

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if self.opaque or self.full:
            return func(*args, **kwargs)
        refs = {id(t): self.lookup(t) for t in _flatten((args, tuple(kwargs.values())))}
        result = func(*args, **kwargs)
        self._record(func, args, kwargs, result, refs)
        if len(self.trace.nodes) > _MAX_NODES:
            self.full = True
        return result

    def _record(self, func: Any, args: Any, kwargs: Any, result: Any, refs: dict[int, int]) -> None:
        trace = self.trace
        name = func._schema.name.rpartition("::")[2]
        written = [
            value
            for argument, value in zip(func._schema.arguments, args, strict=False)
            if argument.alias_info is not None and argument.alias_info.is_write and isinstance(value, Tensor)
        ]
        op = name[:-1] if name.endswith("_") and not name.endswith("__") else name
        results = list(_flatten(result)) if isinstance(result, (Tensor, tuple, list)) else []
        if not results:
            return
        inputs = tuple(refs[id(t)] for t in _flatten((args, tuple(kwargs.values()))))
        nodes = [trace.nodes[i] for i in inputs]
        arguments = _template(args, refs)
        facts: dict[str, Any] = {
            "op": op,
            "inputs": inputs,
            "function": func,
            "arguments": arguments,
            "keywords": {key: _template(value, refs) for key, value in kwargs.items()},
        }
        if op in ("fill", "zero", "copy") and written:
            inputs, nodes = inputs[1:], nodes[1:]
            facts["inputs"] = inputs
        category, extra = self._classify(op, func, nodes, args, results)
        facts.update(extra)
        data = facts.pop("data", any(node.data for node in nodes))
        if data:
            parameters, exact = frozenset[int](), True
        else:
            used = [trace.nodes[i] for i in facts["inputs"]]
            parameters = frozenset().union(*(node.parameters for node in used))
            moved = category in ("view", "part")
            exact = bool(parameters) and moved and all(node.exact for node in nodes if node.parameters)
        if category in ("constant", "noise") and (data or parameters):
            category = "other"
        if op in ("zeros", "zeros_like", "new_zeros", "zero"):
            facts["value"] = 0.0
        elif op in ("ones", "ones_like", "new_ones"):
            facts["value"] = 1.0
        elif op in ("full", "full_like", "new_full", "fill", "scalar_tensor"):
            numbers = [a for a in args if isinstance(a, (int, float)) and not isinstance(a, bool)]
            facts["value"] = float(numbers[-1]) if numbers else None
        elif category == "view" and nodes and nodes[0].value is not None:
            facts["value"] = nodes[0].value
        for position, tensor in enumerate(results):
            if not tensor.is_floating_point() and not tensor.is_complex() and op not in ("gt", "lt", "ge", "le", "logical_not", "where"):
                if position and op in ("max_pool2d_with_indices", "max_pool3d_with_indices", "max", "min"):
                    continue
            whole = not written or self._covers(tensor)
            node = Node(
                len(trace.nodes),
                category if position == 0 or category in ("view", "part") else "other" if category != "norm" else "statistic",
                shape=tuple(tensor.shape),
                module=self.scope[-1],
                data=data,
                parameters=parameters,
                exact=exact,
                **facts,
            )
            if written and not whole:  # the rest of the storage keeps what it held
                key = self._storage(tensor)
                before = self.latest.get(key)
                index = trace.add(node)
                merged = (index,) if before is None else (before, index)
                self.latest[key] = trace.add(
                    Node(
                        len(trace.nodes),
                        "cat",
                        op="partial_write",
                        inputs=merged,
                        shape=() if before is None else trace.nodes[before].shape,
                        module=self.scope[-1],
                        data=data or (before is not None and trace.nodes[before].data),
                    )
                )
                self.views[key] = {self._view(tensor): index}
                continue
            index = trace.add(node)
            self.bind(tensor, index, fresh=bool(written) or not (func.is_view or category in ("view", "part")))

    @staticmethod
    def _covers(tensor: Tensor) -> bool:
        try:
            return tensor.numel() * tensor.element_size() >= tensor.untyped_storage().nbytes()
        except (NotImplementedError, RuntimeError):
            return True

    # -- what it means

    def _classify(
        self, op: str, func: Any, nodes: list[Node], args: Any, results: list[Tensor]
    ) -> tuple[str, dict[str, Any]]:
        trace = self.trace
        if not nodes:
            return ("noise" if op in RANDOM else "constant"), {}
        if op in RANDOM:
            return "noise", {"data": False, "inputs": ()}
        if op in FACTORIES:
            return "constant", {"data": False, "inputs": ()}
        if op in MATMUL:
            return self._product(op, nodes, args)
        if op in ("convolution", "_convolution", "convolution_overrideable"):
            return self._convolution(nodes, args)
        if op in ("_trilinear", "bilinear"):
            return self._apply(nodes, [n for n in nodes if not n.data and n.parameters], Use("bilinear"))
        if op in ("embedding", "_embedding_bag", "_embedding_bag_forward_only", "embedding_renorm"):
            trace.use(nodes[0].parameters, Use("embedding"))
            return "embedding", {"data": any(n.data for n in nodes[1:]) or nodes[0].data, "layer": self._owner(nodes[0])}
        if op in NORMS:
            return self._norm(op, nodes, args)
        if op in ATTENTION:
            for node in nodes:
                if not node.data:
                    trace.use(node.parameters, Use("token"))
            return "attention", {}
        if op in SOFTMAX:
            return "softmax", {}
        if op == "glu":
            return "glu", {}
        if op == "copy":
            return "view", {}
        if op in ("native_dropout", "_fused_dropout"):
            return "dropout", {}
        if op == "_prelu_kernel":
            trace.use(nodes[1].parameters, Use("scale"))
            return "elementwise", {}
        if op == "_weight_norm_interface" or op == "_weight_norm":
            return "other", {}
        if op in CAST or op in REARRANGE or func.is_view:
            fewer = results[0].numel() < trace.nodes[nodes[0].index].numel
            return ("part" if fewer else "view"), {}
        if op in PARTS:
            return "part", {}
        if op in ("cat", "stack"):
            for node in nodes:
                if not node.data and node.parameters and any(n.data for n in nodes):
                    trace.use(node.parameters, Use("token"))
            moving = [n for n in nodes if n.data]
            return ("resize", {"inputs": (moving[0].index,)}) if len(moving) == 1 else ("cat", {})
        if op in POOLS:
            return "pool", {}
        if op in RESIZES:
            return "resize", {}
        if op in REDUCTIONS:
            return "reduce", {}
        if op in ELEMENTWISE:
            return self._elementwise(op, nodes, results[0])
        if op == "addcmul" and sum(n.data for n in nodes) == 1 and not nodes[0].data:
            trace.use(nodes[0].parameters, Use("bias" if sum(s > 1 for s in nodes[0].shape) < 2 else "token"))
            trace.use(frozenset().union(*(n.parameters for n in nodes[1:])), Use("scale"))
            moving = next(n.index for n in nodes if n.data)
            return "scale", {"inputs": (moving, *(n.index for n in nodes if n.index != moving))}
        return "other", {}

    def _owner(self, node: Node) -> str:
        for parameter in node.parameters:
            return self.trace.owners.get(parameter, "")
        return ""

    def _owns(self, node: Node) -> bool:
        """Whether the innermost module's own parameter is what the node holds."""
        return node.exact and any(self.trace.owners.get(p) == self.scope[-1] for p in node.parameters)

    def _apply(self, nodes: list[Node], weights: list[Node], use: Use) -> tuple[str, dict[str, Any]]:
        trace = self.trace
        parameters = frozenset().union(*(w.parameters for w in weights)) if weights else frozenset()
        for weight in weights:
            known = use if weight.exact else Use(use.kind)
            trace.use(weight.parameters, known)
        scope = self.scope[-1]
        owners = [trace.owners.get(p, "") for p in parameters]
        within = f"{scope}.parametrizations." if scope else "parametrizations."
        mine = scope in owners or any(owner.startswith(within) for owner in owners)
        return "application", {"data": True, "layer": scope if mine else max(owners, default=""), "weights": parameters}

    def _product(self, op: str, nodes: list[Node], args: Any) -> tuple[str, dict[str, Any]]:
        trace = self.trace
        first, second = MATMUL[op]
        if len(nodes) < 2 or not isinstance(args[first], Tensor) or not isinstance(args[second], Tensor):
            return "other", {}
        left, right = nodes[first], nodes[second]
        candidates = [n for n in (left, right) if not n.data and n.parameters]
        if len(candidates) == 2:
            owned = [n for n in candidates if self._owns(n)]
            if len(owned) != 1 and not self._in_linear():
                return "other", {}
            candidates = owned[:1] or [right]
        elif candidates and not (left.data or right.data):  # a weight times a constant: is it a layer's own?
            if not self._owns(candidates[0]) and not self._in_linear():
                return "other", {}
        if not candidates:
            return ("attention" if op in ("bmm", "baddbmm") else "product"), {}
        weight = candidates[0]
        matrix = args[second] if weight is right else args[first]
        if weight is right:
            fan_in = matrix.shape[-2] if matrix.dim() > 1 else matrix.shape[0]
            fan_out = matrix.shape[-1] if matrix.dim() > 1 else 1
        else:
            fan_in = matrix.shape[-1]
            fan_out = matrix.shape[-2] if matrix.dim() > 1 else 1
        if first == 1 and nodes[0].parameters and not nodes[0].data:
            trace.use(nodes[0].parameters, Use("bias"))
        inputs = [n.index for n in nodes if n is not weight and n.data]
        category, facts = self._apply(nodes, [weight], Use("matmul", int(fan_in), int(fan_out)))
        if inputs:
            facts["inputs"] = (*inputs, *(n.index for n in nodes if n.index not in inputs))
        return category, facts

    def _in_linear(self) -> bool:
        return isinstance(self.trace.modules.get(self.scope[-1]), nn.Linear)

    def _convolution(self, nodes: list[Node], args: Any) -> tuple[str, dict[str, Any]]:
        trace = self.trace
        signal, weight = nodes[0], nodes[1]
        if weight.data or not weight.parameters:
            return "other", {}
        shape = tuple(args[1].shape)
        transposed, groups = bool(args[6]), int(args[8])
        taps = math.prod(shape[2:])
        if transposed:
            met = math.prod(args[3]) if len(args[3]) == len(shape) - 2 else args[3][0] ** (len(shape) - 2)
            fans = max(1, round(shape[0] // groups * taps / met)), shape[1] * taps
        else:
            fans = shape[1] * taps, shape[0] // groups * taps
        if len(nodes) > 2 and isinstance(args[2], Tensor):
            trace.use(nodes[2].parameters, Use("bias"))
        if not signal.data and not self._owns(weight):
            return "other", {}
        return self._apply(nodes, [weight], Use("convolution", *fans))

    def _norm(self, op: str, nodes: list[Node], args: Any) -> tuple[str, dict[str, Any]]:
        tensors = [a for a in args if isinstance(a, Tensor)]
        by_tensor = {id(t): n for t, n in zip(tensors, nodes, strict=False)}
        weight, bias = (2, 3) if op == "native_layer_norm" else (1, 2)
        for position, kind in ((weight, "norm_scale"), (bias, "norm_bias")):
            if len(args) > position and isinstance(args[position], Tensor):
                node = by_tensor[id(args[position])]
                self.trace.use(node.parameters, Use(kind))
        return "norm", {"data": nodes[0].data, "inputs": (nodes[0].index, *(n.index for n in nodes[1:]))}

    def _elementwise(self, op: str, nodes: list[Node], result: Tensor) -> tuple[str, dict[str, Any]]:
        trace = self.trace
        moving = [n for n in nodes if n.data]
        fixed = [n for n in nodes if not n.data]
        if op in ("mul", "div") and len(moving) == 2:
            if _normalises(trace, moving[0].index, moving[1].index, op) or (
                op == "mul" and _normalises(trace, moving[1].index, moving[0].index, op)
            ):
                return "norm", {}
            return "product", {}
        if op in ("add", "sub") and len(moving) == 2:
            return "sum", {}
        if len(moving) != 1:
            return ("elementwise" if moving else "other"), {}
        signal = moving[0]
        parametric = [n for n in fixed if n.parameters]
        if op in ("mul", "div"):
            if parametric:
                after_norm = _after_norm(trace, signal.index)
                trace.use(parametric[0].parameters, Use("norm_scale" if after_norm else "scale"))
                return "scale", {"inputs": (signal.index, *(n.index for n in fixed))}
            if fixed and fixed[0].category in ("noise", "other") and not fixed[0].value and _noisy(trace, fixed[0]):
                return "dropout", {"inputs": (signal.index,)}
            if fixed and fixed[0].value is None and fixed[0].numel > 1:
                return "scale", {"inputs": (signal.index, *(n.index for n in fixed))}
        if op in ("add", "sub", "rsub") and fixed:
            if parametric:
                wide = sum(size > 1 for size in parametric[0].shape) > 1
                kind = "token" if wide else "norm_bias" if _after_norm(trace, signal.index) else "bias"
                trace.use(parametric[0].parameters, Use(kind))
            if parametric or (fixed[0].value is None and fixed[0].numel > 1):
                return "bias", {"inputs": (signal.index, *(n.index for n in fixed))}
        if op in ("where", "masked_fill") and parametric:
            trace.use(parametric[0].parameters, Use("token"))
        elif parametric:
            trace.use(parametric[0].parameters, Use("scale" if op != "maximum" else "other"))
        return "elementwise", {}


def _noisy(trace: Trace, node: Node) -> bool:
    """Whether a value was drawn at random, possibly scaled since."""
    for _ in range(6):
        if node.category == "noise":
            return True
        if not node.inputs:
            return False
        node = trace.nodes[node.inputs[0]]
    return False


def _after_norm(trace: Trace, index: int) -> bool:
    for _ in range(8):
        node = trace.nodes[index]
        if node.category == "norm":
            return True
        if node.category not in ("view", "scale", "dropout") or not node.inputs:
            return False
        index = node.inputs[0]
    return False


def _normalises(trace: Trace, signal: int, divisor: int, op: str) -> bool:
    """Whether ``divisor`` is a root mean square, a deviation or a norm of ``signal`` (its inverse, for a product).

    Looked for on the way up from the divisor: a root, and a reduction, before the signal itself (or what it was
    centred from) is met.
    """
    origins = {signal}
    at = trace.nodes[signal]
    for _ in range(4):  # through casts and centring
        if at.category in ("view",) and at.inputs:
            at = trace.nodes[at.inputs[0]]
        elif at.op == "sub" and at.inputs:
            at = trace.nodes[at.inputs[0]]
        else:
            break
        origins.add(at.index)
    inverse = op == "div"
    rooted = reduced = False
    index = divisor
    for _ in range(14):
        if index in origins:
            return rooted and reduced and inverse
        node = trace.nodes[index]
        if node.category == "statistic":
            return False
        if node.op in ("rsqrt", "reciprocal"):
            inverse = True
            rooted = rooted or node.op == "rsqrt"
        elif node.op in ("sqrt", "norm", "linalg_vector_norm", "std"):
            rooted = True
            reduced = reduced or node.op != "sqrt"
        elif node.op == "pow":
            exponents = [a for a in node.arguments if isinstance(a, (int, float))]
            if exponents and exponents[-1] in (-0.5, 0.5):
                rooted = True
                inverse = inverse or exponents[-1] < 0
        elif node.category == "reduce" and node.op in ("mean", "sum", "var"):
            reduced = True
        elif node.category not in ("view", "elementwise", "product", "sum", "bias", "scale"):
            return False
        moving = [i for i in node.inputs if trace.nodes[i].data]
        if not moving:
            return False
        index = moving[0]
    return False


def _single_value(tensor: Tensor) -> float | None:
    if tensor.numel() != 1 or tensor.is_meta or tensor.is_complex() or isinstance(tensor, nn.Parameter):
        return None
    if type(tensor) is not Tensor:
        return None
    return None if tensor.device.type != "cpu" else float(tensor.detach().reshape(()).item())


def _template(value: Any, refs: Mapping[int, int]) -> Any:
    """The arguments of a call, with a ``Ref`` for each tensor."""
    if isinstance(value, Tensor):
        return Ref(refs[id(value)])
    if isinstance(value, (list, tuple)):
        return tuple(_template(item, refs) for item in value)
    return value


@contextlib.contextmanager
def _scopes(module: nn.Module, recorder: _Recorder) -> Iterator[None]:
    """Keep the recorder told which module is running, and what each returned."""
    trace = recorder.trace
    handles: list[Any] = []

    def enter(name: str, opaque: bool) -> Any:
        def hook(_: nn.Module, __: Any) -> None:
            recorder.scope.append(name)
            recorder.opaque += opaque

        return hook

    def leave(name: str, opaque: bool) -> Any:
        def hook(child: nn.Module, inputs: Any, result: Any) -> None:
            if len(recorder.scope) > 1:
                recorder.scope.pop()
            recorder.opaque -= opaque
            if recorder.full or recorder.opaque:
                return
            if opaque:
                sources = tuple(recorder.lookup(t) for t in _flatten(inputs) if t.is_floating_point())
                weights = frozenset(id(p) for p in child.parameters(recurse=False))
                for tensor in _flatten(result):
                    index = trace.add(
                        Node(
                            len(trace.nodes),
                            "application",
                            op="recurrent",
                            inputs=sources,
                            shape=tuple(tensor.shape),
                            data=True,
                            module=name,
                            layer=name,
                            weights=weights,
                        )
                    )
                    recorder.bind(tensor, index, fresh=True)
                trace.use(weights, Use("recurrent"))
            first = next(_flatten(result), None)
            if first is not None:
                trace.returned.setdefault(name, []).append(recorder.lookup(first))

        return hook

    recurrent = (nn.RNNBase, nn.RNNCellBase)
    try:
        for name, child in module.named_modules():
            if isinstance(child, torch.jit.ScriptModule):
                continue
            opaque = isinstance(child, recurrent)
            handles.append(child.register_forward_pre_hook(enter(name, opaque), prepend=True))
            handles.append(child.register_forward_hook(leave(name, opaque)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def trace_forward(module: nn.Module, args: tuple[Any, ...], kwargs: Mapping[str, Any], primary: Any) -> Trace:
    """Run ``module(*args, **kwargs)`` once and follow it.

    ``primary`` picks the tensors of the output that the model is for. Modes and buffers are the caller's to
    restore. Raises whatever the model raises.
    """
    trace = Trace(module)
    recorder = _Recorder(trace)
    recorder.register_parameters(module)
    for tensor in _flatten((args, dict(kwargs))):
        recorder.new("input", tensor, data=True)
    with _scopes(module, recorder), torch.enable_grad(), recorder:
        output = module(*args, **kwargs)
    trace.outputs = {recorder.lookup(t) for t in _flatten(output)}
    chosen = primary(output)
    trace.primary = {recorder.lookup(chosen)} if chosen is not None else set()
    trace.complete = not recorder.full
    recorder.alive.clear()
    return trace
